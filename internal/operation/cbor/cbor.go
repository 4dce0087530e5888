// Package cbor reads and writes the part of CBOR (RFC 8949) that operations and events consist of: unsigned
// integers, byte strings, text, arrays and booleans.
//
// Every value has exactly one encoding here: heads in shortest form, definite lengths, no tags. The reader
// refuses all others, so that bytes it accepts under a fixed schema are the bytes the writer would produce,
// and a hash over received bytes is a hash over the value. There are no maps, because their order is where
// encoders disagree.
package cbor

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Major types of RFC 8949, section 3.1.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
)

const (
	simpleFalse = 0xf4
	simpleTrue  = 0xf5
)

// AppendUint appends an unsigned integer.
func AppendUint(dst []byte, v uint64) []byte { return appendHead(dst, majorUint, v) }

// AppendBytes appends a byte string.
func AppendBytes(dst, p []byte) []byte {
	return append(appendHead(dst, majorBytes, uint64(len(p))), p...)
}

// AppendText appends a text string. The caller vouches for s being UTF-8.
func AppendText(dst []byte, s string) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// AppendArray appends the head of an array of n items.
func AppendArray(dst []byte, n int) []byte { return appendHead(dst, majorArray, uint64(n)) }

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, simpleTrue)
	}
	return append(dst, simpleFalse)
}

func appendHead(dst []byte, major byte, v uint64) []byte {
	m := major << 5
	switch {
	case v < 24:
		return append(dst, m|byte(v))
	case v < 1<<8:
		return append(dst, m|24, byte(v))
	case v < 1<<16:
		return append(dst, m|25, byte(v>>8), byte(v))
	case v < 1<<32:
		return append(dst, m|26, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return append(dst, m|27, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32),
		byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// SyntaxError says where and why bytes were refused. Input that ends early unwraps to io.ErrUnexpectedEOF.
type SyntaxError struct {
	Offset int // of the item that was refused
	Reason string
	Err    error // nil unless the input ended early
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

func (e *SyntaxError) Unwrap() error { return e.Err }

// Reader takes items off the front of its input. Its first failure sticks: later calls return zero values,
// so a caller may read a whole structure and look at the error once. What it returns as a slice is a part of
// the input. Not safe for concurrent use.
type Reader struct {
	in  []byte
	off int
	err error
}

// NewReader returns a Reader of in, which must not change while results are in use.
func NewReader(in []byte) *Reader { return &Reader{in: in} }

// Err returns the first failure, or nil.
func (r *Reader) Err() error { return r.err }

// Offset is the position of the next item.
func (r *Reader) Offset() int { return r.off }

// Remaining is the number of bytes not read yet.
func (r *Reader) Remaining() int { return len(r.in) - r.off }

// Since returns the bytes between an earlier offset and the next item.
func (r *Reader) Since(offset int) []byte { return r.in[offset:r.off:r.off] }

// Fail makes the reader fail with a reason of the caller's, unless it failed before.
func (r *Reader) Fail(reason string) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: r.off, Reason: reason}
	}
}

// End returns the first failure; bytes that were not read are one.
func (r *Reader) End() error {
	if r.Remaining() != 0 {
		r.Fail("surplus bytes")
	}
	return r.err
}

// Uint reads an unsigned integer of at most limit.
func (r *Reader) Uint(limit uint64) uint64 {
	start := r.off
	v := r.head(majorUint, "an unsigned integer")
	if v > limit {
		r.failAt(start, "integer out of range")
		return 0
	}
	return v
}

// Bytes reads a byte string of at most limit bytes.
func (r *Reader) Bytes(limit int) []byte { return r.str(majorBytes, "a byte string", limit) }

// Fixed reads a byte string of exactly len(dst) bytes into dst.
func (r *Reader) Fixed(dst []byte) {
	start := r.off
	b := r.Bytes(len(dst))
	if r.err == nil && len(b) != len(dst) {
		r.failAt(start, "byte string of the wrong length")
	}
	copy(dst, b)
}

// Text reads a text string of at most limit bytes. The result is a part of the input.
func (r *Reader) Text(limit int) []byte {
	start := r.off
	b := r.str(majorText, "a text string", limit)
	if !utf8.Valid(b) {
		r.failAt(start, "text that is not UTF-8")
		return nil
	}
	return b
}

// Array reads the head of an array of at most limit items. A count that the rest of the input cannot hold
// is refused, so that a result may size an allocation.
func (r *Reader) Array(limit int) int {
	start := r.off
	n := r.head(majorArray, "an array")
	if n > uint64(limit) {
		r.failAt(start, "array of too many items")
		return 0
	}
	if n > uint64(r.Remaining()) {
		r.failEarly()
		return 0
	}
	return int(n)
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	if r.err != nil {
		return false
	}
	if r.Remaining() == 0 {
		r.failEarly()
		return false
	}
	c := r.in[r.off]
	if c != simpleFalse && c != simpleTrue {
		r.Fail("want a boolean")
		return false
	}
	r.off++
	return c == simpleTrue
}

// NextIsBytes reports whether the next item is a byte string, without reading it.
func (r *Reader) NextIsBytes() bool {
	return r.err == nil && r.Remaining() > 0 && r.in[r.off]>>5 == majorBytes
}

func (r *Reader) str(major byte, want string, limit int) []byte {
	start := r.off
	n := r.head(major, want)
	if r.err != nil {
		return nil
	}
	if n > uint64(limit) {
		r.failAt(start, "string too long")
		return nil
	}
	if n > uint64(r.Remaining()) {
		r.failEarly()
		return nil
	}
	b := r.in[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b
}

// shortest holds the least value that needs a head argument of 1, 2, 4 and 8 bytes.
var shortest = [4]uint64{24, 1 << 8, 1 << 16, 1 << 32}

// head reads the first byte of an item and its argument.
func (r *Reader) head(major byte, want string) uint64 {
	if r.err != nil {
		return 0
	}
	if r.Remaining() == 0 {
		r.failEarly()
		return 0
	}
	c := r.in[r.off]
	if c>>5 != major {
		r.Fail("want " + want)
		return 0
	}
	info := c & 31
	if info < 24 {
		r.off++
		return uint64(info)
	}
	if info > 27 {
		r.Fail("indefinite or reserved length")
		return 0
	}
	n := 1 << (info - 24)
	if r.Remaining() < 1+n {
		r.failEarly()
		return 0
	}
	var v uint64
	for _, b := range r.in[r.off+1 : r.off+1+n] {
		v = v<<8 | uint64(b)
	}
	if v < shortest[info-24] {
		r.Fail("integer or length not in shortest form")
		return 0
	}
	r.off += 1 + n
	return v
}

// EarlyEnd makes the reader fail as for input that ends early, and returns its first failure.
func (r *Reader) EarlyEnd() error {
	r.failEarly()
	return r.err
}

func (r *Reader) failAt(offset int, reason string) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: offset, Reason: reason}
	}
}

func (r *Reader) failEarly() {
	if r.err == nil {
		r.err = &SyntaxError{Offset: r.off, Reason: "input ends early", Err: io.ErrUnexpectedEOF}
	}
}
