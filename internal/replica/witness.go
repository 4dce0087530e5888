package replica

import (
	"encoding/binary"
	"fmt"
	"slices"
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
	newer     bool      // found newer than the store in this run: the store was restored, the cluster was not
	base      uint64    // the counter first read in this run, before it was raised
	confirmed bool      // an operator confirmed that the cluster was replaced
	asked     bool      // a check is under way
	writing   bool      // a raise is under way
	raised    time.Time // when the last raise was confirmed
	published bool      // something was signed since
}

// goneState is an own claim whose object was proven absent.
type goneState struct {
	asked    bool // the check under way covers it
	held     bool // by the brake
	accepted bool // an operator confirmed it
}

// witnessRead compares the cluster's witness with what was last written there.
func (r *Replica) witnessRead(in WitnessRead) {
	first := !r.wit.known
	m := &r.meta
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
		m.Witness, r.wit.newer = in.Witness, true
		r.newIncarnation("the cluster's witness is newer than the store, which was restored")
		r.report(Decision{Reason: StoreRestored, Zone: r.cfg.Zone})
	}
	r.wit.known = true
	if r.wit.writing && in.Witness.Counter < m.WitnessNext {
		r.wit.writing, r.wit.raised = false, time.Time{} // the adapter began anew and forgot it
	}
	if first {
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

// askForWitness has the witness read again before deletions are signed.
func (r *Replica) askForWitness() {
	if !r.canSign() || r.wit.asked || r.wit.writing || r.meta.Replaced || r.cfg.Clusterless {
		return
	}
	for _, g := range r.gone {
		if !g.held || g.accepted {
			r.wit.asked = true
			break
		}
	}
	if !r.wit.asked {
		return
	}
	for _, g := range r.gone {
		g.asked = !g.held || g.accepted
	}
	r.fx.CheckWitness = true
}

// signDeletes signs the deletions that the check just answered covers, if the cluster is still the one that
// was written to. The brake is applied before signing.
func (r *Replica) signDeletes() {
	if r.meta.Replaced || !r.canSign() {
		return
	}
	for _, k := range r.goneKeys() {
		g := r.gone[k]
		o := r.objects[k]
		if !g.asked {
			continue
		}
		g.asked = false
		if o == nil || o.local != nil || o.live(r.cfg.Zone) == nil {
			delete(r.gone, k)
			continue
		}
		if l := r.logs[o.live(r.cfg.Zone).At.Log]; l != nil && l != r.ownLog() && !r.sameCluster(l) {
			// The claim was read back from a log that described another cluster: that its object is not here
			// proves nothing.
			r.clusterReplaced("an earlier log of this zone describes another cluster, or a later state of it")
			return
		}
		if !g.accepted && r.brakeHolds(r.cfg.Zone, r.counts.ownLive) {
			if !g.held {
				r.report(Decision{Reason: DeleteHeld, Zone: r.cfg.Zone, Object: k})
			}
			g.held = true
			r.touch(o)
			continue
		}
		delete(r.gone, k)
		mine := o.live(r.cfg.Zone)
		r.sign(&event.Event{Kind: event.KindDelete, Delete: &event.Delete{
			Object: k, Version: r.nextVersion(), Epoch: mine.Epoch, Birth: mine.Birth,
		}})
		r.report(Decision{Reason: DeleteSigned, Zone: r.cfg.Zone, Object: k})
	}
}

// goneKeys returns the objects proven absent, in order.
func (r *Replica) goneKeys() []mesh.ObjectKey {
	out := make([]mesh.ObjectKey, 0, len(r.gone))
	for k := range r.gone {
		out = append(out, k)
	}
	slices.SortFunc(out, mesh.ObjectKey.Compare)
	return out
}
