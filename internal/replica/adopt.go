package replica

import (
	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// AdoptRefusal says why an object cannot be adopted here and now; empty: it can.
func (r *Replica) AdoptRefusal(k mesh.ObjectKey) string {
	o := r.objects[k]
	if o == nil {
		return "no zone claims it and it is not here"
	}
	if ok, why := r.Waiting(); ok {
		return why
	}
	win, claimed := merge.Winner(o.claims)
	mine := o.live(r.cfg.Zone)
	switch {
	case !r.cfg.Publishes(k):
		return "the configuration of this node doesn't let it out"
	case !r.rules.own.Allows(k):
		return "nodes[].allow of this node's own entry doesn't name it"
	case o.placed != nil && o.placed.State == oplog.PlacedHeld:
		return "its deletion is held; accept or wait for its owner"
	case mine != nil && win.Zone == r.cfg.Zone && len(merge.Rivals(o.claims)) == 0 && !r.missing(o):
		return "it is ours already"
	case !claimed && o.local != nil && !o.withheld:
		return "it is ours already"
	case !claimed && o.local == nil && (o.placed == nil || o.placed.Local):
		return "it is not here"
	case claimed && win.Kind == mesh.Deleted && mine == nil && o.local == nil:
		return "it is deleted"
	case claimed && win.Epoch >= mesh.MaxEpoch:
		return "its epoch cannot grow any more"
	}
	return ""
}

// adopt takes ownership of an object here: our claim at the next epoch, which every other zone follows.
func (r *Replica) adopt(k mesh.ObjectKey) {
	if why := r.AdoptRefusal(k); why != "" {
		r.report(Decision{Reason: RefusedAdopt, Zone: r.cfg.Zone, Object: k, Detail: why})
		return
	}
	o := r.object(k)
	win, claimed := merge.Winner(o.claims)
	mine := o.live(r.cfg.Zone)
	r.touch(o)
	switch {
	case o.withheld:
		// The copy among our own counts: have it reported again, as an object of ours.
		o.withheld = false
		if claimed && win.Kind == mesh.Live {
			r.takeOver(o, win)
			return
		}
		r.probe(k)
	case !claimed:
		// Nobody states it: what stands in the cluster becomes ours, and is published when it is reported.
		r.place(o, &oplog.Placed{Object: k, Local: true, Zone: r.cfg.Zone, Epoch: o.placed.Epoch, State: oplog.PlacedWanted})
		r.apply(writeOf(AdoptLocal, k, o.placed))
	case mine != nil && win.Zone == r.cfg.Zone && r.missing(o):
		r.adoptMissing(o, *mine)
	default:
		r.takeOver(o, win)
	}
	r.report(Decision{Reason: Adopted, Zone: r.cfg.Zone, Object: k})
}

// adoptMissing puts an object back that we claim and that this cluster has lost.
func (r *Replica) adoptMissing(o *object, mine mesh.Claim) {
	r.forgetGone(o.key)
	if len(merge.Rivals(o.claims)) > 0 {
		r.signUpdate(o.key, r.payload(mine.Ref()), mine.Epoch+1, mine.Birth)
		mine = *o.live(r.cfg.Zone)
	}
	r.placeLocal(o, mine)
}

// takeOver states the object at the next epoch: our own copy if we have one, else the winner's.
func (r *Replica) takeOver(o *object, win mesh.Claim) {
	from := win
	if mine := o.live(r.cfg.Zone); mine != nil {
		from = *mine
	}
	r.forgetGone(o.key)
	r.signUpdate(o.key, r.payload(from.Ref()), win.Epoch+1, from.Birth)
	if o.local != nil {
		r.place(o, nil)
		r.probe(o.key) // its content may differ from what was stated
		return
	}
	if mine := o.live(r.cfg.Zone); mine != nil {
		r.placeLocal(o, *mine)
	}
}

func (r *Replica) placeLocal(o *object, mine mesh.Claim) {
	r.place(o, &oplog.Placed{
		Object: o.key, Local: true, Zone: r.cfg.Zone, Epoch: mine.Epoch, Birth: mine.Birth, Version: mine.Version,
		Content: mine.Content, State: oplog.PlacedWanted,
	})
	r.apply(writeOf(AdoptLocal, o.key, o.placed))
}
