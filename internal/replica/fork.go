package replica

import (
	"math"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// forked freezes a log whose author signed two histories. The log stands up to the last position that both
// share; what it said above is void. A void claim deletes nothing: where the log up to the common position
// says nothing else, the object is released and stays. The proof is kept, and passed on as an operation that
// others judge for themselves.
func (r *Replica) forked(l *oplog.Log, op *operation.Operation, j oplog.Judgement, in Arrived) {
	if l.Limit != nil && (l.Limit.None || l.Limit.Height+1 <= j.Common) {
		return // known already, and no lower
	}
	rival := r.heldRow(l, j.Rival)
	if !r.proven(&in) {
		r.report(Decision{Reason: RefusedSignature, Zone: l.Instance.Zone, Log: l.Key, Seq: op.Seq, Peer: in.From})
		return
	}
	if !r.provenRow(l, rival) {
		return
	}
	r.freeze(l, rival, rowOf(op), j.Common, in.From)
}

// freeze sets the limit of a log at the common position. a and b are the proof.
func (r *Replica) freeze(l *oplog.Log, a, b oplog.Row, common uint32, from keys.Public) {
	if !l.Frozen || l.False {
		r.fx.Persist.Evidence = append(r.fx.Persist.Evidence, oplog.Evidence{Log: l.Key, A: a, B: b})
		for _, row := range []oplog.Row{a, b} {
			r.fx.Publish = append(r.fx.Publish, Published{Row: row, Instance: l.Instance, From: from})
		}
		r.report(Decision{Reason: Forked, Zone: l.Instance.Zone, Log: l.Key, Seq: b.Seq, Peer: from})
	}
	l.False = false // a fork is more: others take its proof
	r.endAt(l, common)
}

// endAt freezes a log that stands below a position.
func (r *Replica) endAt(l *oplog.Log, common uint32) {
	limit := &oplog.Limit{None: common <= l.Start}
	if !limit.None {
		id, held, err := r.rowID(l.Key, common-1)
		if err != nil {
			r.fail(err)
		}
		limit.None = !held
		limit.Height, limit.Hash = common-1, id
	}
	l.Frozen, l.Limit = true, limit
	if l.Staged != nil {
		r.pruneStaged(l)
		r.unstage(l)
	}
	r.writeLog(l.Key)
	if !limit.None {
		r.rewind(l)
	}
	if l.Key.Author == r.self && l.Instance.Incarnation == r.meta.Incarnation {
		why := "another instance signed with our key"
		if l.False {
			why = "an operation of our log was never signed"
		}
		r.newIncarnation(why)
		r.catchUp() // our objects are stated anew where the log that stands says something else
	}
}

// maxPruned bounds how many logs an operation from before their start is remembered for, and maxPrunedBody
// the body kept with it.
const (
	maxPruned     = 64
	maxPrunedBody = 256 << 10
)

// comparePruned looks at operations up to a log's start, of which no row before is held any more. Alone one
// says nothing; the two that prove a fork arrive one after the other, and prove it by themselves.
func (r *Replica) comparePruned(l *oplog.Log, op *operation.Operation, in Arrived) {
	past := r.pruned[l.Key]
	if past != nil && (past.Seq == op.Seq && past.ID != op.ID || past.Seq+1 == op.Seq && past.ID != op.Backlink) {
		delete(r.pruned, l.Key)
		if past.Verify() != nil || op.Verify() != nil {
			return // at least one of them was only vouched for, and falsely: it proves nothing
		}
		r.freeze(l, rowOf(past), rowOf(op), past.Seq, in.From)
		return
	}
	if op.Seq == l.Start || len(op.Body) > maxPrunedBody || past == nil && len(r.pruned) >= maxPruned {
		return
	}
	r.pruned[l.Key] = op
}

func rowOf(op *operation.Operation) oplog.Row {
	return oplog.Row{
		Log: mesh.LogKey{Author: op.Author, Log: op.Log}, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body,
	}
}

// heldRow reads a held row; one that isn't there gives the zero row.
func (r *Replica) heldRow(l *oplog.Log, seq uint32) (out oplog.Row) {
	r.eachRow(l.Key, seq, seq+1, func(row oplog.Row) bool {
		out = row
		return false
	})
	return out
}

// rewind brings the claims of a limited log back to what the zone said up to the limit, in this log or in another one.
func (r *Replica) rewind(l *oplog.Log) {
	voided := make(map[mesh.ObjectKey]mesh.Claim)
	over := r.objectsWhere(func(o *object) bool {
		c := o.claim(l.Instance.Zone)
		return c != nil && c.At.Log == l.Key && r.void(c.At)
	})
	if len(over) == 0 {
		return
	}
	for _, o := range over {
		c := *o.claim(l.Instance.Zone)
		voided[o.key] = c
		o.removeClaim(c.Zone)
		r.counts.add(&c, -1)
		r.dropClaim(c.Ref())
		r.touch(o)
	}
	for _, other := range r.sortedLogs() {
		if other.Instance.Zone == l.Instance.Zone && !other.Empty() {
			r.mergeAgain(other, func(k mesh.ObjectKey) bool { _, ok := voided[k]; return ok })
		}
	}
	for _, o := range over {
		c := voided[o.key]
		if o.claim(c.Zone) != nil {
			continue
		}
		at := c.At
		at.Seq = 0
		if bound := l.Bound(); !bound.None {
			at.Seq = bound.Height
		}
		r.releaseVoid(o, c, at)
	}
}

// releaseVoid replaces a claim that turned out void by a release at a position that stands.
func (r *Replica) releaseVoid(o *object, c mesh.Claim, at mesh.Position) {
	if o.claim(c.Zone) != nil {
		r.counts.add(&c, -1)
	}
	rel := mesh.Claim{Object: c.Object, Zone: c.Zone, Kind: mesh.Released, Epoch: c.Epoch, At: at, Since: r.nowMilli()}
	o.setClaim(rel)
	r.counts.add(&rel, 1)
	r.writeClaim(rel.Ref(), nil)
	r.touch(o)
}

// uncertain reports whether a position of a forked log may stand above what both branches share. Whoever
// knows the fork only from the log that covers the forked one doesn't know where that is: then all of it may.
func (r *Replica) uncertain(p mesh.Position) bool {
	if l := r.logs[p.Log]; l != nil && l.Frozen {
		return l.Limit != nil && (l.Limit.None || p.Seq > l.Limit.Height)
	}
	for _, c := range r.covers[p.Log.Author].Covers {
		if c.Log == p.Log {
			return c.Height == coversFork
		}
	}
	return false
}

// coversFork is the height with which a forked log is covered: nothing of it can count any more.
const coversFork = math.MaxUint32
