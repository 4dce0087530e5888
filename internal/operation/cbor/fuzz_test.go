package cbor_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/operation/cbor"
)

// FuzzReader reads bytes by a schema of one byte per item, which chooses type and limit. What was read encodes to
// exactly the bytes it was read from, keeps the limits, and after a failure nothing but zero values comes.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4}, []byte("\x18\x64\x43abc\x62\xc3\xa9\x81\xf5"))
	f.Add([]byte{0x80, 0x81, 0x82, 0x83, 0x84, 0x85}, []byte("\x1b\x01\x02\x03\x04\x05\x06\x07\x08\x40\x60\x80\xf4\x44abcd"))
	f.Add([]byte{0, 0, 0, 0}, []byte("\x17\x18\x18\x19\x01\x00\x1a\x00\x01\x00\x00"))
	f.Add([]byte{0}, []byte("\x18\x17"))         // not in shortest form
	f.Add([]byte{1}, []byte("\x5b\xff\xff\xff")) // a length that ends early
	f.Add([]byte{0x83}, []byte("\x9a\xff\xff\xff\xff"))
	f.Add([]byte{2}, []byte("\x62\xff\xfe"))
	f.Fuzz(func(t *testing.T, schema, in []byte) {
		r := cbor.NewReader(in)
		var out []byte
		for _, item := range schema {
			limit := 1 << (item >> 3) // 1 to 2^31
			failed := r.Err() != nil
			zero := true
			switch item & 7 {
			case 0, 6, 7:
				v := r.Uint(uint64(limit))
				if v > uint64(limit) {
					t.Fatalf("Uint(%d) = %d", limit, v)
				}
				out, zero = cbor.AppendUint(out, v), v == 0
			case 1:
				b := r.Bytes(limit)
				if len(b) > limit {
					t.Fatalf("Bytes(%d) gave %d", limit, len(b))
				}
				out, zero = cbor.AppendBytes(out, b), b == nil
			case 2:
				b := r.Text(limit)
				if len(b) > limit || !utf8.Valid(b) {
					t.Fatalf("Text(%d) = %q", limit, b)
				}
				out, zero = cbor.AppendText(out, string(b)), b == nil
			case 3:
				n := r.Array(limit)
				if n > limit || n > len(in) {
					t.Fatalf("Array(%d) = %d, of %d bytes of input", limit, n, len(in))
				}
				out, zero = cbor.AppendArray(out, n), n == 0
			case 4:
				v := r.Bool()
				out, zero = cbor.AppendBool(out, v), !v
			case 5:
				var fixed [4]byte
				r.Fixed(fixed[:])
				out = cbor.AppendBytes(out, fixed[:])
				zero = fixed == [4]byte{}
			}
			if failed && !zero {
				t.Fatal("a value after a failure")
			}
			if r.Err() != nil {
				continue
			}
			if r.Offset()+r.Remaining() != len(in) || !bytes.Equal(out, in[:r.Offset()]) || !bytes.Equal(r.Since(0), out) {
				t.Fatalf("%x was read from %x", out, in[:r.Offset()])
			}
		}
		if err := r.End(); (err == nil) != bytes.Equal(out, in) {
			t.Fatalf("End = %v, read %x of %x", err, out, in)
		}
	})
}
