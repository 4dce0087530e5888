package replica

import (
	"encoding/binary"
	"fmt"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// witnessEvery is how often the witness is raised at most while something is published: the minute that a
// cluster restored from a backup may lose unnoticed.
const witnessEvery = time.Minute

// witnessState follows the witness in the cluster. It ties the store to the very cluster, in the very state,
// that its statements describe: without it a replaced or restored cluster would look like one whose objects
// were deleted.
type witnessState struct {
	known     bool      // read in this run
	found     bool      // the cluster carried one when it was first read
	newer     bool      // found newer than the store in this run: the store was restored, the cluster was not
	base      uint64    // the counter first read in this run, before it was raised
	confirmed bool      // an operator confirmed that the cluster was replaced
	asked     bool      // a check is under way
	writing   bool      // a raise is under way
	raised    time.Time // when the last raise was confirmed
	published bool      // something was signed since
}

// witnessRead compares the cluster's witness with what was last written there.
func (r *Replica) witnessRead(in WitnessRead) {
	first := !r.wit.known
	m := &r.meta
	if in.Incarnation != m.Incarnation {
		r.start.floor = max(r.start.floor, min(in.Incarnation, mesh.MaxIncarnation-1)+1)
	}
	want := m.Witness
	switch {
	case m.Replaced:
	case want.Cluster.IsZero() && !in.Present:
		m.Witness = event.Witness{Cluster: r.newClusterID()}
		r.writeMeta()
	case want.Cluster.IsZero():
		m.Witness = in.Witness // a new store beside a cluster that was in use: its statements are read back
		r.writeMeta()
	case !in.Present && want.Counter == 0: // our very first witness never got there: a crash came before
	case !in.Present, in.Witness.Cluster != want.Cluster, in.Witness.Counter < want.Counter:
		r.clusterReplaced(witnessMismatch(in, want))
	case in.Witness.Counter == want.Counter:
	case in.Witness.Counter == m.WitnessNext:
		m.Witness.Counter, m.WitnessNext = in.Witness.Counter, 0 // the raise got through before a crash
		r.writeMeta()
	default:
		m.Witness, m.WitnessNext, r.wit.newer = in.Witness, 0, true
		r.wit.writing, r.wit.raised = false, time.Time{} // a raise under way would lower it
		r.newIncarnation("the cluster's witness is newer than the store, which was restored")
		r.report(Decision{Reason: StoreRestored, Zone: r.cfg.Zone})
	}
	r.wit.known = true
	if r.wit.writing && in.Witness.Counter < m.WitnessNext {
		r.wit.writing, r.wit.raised = false, time.Time{} // the adapter began anew and forgot it
	}
	if first {
		r.wit.found = in.Present
		r.wit.base = m.Witness.Counter
		r.suspectCluster()
		r.catchUp()
		r.coverEarlier()
	}
	if r.wit.asked {
		r.wit.asked = false
		r.signDeletes()
	}
}

// clusterReplaced stops deletions until an operator confirms: what is missing in this cluster may only have
// been lost with it.
func (r *Replica) clusterReplaced(why string) {
	if r.meta.Replaced {
		return
	}
	r.meta.Replaced = true
	r.writeMeta()
	r.report(Decision{Reason: ClusterReplaced, Zone: r.cfg.Zone, Detail: why})
}

// suspectCluster looks for proof that the cluster is older than our own statements: an earlier log of ours
// described another cluster or a later state of it; or more was signed than this store holds, and the witness
// fits the store. Then both were restored together.
func (r *Replica) suspectCluster() {
	if !r.wit.known || r.meta.Replaced {
		return
	}
	behind := r.meta.Behind
	if behind {
		r.meta.Behind = false
		r.writeMeta()
	}
	if behind && !r.wit.newer {
		r.clusterReplaced("more was signed than this store holds, and the cluster's witness fits the store: both were restored")
		return
	}
	for _, l := range r.logs {
		if l.Key.Author == r.self && l.Instance.Incarnation != r.meta.Incarnation && !l.Empty() && !l.Frozen &&
			!r.logCovered(l) && !r.sameCluster(l) {
			r.clusterReplaced("an earlier log of this zone describes another cluster, or a later state of it")
			return
		}
	}
}

// witnessMismatch says what is wrong with the witness found.
func witnessMismatch(in WitnessRead, want event.Witness) string {
	switch {
	case !in.Present:
		return "the cluster carries no witness"
	case in.Witness.Cluster != want.Cluster:
		return "the cluster carries the witness of another one"
	}
	return fmt.Sprintf("the cluster's witness stands at %d, this store wrote %d", in.Witness.Counter, want.Counter)
}

// newClusterID names a cluster that has no witness yet.
func (r *Replica) newClusterID() mesh.Hash {
	b := append([]byte("mesh cluster v1"), r.self[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.meta.Created))
	return mesh.Sum(binary.BigEndian.AppendUint64(b, uint64(r.now.UnixNano())))
}

// raiseWitness raises the counter at the start and then at most once a minute while something is published:
// the intent goes into the store, then the new value into the cluster, then the confirmation into the store.
func (r *Replica) raiseWitness() {
	w := &r.wit
	if !w.known || w.writing || r.meta.Replaced || r.muted || r.cfg.Clusterless {
		return
	}
	if !w.raised.IsZero() && (!w.published || r.now.Before(w.raised.Add(witnessEvery))) {
		return
	}
	w.writing, w.published = true, false
	next := r.meta.Witness
	next.Counter++
	r.meta.WitnessNext = next.Counter
	r.writeMeta()
	r.fx.WriteWitness = &next
}

func (r *Replica) witnessWritten(wit event.Witness) {
	r.wit.writing = false
	r.wit.raised = r.now
	if wit.Cluster == r.meta.Witness.Cluster && wit.Counter == r.meta.WitnessNext {
		r.meta.Witness.Counter, r.meta.WitnessNext = wit.Counter, 0
		r.writeMeta()
	}
}
