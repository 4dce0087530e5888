package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"filippo.io/edwards25519"
)

// torsion returns the eight points of small order, computed rather than listed: the order of the curve is
// 8 times the prime order of the base point, so multiplying a point by that prime leaves its small part.
func torsion(t *testing.T) []*edwards25519.Point {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for {
		p, err := new(edwards25519.Point).SetBytes(randomBytes(rng))
		if err != nil {
			continue
		}
		// l*p = (l-1)*p + p; l itself is zero as a scalar.
		minusOne := new(edwards25519.Scalar).Negate(one(t))
		small := new(edwards25519.Point).ScalarMult(minusOne, p)
		small.Add(small, p)
		points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
		for next := small; next.Equal(points[0]) == 0; {
			points = append(points, next)
			next = new(edwards25519.Point).Add(next, small)
		}
		if len(points) == 8 {
			return points
		}
	}
}

func one(t *testing.T) *edwards25519.Scalar {
	t.Helper()
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func randomBytes(rng *rand.Rand) []byte {
	b := make([]byte, PublicSize)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// smallOrderEncodings lists every string of 32 bytes that decodes to a point of small order: the canonical
// ones, y + p where that fits in 255 bits, and the wrong sign of x = 0.
func smallOrderEncodings(t *testing.T) [][PublicSize]byte {
	t.Helper()
	encodings := [][PublicSize]byte{
		fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // y = p, order 4
		fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
		fromHex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // y = p + 1, order 1
		fromHex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
		fromHex("0100000000000000000000000000000000000000000000000000000000000080"), // -0
		fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"), // -0
	}
	for _, p := range torsion(t) {
		encodings = append(encodings, [PublicSize]byte(p.Bytes()))
	}
	return encodings
}

func TestSmallOrderKeysAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	encodings := smallOrderEncodings(t)
	if len(encodings) != 14 {
		t.Fatalf("%d encodings of small order, want 14", len(encodings))
	}
	for _, b := range encodings {
		if p, err := PublicFromBytes(b[:]); err == nil {
			t.Errorf("PublicFromBytes(%x) = %v, want an error", b, p)
		}
		if p, err := ParsePublic(hex.EncodeToString(b[:])); err == nil {
			t.Errorf("ParsePublic(%x) = %v, want an error", b, p)
		}
		if p, err := PublicFromPeerID(Public(b).PeerID()); err == nil {
			t.Errorf("PublicFromPeerID of %x = %v, want an error", b, p)
		}
	}
}

// With a key of small order and R of small order, S = 0 satisfies the equation for every message or for some.
// crypto/ed25519 accepts these; Verify must not.
func TestVerifyIsStrict(t *testing.T) {
	t.Parallel()
	lax := 0
	encodings := smallOrderEncodings(t)
	for _, a := range encodings {
		for _, r := range encodings {
			var sig Signature
			copy(sig[:], r[:])
			for i := range 16 {
				msg := []byte{byte(i)}
				if ed25519.Verify(a[:], msg, sig[:]) {
					lax++
				}
				if Verify(Public(a), msg, sig) {
					t.Errorf("Verify accepts key %x with R %x", a, r)
				}
			}
		}
	}
	if lax == 0 {
		t.Error("crypto/ed25519 accepts none of the signatures, so this test shows nothing")
	}
}

// R = identity and S = k*a is a valid signature by the lax rules under an ordinary key.
func TestVerifyRefusesSmallOrderR(t *testing.T) {
	t.Parallel()
	k := FromSeed([SeedSize]byte{7})
	p := k.Public()
	msg := []byte("hello")
	sig := forgeWithIdentityR(t, k, msg)
	if !ed25519.Verify(p[:], msg, sig[:]) {
		t.Fatal("crypto/ed25519 refuses the signature, so this test shows nothing")
	}
	if Verify(p, msg, sig) {
		t.Error("Verify accepts a signature whose R has small order")
	}
}

func TestVerifyRefusesSPlusOrder(t *testing.T) {
	t.Parallel()
	k := FromSeed([SeedSize]byte{9})
	msg := []byte("malleable")
	sig := k.Sign(msg)
	// The group order, little endian: S + l satisfies the same equation.
	order := fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	carry := 0
	for i := range order {
		sum := int(sig[32+i]) + int(order[i]) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	if Verify(k.Public(), msg, sig) {
		t.Error("Verify accepts an S that is not canonical")
	}
}

func TestPointChecksAgreeWithTheSlowOnes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	candidates := smallOrderEncodings(t)
	for y := range 0x13 { // y + p for every y that fits
		b := fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
		b[0] += byte(y)
		candidates = append(candidates, b)
		b[31] |= signBit
		candidates = append(candidates, b)
	}
	for range 500 {
		candidates = append(candidates, [PublicSize]byte(randomBytes(rng)))
	}
	for _, b := range candidates {
		pt, err := new(edwards25519.Point).SetBytes(b[:])
		want := err == nil && bytes.Equal(pt.Bytes(), b[:]) &&
			new(edwards25519.Point).MultByCofactor(pt).Equal(edwards25519.NewIdentityPoint()) == 0
		if got := checkPoint(b) == nil; got != want {
			t.Errorf("checkPoint(%x) accepts: %v, want %v", b, got, want)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k := FromSeed([SeedSize]byte{1})
	msg := make([]byte, 256)
	sig := k.Sign(msg)
	p := k.Public()
	b.Run("strict", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Verify(p, msg, sig)
		}
	})
	b.Run("standard", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ed25519.Verify(p[:], msg, sig[:])
		}
	})
}

// forgeWithIdentityR signs msg with the nonce 0: R is the identity and S = k*a.
func forgeWithIdentityR(t *testing.T, key Private, msg []byte) Signature {
	t.Helper()
	seed, p := key.Seed(), key.Public()
	h := sha512.Sum512(seed[:])
	a, err := new(edwards25519.Scalar).SetBytesWithClamping(h[:32])
	if err != nil {
		t.Fatal(err)
	}
	r := edwards25519.NewIdentityPoint().Bytes()
	digest := sha512.Sum512(slices.Concat(r, p[:], msg))
	k, err := new(edwards25519.Scalar).SetUniformBytes(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return Signature(slices.Concat(r, new(edwards25519.Scalar).Multiply(k, a).Bytes()))
}
