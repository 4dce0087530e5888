package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"filippo.io/edwards25519"
)

// PublicSize is the length of a public key in bytes.
const PublicSize = ed25519.PublicKeySize

// SignatureSize is the length of a signature in bytes.
const SignatureSize = ed25519.SignatureSize

// Public is an Ed25519 public key: a compressed curve point that was checked to be one, and not of small
// order, when it entered through ParsePublic, PublicFromBytes or PublicFromPeerID. The zero value is no key.
type Public [PublicSize]byte

// Signature is an Ed25519 signature, R followed by S. Any 64 bytes may stand here; Verify decides.
type Signature [SignatureSize]byte

var (
	// ErrNotAPoint reports bytes that are not the canonical encoding of a point of the curve (RFC 8032, 5.1.3).
	ErrNotAPoint = errors.New("not a point of the Ed25519 curve")
	// ErrSmallOrder reports one of the eight points under which signatures prove nothing.
	ErrSmallOrder = errors.New("a point of small order, under which signatures prove nothing")
)

// PublicFromBytes checks 32 raw bytes and returns them as a key.
func PublicFromBytes(b []byte) (Public, error) {
	var p Public
	if len(b) != PublicSize {
		return p, fmt.Errorf("public key: %d bytes, want %d", len(b), PublicSize)
	}
	if err := checkPoint([PublicSize]byte(b)); err != nil {
		return p, fmt.Errorf("public key: %w", err)
	}
	return Public(b), nil
}

// ParsePublic reads 64 hex digits of either case.
func ParsePublic(s string) (Public, error) {
	if len(s) != 2*PublicSize {
		return Public{}, fmt.Errorf("public key: %d hex digits, want %d", len(s), 2*PublicSize)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return Public{}, errors.New("public key: not hexadecimal")
	}
	return PublicFromBytes(b)
}

// IsZero reports whether p is the zero value, which is no key.
func (p Public) IsZero() bool { return p == Public{} }

// String returns 64 lower-case hex digits.
func (p Public) String() string { return hex.EncodeToString(p[:]) }

// Short returns the first 8 hex digits, for logs and names.
func (p Public) Short() string { return hex.EncodeToString(p[:4]) }

// Compare orders keys bytewise.
func (p Public) Compare(q Public) int { return bytes.Compare(p[:], q[:]) }

// LogValue shortens the key in log lines.
func (p Public) LogValue() slog.Value { return slog.StringValue(p.Short()) }

// MarshalText writes the hex form.
func (p Public) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the hex form, checked as by ParsePublic.
func (p *Public) UnmarshalText(b []byte) error {
	k, err := ParsePublic(string(b))
	if err == nil {
		*p = k
	}
	return err
}

// checkPoint demands the canonical encoding of a point that is not of small order.
func checkPoint(p [PublicSize]byte) error {
	if _, err := new(edwards25519.Point).SetBytes(p[:]); err != nil {
		return ErrNotAPoint
	}
	if isSmallOrder(p) {
		return ErrSmallOrder
	}
	if !isCanonical(p) {
		return ErrNotAPoint
	}
	return nil
}
