package oplog

import (
	"math"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

// Verdict says what an operation is to a log.
type Verdict uint8

const (
	// Accept: it is the next one of the chain.
	Accept Verdict = iota + 1
	// Stage: it is the next one of a staged run, or begins one.
	Stage
	// Duplicate: it is held, or was and is pruned.
	Duplicate
	// Gap: operations before it are missing.
	Gap
	// Void: it stands above the log's limit, or at the end of the sequence numbers.
	Void
	// Fork: it proves that its author signed two histories.
	Fork
)

func (v Verdict) String() string {
	return [...]string{"invalid", "accept", "stage", "duplicate", "gap", "void", "fork"}[v]
}

// Judgement is a verdict with what follows from it.
type Judgement struct {
	Verdict Verdict
	// Rival is, for a fork, the sequence number of the held operation that cannot stand beside this one.
	Rival uint32
	// Common is, for a fork, how many operations both branches are known to share: the log stands below this
	// sequence number.
	Common uint32
	// Abandon is true when this begins another staged run than the one held so far, which would be given up.
	Abandon bool
}

// endSeq is taken of no log: what follows it has no number, and every log and every run has a Next.
const endSeq = math.MaxUint32

// Judge decides about an operation of this log whose bytes are its author's. A fork counts as proven only when both
// operations were verified, which is the caller's concern. begins tells whether it is a SnapshotBegin with the
// prune flag. ids answers for rows of the chain and of the staged run.
func (l *Log) Judge(op *operation.Operation, begins bool, ids RowIDs) (Judgement, error) {
	s, bound := op.Seq, l.Bound()
	switch {
	case s == endSeq:
		return Judgement{Verdict: Void}, nil
	case s < l.Start:
		return Judgement{Verdict: Duplicate}, nil
	case s < l.Next, l.Staged != nil && s >= l.Staged.Begin && s < l.Staged.Next:
		return l.compareHeld(op, ids)
	case l.Frozen || bound != nil && (bound.None || s > bound.Height || s == bound.Height && op.ID != bound.Hash):
		return Judgement{Verdict: Void}, nil
	case s == l.Next && (s == 0 || op.Backlink == l.Head):
		return Judgement{Verdict: Accept}, nil
	case s == l.Next:
		// Its author signed another operation at s-1 than the one we hold.
		return Judgement{Verdict: Fork, Rival: s - 1, Common: s - 1}, nil
	}
	if st := l.Staged; st != nil && s == st.Next {
		if op.Backlink == st.Head {
			return Judgement{Verdict: Stage}, nil
		}
		return Judgement{Verdict: Fork, Rival: s - 1, Common: l.Next}, nil
	}
	if begins {
		return Judgement{Verdict: Stage, Abandon: l.Staged != nil}, nil
	}
	return Judgement{Verdict: Gap}, nil
}

func (l *Log) compareHeld(op *operation.Operation, ids RowIDs) (Judgement, error) {
	id, held, err := ids(l.Key, op.Seq)
	if err != nil {
		return Judgement{}, err
	}
	if !held || id == op.ID {
		return Judgement{Verdict: Duplicate}, nil
	}
	common := op.Seq
	if common > l.Start {
		// Its backlink tells of one operation more.
		if id, held, err = ids(l.Key, op.Seq-1); err != nil {
			return Judgement{}, err
		}
		if held && id != op.Backlink {
			common--
		}
	}
	return Judgement{Verdict: Fork, Rival: op.Seq, Common: min(common, l.Next)}, nil
}

// State is the log as a Have states it. A frozen log ends at its last common position.
func (l *Log) State() Have {
	h := Have{Key: l.Key, Instance: l.Instance, Start: l.Start, Next: l.Next, Head: l.Head, Frozen: l.Frozen}
	if l.Staged != nil {
		st := *l.Staged
		h.Staged = &st
	}
	if bound := l.Bound(); bound != nil {
		switch {
		case bound.None:
			h.Start, h.Next, h.Head, h.Staged = 0, 0, mesh.Hash{}, nil
		case bound.Height+1 < l.Next:
			h.Next, h.Head, h.Staged = bound.Height+1, bound.Hash, nil
		}
	}
	return h
}
