package replica

import (
	"fmt"
	"math"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// run follows a snapshot run of any author, ours included, from its begin to its end.
type run struct {
	begin  uint32
	before uint64 // bytes of the chain before the run
	bytes  uint64 // bytes of the run so far
	opened event.SnapshotBegin
	digest *event.Digest
	bad    string // why the run can end nothing; empty: it is whole so far
}

// runBegins opens a run. A later begin abandons an unfinished one.
func (r *Replica) runBegins(l *oplog.Log, seq uint32, b *event.SnapshotBegin) {
	st := r.newRun(l, seq, b)
	st.before = l.Bytes // the begin itself is counted by follow and by the log, in this order
	r.runs[l.Key] = st
	l.Run = &oplog.Run{Begin: seq}
}

func (r *Replica) newRun(l *oplog.Log, seq uint32, b *event.SnapshotBegin) *run {
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
	return st
}

// runOf returns the run open in a chain, rebuilding it from the stored rows after a restart.
func (r *Replica) runOf(l *oplog.Log) *run {
	if st := r.runs[l.Key]; st != nil || l.Run == nil {
		return st
	}
	st := r.readRun(l, l.Run.Begin, l.Next)
	if st != nil {
		st.before = l.Bytes - st.bytes
		r.runs[l.Key] = st
	}
	return st
}

// readRun follows the last run that begins in the rows [from, to).
func (r *Replica) readRun(l *oplog.Log, from, to uint32) (st *run) {
	r.eachRow(l.Key, from, to, func(row oplog.Row) bool {
		ev, err := event.Decode(row.Body)
		if err == nil && ev.SnapshotBegin != nil {
			st = r.newRun(l, row.Seq, ev.SnapshotBegin)
		}
		if st != nil {
			st.follow(row, ev)
		}
		return true
	})
	return st
}

// follow takes one row of the run into account; ev is nil when it cannot be read.
func (st *run) follow(row oplog.Row, ev *event.Event) {
	st.bytes += uint64(row.Size())
	switch {
	case ev == nil || !ev.Known():
		st.bad = "a part cannot be read"
	case ev.SnapshotChunk != nil:
		for i := range ev.SnapshotChunk.Entries {
			if err := st.digest.Add(ev.SnapshotChunk.Entries[i]); err != nil && st.bad == "" {
				st.bad = err.Error()
			}
		}
	}
}

// verify compares the run with what its end states, and returns what is wrong with it; empty: nothing.
func (st *run) verify(end *event.SnapshotEnd) string {
	if st.bad != "" {
		return st.bad
	}
	if count, digest := st.digest.Sum(); count != end.Count || digest != end.Digest {
		return fmt.Sprintf("%d entries, its end says %d, or the digest differs", count, end.Count)
	}
	return ""
}

// mergeChunk merges the statements of a chunk, each as of the chunk's own position.
func (r *Replica) mergeChunk(l *oplog.Log, at mesh.Position, ev *event.Event) {
	r.mergeClaims(l, at, ev)
	for i := range ev.SnapshotChunk.Entries {
		if e := &ev.SnapshotChunk.Entries[i]; e.Kind == event.EntryTrust {
			r.restatedTrust(e)
		}
	}
}

// runEnds closes the run of a chain. If count and digest hold, the log begins at the run from now on: what it
// said before and didn't restate has ended, and so has what the run covers of earlier logs.
func (r *Replica) runEnds(l *oplog.Log, seq uint32, end *event.SnapshotEnd) {
	st := r.runOf(l)
	delete(r.runs, l.Key)
	l.Run = nil
	if st == nil {
		return // the end of a run whose begin was abandoned
	}
	if bad := st.verify(end); bad != "" {
		r.report(Decision{Reason: RunInvalid, Zone: l.Instance.Zone, Log: l.Key, Seq: seq, Detail: bad})
		return
	}
	l.Start, l.AbsentBelow = st.begin, st.begin
	l.Unchecked = l.Unchecked.Within(l.Start, math.MaxUint32) // what is pruned counts no more, however it was signed
	l.Ops, l.Bytes = uint64(l.Next-l.Start), l.Bytes-st.before
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
	r.putCovers(l.Key.Author, b)
	for _, o := range r.sortedLogs() {
		if o.Key.Author == l.Key.Author && o != l && r.whollyCovered(o.Key, o.Instance.Incarnation) {
			r.prunes = append(r.prunes, pruneJob{log: o.Key, drop: true})
		}
	}
}

func (r *Replica) putCovers(author keys.Public, b event.SnapshotBegin) {
	r.covers[author] = b
	if r.fx.Persist.Covers == nil {
		r.fx.Persist.Covers = make(map[keys.Public]event.SnapshotBegin)
	}
	r.fx.Persist.Covers[author] = b
}

// sweep ends the claims that a finished run of l didn't restate: those of l below its begin, and those of
// earlier logs that it covers. A claim of a forked log may never have been meant: its object is released, not
// deleted.
func (r *Replica) sweep(l *oplog.Log) {
	over := r.objectsWhere(func(o *object) bool {
		c := o.claim(l.Instance.Zone)
		return c != nil && c.At.Log.Author == l.Key.Author && r.ended(c)
	})
	for _, o := range over {
		c := *o.claim(l.Instance.Zone)
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
