package replica

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// This file is about operations that are held before their own signatures were verified: a verified one that names
// them by their hashes, directly or through others, vouches for their bytes. What they state about objects counts at
// once, for nobody but their author can have made that chain. Whatever proves something, or can't be taken back, does
// not: it is verified when it arrives.

// NeedsSignature reports whether an operation is taken in only after its own signature was verified, whoever vouches
// for it. ev is nil where the body could not be read. These are: what opens a log or stands at either end of a
// snapshot run, which prunes and covers; statements about trust; acknowledgements, by which tombstones go; and what
// this version can't read, for nobody knows what a later one will read there.
func NeedsSignature(op *operation.Operation, ev *event.Event) bool {
	return op.Seq == 0 || op.Prune || ev == nil || !ev.Known() || ev.AboutTrust() ||
		ev.SnapshotBegin != nil || ev.SnapshotEnd != nil || ev.Ack != nil
}

// proven verifies an operation that was only vouched for. A false one is refused.
func (r *Replica) proven(in *Arrived) bool {
	if in.Vouched && in.Op.Verify() != nil {
		return false
	}
	in.Vouched = false
	return true
}

// mayVouch reports whether an operation may enter on the word of a later one: not in a log of which nothing is held,
// where a key may be bound by it, and not in one of our own key, where it would prove what this store has lost.
func (r *Replica) mayVouch(in *Arrived) bool {
	op := in.Op
	return r.logs[mesh.LogKey{Author: op.Author, Log: op.Log}] != nil && op.Author != r.self && !NeedsSignature(op, in.Event)
}

// provenRow verifies a held row that may only have been vouched for. A false one ends its log.
func (r *Replica) provenRow(l *oplog.Log, row oplog.Row) bool {
	if l.Verified(row.Seq) {
		return true
	}
	op, _ := r.decodeRow(row)
	if op == nil {
		return false // the store can't be read
	}
	if op.Verify() == nil {
		return true
	}
	r.falseSignature(l, row.Seq)
	return false
}

// checked takes in what the check of a stretch of rows has found.
func (r *Replica) checked(in Checked) {
	l := r.logs[in.Log]
	if l == nil {
		return
	}
	r.checkedPart(l, &l.Unchecked, in)
	r.checkedPart(l, &l.StagedUnchecked, in)
}

func (r *Replica) checkedPart(l *oplog.Log, part *oplog.Range, in Checked) {
	// The ids tell whether the rows are still the ones that were looked at: the last one names all before it.
	if !part.Empty() && part.From >= in.From && part.From < in.To && r.holds(l, in.To-1, in.Last) {
		*part = part.Within(in.To, part.To)
		r.writeLog(l.Key)
	}
	if !in.False.IsZero() && part.Holds(in.To) && r.holds(l, in.To, in.False) {
		r.falseSignature(l, in.To)
	}
}

func (r *Replica) holds(l *oplog.Log, seq uint32, want mesh.Hash) bool {
	id, held, err := r.rowID(l.Key, seq)
	if err != nil {
		r.fail(err)
	}
	return held && id == want
}

// falseSignature ends a log before an operation that its author never signed, although it signed what follows it. No
// relay can have done that, so it is the author's fault and treated as a fork is: the log is frozen at the last
// position that stands, and what was said above is void.
func (r *Replica) falseSignature(l *oplog.Log, seq uint32) {
	r.report(Decision{Reason: FalseSignature, Zone: l.Instance.Zone, Log: l.Key, Seq: seq})
	if l.StagedUnchecked.Holds(seq) { // not the log yet: without it nothing of the run stands
		r.pruneStaged(l)
		r.unstage(l)
		return
	}
	l.Unchecked = l.Unchecked.Within(0, seq) // what stands is checked to its end
	if l.Limit != nil && (l.Limit.None || l.Limit.Height+1 <= seq) {
		r.writeLog(l.Key)
		return // it ends there already, or below
	}
	l.False = l.False || !l.Frozen
	r.endAt(l, seq)
}

// doubted looks at an operation of our own log before which the log has ended for a peer. If we never signed it, which
// a broken disk or program may bring about, we know as well as they do, and go on in a new log.
func (r *Replica) doubted(l *oplog.Log, seq uint32) {
	row := r.heldRow(l, seq)
	if row.Header == nil {
		return // pruned, or not ours to tell
	}
	if op, _ := r.decodeRow(row); op != nil && op.Verify() != nil {
		r.falseSignature(l, seq)
	}
}
