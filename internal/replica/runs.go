package replica

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// run follows a snapshot run of any author, ours included, from its begin to its end.
type run struct {
	begin  uint32
	opened event.SnapshotBegin
	digest *event.Digest
	bad    string // why the run can end nothing; empty: it is whole so far
}

// runKey names a run: a log may have one open in its chain and one staged beyond it.
type runKey struct {
	log    mesh.LogKey
	staged bool
}

// runBegins opens a run. A later begin abandons an unfinished one.
func (r *Replica) runBegins(l *oplog.Log, seq uint32, staged bool, b *event.SnapshotBegin) {
	st := &run{begin: seq, opened: *b, digest: event.NewDigest()}
	for _, c := range b.Covers {
		if c.Log.Author != l.Key.Author || c.Incarnation >= l.Instance.Incarnation ||
			c.Log.Log != mesh.LogIDOf(r.cfg.Network, mesh.Instance{Zone: l.Instance.Zone, Incarnation: c.Incarnation}) {
			st.bad = "it covers a log that is no earlier one of its author"
		}
	}
	if b.Floor > l.Instance.Incarnation {
		st.bad = "its floor is above its own incarnation"
	}
	r.runs[runKey{l.Key, staged}] = st
	if !staged {
		l.Run = &oplog.Run{Begin: seq}
	}
}

// runOf returns the open run of a log, rebuilding it from the stored rows after a restart.
func (r *Replica) runOf(l *oplog.Log, staged bool) *run {
	if st := r.runs[runKey{l.Key, staged}]; st != nil {
		return st
	}
	from, to := uint32(0), l.Next
	switch {
	case staged && l.Staged != nil:
		from, to = l.Staged.Begin, l.Staged.Next
	case !staged && l.Run != nil:
		from = l.Run.Begin
	default:
		return nil
	}
	var st *run
	r.eachRow(l.Key, from, to, func(row oplog.Row) bool {
		ev, err := event.Decode(row.Body)
		switch {
		case err != nil:
			if st != nil {
				st.bad = "a part cannot be read"
			}
		case ev.SnapshotBegin != nil:
			r.runBegins(l, row.Seq, staged, ev.SnapshotBegin)
			st = r.runs[runKey{l.Key, staged}]
		case ev.SnapshotChunk != nil && st != nil:
			st.add(ev.SnapshotChunk)
		}
		return true
	})
	return st
}

func (st *run) add(c *event.SnapshotChunk) {
	for i := range c.Entries {
		if err := st.digest.Add(c.Entries[i]); err != nil && st.bad == "" {
			st.bad = err.Error()
		}
	}
}

// runPartUnreadable notes that something inside a run cannot be read: it may have been a chunk.
func (r *Replica) runPartUnreadable(l *oplog.Log, staged bool) {
	if st := r.runOf(l, staged); st != nil {
		st.bad = "a part cannot be read"
	}
}

// mergeChunk merges the statements of a chunk, each as of the chunk's own position.
func (r *Replica) mergeChunk(l *oplog.Log, at mesh.Position, staged bool, ev *event.Event) {
	if st := r.runs[runKey{l.Key, staged}]; st != nil {
		st.add(ev.SnapshotChunk)
	} else {
		r.runOf(l, staged) // after a restart: the rows are read back, this chunk's among them
	}
	r.mergeClaims(l, at, ev)
	for i := range ev.SnapshotChunk.Entries {
		if e := &ev.SnapshotChunk.Entries[i]; e.Kind == event.EntryTrust {
			r.restatedTrust(e)
		}
	}
}

// runEnds closes a run. If count and digest hold, the log begins at the run from now on: what it said before
// and didn't restate has ended, and so has what the run covers of earlier logs.
func (r *Replica) runEnds(l *oplog.Log, seq uint32, staged bool, end *event.SnapshotEnd) {
	st := r.runOf(l, staged)
	delete(r.runs, runKey{l.Key, staged})
	if st == nil {
		return // the end of a run whose begin was abandoned
	}
	count, digest := st.digest.Sum()
	if st.bad == "" && (count != end.Count || digest != end.Digest) {
		st.bad = fmt.Sprintf("%d entries, its end says %d, or the digest differs", count, end.Count)
	}
	if !staged {
		l.Run = nil
	}
	if st.bad != "" {
		if staged {
			r.prunes = append(r.prunes, pruneJob{log: l.Key, span: oplog.Span{Log: l.Key, From: l.Staged.Begin, To: l.Staged.Next}})
			l.Staged = nil
		}
		r.report(Decision{Reason: RunInvalid, Zone: l.Instance.Zone, Log: l.Key, Seq: seq, Detail: st.bad})
		return
	}
	if staged {
		// The gap is bridged: the run is the chain now, and one that was open in the old chain is abandoned.
		l.Run = nil
		delete(r.runs, runKey{l.Key, false})
		l.Ops, l.Bytes = uint64(l.Staged.Next-st.begin), 0
		l.Next, l.Head, l.Staged = l.Staged.Next, l.Staged.Head, nil
		delete(r.offered, l.Key)
		r.pending.below(l.Key, l.Next)
	}
	l.Start, l.AbsentBelow = st.begin, st.begin
	if l.Pruned < l.Start {
		r.prunes = append(r.prunes, pruneJob{log: l.Key})
	}
	r.cover(l, st)
	r.sweep(l)
	r.report(Decision{Reason: SnapshotMerged, Zone: l.Instance.Zone, Log: l.Key, Seq: seq})
}

// cover takes the covers of a finished run into force, unless a newer log of the author has spoken.
func (r *Replica) cover(l *oplog.Log, st *run) {
	for _, o := range r.logs {
		if o.Key.Author == l.Key.Author && o.Instance.Incarnation > l.Instance.Incarnation && o.Start > 0 {
			return
		}
	}
	old := r.covers[l.Key.Author]
	if st.opened.Floor < old.Floor || st.opened.Floor == 0 && len(st.opened.Covers) == 0 && len(old.Covers) > 0 {
		return // the first, empty run of a log withdraws nothing
	}
	b := event.SnapshotBegin{Floor: st.opened.Floor, Covers: st.opened.Covers, Witness: st.opened.Witness}
	r.covers[l.Key.Author] = b
	if r.fx.Persist.Covers == nil {
		r.fx.Persist.Covers = make(map[keys.Public]event.SnapshotBegin)
	}
	r.fx.Persist.Covers[l.Key.Author] = b
	for _, o := range r.sortedLogs() {
		if o.Key.Author == l.Key.Author && o != l && r.whollyCovered(o.Key, o.Instance.Incarnation) {
			r.prunes = append(r.prunes, pruneJob{log: o.Key, drop: true})
		}
	}
}

// sweep ends the claims that a finished run of l didn't restate: those of l below its begin, and those of
// earlier logs that it covers. A claim of a forked log may never have been meant: its object is released, not
// deleted.
func (r *Replica) sweep(l *oplog.Log) {
	for _, o := range r.sortedObjects() {
		cur := o.claim(l.Instance.Zone)
		if cur == nil || cur.At.Log.Author != l.Key.Author || !r.ended(cur) {
			continue
		}
		c := *cur
		if c.At.Log != l.Key && r.uncertain(c.At) {
			r.releaseVoid(o, c, mesh.Position{Log: l.Key, Incarnation: l.Instance.Incarnation, Seq: l.Start})
			continue
		}
		r.endClaim(o, c)
	}
}

func (r *Replica) sortedLogs() []*oplog.Log {
	out := make([]*oplog.Log, 0, len(r.logs))
	for _, l := range r.logs {
		out = append(out, l)
	}
	sortLogs(out)
	return out
}

// decodeRow reads a stored row back. A row that was stored can be decoded, so an error means a damaged store.
func (r *Replica) decodeRow(row oplog.Row) (*operation.Operation, *event.Event) {
	op, err := operation.Decode(row.Header)
	if err == nil && row.Body != nil {
		err = op.SetBody(row.Body)
	}
	if err != nil {
		r.fail(fmt.Errorf("read operation %d of a stored log: %w", row.Seq, err))
		return nil, nil
	}
	ev, err := event.Decode(row.Body)
	if err != nil {
		return op, nil
	}
	return op, ev
}
