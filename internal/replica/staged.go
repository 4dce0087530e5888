package replica

import (
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// This file is about runs that arrive beyond a gap: everybody who could send the operations in between has
// pruned them. Such a run is staged: kept, named in our Have, but neither served nor merged. Only when it is
// whole, its end holds, does the log jump to its begin; then its rows are merged like any others, in bounded
// batches that resume after a crash. Nothing that is only partly there ever counts, so nodes that got
// different parts of it agree.

// maxOffered bounds how many logs whole runs are remembered for.
const maxOffered = 8192

// mergeBatch is how many bytes of a whole run one step merges.
const mergeBatch = 1 << 20

// stageRow adds an operation to the staged run of a log, or begins one.
func (r *Replica) stageRow(l *oplog.Log, in *Arrived, abandon bool) {
	op, ev := in.Op, in.Event
	if abandon {
		r.pruneStaged(l)
		r.unstage(l)
	}
	row := rowOf(op)
	begin := op.Seq
	if l.Staged != nil {
		begin = l.Staged.Begin
	}
	l.Staged = &oplog.Run{Begin: begin, Next: op.Seq + 1, Head: op.ID}
	switch {
	case in.Vouched && r.catchingUp(l):
		l.Unchecked = l.Unchecked.With(op.Seq) // it will be of the chain
	case in.Vouched:
		l.StagedUnchecked = l.StagedUnchecked.With(op.Seq)
	}
	r.keepRow(l, row)
	if r.catchingUp(l) {
		return // it follows a run that is whole, and is merged in its turn
	}
	st := r.staged[l.Key]
	switch {
	case ev != nil && ev.SnapshotBegin != nil:
		st = r.newRun(l, op.Seq, ev.SnapshotBegin)
		r.staged[l.Key] = st
		st.follow(row, ev)
	case st == nil: // after a restart
		if st = r.readRun(l, l.Staged.Begin, l.Staged.Next); st == nil {
			return
		}
		r.staged[l.Key] = st
	default:
		st.follow(row, ev)
	}
	if ev != nil && ev.SnapshotEnd != nil {
		r.stagedEnds(l, st, ev.SnapshotEnd)
	}
}

// stagedEnds lets the log jump to a staged run that is whole.
func (r *Replica) stagedEnds(l *oplog.Log, st *run, end *event.SnapshotEnd) {
	if bad := st.verify(end); bad != "" {
		r.report(Decision{Reason: RunInvalid, Zone: l.Instance.Zone, Log: l.Key, Seq: st.begin, Detail: bad})
		r.pruneStaged(l)
		r.unstage(l)
		return
	}
	delete(r.staged, l.Key)
	delete(r.runs, l.Key)
	delete(r.offered, l.Key)
	l.Start, l.Next, l.Head, l.Run = st.begin, st.begin, mesh.Hash{}, nil
	l.Ops, l.Bytes = 0, 0
	l.Staged.Begin = st.begin
	l.Unchecked, l.StagedUnchecked = l.StagedUnchecked.Within(st.begin, l.Staged.Next), oplog.Range{}
	if l.Pruned < l.Start {
		r.prunes = append(r.prunes, pruneJob{log: l.Key})
	}
	r.catching = append(r.catching, l.Key)
}

// catchingUp reports whether a log has jumped to a whole run and is merging it.
func (r *Replica) catchingUp(l *oplog.Log) bool { return slices.Contains(r.catching, l.Key) }

// mergeStaged merges the next batch of a run that the log jumped to.
func (r *Replica) mergeStaged() {
	for len(r.catching) > 0 {
		l := r.logs[r.catching[0]]
		if l == nil || l.Staged == nil || l.Staged.Begin != l.Next {
			r.catching = slices.Delete(r.catching, 0, 1)
			continue
		}
		size := 0
		r.eachRow(l.Key, l.Next, l.Staged.Next, func(row oplog.Row) bool {
			_, ev := r.decodeRow(row)
			r.advance(l, row, ev)
			l.Staged.Begin = l.Next
			size += row.Size()
			return size < mergeBatch && r.failure == nil
		})
		if l.Next == l.Staged.Next {
			r.catching = slices.Delete(r.catching, 0, 1)
			r.unstage(l)
			r.drainPending(l)
			continue
		}
		r.wakeNow = true
		return
	}
}

// unstage gives the staged run up: for the chain that reached it, or for another one.
func (r *Replica) unstage(l *oplog.Log) {
	l.Staged, l.StagedUnchecked = nil, oplog.Range{}
	delete(r.staged, l.Key)
	r.writeLog(l.Key)
}

// pruneStaged has the rows of the staged run deleted.
func (r *Replica) pruneStaged(l *oplog.Log) {
	r.prunes = append(r.prunes, pruneJob{log: l.Key, span: oplog.Span{Log: l.Key, From: l.Staged.Begin, To: l.Staged.Next}})
}

// offer remembers that a peer holds a whole run beyond our chain.
func (r *Replica) offer(h *oplog.Have) {
	l := r.logs[h.Key]
	if h.Start == 0 || l != nil && h.Start <= l.Next || !r.trust.view.Speaks(h.Key.Author) {
		return
	}
	if _, known := r.offered[h.Key]; known || len(r.offered) < maxOffered {
		r.offered[h.Key] = max(r.offered[h.Key], h.Start)
	}
}

// mayAbandon reports whether the staged run of a log is given up for one that begins at seq: a run that a
// peer holds whole goes before one that may never be completed; of two equals the later one counts.
func (r *Replica) mayAbandon(l *oplog.Log, seq uint32) bool {
	if r.catchingUp(l) {
		return false
	}
	whole, known := r.offered[l.Key]
	now, then := known && whole == l.Staged.Begin, known && whole == seq
	if now != then {
		return then
	}
	return seq > l.Staged.Begin
}
