package event_test

import (
	"bytes"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
)

// FuzzDecode holds that a body of a known kind that is accepted encodes to the same bytes, and that its
// instance can be told without the rest.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		f.Add(readGolden(f, s.name))
	}
	f.Add(unhex(f, "86 01 18c8 62 6575 1b 0000018bcfe56800 f6 f6"))
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		e, err := event.Decode(body)
		if !bytes.Equal(body, given) {
			t.Fatal("Decode changed its input")
		}
		if err != nil {
			return
		}
		if at, err := event.Instance(body); err != nil || at != e.Instance {
			t.Fatalf("Instance(%x) = %v, %v, Decode says %v", body, at, err, e.Instance)
		}
		if *e == (event.Event{Instance: e.Instance, Kind: e.Kind}) {
			return // of a kind not known here
		}
		again, err := event.Encode(e)
		if err != nil {
			t.Fatalf("Encode of what Decode(%x) gave: %v", body, err)
		}
		if !bytes.Equal(again, body) {
			t.Fatalf("Decode(%x) encodes to %x", body, again)
		}
	})
}

// FuzzDigest holds that whatever entries come out of a chunk, the digest never panics, and accepts them only
// in strict order.
func FuzzDigest(f *testing.F) {
	f.Add(readGolden(f, "snapshot-chunk"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := event.Decode(body)
		if err != nil || e.SnapshotChunk == nil {
			return
		}
		d, entries := event.NewDigest(), e.SnapshotChunk.Entries
		for i := range entries {
			ascending := i == 0 || entries[i-1].Compare(&entries[i]) < 0
			if err := d.Add(entries[i]); (err == nil) != ascending {
				t.Fatalf("Add of entry %d = %v, ascending %t", i, err, ascending)
			} else if err != nil {
				return
			}
		}
	})
}
