package replica

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// settle takes one object one step towards what the claims say. It may be called any number of times.
func (r *Replica) settle(o *object) {
	r.withhold(o)
	act, win := merge.Decide(r.cfg.Zone, o.claims, merge.Policy{Oldest: r.cfg.OnConflict == Oldest})
	if r.keepsOut(o, act, win) {
		r.settleOutside(o)
		o.ended = ""
		return
	}
	if act == merge.Put || act == merge.Remove {
		r.giveWay(o)
	}
	switch act {
	case merge.Nothing:
		r.settleUnclaimed(o)
	case merge.Own:
		r.settleOwn(o)
	case merge.Contend:
		r.settleOwn(o)
	case merge.Put:
		r.settlePut(o, win)
	case merge.Remove:
		r.settleRemove(o, win)
	case merge.Yield:
		r.yield(o, win)
	case merge.YieldDeleted:
		r.yieldDeleted(o, win)
	case merge.Restate:
		r.restate(o, win.Epoch)
	}
	o.ended = ""
}

// settleUnclaimed deals with an object that nobody claims. If its last claim was ended by a snapshot of the
// zone that the replica stands for, that zone deleted it and everybody but us knew. Otherwise it was
// released, and stays as it is.
func (r *Replica) settleUnclaimed(o *object) {
	p := o.placed
	if p == nil || p.Local {
		return
	}
	if o.ended != "" && o.ended == p.Zone && p.State != oplog.PlacedUnmanaged {
		r.remove(o, o.ended)
		return
	}
	if p.State == oplog.PlacedWanted && !o.seen && p.Expect.IsZero() {
		r.place(o, nil) // it was never written, and now nobody states it
		return
	}
	if (p.State == oplog.PlacedDone || p.State == oplog.PlacedWanted) && len(o.claims) > 0 {
		q := *p
		q.State = oplog.PlacedUnmanaged
		r.place(o, &q)
	}
}

// settleOwn deals with an object that is ours: our copy stands, and a replica of the same object goes.
func (r *Replica) settleOwn(o *object) {
	p := o.placed
	if p == nil {
		return
	}
	if o.local == nil {
		r.giveUp(o)
		return
	}
	if p.Local || p.Base.UID != "" {
		// Adopted: from now on it is an object of ours like any other. Or, where a cluster has room for one object of
		// a name only, it took the replica's place.
		r.place(o, nil)
		return
	}
	if p.State != oplog.PlacedRemoving {
		q := *p
		q.State, q.Expect = oplog.PlacedRemoving, mesh.Hash{}
		r.place(o, &q)
	}
	r.apply(writeOf(RemoveReplica, o.key, o.placed))
}

// giveUp withdraws our claim on an object of which only the replica of another zone stands here, and that zone states it,
// or its end, as strongly as we do. We never created it in this cluster: it was published by a node that worked on another one by
// mistake, or from a backup. Without this the replica would be nobody's business here.
func (r *Replica) giveUp(o *object) {
	p, mine := o.placed, o.live(r.cfg.Zone)
	theirs := o.claim(p.Zone)
	if p.Local || p.State != oplog.PlacedDone || !o.seen || theirs == nil || theirs.Kind == mesh.Released || theirs.Epoch < mine.Epoch ||
		!r.canSign() || !r.start.listed || r.meta.Replaced || r.gone.of[o.key] != nil {
		return
	}
	r.withdraw(o, p.Zone)
}

// settlePut makes the object a replica of the winner's claim.
func (r *Replica) settlePut(o *object, win mesh.Claim) {
	if o.local != nil && !r.yielding(o) {
		return // a copy of ours that is not published yet; it will be, or it is withheld
	}
	p := o.placed
	want := oplog.Placed{
		Object: o.key, Zone: win.Zone, Epoch: win.Epoch, Birth: win.Birth, Version: win.Version,
		Content: win.Content, State: oplog.PlacedWanted,
	}
	kind := PutReplica
	if p != nil {
		want.Base = p.Base
	}
	if o.local != nil {
		want.Expect, kind = p.Expect, YieldLocal
	}
	if p != nil && samePlaced(*p, want) && (p.State == oplog.PlacedWanted || p.State == oplog.PlacedDone) {
		return
	}
	r.place(o, &want)
	r.apply(writeOf(kind, o.key, &want))
}

// yielding reports whether the local copy is the one that a decided write is about to replace or remove.
func (r *Replica) yielding(o *object) bool {
	p := o.placed
	return p != nil && !p.Local && o.local != nil && !p.Expect.IsZero() && p.Expect == o.local.content
}

// settleRemove deletes the replica if the tombstone speaks for it: it was written for the tombstone's own
// zone, or for a claim of a lower epoch.
func (r *Replica) settleRemove(o *object, win mesh.Claim) {
	p := o.placed
	if p == nil || p.Local || p.State == oplog.PlacedRemoving || p.State == oplog.PlacedHeld {
		return
	}
	if p.Zone != win.Zone && p.Epoch >= win.Epoch {
		if p.State == oplog.PlacedDone {
			q := *p
			q.State = oplog.PlacedUnmanaged
			r.place(o, &q)
		}
		return
	}
	r.remove(o, win.Zone)
}

// remove deletes the replica, or holds the deletion when the brake of the deleting zone grips.
func (r *Replica) remove(o *object, by mesh.Zone) {
	q := *o.placed
	if r.brakeHolds(by, r.counts.placed[by]) {
		q.State = oplog.PlacedHeld
		r.place(o, &q)
		r.report(Decision{Reason: DeleteHeld, Zone: by, Object: o.key})
		return
	}
	q.State = oplog.PlacedRemoving
	r.place(o, &q)
	r.apply(r.removal(o))
}

// removal is the write that carries out a decided deletion.
func (r *Replica) removal(o *object) Write {
	if !o.placed.Expect.IsZero() {
		return writeOf(RemoveLocal, o.key, o.placed)
	}
	return writeOf(RemoveReplica, o.key, o.placed)
}

// yield withdraws our claim in favour of a stronger one and turns our copy into a replica of it.
func (r *Replica) yield(o *object, win mesh.Claim) {
	if !r.mayYield(o) {
		return
	}
	mine := r.withdraw(o, win.Zone)
	want := oplog.Placed{
		Object: o.key, Zone: win.Zone, Epoch: win.Epoch, Birth: win.Birth, Version: win.Version,
		Content: win.Content, State: oplog.PlacedWanted,
	}
	kind := PutReplica
	if o.local != nil {
		want.Expect, kind = o.local.content, YieldLocal
	}
	if !r.flowsIn(win.Zone, o.key) {
		// What the winner states doesn't flow in here: the copy stays as it is, no longer ours.
		want.State, want.Local, want.Content = oplog.PlacedUnmanaged, true, mine.Content
		r.place(o, &want)
		return
	}
	r.place(o, &want)
	r.apply(writeOf(kind, o.key, &want))
}

// withdraw releases our claim in favour of another zone and keeps what it said. It returns the claim.
func (r *Replica) withdraw(o *object, to mesh.Zone) mesh.Claim {
	mine := *o.live(r.cfg.Zone)
	r.keepLost(mine, Yielded)
	r.sign(&event.Event{Kind: event.KindRelease, Release: &event.Release{
		Object: o.key, NewOwner: to, Epoch: mine.Epoch,
	}})
	d := Decision{Reason: Yielded, Zone: to, Object: o.key}
	if theirs := o.claim(to); theirs != nil && theirs.Epoch > mine.Epoch {
		d.Detail = fmt.Sprintf("epoch %d over %d", theirs.Epoch, mine.Epoch)
	}
	r.report(d)
	return mine
}

// mayYield reports whether our claim may be withdrawn now. It waits for the cluster's first full report: a copy
// of ours that nobody has seen yet would be taken for a new creation afterwards. And a change that is not
// stated yet is stated first, so that it is kept with what loses.
func (r *Replica) mayYield(o *object) bool {
	switch {
	case !r.canSign() || o.local == nil && !r.start.listed:
		return false
	case o.local != nil && o.local.content != o.live(r.cfg.Zone).Content:
		r.probe(o.key)
		return false
	}
	return true
}

// yieldDeleted withdraws our claim on an object that was taken over and deleted while we were away.
func (r *Replica) yieldDeleted(o *object, win mesh.Claim) {
	if !r.mayYield(o) {
		return
	}
	mine := r.withdraw(o, win.Zone)
	if o.local == nil {
		return
	}
	p := &oplog.Placed{
		Object: o.key, Zone: win.Zone, Epoch: mine.Epoch, Birth: mine.Birth, Version: win.Version,
		Expect: o.local.content, State: oplog.PlacedWanted,
	}
	if !r.flowsIn(win.Zone, o.key) {
		p.State, p.Local, p.Content, p.Expect = oplog.PlacedUnmanaged, true, o.local.content, mesh.Hash{}
		r.place(o, p)
		return
	}
	r.place(o, p)
	r.remove(o, win.Zone)
}

// restate signs our live claim again, at a higher epoch.
func (r *Replica) restate(o *object, epoch mesh.Epoch) {
	if !r.canSign() {
		return
	}
	mine := *o.live(r.cfg.Zone)
	r.signUpdate(o.key, r.payload(mine.Ref()), epoch, mine.Birth)
	r.report(Decision{Reason: Restated, Zone: r.cfg.Zone, Object: o.key})
}

// signUpdate states an object. birth 0 begins a new life.
func (r *Replica) signUpdate(k mesh.ObjectKey, payload []byte, epoch mesh.Epoch, birth mesh.Version) {
	if payload == nil {
		return // the read failed, and the step with it
	}
	v := r.nextVersion()
	if birth == 0 {
		birth = v
	}
	r.sign(&event.Event{Kind: event.KindUpdate, Update: &event.Update{
		Object: k, Payload: payload, Version: v, Epoch: epoch, Birth: birth,
	}})
}

// keepLost copies content that is about to lose, so that it stays readable.
func (r *Replica) keepLost(c mesh.Claim, why Reason) {
	if p := r.payload(c.Ref()); p != nil {
		r.fx.Persist.Lost = append(r.fx.Persist.Lost, oplog.LostRecord{
			Object: c.Object, Zone: c.Zone, Version: c.Version, Reason: string(why), At: r.nowMilli(), Payload: p,
		})
	}
}

func samePlaced(a, b oplog.Placed) bool {
	return a.Local == b.Local && a.Zone == b.Zone && a.Epoch == b.Epoch && a.Birth == b.Birth &&
		a.Version == b.Version && a.Content == b.Content && a.Expect == b.Expect
}

func writeOf(k WriteKind, o mesh.ObjectKey, p *oplog.Placed) Write {
	w := Write{Kind: k, Object: o, Zone: p.Zone, Version: p.Version, Epoch: p.Epoch, Birth: p.Birth, Expect: p.Expect}
	if k == PutReplica || k == YieldLocal || k == AdoptLocal {
		w.Content = p.Content
	}
	return w
}
