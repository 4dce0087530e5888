package operation

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzDecode holds that whatever is accepted encodes to the same bytes, and that whatever is refused is
// refused with a reason of the closed set.
func FuzzDecode(f *testing.F) {
	file, err := os.ReadFile("testdata/p2panda-vectors.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for text := range bytes.Lines(file) {
		var line struct{ Header string }
		if err := json.Unmarshal(text, &line); err != nil {
			f.Fatal(err)
		}
		raw, err := hex.DecodeString(line.Header)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(full().bytes(f))
	f.Add(least().bytes(f))
	known := make(map[Reason]bool)
	for _, r := range Reasons() {
		known[r] = true
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := Decode(raw)
		if err != nil {
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !known[invalid.Reason] {
				t.Fatalf("Decode(%x) = %v, not an InvalidError with a known reason", raw, err)
			}
			return
		}
		if got := appendHeader(nil, &o.Header, true); !bytes.Equal(got, raw) || !bytes.Equal(o.Raw, raw) {
			t.Fatalf("Decode(%x) encodes to %x, Raw %x", raw, got, o.Raw)
		}
		if o.PayloadHash.IsZero() != (o.PayloadSize == 0) || o.Backlink.IsZero() != (o.Seq == 0) || o.PayloadSize > MaxBody {
			t.Fatalf("Decode(%x) = %+v breaks a rule of Header", raw, o.Header)
		}
		_ = o.Verify()
	})
}

// FuzzSign holds that whatever can be signed is accepted again, and that a body is accepted iff it is the
// one that was signed.
func FuzzSign(f *testing.F) {
	f.Add([]byte("seed"), uint32(0), []byte{}, []byte("log"), uint64(0), false, []byte{}, []byte{})
	f.Add([]byte("seed"), uint32(70000), []byte("back"), []byte("log"), uint64(1700000000000000), true, []byte("body"), []byte("Body"))
	f.Fuzz(func(t *testing.T, seed []byte, seq uint32, back, log []byte, timestamp uint64, prune bool, body, other []byte) {
		h := Header{Seq: seq, Log: mesh.LogID(mesh.Sum(log)), Timestamp: timestamp, Prune: prune}
		if seq > 0 {
			h.Backlink = mesh.Sum(back)
		}
		signed, err := Sign(keys.FromSeed(mesh.Sum(seed)), h, body)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		o, err := Decode(signed.Raw)
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if o.Header != signed.Header || o.ID != signed.ID {
			t.Fatalf("Decode = %+v, want %+v", o, signed)
		}
		if err := o.Verify(); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		for _, b := range [][]byte{body, other} {
			want := len(b) > 0 && bytes.Equal(b, body)
			if err := o.SetBody(b); (err == nil) != want {
				t.Fatalf("SetBody(%x) = %v, signed was %x", b, err, body)
			}
		}
	})
}
