package keys

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// SeedSize is the length of the RFC 8032 seed that a private key is stored as.
const SeedSize = ed25519.SeedSize

const secretText = "[secret]"

// Private is an Ed25519 private key. Every way of printing it gives "[secret]"; Hex and Seed are the two
// doors through which the key itself leaves. The zero value is no key; methods other than IsZero and those
// that print panic on it. A Private is immutable and safe for concurrent use.
type Private struct {
	// std returns the key. It is a closure because fmt calls no methods on unexported fields: of a Private in
	// such a field it prints an address, where it would follow a slice or a pointer to the key itself. A
	// function also keeps == from compiling, which would not compare keys.
	std func() ed25519.PrivateKey
}

// Generate makes a key from 32 bytes of rand.
func Generate(rand io.Reader) (Private, error) {
	var seed [SeedSize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return Private{}, fmt.Errorf("generate key: %w", err)
	}
	return FromSeed(seed), nil
}

// FromSeed expands an RFC 8032 seed.
func FromSeed(seed [SeedSize]byte) Private {
	std := ed25519.NewKeyFromSeed(seed[:])
	return Private{func() ed25519.PrivateKey { return std }}
}

// IsZero reports whether k is the zero value.
func (k Private) IsZero() bool { return k.std == nil }

// Public returns the public half.
func (k Private) Public() Public { return Public(k.std()[SeedSize:]) }

// Sign signs msg: plain deterministic Ed25519, no context and no prehash.
func (k Private) Sign(msg []byte) Signature { return Signature(ed25519.Sign(k.std(), msg)) }

// Seed returns the secret itself.
func (k Private) Seed() [SeedSize]byte { return [SeedSize]byte(k.std().Seed()) }

// Hex returns the secret itself as 64 lower-case hex digits, the form of key files.
func (k Private) Hex() string { return hex.EncodeToString(k.std().Seed()) }

func (k Private) String() string { return secretText }

// GoString keeps %#v from printing the key.
func (k Private) GoString() string { return secretText }

// Format keeps every verb of fmt from printing the key.
func (k Private) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secretText) }

// LogValue keeps slog from printing the key.
func (k Private) LogValue() slog.Value { return slog.StringValue(secretText) }

// MarshalText fails, so that no encoder writes the key by accident.
func (k Private) MarshalText() ([]byte, error) {
	return nil, errors.New("a private key is not to be marshalled")
}
