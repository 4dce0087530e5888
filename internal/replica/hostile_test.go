package replica_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// rest lets the replica do what it asks to be woken for, and fails when it never comes to rest.
func (b *bench) rest() {
	b.t.Helper()
	for range 100 {
		if at := b.r.Deadline(); at.IsZero() || at.After(b.now) {
			return
		}
		b.do(replica.Tick{})
	}
	b.t.Fatal("it still asks to be woken at once after 100 steps")
}

// A member that signs operations at the end of what a sequence number can be costs what any other one does.
func TestLastSequenceNumbers(t *testing.T) {
	t.Parallel()
	east := replica.Member{Key: keyOf(2).Public(), Zone: "east"}
	west := replica.Member{Key: keyOf(3).Public(), Zone: "west"}
	for _, tt := range []struct {
		name string
		give func(t *testing.T, a *author) []replica.Input
	}{
		{"a run that ends at the last one", func(t *testing.T, a *author) []replica.Input {
			a.next, a.head = math.MaxUint32-1, mesh.Sum([]byte("before"))
			return a.begin(t)
		}},
		{"a run that begins at the last one", func(t *testing.T, a *author) []replica.Input {
			a.next, a.head = math.MaxUint32, mesh.Sum([]byte("before"))
			return []replica.Input{a.open(t)}
		}},
		{"a run given up for a later one", func(t *testing.T, a *author) []replica.Input {
			a.next, a.head = math.MaxUint32-60, mesh.Sum([]byte("before"))
			first := a.open(t)
			a.next = math.MaxUint32 - 30
			return []replica.Input{first, a.open(t)}
		}},
		{"a whole run, then another", func(t *testing.T, a *author) []replica.Input {
			a.next, a.head = math.MaxUint32-60, mesh.Sum([]byte("before"))
			return append(a.begin(t), a.begin(t)...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, east, west)
			b.open()
			for _, in := range tt.give(t, newAuthor(2, "east", 1000)) {
				b.do(in)
				b.rest()
			}
			// Others are not disturbed: a run of theirs beyond a gap is merged as ever.
			w := newAuthor(3, "west", 1000)
			w.next, w.head = 7, mesh.Sum([]byte("before"))
			e := event.Entry{Kind: event.EntryLive, Object: meshtest.Object("w"), Payload: []byte(`{}`), Version: 1, Epoch: 1, Birth: 1}
			b.do(w.run(t, e)...)
			b.rest()
			if res, ok := b.r.Resource(meshtest.Object("w")); !ok || res.Owner != "west" {
				t.Errorf("Resource = %+v, %v, want one of west", res, ok)
			}
		})
	}
}

func (a *author) open(t testing.TB) replica.Arrived {
	t.Helper()
	return a.write(t, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}})
}

// run is a whole snapshot run.
func (a *author) run(t testing.TB, entries ...event.Entry) []replica.Input {
	t.Helper()
	digest := event.NewDigest()
	for _, e := range entries {
		if err := digest.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	count, sum := digest.Sum()
	return []replica.Input{
		a.open(t),
		a.write(t, &event.Event{Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: entries}}),
		a.write(t, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: sum}}),
	}
}

// forgetful is a store that has lost the content of its claims.
type forgetful struct {
	*oplog.Memory
	lost bool
}

func (f *forgetful) Payload(ref mesh.ClaimRef) ([]byte, error) {
	if f.lost {
		return nil, nil
	}
	return f.Memory.Payload(ref)
}

// A claim that a snapshot leaves out has ended everywhere, so a store that lost the content of one must stop the
// node rather than let it restate the others.
func TestLostPayloadIsNoAbsence(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := &forgetful{Memory: b.store}
	var err error
	cfg := replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1)}
	if b.r, err = replica.New(cfg, &oplog.Index{}, f, b.now); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.do(replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{}`)})
	f.lost = true
	b.now = b.now.Add(10 * time.Minute)
	if fx, err := b.r.Step(b.now, replica.Tick{}); err == nil {
		t.Errorf("Step wrote %d operations without the content of a live claim", len(fx.Publish))
	}
}

// A name that cannot be stated costs its own object and nobody else.
func TestUnspeakableName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	bad := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "a\xff"}
	got := b.do(replica.Local{Object: bad, Payload: []byte(`{}`)}, replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{}`)})
	if !slices.Contains(got, replica.TooLarge) || !slices.Contains(got, replica.ChangeSigned) {
		t.Errorf("decisions = %v, want one object refused and the other published", got)
	}
}

// A member fills the buffer for operations that wait with some whose predecessors never come. Those of another
// author are still put in order.
func TestPendingBufferIsShared(t *testing.T) {
	t.Parallel()
	east := replica.Member{Key: keyOf(2).Public(), Zone: "east"}
	west := replica.Member{Key: keyOf(3).Public(), Zone: "west"}
	b := newBench(t, east, west)
	b.open()
	inc := mesh.Incarnation(1000)
	for size := 1 << 20; size > 0; size /= 4 { // smaller and smaller ones, until none has room
		for full := false; !full; inc++ {
			a := newAuthor(2, "east", inc)
			a.next, a.head = 7, mesh.Sum([]byte("before"))
			full = slices.Contains(b.do(a.write(t, &event.Event{Kind: event.KindUpdate, Update: &event.Update{
				Object: meshtest.Object("x"), Payload: make([]byte, size), Version: 1, Epoch: 1, Birth: 1}})), replica.RefusedGap)
		}
	}
	w := newAuthor(3, "west", 1000)
	b.do(w.begin(t)...)
	first := w.update(t, "a", 1, 1)
	b.do(w.update(t, "b", 2, 1))
	b.do(first)
	if _, ok := b.r.Resource(meshtest.Object("b")); !ok {
		t.Error("an operation that came early was not kept for the one before it")
	}
}
