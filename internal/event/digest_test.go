package event_test

import (
	"errors"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// run is a valid run with entries of every kind, in order.
func run() []event.Entry {
	trust := []event.Entry{
		{Kind: event.EntryTrust, Header: []byte("one"), Body: []byte("body")},
		{Kind: event.EntryTrust, Header: []byte("two"), Body: []byte("body")},
	}
	slices.SortFunc(trust, func(a, b event.Entry) int { return hash(string(a.Header)).Compare(hash(string(b.Header))) })
	return append([]event.Entry{
		{Kind: event.EntryLive, Object: settings, Payload: []byte("{}"), Version: 1, Epoch: 1, Birth: 1},
		{Kind: event.EntryReleased, Object: web, Epoch: 1},
		{Kind: event.EntryDeleted, Object: admin, Version: 1, Epoch: 1, Birth: 1},
		{Kind: event.EntryReport, Object: settings, Zone: "eu", Version: 1, Payload: []byte("{}")},
		{Kind: event.EntryReport, Object: settings, Zone: "us", Version: 1, Payload: []byte("{}")},
		{Kind: event.EntryReport, Object: web, Zone: "eu", Version: 1, Payload: []byte("{}")},
	}, trust...)
}

func TestCompare(t *testing.T) {
	t.Parallel()
	entries := run()
	for i := range entries {
		for j := range entries {
			got := entries[i].Compare(&entries[j])
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare of entry %d and %d = %d", i, j, got)
			}
		}
	}
	live, deleted := entries[0], event.Entry{Kind: event.EntryDeleted, Object: settings}
	if got := live.Compare(&deleted); got != 0 {
		t.Errorf("Compare of two claims of one object = %d, want 0", got)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	d := event.NewDigest()
	if count, h := d.Sum(); count != 0 || h != hash("") {
		t.Errorf("Sum of an empty run = %d, %v", count, h)
	}
	var whole []byte
	for i, e := range run() {
		b, err := event.EncodeEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, b...)
		if err := d.Add(e); err != nil {
			t.Fatalf("Add(%d): %v", i, err)
		}
		if count, h := d.Sum(); count != uint64(i+1) || h != mesh.Sum(whole) {
			t.Errorf("Sum after %d = %d, %v, want %v", i+1, count, h, mesh.Sum(whole))
		}
	}
}

// EncodeEntry gives the bytes that stand in the chunk.
func TestEncodeEntryStandsInChunk(t *testing.T) {
	t.Parallel()
	var whole []byte
	for _, e := range run() {
		b, err := event.EncodeEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, b...)
	}
	body, err := event.Encode(&event.Event{Instance: instance, Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: run()}})
	if err != nil {
		t.Fatal(err)
	}
	if got := body[len(body)-len(whole):]; !slices.Equal(got, whole) {
		t.Errorf("the chunk ends in %x, want %x", got, whole)
	}
}

func TestDigestRefuses(t *testing.T) {
	t.Parallel()
	entries := run()
	for i := range entries {
		for j := range i + 1 {
			d := event.NewDigest()
			if err := d.Add(entries[i]); err != nil {
				t.Fatal(err)
			}
			_, before := d.Sum()
			if err := d.Add(entries[j]); !errors.Is(err, event.ErrEntryOrder) {
				t.Errorf("Add of entry %d after %d = %v, want %v", j, i, err, event.ErrEntryOrder)
			}
			if count, after := d.Sum(); count != 1 || after != before {
				t.Errorf("a refused entry changed the digest")
			}
		}
	}
	d := event.NewDigest()
	if err := d.Add(event.Entry{Kind: event.EntryLive, Object: web}); err == nil || errors.Is(err, event.ErrEntryOrder) {
		t.Errorf("Add of an invalid entry = %v, want an error of another kind", err)
	}
	if err := d.Add(entries[0]); err != nil {
		t.Errorf("Add after a refused entry: %v", err)
	}
}
