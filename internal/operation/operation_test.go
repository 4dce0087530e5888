package operation_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

var author = keys.FromSeed([keys.SeedSize]byte{7})

func reasonOf(err error) operation.Reason {
	var invalid *operation.InvalidError
	if errors.As(err, &invalid) {
		return invalid.Reason
	}
	return ""
}

func mustSign(t testing.TB, h operation.Header, body []byte) *operation.Operation {
	t.Helper()
	o, err := operation.Sign(author, h, body)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return o
}

func TestSignDecodeVerify(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte{0xab}, 300)
	log := mesh.LogID(mesh.Sum([]byte("log")))
	back := mesh.Sum([]byte("back"))
	tests := []struct {
		name string
		h    operation.Header
		body []byte
	}{
		{"first without body", operation.Header{Log: log}, nil},
		{"empty body is no body", operation.Header{Log: log}, []byte{}},
		{"first with body", operation.Header{Log: log, Timestamp: 1700000000000000, Prune: true}, body},
		{"later without body", operation.Header{Log: log, Seq: 1, Backlink: back}, nil},
		{"everything at its widest", operation.Header{Log: log, Seq: 1<<32 - 1, Backlink: back, Timestamp: 1<<64 - 1, Prune: true},
			make([]byte, 70000)},
	}
	for _, tt := range tests {
		o := mustSign(t, tt.h, tt.body)
		buf := bytes.Clone(o.Raw)
		got, err := operation.Decode(buf)
		if err != nil {
			t.Fatalf("%s: Decode: %v", tt.name, err)
		}
		clear(buf) // the caller reuses its buffer
		if err := got.Verify(); err != nil {
			t.Errorf("%s: Verify: %v", tt.name, err)
		}
		if len(tt.body) > 0 {
			if err := got.SetBody(tt.body); err != nil {
				t.Errorf("%s: SetBody: %v", tt.name, err)
			}
		}
		if !reflect.DeepEqual(got, o) {
			t.Errorf("%s: Decode = %+v, want %+v", tt.name, got, o)
		}
		if got.ID != mesh.Sum(o.Raw) {
			t.Errorf("%s: ID = %v, want BLAKE3 of the bytes", tt.name, got.ID)
		}
	}
	if o := mustSign(t, tests[4].h, tests[4].body); len(o.Raw) > operation.MaxHeader {
		t.Errorf("a header of %d bytes, over MaxHeader", len(o.Raw))
	}
}
