package replica

import (
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// goneSet holds the own claims whose object was proven absent and whose Delete is not signed yet.
//
// What the brake holds is not stored by object: after a restart the objects are missed and looked for anew. But
// that something is held is stored with the brake, and then whatever is missed at the start is held too: the
// window of the brake may have passed meanwhile, and no restart confirms a deletion.
type goneSet struct {
	of      map[mesh.ObjectKey]*goneState
	waiting int  // held and not accepted
	before  bool // the run before this one ended with deletions held
	recheck bool // perhaps nothing is held any more
}

// goneState is an own claim whose object was proven absent.
type goneState struct {
	asked    bool // the check under way covers it
	held     bool // by the brake
	accepted bool // an operator confirmed it
}

// open reports whether the deletion may be signed once the witness was read.
func (g *goneState) open() bool { return !g.held || g.accepted }

// keys returns the objects whose state is wanted, in order.
func (s *goneSet) keys(wanted func(*goneState) bool) []mesh.ObjectKey {
	var out []mesh.ObjectKey
	for k, g := range s.of {
		if wanted(g) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, mesh.ObjectKey.Compare)
	return out
}

// noteGone remembers the proof that an object of ours is absent. missed: nobody has seen it in this run.
func (r *Replica) noteGone(k mesh.ObjectKey, missed bool) {
	if r.gone.of[k] != nil {
		return
	}
	g := &goneState{}
	r.gone.of[k] = g
	if missed && r.gone.before {
		r.holdGone(k, g)
	}
}

// holdGone keeps a deletion from being signed until it is confirmed.
func (r *Replica) holdGone(k mesh.ObjectKey, g *goneState) {
	if g.held {
		return
	}
	g.held = true
	r.gone.waiting++
	r.report(Decision{Reason: DeleteHeld, Zone: r.cfg.Zone, Object: k})
	if b := r.brake(r.cfg.Zone); !b.Held {
		b.Held = true
		r.writeBrake(*b)
	}
}

// acceptGone takes in that an operator confirmed a deletion.
func (r *Replica) acceptGone(k mesh.ObjectKey) {
	g := r.gone.of[k]
	if g == nil || g.accepted {
		return
	}
	if g.held {
		r.gone.waiting--
	}
	g.accepted = true
}

// forgetGone ends the matter of an object: it is back, signed for, or not ours to delete.
func (r *Replica) forgetGone(k mesh.ObjectKey) {
	g := r.gone.of[k]
	if g == nil {
		return
	}
	if !g.open() {
		r.gone.waiting--
	}
	delete(r.gone.of, k)
	r.gone.recheck = true
}

// endHold forgets that deletions are held once nothing of ours is missed any more.
func (r *Replica) endHold() {
	b := r.brakes[r.cfg.Zone]
	if !r.gone.recheck || r.gone.waiting > 0 || !r.start.listed || !r.canSign() {
		return
	}
	r.gone.recheck = false
	if b == nil || !b.Held {
		return
	}
	for _, o := range r.objects {
		if r.missing(o) {
			return
		}
	}
	b.Held, r.gone.before = false, false
	r.writeBrake(*b)
}

// waitsForOperator reports whether a deletion is signed only when somebody confirms it.
func (r *Replica) waitsForOperator(g *goneState) bool { return g != nil && (g.held || r.meta.Replaced) }

// askForWitness has the witness read again before deletions are signed.
func (r *Replica) askForWitness() {
	if len(r.gone.of) == r.gone.waiting || !r.canSign() || r.wit.asked || r.wit.writing || r.meta.Replaced || r.cfg.Clusterless {
		return
	}
	for _, g := range r.gone.of {
		g.asked = g.open()
	}
	r.wit.asked, r.fx.CheckWitness = true, true
}

// signDeletes signs the deletions that the check just answered covers, if the cluster is still the one that
// was written to. The brake is applied before signing.
func (r *Replica) signDeletes() {
	if r.meta.Replaced || !r.canSign() {
		return
	}
	for _, k := range r.gone.keys(func(g *goneState) bool { return g.asked }) {
		g := r.gone.of[k]
		o := r.objects[k]
		g.asked = false
		if o == nil || o.local != nil || o.live(r.cfg.Zone) == nil {
			r.forgetGone(k)
			continue
		}
		if l := r.logs[o.live(r.cfg.Zone).At.Log]; l != nil && l != r.ownLog() && !r.sameCluster(l) {
			// The claim was read back from a log that described another cluster: that its object is not here
			// proves nothing.
			r.clusterReplaced("an earlier log of this zone describes another cluster, or a later state of it")
			return
		}
		if !g.accepted && r.brakeHolds(r.cfg.Zone, r.counts.ownLive) {
			r.holdGone(k, g)
			r.touch(o)
			continue
		}
		r.forgetGone(k)
		mine := o.live(r.cfg.Zone)
		r.sign(&event.Event{Kind: event.KindDelete, Delete: &event.Delete{
			Object: k, Version: r.nextVersion(), Epoch: mine.Epoch, Birth: mine.Birth,
		}})
		r.report(Decision{Reason: DeleteSigned, Zone: r.cfg.Zone, Object: k})
	}
}
