package keys

import (
	"crypto/ed25519"

	"filippo.io/edwards25519"
)

// Verify reports whether sig is a strictly valid signature of msg under p. Strict means what ed25519-dalek
// calls verify_strict, which p2panda uses: S is canonical, neither R nor the key has small order, and the
// cofactorless equation holds byte for byte. crypto/ed25519 checks all but the small orders.
func Verify(p Public, msg []byte, sig Signature) bool {
	if !ed25519.Verify(p[:], msg, sig[:]) {
		return false
	}
	if checkPoint(p[:]) != nil {
		return false
	}
	r, err := new(edwards25519.Point).SetBytes(sig[:32])
	return err == nil && !isSmallOrder(r)
}
