package replica_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// A zone that changes much makes a snapshot every few seconds, each restates its deletions, and the others say only once a
// minute, one after another, how far they are. The deletions are forgotten all the same: who held one once holds it.
func TestTombstonesGoWhileSnapshotsAreMoreFrequentThanAcknowledgements(t *testing.T) {
	t.Parallel()
	b, east, west := traceBench(t, func(c *replica.Config) { c.SnapshotInterval, c.TombstoneRetention = time.Second, time.Second })
	var witness event.Witness
	do := func(in ...replica.Input) (snapshot bool) { // and what the cluster answers
		snapshot = slices.Contains(b.do(in...), replica.SnapshotWritten)
		for b.last.WriteWitness != nil || b.last.CheckWitness {
			if w := b.last.WriteWitness; w != nil {
				witness = *w
				b.do(replica.WitnessWritten{Witness: witness})
			} else {
				b.do(replica.WitnessRead{Present: true, Witness: witness})
			}
		}
		return snapshot
	}
	do(replica.WitnessRead{}, replica.Listed{})
	b.now = b.now.Add(time.Minute)
	do(replica.Tick{})
	x, busy := meshtest.Object("x"), meshtest.Object("busy")
	do(replica.Local{Object: x, Payload: []byte(`{}`)}, replica.Local{Object: busy, Payload: []byte(`{}`)})
	says := func(who *author) { // how far it is: all that we have
		for _, h := range b.r.Haves() {
			if h.Key.Author == keyOf(1).Public() {
				do(replica.Haves{From: who.key.Public(), Logs: []oplog.Have{h}})
			}
		}
	}
	round := 0
	works := func() (snapshot bool) {
		round++
		b.now = b.now.Add(5 * time.Second)
		return do(replica.Local{Object: busy, Payload: fmt.Appendf(nil, `{"round":%d}`, round)})
	}
	do(replica.LocalGone{Object: x})
	for range 3 {
		if !works() {
			t.Fatal("no snapshot was made, so that this shows nothing")
		}
		says(east)
		if r, there := b.r.Resource(x); !there || r.State != "Deleted" {
			t.Fatalf("x is %+v, %v although west never said that it knows", r, there)
		}
		works()
	}
	says(west)
	works()
	if r, there := b.r.Resource(x); there {
		t.Errorf("x is not forgotten although everybody knows of its end: %+v", r)
	}
}
