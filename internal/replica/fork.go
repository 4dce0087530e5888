package replica

import (
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
	common := j.Common
	if l.Limit != nil && (l.Limit.None || l.Limit.Height+1 <= common) {
		return // known already, and no lower
	}
	limit := &oplog.Limit{None: common <= l.Start}
	if !limit.None {
		id, held, err := r.rowID(l.Key, common-1)
		if err != nil || !held {
			r.fail(err)
			limit.None = true
		}
		limit.Height, limit.Hash = common-1, id
	}
	rival := oplog.Row{Log: l.Key, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body}
	if !l.Frozen {
		r.fx.Persist.Evidence = append(r.fx.Persist.Evidence, oplog.Evidence{Log: l.Key, A: r.heldRow(l, j.Rival), B: rival})
		r.fx.Publish = append(r.fx.Publish, Published{Row: rival, Instance: l.Instance, From: in.From})
		r.report(Decision{Reason: Forked, Zone: l.Instance.Zone, Log: l.Key, Seq: op.Seq, Peer: in.From})
	}
	l.Frozen, l.Limit = true, limit
	if st := l.Staged; st != nil {
		r.prunes = append(r.prunes, pruneJob{log: l.Key, span: oplog.Span{Log: l.Key, From: st.Begin, To: st.Next}})
		r.unstage(l)
	}
	r.writeLog(l.Key)
	if !limit.None {
		r.rewind(l)
	}
	if l.Key.Author == r.self && l.Instance.Incarnation == r.meta.Incarnation {
		r.newIncarnation("another instance signed with our key")
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

// rewind brings the claims of a limited log back to what it said up to its limit.
func (r *Replica) rewind(l *oplog.Log) {
	voided := make(map[mesh.ObjectKey]mesh.Claim)
	for _, o := range r.sortedObjects() {
		cur := o.claim(l.Instance.Zone)
		if cur == nil || cur.At.Log != l.Key || cur.At.Seq <= l.Limit.Height {
			continue
		}
		c := *cur
		voided[o.key] = c
		o.removeClaim(c.Zone)
		r.counts.add(&c, -1)
		r.dropClaim(c.Ref())
		r.touch(o)
	}
	r.eachRow(l.Key, l.Start, l.Limit.Height+1, func(row oplog.Row) bool {
		if _, ev := r.decodeRow(row); ev != nil {
			at := mesh.Position{Log: l.Key, Incarnation: l.Instance.Incarnation, Seq: row.Seq}
			eachClaim(ev, at, r.nowMilli(), func(c mesh.Claim, payload []byte) {
				if _, ok := voided[c.Object]; ok {
					r.putClaim(c, payload)
				}
			})
		}
		return r.failure == nil
	})
	for _, o := range r.sortedObjects() {
		if c, ok := voided[o.key]; ok && o.claim(c.Zone) == nil {
			at := c.At
			at.Seq = l.Limit.Height
			r.releaseVoid(o, c, at)
		}
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

// aboveCommon reports whether a position of a forked log stands above what both branches share.
func (r *Replica) aboveCommon(l *oplog.Log, seq uint32) bool {
	return l.Limit != nil && (l.Limit.None || seq > l.Limit.Height)
}

// arrivedTrust takes in a trust operation that came outside its log. It never enters a log by that way.
func (r *Replica) arrivedTrust(in ArrivedTrust) {
	op := in.Op
	key := mesh.LogKey{Author: op.Author, Log: op.Log}
	why := r.judgeTrust(op, in.Event)
	if why != "" {
		r.report(Decision{Reason: why, Log: key, Seq: op.Seq, Peer: in.From})
		return
	}
	r.keepTrust(oplog.TrustOp{ID: op.ID, Header: op.Raw, Body: op.Body}, op.Author)
}

// admitted reports whether operations of a key are taken.
func (r *Replica) admitted(k keys.Public) bool {
	_, ok := r.members[k]
	return ok || k == r.self
}
