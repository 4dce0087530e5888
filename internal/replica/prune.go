package replica

import (
	"math"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// pruneRows is how many rows one step deletes: a transaction stays small, and a crash between two resumes
// where it was.
const pruneRows = 500

// pruneJob is a stretch of rows to delete: those of a log below its start, the whole log, or a span of an
// abandoned run.
type pruneJob struct {
	log  mesh.LogKey
	drop bool
	span oplog.Span // zero: below the log's start
}

// prune deletes the next batch of rows that nobody needs.
func (r *Replica) prune() {
	for len(r.prunes) > 0 && len(r.fx.Persist.Prune) == 0 && r.pruneOne(&r.prunes[0]) {
		r.prunes = slices.Delete(r.prunes, 0, 1)
	}
	r.wakeNow = r.wakeNow || len(r.prunes) > 0
}

// pruneOne does one batch of a job and reports whether the job is finished.
func (r *Replica) pruneOne(j *pruneJob) bool {
	l := r.logs[j.log]
	switch {
	case l == nil:
		return true
	case j.span != (oplog.Span{}):
		// Meanwhile the chain may have reached rows of the abandoned run, or another run begun.
		j.span.From = max(j.span.From, l.Next)
		if l.Staged != nil {
			j.span.To = min(j.span.To, l.Staged.Begin)
		}
		j.span.From = r.pruneBatch(j.span.Log, j.span.From, j.span.To)
		return j.span.From >= j.span.To
	case j.drop:
		return r.dropLog(l)
	}
	l.Pruned = r.pruneBatch(l.Key, l.Pruned, l.Start)
	r.writeLog(l.Key)
	return l.Pruned >= l.Start
}

// dropLog deletes a log that a later one covers wholly. Its claims ended when it was covered.
func (r *Replica) dropLog(l *oplog.Log) bool {
	if l == r.ownLog() {
		return true
	}
	to := l.Next
	if l.Staged != nil {
		to = max(to, l.Staged.Next)
	}
	l.Pruned = r.pruneBatch(l.Key, l.Pruned, to)
	if l.Pruned < to {
		r.writeLog(l.Key)
		return false
	}
	delete(r.logs, l.Key)
	delete(r.runs, l.Key)
	delete(r.staged, l.Key)
	r.pending.below(l.Key, math.MaxUint32)
	r.writeLog(l.Key)
	r.report(Decision{Reason: LogDropped, Zone: l.Instance.Zone, Log: l.Key})
	return true
}

// pruneBatch deletes up to pruneRows rows of [from, to) and returns where to go on. It jumps over stretches
// of which no row is held: a log may have skipped a long gap.
func (r *Replica) pruneBatch(log mesh.LogKey, from, to uint32) uint32 {
	if from >= to {
		return to
	}
	rows, err := r.reader.Rows(log, from, to, 1)
	if err != nil {
		r.fail(err)
		return to
	}
	if len(rows) == 0 {
		if _, fresh := r.freshRows[rowRef{log, to - 1}]; fresh {
			r.wakeNow = true
			return from // rows of this very step: once they are committed
		}
		return to
	}
	from = rows[0].Seq
	end := from + min(pruneRows, to-from) // no sum beyond to: it might be none that fits
	r.fx.Persist.Prune = append(r.fx.Persist.Prune, oplog.Span{Log: log, From: from, To: end})
	return end
}
