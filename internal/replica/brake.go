package replica

import (
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// brakeHolds counts one more deletion that a zone's statements ask for, or reports that it must be held:
// when in the sliding window there were at least BrakeMin and more than BrakeShare of that zone's objects.
// present is how many objects of the zone stand here, the one in question included.
func (r *Replica) brakeHolds(z mesh.Zone, present int) bool {
	slot := r.nowMilli() / max(1, r.cfg.BrakeWindow.Milliseconds()/oplog.BrakeSlots)
	b := r.brake(z)
	n := 1
	for _, s := range b.Slots {
		if s.Slot > slot-oplog.BrakeSlots && s.Slot <= slot {
			n += int(s.Count)
		}
	}
	total := max(present, 1) + n - 1
	if n >= r.cfg.BrakeMin && float64(n) > r.cfg.BrakeShare*float64(total) {
		return true
	}
	s := &b.Slots[((slot%oplog.BrakeSlots)+oplog.BrakeSlots)%oplog.BrakeSlots]
	if s.Slot != slot {
		*s = oplog.BrakeSlot{Slot: slot}
	}
	s.Count++
	r.writeBrake(*b)
	return false
}

// brake returns the counts of a zone's deletions, making them if needed.
func (r *Replica) brake(z mesh.Zone) *oplog.Brake {
	b := r.brakes[z]
	if b == nil {
		b = &oplog.Brake{Zone: z}
		r.brakes[z] = b
	}
	return b
}

func (r *Replica) writeBrake(b oplog.Brake) {
	list := r.fx.Persist.Brakes
	if i := slices.IndexFunc(list, func(o oplog.Brake) bool { return o.Zone == b.Zone }); i >= 0 {
		list[i] = b
		return
	}
	r.fx.Persist.Brakes = append(list, b)
}

// heldBy returns the zone whose statement a held deletion follows.
func (r *Replica) heldBy(o *object) mesh.Zone {
	for i := range o.claims {
		if c := &o.claims[i]; c.Kind == mesh.Deleted && (c.Zone == o.placed.Zone || c.Epoch > o.placed.Epoch) {
			return c.Zone
		}
	}
	return o.placed.Zone
}

// heldSets returns the objects whose deletion is held, by zone and in key order. For our own zone these are
// deletions that were not signed.
func (r *Replica) heldSets() map[mesh.Zone][]mesh.ObjectKey {
	out := make(map[mesh.Zone][]mesh.ObjectKey)
	if r.counts.held > 0 {
		held := func(o *object) bool { return o.placed != nil && o.placed.State == oplog.PlacedHeld }
		for _, o := range r.objectsWhere(held) {
			z := r.heldBy(o)
			out[z] = append(out[z], o.key)
		}
	}
	if ks := r.gone.keys(r.waitsForOperator); len(ks) > 0 {
		out[r.cfg.Zone] = append(out[r.cfg.Zone], ks...)
	}
	return out
}

// heldDigest names a set of objects.
func heldDigest(ks []mesh.ObjectKey) mesh.Hash {
	var b []byte
	for _, k := range ks {
		b = append(b, k.String()...)
		b = append(b, '\n')
	}
	return mesh.Sum(b)
}

// acceptDeletes carries out the deletions held for a zone, for exactly the set the operator was shown. For
// our own zone it also confirms that the cluster is meant to be the one there is.
func (r *Replica) acceptDeletes(in AcceptDeletes) {
	ks := r.heldSets()[in.Zone]
	if heldDigest(ks) != in.Digest {
		r.report(Decision{Reason: RefusedAccept, Zone: in.Zone})
		return
	}
	r.report(Decision{Reason: DeletesAccepted, Zone: in.Zone})
	if in.Zone == r.cfg.Zone {
		r.acceptOwn(ks)
	}
	for _, k := range ks {
		o := r.objects[k]
		if o == nil || o.placed == nil || o.placed.State != oplog.PlacedHeld {
			continue
		}
		q := *o.placed
		q.State = oplog.PlacedRemoving
		r.place(o, &q)
		r.apply(r.removal(o))
		r.touch(o)
	}
}

func (r *Replica) acceptOwn(ks []mesh.ObjectKey) {
	if r.meta.Replaced {
		r.meta.Replaced = false
		r.meta.Witness.Cluster, r.meta.Witness.Counter = r.newClusterID(), r.meta.Witness.Counter+1
		r.meta.WitnessNext = 0
		r.writeMeta()
		r.wit.confirmed, r.wit.writing, r.wit.raised = true, false, time.Time{} // the new id is written at once
		r.coverEarlier()
		r.catchUp()
	}
	for _, k := range ks {
		r.acceptGone(k)
	}
}
