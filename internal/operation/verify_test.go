package operation

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

func reason(err error) Reason {
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return invalid.Reason
	}
	return ""
}

// withSignature is o as if its author had signed it so.
func withSignature(t *testing.T, o *Operation, sig []byte) *Operation {
	t.Helper()
	h := o.Header
	h.Signature = keys.Signature(sig)
	forged, err := Decode(appendHeader(nil, &h, true))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return forged
}

func TestVerifyIsStrict(t *testing.T) {
	t.Parallel()
	seed := [keys.SeedSize]byte{9}
	key := keys.FromSeed(seed)
	o, err := Sign(key, Header{Timestamp: 1}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(); err != nil {
		t.Fatalf("Verify of our own = %v", err)
	}
	preimage := appendHeader(nil, &o.Header, false)

	// S + L: the same scalar, written in a way that is not canonical.
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	little := slices.Clone(o.Signature[32:])
	slices.Reverse(little)
	sum := new(big.Int).Add(new(big.Int).SetBytes(little), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	highS := append(slices.Clone(o.Signature[:32]), sum...)

	// R of small order: with R the identity, S = k * a satisfies the equation, and crypto/ed25519 accepts it.
	identity := edwards25519.NewIdentityPoint().Bytes()
	digest := sha512.Sum512(slices.Concat(identity, o.Author[:], preimage))
	k, _ := edwards25519.NewScalar().SetUniformBytes(digest[:])
	expanded := sha512.Sum512(seed[:])
	a, _ := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	smallR := append(slices.Clone(identity), edwards25519.NewScalar().Multiply(k, a).Bytes()...)
	if !ed25519.Verify(o.Author[:], preimage, smallR) {
		t.Fatal("the forged signature is not one that lax verification accepts: the test shows nothing")
	}

	other := keys.FromSeed([keys.SeedSize]byte{10}).Sign(preimage)
	flipped := o.Signature
	flipped[5] ^= 1
	for name, sig := range map[string][]byte{
		"S not canonical":  highS,
		"R of small order": smallR,
		"another key's":    other[:],
		"one bit flipped":  flipped[:],
		"zero":             make([]byte, keys.SignatureSize),
	} {
		if err := withSignature(t, o, sig).Verify(); reason(err) != SignatureMismatch {
			t.Errorf("%s: Verify = %v, want %s", name, err, SignatureMismatch)
		}
	}
}

// Every field is covered by the signature.
func TestVerifyCoversEveryField(t *testing.T) {
	t.Parallel()
	key := keys.FromSeed([keys.SeedSize]byte{9})
	o, err := Sign(key, Header{Seq: 3, Backlink: mesh.Sum([]byte("b")), Timestamp: 1}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *Header){
		"author":       func(h *Header) { h.Author = keys.FromSeed([keys.SeedSize]byte{10}).Public() },
		"payload size": func(h *Header) { h.PayloadSize++ },
		"payload hash": func(h *Header) { h.PayloadHash[0] ^= 1 },
		"no payload":   func(h *Header) { h.PayloadSize, h.PayloadHash = 0, mesh.Hash{} },
		"seq":          func(h *Header) { h.Seq++ },
		"backlink":     func(h *Header) { h.Backlink[0] ^= 1 },
		"log":          func(h *Header) { h.Log[0] ^= 1 },
		"timestamp":    func(h *Header) { h.Timestamp++ },
		"prune":        func(h *Header) { h.Prune = true },
	} {
		h := o.Header
		change(&h)
		forged, err := Decode(appendHeader(nil, &h, true))
		if err != nil {
			t.Fatalf("%s: Decode: %v", name, err)
		}
		if err := forged.Verify(); reason(err) != SignatureMismatch {
			t.Errorf("%s: Verify = %v, want %s", name, err, SignatureMismatch)
		}
		// The same change to the fields alone leaves bytes that say something else.
		altered := *o
		change(&altered.Header)
		if err := altered.Verify(); reason(err) != Malformed {
			t.Errorf("%s: Verify of altered fields = %v, want %s", name, err, Malformed)
		}
	}
}
