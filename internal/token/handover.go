package token

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
)

// HandOverPrefix begins every hand-over of this version.
const HandOverPrefix = "meshhand1_"

// handOverDomain starts what is signed, so that a hand-over is never taken for anything else that a key signs.
const handOverDomain = "mesh hand-over v1"

// handOverSize counts both keys, the time and the signature.
const handOverSize = 2*keys.PublicSize + 8 + keys.SignatureSize

var (
	// ErrHandOver reports text that is no hand-over, or one that was cut off or mistyped.
	ErrHandOver = errors.New("no hand-over of a key, or one that is cut off or mistyped")
	// ErrHandOverForged reports a hand-over that the old key did not sign.
	ErrHandOverForged = errors.New("the hand-over is not signed by the key that it hands over from")
)

// HandOver says that the zone of one key is to go to another. Its owner makes it with the old key, and the node
// that has the new one presents it. It names no zone and no network: it speaks for whatever the old key is bound
// to where it is presented. It is no secret, for only the new key can present it.
//
// As text it is "meshhand1_" and the unpadded base64url of From (32 bytes), To (32), Made (Unix ms, u64
// big-endian) and From's signature (64) over "mesh hand-over v1" and the bytes before it. It has one spelling.
type HandOver struct {
	From, To keys.Public
	Made     time.Time // by its maker's clock, whole ms; it decides nothing
	sig      keys.Signature
}

// SignHandOver makes the statement that old's zone goes to the key to.
func SignHandOver(old keys.Private, to keys.Public, at time.Time) HandOver {
	h := HandOver{From: old.Public(), To: to, Made: time.UnixMilli(at.UnixMilli()).UTC()}
	h.sig = old.Sign(h.signed())
	return h
}

// signed is what the signature covers.
func (h HandOver) signed() []byte { return append([]byte(handOverDomain), h.fields()...) }

func (h HandOver) fields() []byte {
	b := make([]byte, 0, handOverSize)
	b = append(append(b, h.From[:]...), h.To[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(h.Made.UnixMilli()))
}

// String returns the statement on one line.
func (h HandOver) String() string {
	return HandOverPrefix + encoding.EncodeToString(append(h.fields(), h.sig[:]...))
}

// ParseHandOver reads a statement and verifies its signature; white space around it doesn't matter. The error is
// ErrHandOver or ErrHandOverForged, with the reason.
func ParseHandOver(s string) (HandOver, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), HandOverPrefix)
	if !ok {
		return HandOver{}, fmt.Errorf("%w: it doesn't begin with %s", ErrHandOver, HandOverPrefix)
	}
	if len(text) != encoding.EncodedLen(handOverSize) {
		return HandOver{}, fmt.Errorf("%w: %d characters after %s, want %d", ErrHandOver, len(text), HandOverPrefix, encoding.EncodedLen(handOverSize))
	}
	b, err := encoding.DecodeString(text)
	if err != nil || len(b) != handOverSize {
		return HandOver{}, ErrHandOver
	}
	var h HandOver
	for _, k := range []*keys.Public{&h.From, &h.To} {
		if *k, err = keys.PublicFromBytes(b[:keys.PublicSize]); err != nil {
			return HandOver{}, fmt.Errorf("%w: %w", ErrHandOver, err)
		}
		b = b[keys.PublicSize:]
	}
	ms := binary.BigEndian.Uint64(b)
	if ms > maxExpiry*1000 {
		return HandOver{}, fmt.Errorf("%w: made beyond the year 9999", ErrHandOver)
	}
	h.Made = time.UnixMilli(int64(ms)).UTC()
	copy(h.sig[:], b[8:])
	if h.From == h.To {
		return HandOver{}, fmt.Errorf("%w: from a key to itself", ErrHandOver)
	}
	if !keys.Verify(h.From, h.signed(), h.sig) {
		return HandOver{}, ErrHandOverForged
	}
	return h, nil
}
