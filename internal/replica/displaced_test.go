package replica_test

import (
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// replicaOfEast is a node where a replica of east's object stands.
func replicaOfEast(t *testing.T) (*bench, *author, replica.Write) {
	t.Helper()
	east := newAuthor(2, "east", 1000)
	b := newBench(t, replica.Member{Key: east.key.Public(), Zone: "east"})
	b.open()
	b.do(east.begin(t)...)
	b.do(east.update(t, "x", 1, 1))
	if len(b.last.Apply) != 1 {
		t.Fatalf("Apply = %v, want the replica", b.last.Apply)
	}
	w := b.last.Apply[0]
	b.do(replica.Written{Write: w, Base: oplog.Baseline{UID: "1", Content: mesh.Sum([]byte("1"))}})
	return b, east, w
}

// placed is what the store says of an object's replica.
func (b *bench) placed(k mesh.ObjectKey) oplog.Placed {
	b.t.Helper()
	idx, err := b.store.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(idx.Placed, func(p oplog.Placed) bool { return p.Object == k })
	if i < 0 {
		b.t.Fatalf("nothing is placed for %s", k)
	}
	return idx.Placed[i]
}

// A replica was deleted, and a copy of it restored in its place that is withheld. When the copy goes, or isn't among
// our own any more, the replica is written again.
func TestReplicaBackAfterCopy(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	for name, gone := range map[string]replica.Input{
		"gone": replica.LocalGone{Object: x}, "unmatched": replica.LocalUnmatched{Object: x},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, w := replicaOfEast(t)
			b.do(replica.ReplicaSeen{Object: x})
			if !slices.Contains(b.last.Apply, w) {
				t.Fatalf("Apply = %v, want the replica back", b.last.Apply)
			}
			if got := b.do(replica.Local{Object: x, Payload: []byte(`{"copy":1}`), Labelled: "east"}); !slices.Contains(got, replica.Withheld) {
				t.Fatalf("reported %v, want %s", got, replica.Withheld)
			}
			b.do(replica.Written{Write: w, Err: "it was altered", Altered: true})
			b.do(gone)
			if !slices.Contains(b.last.Apply, w) {
				t.Errorf("Apply = %v, want the replica back", b.last.Apply)
			}
			if p := b.placed(x); p.State != oplog.PlacedWanted {
				t.Errorf("placed = %+v, want wanted: a node that stops now has to write it then", p)
			}
		})
	}
}

// A replica that was deleted and written again is another object: the store has to know it by its new UID.
func TestBaselineOfACorrection(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b, _, w := replicaOfEast(t)
	b.do(replica.ReplicaSeen{Object: x})
	base := oplog.Baseline{UID: "2", Content: mesh.Sum([]byte("2"))}
	b.do(replica.Written{Write: w, Base: base})
	if p := b.placed(x); p.Base != base || p.State != oplog.PlacedDone {
		t.Errorf("placed = %+v, want baseline %+v", p, base)
	}
	b.do(replica.Written{Write: w, Base: base})
	if n := len(b.last.Persist.Placed); n != 0 {
		t.Errorf("%d records written for what is known", n)
	}
}

// The answer to a removal that is over says nothing about the one that follows.
func TestAnswerToAnEarlierRemoval(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b, east, _ := replicaOfEast(t)
	deletion := func(v mesh.Version) replica.Write {
		t.Helper()
		b.do(east.write(t, &event.Event{Kind: event.KindDelete, Delete: &event.Delete{Object: x, Version: v, Epoch: 1, Birth: 1}}))
		if len(b.last.Apply) != 1 || b.last.Apply[0].Kind != replica.RemoveReplica {
			t.Fatalf("Apply = %v, want a removal", b.last.Apply)
		}
		return b.last.Apply[0]
	}
	first := deletion(2)
	b.do(east.update(t, "x", 3, 1))
	second := deletion(4)
	b.do(replica.Written{Write: first})
	if p := b.placed(x); p.State != oplog.PlacedRemoving {
		t.Errorf("placed = %+v", p)
	}
	b.do(replica.Written{Write: second})
	idx, err := b.store.Load()
	if err != nil || len(idx.Placed) != 0 {
		t.Errorf("placed = %+v, %v, want nothing", idx.Placed, err)
	}
}
