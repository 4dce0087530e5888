package cbor_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/operation/cbor"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 8949, appendix A, as far as these types go, and both sides of every width.
func TestItems(t *testing.T) {
	t.Parallel()
	for v, want := range map[uint64]string{
		0: "00", 1: "01", 10: "0a", 23: "17", 24: "1818", 25: "1819", 100: "1864", 255: "18ff", 256: "190100",
		1000: "1903e8", 65535: "19ffff", 65536: "1a00010000", 1000000: "1a000f4240",
		math.MaxUint32: "1affffffff", math.MaxUint32 + 1: "1b0000000100000000",
		1000000000000: "1b000000e8d4a51000", math.MaxUint64: "1bffffffffffffffff",
	} {
		if got := cbor.AppendUint(nil, v); hex.EncodeToString(got) != want {
			t.Errorf("AppendUint(%d) = %x, want %s", v, got, want)
		}
		r := cbor.NewReader(unhex(t, want))
		if got := r.Uint(math.MaxUint64); got != v || r.End() != nil {
			t.Errorf("Uint of %s = %d, %v, want %d", want, got, r.End(), v)
		}
	}
	for s, want := range map[string]string{
		"": "60", "a": "6161", "IETF": "6449455446", "\"\\": "62225c", "ü": "62c3bc", "水": "63e6b0b4", "𐅑": "64f0908591",
		strings.Repeat("x", 24): "7818" + strings.Repeat("78", 24),
	} {
		if got := cbor.AppendText(nil, s); hex.EncodeToString(got) != want {
			t.Errorf("AppendText(%q) = %x, want %s", s, got, want)
		}
		r := cbor.NewReader(unhex(t, want))
		if got := r.Text(len(s)); string(got) != s || r.End() != nil {
			t.Errorf("Text of %s = %q, %v, want %q", want, got, r.End(), s)
		}
	}
	for s, want := range map[string]string{"": "40", "01020304": "4401020304"} {
		if got := cbor.AppendBytes(nil, unhex(t, s)); hex.EncodeToString(got) != want {
			t.Errorf("AppendBytes(%s) = %x, want %s", s, got, want)
		}
		r := cbor.NewReader(unhex(t, want))
		if got := r.Bytes(4); hex.EncodeToString(got) != s || r.End() != nil {
			t.Errorf("Bytes of %s = %x, %v, want %s", want, got, r.End(), s)
		}
	}
	nested := cbor.AppendBool(cbor.AppendBool(cbor.AppendArray(cbor.AppendArray(nil, 1), 2), true), false)
	if got := hex.EncodeToString(nested); got != "8182f5f4" {
		t.Errorf("[[true, false]] = %s, want 8182f5f4", got)
	}
	r := cbor.NewReader(nested)
	if a, b := r.Array(9), r.Array(9); a != 1 || b != 2 || !r.Bool() || r.Bool() || r.End() != nil {
		t.Errorf("reading [[true, false]] gives %d, %d, %v", a, b, r.End())
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	readUint := func(r *cbor.Reader) { r.Uint(1000) }
	readBytes := func(r *cbor.Reader) { r.Bytes(4) }
	readFixed := func(r *cbor.Reader) { r.Fixed(make([]byte, 2)) }
	readText := func(r *cbor.Reader) { r.Text(4) }
	readArray := func(r *cbor.Reader) { r.Array(4) }
	readBool := func(r *cbor.Reader) { r.Bool() }
	tests := []struct {
		name, in string
		read     func(r *cbor.Reader)
		early    bool
	}{
		{"nothing", "", readUint, true},
		{"argument missing", "19", readUint, true},
		{"argument cut short", "1901", readUint, true},
		{"string cut short", "430102", readBytes, true},
		{"array that the input cannot hold", "8401", readArray, true},
		{"no boolean", "", readBool, true},
		{"23 in two bytes", "1817", readUint, false},
		{"255 in three bytes", "1900ff", readUint, false},
		{"65535 in five bytes", "1a0000ffff", readUint, false},
		{"2^32-1 in nine bytes", "1b00000000ffffffff", readUint, false},
		{"length not shortest", "580101", readBytes, false},
		{"reserved length", "1c", readUint, false},
		{"indefinite bytes", "5f4101ff", readBytes, false},
		{"indefinite array", "9f01ff", readArray, false},
		{"negative", "20", readUint, false},
		{"tag", "c101", readUint, false},
		{"above the limit", "1903e9", readUint, false},
		{"too long", "450102030405", readBytes, false},
		{"too short", "4101", readFixed, false},
		{"too many", "850102030405", readArray, false},
		{"bytes for text", "4161", readText, false},
		{"text for bytes", "6161", readBytes, false},
		{"not UTF-8", "62c328", readText, false},
		{"null for a boolean", "f6", readBool, false},
		{"boolean in two bytes", "f815", readBool, false},
		{"surplus", "0101", readUint, false},
	}
	for _, tt := range tests {
		r := cbor.NewReader(unhex(t, tt.in))
		tt.read(r)
		err := r.End()
		var syntax *cbor.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: reading %s = %v, want a SyntaxError", tt.name, tt.in, err)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) != tt.early {
			t.Errorf("%s: reading %s = %v, want early end %t", tt.name, tt.in, err, tt.early)
		}
	}
}

// After a failure nothing moves and nothing is returned.
func TestFailureSticks(t *testing.T) {
	t.Parallel()
	r := cbor.NewReader(unhex(t, "2001410182f5"))
	r.Uint(9)
	first := r.Err()
	dst := []byte{7}
	r.Fixed(dst)
	if r.Uint(9) != 0 || r.Bytes(9) != nil || r.Text(9) != nil || r.Array(9) != 0 || r.Bool() || r.NextIsBytes() {
		t.Error("a failed reader returns values")
	}
	if r.Offset() != 0 || !errors.Is(r.End(), first) || !bytes.Equal(dst, []byte{7}) {
		t.Errorf("a failed reader went on to byte %d with %v and left %v", r.Offset(), r.End(), dst)
	}
}
