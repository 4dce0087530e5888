package replica

import (
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// maxIncarnations is how many logs of one author are held that no newer one covers, the highest first.
const maxIncarnations = 8

// newLogBurst and newLogEvery bound how fast an author may begin logs: a token bucket. Whoever restarts from
// nothing more often is not refused for good, only asked again later.
const (
	newLogBurst = 8
	newLogEvery = time.Minute
)

// bucket is a token bucket of new logs.
type bucket struct {
	used  int
	since int64 // Unix ms from which used tokens flow back
}

// arrived judges one operation and takes it in.
func (r *Replica) arrived(in Arrived) {
	op := in.Op
	key := mesh.LogKey{Author: op.Author, Log: op.Log}
	refuse := func(why Reason, zone mesh.Zone) {
		r.report(Decision{Reason: why, Zone: zone, Log: key, Seq: op.Seq, Peer: in.From})
	}
	if op.PayloadSize > 0 && op.Body == nil {
		refuse(RefusedBodyMissing, "")
		r.request(in.From)
		return
	}
	if in.Vouched && !r.mayVouch(&in) && !r.proven(&in) {
		refuse(RefusedSignature, "")
		return
	}
	l, why := r.logFor(op, in.Event)
	if why != "" {
		refuse(why, "")
		return
	}
	if op.Author == r.self && !r.ownArrived(l, op) {
		refuse(RefusedOwnElsewhere, l.Instance.Zone)
		return
	}
	j, err := l.Judge(op, isBegin(op, in.Event), r.rowID)
	if err != nil {
		r.fail(err)
		return
	}
	if j.Abandon && !r.mayAbandon(l, op.Seq) {
		j.Verdict = oplog.Gap
	}
	switch j.Verdict {
	case oplog.Accept:
		if op.Seq == 0 && !isBegin(op, in.Event) {
			refuse(RefusedStart, l.Instance.Zone)
			return
		}
		r.enter(l)
		if in.Vouched {
			l.Unchecked = l.Unchecked.With(op.Seq)
		}
		r.acceptRow(l, op, in.Event, in.From)
		r.drainPending(l)
	case oplog.Stage:
		r.enter(l)
		r.stageRow(l, &in, j.Abandon)
		r.drainPending(l)
	case oplog.Gap:
		if !r.pending.add(key, in) {
			refuse(RefusedGap, l.Instance.Zone)
		}
		r.request(in.From)
	case oplog.Void:
		refuse(RefusedVoid, l.Instance.Zone)
	case oplog.Fork:
		r.forked(l, op, j, in)
	case oplog.Duplicate:
		if op.Seq <= l.Start {
			r.comparePruned(l, op, in)
		}
	}
}

// isBegin reports whether an operation opens a snapshot run.
func isBegin(op *operation.Operation, ev *event.Event) bool {
	return op.Prune && ev != nil && ev.SnapshotBegin != nil
}

// logFor finds the log of an operation, or makes the record of a new one, which enter adds when something of
// it is taken in.
func (r *Replica) logFor(op *operation.Operation, ev *event.Event) (*oplog.Log, Reason) {
	key := mesh.LogKey{Author: op.Author, Log: op.Log}
	l := r.logs[key]
	var inst mesh.Instance
	switch {
	case ev != nil:
		inst = ev.Instance
		if l != nil && inst == l.Instance {
			break // its id follows from it
		}
		if mesh.LogIDOf(r.cfg.Network, inst) != op.Log {
			return nil, RefusedLogID
		}
	case l != nil:
		inst = l.Instance
	default:
		return nil, RefusedUnreadable
	}
	if why := r.mayAuthor(op.Author, inst.Zone); why != "" {
		return nil, why
	}
	if l != nil {
		return l, ""
	}
	if r.whollyCovered(key, inst.Incarnation) {
		return nil, RefusedCovered
	}
	if why := r.roomForLog(op.Author, inst); why != "" {
		return nil, why
	}
	l = &oplog.Log{Key: key, Instance: inst}
	r.limitLog(l)
	return l, ""
}

// roomForLog bounds how many logs an author has and how fast it begins them.
func (r *Replica) roomForLog(k keys.Public, inst mesh.Instance) Reason {
	higher := 0
	for _, l := range r.logs {
		if l.Key.Author == k && l.Instance.Incarnation > inst.Incarnation && !r.logCovered(l) {
			higher++
		}
	}
	if higher >= maxIncarnations {
		return RefusedAside
	}
	b := r.newLogs[k]
	if b == nil {
		return ""
	}
	if r.refill(b); b.used >= newLogBurst {
		return RefusedDelayed
	}
	return ""
}

func (r *Replica) refill(b *bucket) {
	now := r.nowMilli()
	if now < b.since {
		b.since = now // the clock was set back
	}
	if n := (now - b.since) / newLogEvery.Milliseconds(); n > 0 {
		b.used = max(0, b.used-int(min(n, newLogBurst)))
		b.since = now
	}
}

// retryDelayed asks everybody for what was delayed once an author may begin a log again.
func (r *Replica) retryDelayed() {
	for _, k := range r.sortedMembers() {
		b := r.newLogs[k]
		if b == nil || b.used == 0 {
			continue
		}
		full := b.used >= newLogBurst
		r.refill(b)
		if full && b.used < newLogBurst {
			for _, m := range r.sortedMembers() {
				r.request(m)
			}
		}
	}
}

// enter adds a log to those held, at its first operation, and puts the lowest of too many aside.
func (r *Replica) enter(l *oplog.Log) {
	if r.logs[l.Key] != nil {
		return
	}
	r.logs[l.Key] = l
	if l.Key.Author == r.self {
		return
	}
	b := r.newLogs[l.Key.Author]
	if b == nil {
		b = &bucket{since: r.nowMilli()}
		r.newLogs[l.Key.Author] = b
	}
	b.used++
	var lowest *oplog.Log
	n := 0
	for _, m := range r.logs {
		if m.Key.Author == l.Key.Author && !r.logCovered(m) {
			n++
			if lowest == nil || m.Instance.Incarnation < lowest.Instance.Incarnation {
				lowest = m
			}
		}
	}
	if n > maxIncarnations {
		r.prunes = append(r.prunes, pruneJob{log: lowest.Key, drop: true})
	}
}

// logCovered reports whether everything held of a log is covered.
func (r *Replica) logCovered(l *oplog.Log) bool {
	if l.Empty() {
		return false
	}
	return r.covered(mesh.Position{Log: l.Key, Incarnation: l.Instance.Incarnation, Seq: l.Height()})
}

// whollyCovered reports whether nothing of a log can count any more.
func (r *Replica) whollyCovered(k mesh.LogKey, i mesh.Incarnation) bool {
	return r.covered(mesh.Position{Log: k, Incarnation: i, Seq: ^uint32(0)})
}

// acceptRow appends an operation to a chain and merges what it says.
func (r *Replica) acceptRow(l *oplog.Log, op *operation.Operation, ev *event.Event, from keys.Public) {
	row := rowOf(op)
	r.keepRow(l, row)
	r.fx.Publish = append(r.fx.Publish, Published{Row: row, Instance: l.Instance, From: from})
	r.advance(l, row, ev)
	if l.Staged != nil && l.Staged.Begin <= l.Next {
		r.unstage(l) // the chain reached the staged run by itself
	}
}

// keepRow stores an operation, in a chain or staged.
func (r *Replica) keepRow(l *oplog.Log, row oplog.Row) {
	l.Updated = r.nowMilli()
	r.writeLog(l.Key)
	r.freshRows[rowRef{l.Key, row.Seq}] = len(r.fx.Persist.Rows)
	r.fx.Persist.Rows = append(r.fx.Persist.Rows, row)
}

// advance makes a stored row the head of its chain and carries out what it says.
func (r *Replica) advance(l *oplog.Log, row oplog.Row, ev *event.Event) {
	begins := ev != nil && ev.SnapshotBegin != nil
	if begins {
		r.mergeHeights(l.Instance.Zone, ev.SnapshotBegin.Heights)
		r.runBegins(l, row.Seq, ev.SnapshotBegin)
	}
	if st := r.runOf(l); st != nil {
		st.follow(row, ev)
	}
	l.Next, l.Head = row.Seq+1, row.ID
	l.Ops++
	l.Bytes += uint64(row.Size())
	r.writeLog(l.Key)
	if !begins {
		r.mergeEvent(l, row, ev)
	}
	r.reachedCut(l)
}

// mergeEvent carries out what an operation says.
func (r *Replica) mergeEvent(l *oplog.Log, row oplog.Row, ev *event.Event) {
	at := mesh.Position{Log: l.Key, Incarnation: l.Instance.Incarnation, Seq: row.Seq}
	zone := l.Instance.Zone
	switch {
	case ev == nil || !ev.Known():
		r.report(Decision{Reason: Quarantined, Zone: zone, Log: l.Key, Seq: row.Seq})
	case ev.Update != nil, ev.Delete != nil, ev.Release != nil:
		r.mergeClaims(l, at, ev)
	case ev.Ack != nil:
		r.mergeHeights(zone, ev.Ack.Heights)
	case ev.SnapshotChunk != nil:
		r.mergeChunk(l, at, ev)
	case ev.SnapshotEnd != nil:
		r.runEnds(l, row.Seq, ev.SnapshotEnd)
	case ev.AboutTrust():
		if why := r.keepTrust(oplog.TrustOp{ID: row.ID, Header: row.Header, Body: row.Body}); why != "" {
			r.report(Decision{Reason: why, Zone: zone, Log: l.Key, Seq: row.Seq})
		}
	}
	// A report is kept in its log and relayed; it concerns other strategies than the default one.
}

// mergeClaims merges what an event states, and follows what that means for our own past.
func (r *Replica) mergeClaims(l *oplog.Log, at mesh.Position, ev *event.Event) {
	earlier := r.ours(l.Key.Author) && (l.Key.Author != r.self || l.Instance.Incarnation != r.meta.Incarnation)
	eachClaim(ev, at, r.nowMilli(), func(c mesh.Claim, payload []byte) {
		r.putClaim(c, payload)
		if earlier {
			r.readBack(c)
		}
	})
}

// eachClaim calls fn for every claim that an event states, as of the event's own position.
func eachClaim(ev *event.Event, at mesh.Position, since int64, fn func(c mesh.Claim, payload []byte)) {
	c := mesh.Claim{Zone: ev.Instance.Zone, At: at, Since: since}
	live := func(payload []byte) {
		c.Kind, c.Content, c.Size = mesh.Live, mesh.Sum(payload), uint32(len(payload))
		fn(c, payload)
	}
	switch {
	case ev.Update != nil:
		u := ev.Update
		c.Object, c.Version, c.Epoch, c.Birth = u.Object, u.Version, u.Epoch, u.Birth
		live(u.Payload)
	case ev.Delete != nil:
		d := ev.Delete
		c.Object, c.Kind, c.Version, c.Epoch, c.Birth = d.Object, mesh.Deleted, d.Version, d.Epoch, d.Birth
		fn(c, nil)
	case ev.Release != nil:
		c.Object, c.Kind, c.Epoch, c.NewOwner = ev.Release.Object, mesh.Released, ev.Release.Epoch, ev.Release.NewOwner
		fn(c, nil)
	case ev.SnapshotChunk != nil:
		for i := range ev.SnapshotChunk.Entries {
			e := &ev.SnapshotChunk.Entries[i]
			c = mesh.Claim{Zone: ev.Instance.Zone, At: at, Since: since, Object: e.Object, Version: e.Version, Epoch: e.Epoch, Birth: e.Birth}
			switch e.Kind {
			case event.EntryLive:
				live(e.Payload)
			case event.EntryDeleted:
				c.Kind = mesh.Deleted
				fn(c, nil)
			case event.EntryReleased:
				c.Kind, c.NewOwner, c.Version, c.Birth = mesh.Released, e.NewOwner, 0, 0
				fn(c, nil)
			}
		}
	}
}

func (r *Replica) mergeHeights(z mesh.Zone, hs []event.Height) {
	for _, h := range hs {
		if h.Log.Author == r.self && r.logs[h.Log] != nil {
			r.noteAck(z, h.Log, h.Height)
		}
	}
}
