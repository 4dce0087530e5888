package keys

import (
	"crypto/ed25519"
	"encoding/hex"
)

// Verify reports whether sig is a strictly valid signature of msg under p. Strict means what ed25519-dalek
// calls verify_strict, which p2panda uses: S is canonical, neither R nor the key has small order, and the
// cofactorless equation holds byte for byte. crypto/ed25519 checks all but the small orders. Beyond that a
// key that is not written canonically verifies nothing, as RFC 8032 (5.1.3) asks: one key has one name.
func Verify(p Public, msg []byte, sig Signature) bool {
	r := [PublicSize]byte(sig[:PublicSize])
	if isSmallOrder(p) || !isCanonical(p) || isSmallOrder(r) {
		return false
	}
	return ed25519.Verify(p[:], msg, sig[:])
}

// signBit is the bit of an encoded point that holds the sign of x; the rest is y, little endian.
const signBit = 0x80

// smallOrderY are the y coordinates of the eight points of small order, for either sign of x.
var smallOrderY = [...][PublicSize]byte{
	fromHex("0100000000000000000000000000000000000000000000000000000000000000"), // order 1
	fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // order 2
	fromHex("0000000000000000000000000000000000000000000000000000000000000000"), // order 4
	fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // order 8
	fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), // order 8
}

// isSmallOrder reports whether a canonically encoded point is one of the eight of small order. Comparing
// bytes is enough for R too: the equation is checked against its bytes, which only the canonical ones pass.
// It costs a few nanoseconds where decoding the point would cost a tenth of the verification.
func isSmallOrder(p [PublicSize]byte) bool {
	p[PublicSize-1] &^= signBit
	for i := range smallOrderY {
		if p == smallOrderY[i] {
			return true
		}
	}
	return false
}

// isCanonical reports whether y is below the prime 2^255 - 19, whose encoding is ed ff .. ff 7f.
func isCanonical(p [PublicSize]byte) bool {
	if p[0] < 0xed || p[PublicSize-1]|signBit != 0xff {
		return true
	}
	for _, b := range p[1 : PublicSize-1] {
		if b != 0xff {
			return true
		}
	}
	return false
}

func fromHex(s string) (p [PublicSize]byte) {
	if n, err := hex.Decode(p[:], []byte(s)); err != nil || n != PublicSize {
		panic("bad constant " + s)
	}
	return p
}
