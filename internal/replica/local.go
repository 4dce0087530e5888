package replica

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// local takes in an object that stands among our own.
func (r *Replica) local(in Local) {
	if !r.cfg.Publishes(in.Object) {
		r.localUnmatched(in.Object)
		return
	}
	if err := validLocal(in); err != nil {
		r.report(Decision{Reason: TooLarge, Zone: r.cfg.Zone, Object: in.Object, Detail: err.Error()})
		return
	}
	o := r.object(in.Object)
	r.forgetGone(in.Object)
	content := mesh.Sum(in.Payload)
	o.local = &localCopy{content: content, size: uint32(len(in.Payload))}
	r.touch(o)
	if p := o.placed; p != nil {
		switch {
		case p.Local && content == p.Content && p.State == oplog.PlacedUnmanaged:
			return // withdrawn: it stays, but is not ours to state
		case r.yielding(o):
			return // this copy is about to be replaced or removed
		}
	}
	o.withheld = r.labelsWithhold(o, in.Labelled)
	if o.withheld {
		r.report(Decision{Reason: Withheld, Zone: in.Labelled, Object: o.key})
		return
	}
	if r.canSign() && r.rules.own.Allows(o.key) {
		r.publish(o, in.Payload)
	}
}

// validLocal checks what signing would refuse, so that a bad object costs nobody but itself.
func validLocal(in Local) error {
	if err := in.Object.Validate(); err != nil {
		return err
	}
	if n := len(in.Payload); n == 0 || n > event.MaxPayload {
		return fmt.Errorf("object of %d bytes, want 1 to %d", n, event.MaxPayload)
	}
	return nil
}

// labelsWithhold reports whether bookkeeping labels name another zone that has or had a claim: then the
// object is a copy of a replica rather than a creation, and an operator must say which.
func (r *Replica) labelsWithhold(o *object, labelled mesh.Zone) bool {
	return labelled != "" && labelled != r.cfg.Zone && o.claim(labelled) != nil && o.live(r.cfg.Zone) == nil
}

// publish states a local object if our claim says something else.
func (r *Replica) publish(o *object, payload []byte) {
	mine := o.live(r.cfg.Zone)
	switch {
	case mine != nil && mine.Content == o.local.content:
		return
	case mine != nil:
		r.signUpdate(o.key, payload, mine.Epoch, mine.Birth)
	default:
		r.signUpdate(o.key, payload, merge.CreationEpoch(o.claims), 0)
	}
	r.report(Decision{Reason: ChangeSigned, Zone: r.cfg.Zone, Object: o.key})
}

// unpublished reports whether the local copy is one that publish would state.
func (r *Replica) unpublished(o *object) bool {
	if o.local == nil || o.withheld || r.yielding(o) || !r.rules.own.Allows(o.key) {
		return false
	}
	if p := o.placed; p != nil && p.Local && p.State == oplog.PlacedUnmanaged && p.Content == o.local.content {
		return false
	}
	mine := o.live(r.cfg.Zone)
	return mine == nil || mine.Content != o.local.content
}

// localUnmatched takes in that an object is no longer to be published: its claim is released, nothing is
// deleted anywhere.
func (r *Replica) localUnmatched(k mesh.ObjectKey) {
	o := r.objects[k]
	if o == nil {
		return
	}
	r.forgetGone(k)
	o.local, o.withheld = nil, false
	r.touch(o)
	r.putBack(o)
	if mine := o.live(r.cfg.Zone); mine != nil && r.canSign() {
		r.sign(&event.Event{Kind: event.KindRelease, Release: &event.Release{Object: k, Epoch: mine.Epoch}})
		r.report(Decision{Reason: ReleaseSigned, Zone: r.cfg.Zone, Object: k})
	}
}

// localGone takes in the proof that an object is not among our own. A Delete is signed only after the
// witness was read again (see witness.go).
func (r *Replica) localGone(k mesh.ObjectKey) {
	o := r.objects[k]
	if o == nil {
		return
	}
	unseen := o.local == nil
	o.local, o.withheld = nil, false
	r.touch(o)
	p := o.placed
	if p != nil && p.Local {
		if p.State == oplog.PlacedWanted {
			return // adopted, and our copy was not written yet
		}
		r.place(o, nil)
	}
	if p != nil && !p.Local && !p.Expect.IsZero() {
		q := *p
		q.Expect = mesh.Hash{} // what was to be replaced or removed is gone already
		r.place(o, &q)
		if q.State == oplog.PlacedWanted {
			r.apply(writeOf(PutReplica, k, &q))
		} else if q.State == oplog.PlacedRemoving {
			r.place(o, nil)
		}
	}
	r.putBack(o)
	if o.live(r.cfg.Zone) != nil {
		r.noteGone(k, unseen)
	}
}

// putBack has a replica written for which there was no room while a copy of somebody else's stood there: one that is
// withheld, or one that made a write fail.
func (r *Replica) putBack(o *object) {
	p := o.placed
	if p == nil || p.Local || !p.Expect.IsZero() || p.State != oplog.PlacedDone && p.State != oplog.PlacedWanted ||
		p.Epoch == mesh.MaxEpoch || o.live(r.cfg.Zone) != nil || r.outside(o) {
		return
	}
	if p.State == oplog.PlacedDone {
		q := *p
		q.State = oplog.PlacedWanted
		r.place(o, &q)
	}
	r.apply(writeOf(PutReplica, o.key, p))
}

// replicaSeen compares a replica with what was written and puts it back where it drifted.
func (r *Replica) replicaSeen(in ReplicaSeen) {
	o := r.object(in.Object)
	r.touch(o)
	o.seen = !in.Content.IsZero()
	p := o.placed
	switch {
	case p == nil && in.Content.IsZero():
	case p != nil && !p.Local && p.State == oplog.PlacedUnmanaged && in.Content.IsZero():
		r.place(o, nil) // it stood there for nobody, and somebody took it away
	case p == nil:
		// A replica from before this store: its path says whose it is. Only a tombstone of that very zone
		// may delete it, so its epoch counts as the highest.
		r.place(o, &oplog.Placed{
			Object: in.Object, Zone: in.Zone, Epoch: mesh.MaxEpoch, Content: in.Content, State: oplog.PlacedDone,
		})
	case p.Local || p.State == oplog.PlacedUnmanaged || p.State == oplog.PlacedHeld || r.outside(o):
	case p.State == oplog.PlacedRemoving:
		if in.Content.IsZero() {
			r.removed(o)
		}
	case in.Zone != p.Zone && !in.Content.IsZero():
		r.apply(writeOf(PutReplica, o.key, p)) // an older place of the same replica: putting it again replaces it
	case in.Content == p.Content:
		if p.State == oplog.PlacedWanted && p.Expect.IsZero() {
			q := *p
			q.State = oplog.PlacedDone
			r.place(o, &q)
		}
	case p.State == oplog.PlacedDone && p.Epoch != mesh.MaxEpoch:
		r.apply(writeOf(PutReplica, o.key, p))
		r.report(Decision{Reason: DriftCorrected, Zone: p.Zone, Object: o.key})
	}
}

// written takes in the outcome of a write.
func (r *Replica) written(in Written) {
	o := r.objects[in.Write.Object]
	if o == nil {
		return
	}
	if o.placed == nil && in.Err == "" && in.Write.Kind == PutReplica {
		// It was no longer wanted, and was under way already.
		w := in.Write
		r.place(o, &oplog.Placed{
			Object: o.key, Zone: w.Zone, Epoch: w.Epoch, Birth: w.Birth, Version: w.Version, Content: w.Content, State: oplog.PlacedWanted,
		})
	}
	if o.placed == nil {
		return
	}
	p := o.placed
	r.touch(o)
	if in.Err != "" {
		if o.rejected == "" {
			r.report(Decision{Reason: ApplyFailed, Zone: p.Zone, Object: o.key, Detail: in.Err})
		}
		o.rejected = in.Err
		if in.Altered {
			r.probe(o.key) // somebody edited the copy that was to go: look again and decide anew
			if !p.Expect.IsZero() && p.Expect == in.Write.Expect {
				q := *p
				q.Expect = mesh.Hash{}
				r.place(o, &q)
			}
		}
		return
	}
	o.rejected = ""
	sameClaim := p.Version == in.Write.Version && p.Zone == in.Write.Zone // else it answers a write that is over
	switch in.Write.Kind {
	case RemoveReplica, RemoveLocal:
		if p.State == oplog.PlacedRemoving && sameClaim {
			r.removed(o)
		}
	case YieldLocal, PutReplica:
		// One that stands already was put back, and may be another object now.
		if !p.Local && sameClaim && (p.State == oplog.PlacedWanted || p.State == oplog.PlacedDone && p.Base != in.Base) {
			q := *p
			q.State, q.Expect, q.Base = oplog.PlacedDone, mesh.Hash{}, in.Base
			r.place(o, &q)
			o.seen = true
			if in.Write.Kind == YieldLocal {
				o.local = nil
			}
		}
	case AdoptLocal:
		if p.Local && p.State == oplog.PlacedWanted {
			q := *p
			q.State = oplog.PlacedDone // until the adapter reports our new copy
			r.place(o, &q)
			r.probe(o.key)
		}
	}
}

// removed forgets a replica that the cluster confirmed to be gone.
func (r *Replica) removed(o *object) {
	if !o.placed.Expect.IsZero() {
		o.local = nil
	}
	r.place(o, nil)
	o.seen, o.rejected = false, ""
}

// resume asks the cluster for everything that was decided and not confirmed, and for replicas that were not
// reported although everything was listed.
func (r *Replica) resume() {
	for _, o := range r.objectsWhere(anyObject) {
		r.touch(o)
		p := o.placed
		if p == nil || !p.Local && r.outside(o) {
			continue
		}
		switch {
		case p.State == oplog.PlacedRemoving:
			r.apply(r.removal(o))
		case p.State == oplog.PlacedWanted && p.Local:
			r.apply(writeOf(AdoptLocal, o.key, p))
		case p.State == oplog.PlacedWanted && !p.Expect.IsZero() && o.local != nil:
			r.apply(writeOf(YieldLocal, o.key, p))
		case p.State == oplog.PlacedWanted, p.State == oplog.PlacedDone && !p.Local && !o.seen && p.Epoch != mesh.MaxEpoch:
			r.apply(writeOf(PutReplica, o.key, p))
		}
	}
	r.catchUp()
}

// catchUp settles every object anew, now that statements may be signed, and has each object of ours reported
// again that is not stated as it is: changed while nothing could be signed, or claimed and not seen.
func (r *Replica) catchUp() {
	if !r.start.listed || !r.canSign() {
		return
	}
	r.gone.recheck = true
	for _, o := range r.objectsWhere(anyObject) {
		r.touch(o)
		if r.unpublished(o) || r.missing(o) {
			r.probe(o.key)
		}
	}
}

// missing reports whether our claim says that the object is live here and nobody has seen it. One that was
// adopted and is still to be written is not missing yet.
func (r *Replica) missing(o *object) bool {
	p := o.placed
	return o.local == nil && o.live(r.cfg.Zone) != nil && !(p != nil && p.Local && p.State == oplog.PlacedWanted)
}
