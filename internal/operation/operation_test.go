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

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	back := mesh.Sum([]byte("back"))
	tests := []struct {
		name string
		h    operation.Header
		body []byte
		want operation.Reason
	}{
		{"backlink at seq 0", operation.Header{Backlink: back}, nil, operation.SeqNumMismatch},
		{"no backlink at seq 1", operation.Header{Seq: 1}, nil, operation.BacklinkMissing},
		{"body over the limit", operation.Header{}, make([]byte, operation.MaxBody+1), operation.TooLarge},
	}
	for _, tt := range tests {
		if _, err := operation.Sign(author, tt.h, tt.body); reasonOf(err) != tt.want {
			t.Errorf("%s: Sign = %v, want %s", tt.name, err, tt.want)
		}
	}
	if o := mustSign(t, operation.Header{}, make([]byte, operation.MaxBody)); len(o.Body) != operation.MaxBody {
		t.Errorf("a body at the limit has %d bytes after signing", len(o.Body))
	}
}

// Sign replaces what a caller left in the fields that follow from key and body.
func TestSignFillsIn(t *testing.T) {
	t.Parallel()
	h := operation.Header{PayloadSize: 9, PayloadHash: mesh.Sum([]byte("stale")), Signature: keys.Signature{1}}
	o := mustSign(t, h, nil)
	if o.PayloadSize != 0 || !o.PayloadHash.IsZero() || o.Author != author.Public() {
		t.Errorf("Sign = %+v, want author and payload filled in", o.Header)
	}
	if err := o.Verify(); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestSetBody(t *testing.T) {
	t.Parallel()
	with, without := mustSign(t, operation.Header{}, []byte("body")), mustSign(t, operation.Header{}, nil)
	tests := []struct {
		name string
		raw  []byte
		body []byte
		ok   bool
	}{
		{"the body", with.Raw, []byte("body"), true},
		{"another of its size", with.Raw, []byte("Body"), false},
		{"another size", with.Raw, []byte("body "), false},
		{"empty", with.Raw, []byte{}, false},
		{"empty where there is none", without.Raw, []byte{}, false},
		{"some where there is none", without.Raw, []byte("body"), false},
	}
	for _, tt := range tests {
		o, err := operation.Decode(tt.raw)
		if err != nil {
			t.Fatal(err)
		}
		err = o.SetBody(tt.body)
		if tt.ok != (err == nil) || !tt.ok && reasonOf(err) != operation.PayloadMismatch {
			t.Errorf("%s: SetBody = %v, want ok %t", tt.name, err, tt.ok)
		}
		if !tt.ok && o.Body != nil {
			t.Errorf("%s: a refused body was kept", tt.name)
		}
		if tt.ok {
			if tt.body[0]++; o.Body[0] == tt.body[0] {
				t.Errorf("%s: the body is the caller's slice", tt.name)
			}
		}
	}
}

func TestValidateBacklink(t *testing.T) {
	t.Parallel()
	first := mustSign(t, operation.Header{}, nil)
	sibling := mustSign(t, operation.Header{Timestamp: 1}, nil)
	second := mustSign(t, operation.Header{Seq: 1, Backlink: first.ID}, nil)
	third := mustSign(t, operation.Header{Seq: 2, Backlink: second.ID}, nil)
	stranger, err := operation.Sign(keys.FromSeed([keys.SeedSize]byte{8}), operation.Header{Seq: 1, Backlink: first.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := &operation.Operation{Header: operation.Header{Author: author.Public(), Seq: 1<<32 - 1}, ID: first.ID}
	unlinked := &operation.Operation{Header: operation.Header{Author: author.Public(), Seq: 1}}
	tests := []struct {
		name          string
		past, current *operation.Operation
		want          operation.Reason
	}{
		{"the next", first, second, ""},
		{"another author", first, stranger, operation.TooManyAuthors},
		{"a gap", first, third, operation.SeqNumNonIncremental},
		{"the same", second, second, operation.SeqNumNonIncremental},
		{"a step back", third, second, operation.SeqNumNonIncremental},
		{"a restart", second, first, operation.SeqNumNonIncremental},
		{"after the last number there is", last, first, operation.SeqNumNonIncremental},
		{"a child of a sibling", sibling, second, operation.BacklinkMismatch},
		{"without backlink", first, unlinked, operation.BacklinkMissing},
	}
	for _, tt := range tests {
		if err := operation.ValidateBacklink(tt.past, tt.current); reasonOf(err) != tt.want {
			t.Errorf("%s: ValidateBacklink = %v, want %q", tt.name, err, tt.want)
		}
	}
}
