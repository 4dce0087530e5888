package replica_test

import (
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

// The adapter answers a raise of the witness with what stands in the cluster when it is another one than was seen
// last. An older one shows a cluster that was restored: what is missing there is not deleted elsewhere.
func TestRaiseFindsARestoredCluster(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b := newBench(t)
	b.open()
	b.do(replica.Local{Object: x, Payload: []byte(`{}`)})
	raised := b.last.WriteWitness
	if raised == nil {
		t.Fatal("the witness is not raised")
	}
	older := *raised
	older.Counter -= 2 // before the last raise
	if got := b.do(replica.WitnessRead{Present: true, Witness: older}); !slices.Contains(got, replica.ClusterReplaced) {
		t.Fatalf("reported %v, want %s", got, replica.ClusterReplaced)
	}
	if b.last.WriteWitness != nil {
		t.Error("the witness of a restored cluster is written over")
	}
	b.do(replica.LocalGone{Object: x})
	b.do(replica.WitnessRead{Present: true, Witness: older})
	if len(b.last.Publish) != 0 {
		t.Errorf("published %v", b.last.Publish)
	}
}

// One that is newer than the store ends the raise: deletions must not wait for it for ever.
func TestRaiseFindsANewerWitness(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b := newBench(t)
	b.open()
	b.do(replica.Local{Object: x, Payload: []byte(`{}`)})
	newer := *b.last.WriteWitness
	newer.Counter += 3
	b.do(replica.WitnessRead{Present: true, Witness: newer})
	if w := b.last.WriteWitness; w == nil || w.Counter != newer.Counter+1 {
		t.Fatalf("WriteWitness = %v, want one above %d", w, newer.Counter)
	}
	b.do(replica.WitnessWritten{Witness: *b.last.WriteWitness})
	b.do(replica.LocalGone{Object: x})
	if !b.last.CheckWitness {
		t.Error("no check of the witness was asked for, so no Delete will be signed")
	}
}
