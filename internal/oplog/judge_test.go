package oplog_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// history is what an author signed: the trunk, or another version of it from some position on.
type history struct {
	name string
	from uint32 // first operation that differs from the trunk
}

var (
	trunk = history{}
	rival = history{"rival", 4}
)

func (h history) id(seq uint32) mesh.Hash {
	if seq < h.from {
		h.name = ""
	}
	return mesh.Sum(fmt.Appendf(nil, "%s %d", h.name, seq))
}

func (h history) op(seq uint32) *operation.Operation {
	op := &operation.Operation{Header: operation.Header{Seq: seq}, ID: h.id(seq)}
	if seq > 0 {
		op.Backlink = h.id(seq - 1)
	}
	return op
}

// holding is a log with its rows, as a node would hold it.
type holding struct {
	oplog.Log
	rows map[uint32]mesh.Hash
}

// holds makes a log with the chain [start, next) of a history.
func holds(h history, start, next uint32) *holding {
	x := &holding{rows: make(map[uint32]mesh.Hash)}
	x.Key = storetest.Log(1, 1)
	x.Start, x.Next = start, next
	for seq := start; seq < next; seq++ {
		x.rows[seq] = h.id(seq)
		x.Head = h.id(seq)
	}
	return x
}

// staging adds the staged run [begin, next).
func (x *holding) staging(h history, begin, next uint32) *holding {
	for seq := begin; seq < next; seq++ {
		x.rows[seq] = h.id(seq)
	}
	x.Staged = &oplog.Run{Begin: begin, Next: next, Head: h.id(next - 1)}
	return x
}

func (x *holding) limit(l oplog.Limit) *holding {
	x.Limit, x.Frozen = &l, true
	return x
}

func (x *holding) ids(_ mesh.LogKey, seq uint32) (mesh.Hash, bool, error) {
	id, held := x.rows[seq]
	return id, held, nil
}

// TestJudge goes through every place at which an operation can stand relative to what is held.
func TestJudge(t *testing.T) {
	t.Parallel()
	accept := oplog.Judgement{Verdict: oplog.Accept}
	stage := oplog.Judgement{Verdict: oplog.Stage}
	duplicate := oplog.Judgement{Verdict: oplog.Duplicate}
	gap := oplog.Judgement{Verdict: oplog.Gap}
	void := oplog.Judgement{Verdict: oplog.Void}
	fork := func(seq, common uint32) oplog.Judgement {
		return oplog.Judgement{Verdict: oplog.Fork, Rival: seq, Common: common}
	}
	missing := holds(trunk, 2, 6)
	delete(missing.rows, 3)
	for _, test := range []struct {
		name   string
		log    *holding
		op     *operation.Operation
		begins bool
		want   oplog.Judgement
	}{
		{"first of an empty log", holds(trunk, 0, 0), trunk.op(0), true, accept},
		{"not the first of an empty log", holds(trunk, 0, 0), trunk.op(3), false, gap},
		{"a run in an empty log", holds(trunk, 0, 0), trunk.op(3), true, stage},
		{"the next one", holds(trunk, 0, 6), trunk.op(6), false, accept},
		{"the next one after another past", holds(trunk, 0, 6), rival.op(6), false, fork(5, 5)},
		{"after the next one", holds(trunk, 0, 6), trunk.op(7), false, gap},
		{"a run after the next one", holds(trunk, 0, 6), trunk.op(7), true, stage},
		{"the next one is a run", holds(trunk, 0, 6), trunk.op(6), true, accept},
		{"held", holds(trunk, 0, 6), trunk.op(5), false, duplicate},
		{"another one than held", holds(trunk, 0, 6), rival.op(5), false, fork(5, 4)},
		{"the first one that differs", holds(trunk, 0, 6), rival.op(4), false, fork(4, 4)},
		{"below the start", holds(trunk, 2, 6), trunk.op(1), false, duplicate},
		{"a row that is gone", missing, rival.op(3), false, duplicate},

		{"between chain and run", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(5), false, gap},
		{"the next one of the chain", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(3), false, accept},
		{"the next one of the run", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(9), false, stage},
		{"held in the run", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(8), false, duplicate},
		{"another one than in the run", holds(trunk, 0, 3).staging(trunk, 7, 9), rival.op(8), false, fork(8, 3)},
		{"the next one of another run", holds(trunk, 0, 3).staging(trunk, 7, 9), rival.op(9), false, fork(8, 3)},
		{"beyond the run", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(11), false, gap},
		{
			"another run", holds(trunk, 0, 3).staging(trunk, 7, 9), trunk.op(12), true,
			oplog.Judgement{Verdict: oplog.Stage, Abandon: true},
		},

		{"above the limit", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3}), trunk.op(6), false, void},
		{"a run above the limit", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3}), trunk.op(9), true, void},
		{"held above the limit", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3}), trunk.op(5), false, duplicate},
		{"proof of a lower fork", holds(trunk, 0, 6).limit(oplog.Limit{Height: 4}), rival.op(4), false, fork(4, 4)},
		{"the last sequence number", holds(trunk, 0, 6), trunk.op(math.MaxUint32), true, void},
		{"the last sequence number, next", holds(trunk, math.MaxUint32-2, math.MaxUint32), trunk.op(math.MaxUint32), false, void},
		{"nothing stands", holds(trunk, 0, 0).limit(oplog.Limit{None: true}), trunk.op(0), true, void},
	} {
		got, err := test.log.Judge(test.op, test.begins, test.log.ids)
		if err != nil || got != test.want {
			t.Errorf("%s: Judge(%d) = %+v, %v, want %+v", test.name, test.op.Seq, got, err, test.want)
		}
	}
}

// TestJudgeReadError hands the store's error on rather than deciding without the row.
func TestJudgeReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk gone")
	_, err := holds(trunk, 0, 6).Judge(rival.op(5), false, func(mesh.LogKey, uint32) (mesh.Hash, bool, error) {
		return mesh.Hash{}, false, broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("Judge with a broken store: %v, want %v", err, broken)
	}
}

// TestState checks that what lies above a limit is not stated, and so neither asked for nor served.
func TestState(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		log         *holding
		start, next uint32
		head        mesh.Hash
		staged      bool
	}{
		{"empty", holds(trunk, 0, 0), 0, 0, mesh.Hash{}, false},
		{"chain", holds(trunk, 2, 6), 2, 6, trunk.id(5), false},
		{"staged", holds(trunk, 0, 3).staging(trunk, 7, 9), 0, 3, trunk.id(2), true},
		{"limited", holds(trunk, 2, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}), 2, 4, trunk.id(3), false},
		{"limited at its head", holds(trunk, 2, 6).limit(oplog.Limit{Height: 5, Hash: trunk.id(5)}), 2, 6, trunk.id(5), false},
		{"nothing stands", holds(trunk, 2, 6).limit(oplog.Limit{None: true}), 0, 0, mesh.Hash{}, false},
	} {
		h := test.log.State()
		if h.Start != test.start || h.Next != test.next || h.Head != test.head || (h.Staged != nil) != test.staged ||
			h.Frozen != test.log.Frozen {
			t.Errorf("%s: State() = %+v", test.name, h)
		}
	}
}

// take does with an operation what a node does: it is the slow and obvious version for fuzzing. Every fifth
// operation begins a run of three.
func (x *holding) take(t *testing.T, op *operation.Operation) oplog.Judgement {
	begins := op.Seq%5 == 0
	j, err := x.Judge(op, begins, x.ids)
	if err != nil {
		t.Fatal(err)
	}
	switch j.Verdict {
	case oplog.Accept:
		x.rows[op.Seq], x.Head, x.Next = op.ID, op.ID, op.Seq+1
		if x.Staged != nil && x.Staged.Begin <= x.Next {
			x.Staged = nil
		}
	case oplog.Stage:
		if x.Staged == nil || j.Abandon {
			x.Staged = &oplog.Run{Begin: op.Seq}
		}
		x.rows[op.Seq] = op.ID
		x.Staged.Next, x.Staged.Head = op.Seq+1, op.ID
		if op.Seq%5 == 2 {
			x.Start, x.Next, x.Head, x.Staged = x.Staged.Begin, x.Staged.Next, x.Staged.Head, nil
		}
	case oplog.Fork:
		if x.Limit == nil || !x.Limit.None && j.Common <= x.Limit.Height {
			x.limit(oplog.Limit{None: j.Common <= x.Start})
			if !x.Limit.None {
				x.Limit.Height, x.Limit.Hash = j.Common-1, x.rows[j.Common-1]
			}
			x.Staged = nil
		}
	}
	return j
}

// FuzzJudge feeds a log the operations of one or two histories in any order and checks after each what must
// always hold. Then a node that has everything sends what Diff says, and the log must catch up.
func FuzzJudge(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5})
	f.Add([]byte{0, 10, 11, 12, 13, 1})
	f.Add([]byte{0, 1, 2, 3, 4, 128 + 4, 128 + 5})
	f.Add([]byte{0, 1, 20, 21, 5, 6, 7, 22, 23})
	f.Add([]byte{128, 129, 130, 131, 132, 133, 10, 11, 128 + 12})
	f.Fuzz(func(t *testing.T, deliveries []byte) {
		x := holds(trunk, 0, 0)
		seen := [2]bool{}
		for _, d := range deliveries {
			h := trunk
			if d >= 128 {
				h = rival
			}
			seq := uint32(d % 32)
			if seq >= h.from {
				seen[d/128] = true
			}
			staged := x.Staged != nil && seq >= x.Staged.Begin
			start, next := x.Start, x.Next
			j := x.take(t, h.op(seq))
			if j.Verdict == oplog.Fork {
				if !seen[1] {
					t.Fatalf("fork proven by %d with one history: %+v", seq, j)
				}
				// At the start of what is held nothing is known to be common, which the node reads as none.
				if !staged && j.Common > max(rival.from, seq-1, start) || j.Common > next {
					t.Fatalf("fork at %d says that %d operations are common, of a chain of %d", seq, j.Common, next)
				}
			}
			x.check(t)
		}
		if !seen[1] {
			x.catchUp(t)
		}
	})
}

// check holds the invariants of a log against its rows.
func (x *holding) check(t *testing.T) {
	t.Helper()
	chain := trunk
	if x.Next > rival.from && x.rows[x.Next-1] == rival.id(x.Next-1) {
		chain = rival
	}
	for seq := x.Start; seq < x.Next; seq++ {
		if x.rows[seq] != chain.id(seq) {
			t.Fatalf("operation %d of the chain [%d, %d) is not of the history of its head", seq, x.Start, x.Next)
		}
	}
	switch {
	case x.Next > 0 && x.Head != chain.id(x.Next-1):
		t.Fatalf("the head is not operation %d", x.Next-1)
	case x.Staged != nil && x.Staged.Begin <= x.Next:
		t.Fatalf("the run staged from %d reaches into the chain, which ends at %d", x.Staged.Begin, x.Next)
	case x.Staged != nil && x.Staged.Head != x.rows[x.Staged.Next-1]:
		t.Fatalf("the staged head is not operation %d", x.Staged.Next-1)
	case x.Limit != nil && !x.Limit.None && x.Limit.Hash != chain.id(x.Limit.Height):
		t.Fatal("the limit names another operation than held")
	}
}

// catchUp lets a node with operations [25, 32) send what it has.
func (x *holding) catchUp(t *testing.T) {
	full := holds(trunk, 25, 32)
	for round := 0; x.Next < full.Next; round++ {
		if round == 2 {
			t.Fatalf("after two rounds the chain ends at %d", x.Next)
		}
		sends, err := oplog.Diff([]oplog.Have{full.State()}, []oplog.Have{x.State()}, full.ids)
		if err != nil || len(sends) != 1 {
			t.Fatalf("Diff = %v, %v, want one stretch", sends, err)
		}
		for seq := sends[0].From; seq < sends[0].To; seq++ {
			x.take(t, trunk.op(seq))
			x.check(t)
		}
	}
	if sends, err := oplog.Diff([]oplog.Have{full.State()}, []oplog.Have{x.State()}, full.ids); err != nil || len(sends) > 0 {
		t.Fatalf("Diff after catching up = %v, %v", sends, err)
	}
}
