package token

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// SecretSize is the length of an invitation's secret in bytes: nobody guesses 128 bits at five tries a minute,
// nor at any other pace.
const SecretSize = 16

const (
	idLen      = 8
	idAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// NewID makes the id of an invitation of bytes of rand: 8 characters of a-z and 0-9, each as likely as the
// others. An id is a name, no secret.
func NewID(rand io.Reader) (string, error) {
	// Bytes above the last multiple of the alphabet's length would favour its first letters.
	const fair = 256 / len(idAlphabet) * len(idAlphabet)
	id := make([]byte, 0, idLen)
	for one := make([]byte, 1); len(id) < idLen; {
		if _, err := io.ReadFull(rand, one); err != nil {
			return "", fmt.Errorf("make an invitation's id: %w", err)
		}
		if int(one[0]) < fair {
			id = append(id, idAlphabet[int(one[0])%len(idAlphabet)])
		}
	}
	return string(id), nil
}

// ValidID reports what is no id of an invitation.
func ValidID(id string) error {
	if len(id) != idLen || strings.Trim(id, idAlphabet) != "" {
		return fmt.Errorf("no id of an invitation: want %d characters of a-z and 0-9", idLen)
	}
	return nil
}

// NewSecret takes the secret of an invitation from rand.
func NewSecret(rand io.Reader) ([SecretSize]byte, error) {
	var s [SecretSize]byte
	if _, err := io.ReadFull(rand, s[:]); err != nil {
		return s, fmt.Errorf("make an invitation's secret: %w", err)
	}
	return s, nil
}

// HashSecret returns what the inviter keeps of a secret: its SHA-256. The secret has 128 random bits, so its
// hash needs no salt and no work to be useless to whoever reads it.
func HashSecret(secret [SecretSize]byte) mesh.Hash { return sha256.Sum256(secret[:]) }
