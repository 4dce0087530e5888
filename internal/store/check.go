package store

import (
	"context"
	"errors"
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// maxProblems bounds a report: a damaged file has thousands of one cause.
const maxProblems = 100

// Report is what Check found.
type Report struct {
	Operations, Bytes uint64
	Claims            uint64
	Problems          []string // at most 100; empty: the store is sound
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Check reads the whole file and compares it with itself: bbolt's pages, every record, ids and payload hashes,
// the chain of every log, claims and their payloads. Signatures are left to whoever verifies logs. An error
// means that it could not be finished; what is wrong is in the report. Commits wait meanwhile.
func (s *Store) Check(ctx context.Context) (*Report, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	r := new(Report)
	err := s.view(func(tx *txn) error {
		// bbolt's own check runs in a goroutine of its own, where a fault would end the process: only after
		// ours.
		if err := checkPages(s.file, deep); err != nil {
			return &DamagedError{s.path, err}
		}
		for err := range tx.bolt.Check() {
			r.problem("%v", err)
		}
		if len(r.Problems) > 0 {
			return ctx.Err()
		}
		return s.checkRecords(ctx, tx, r)
	})
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		r.problem("%v", damaged.Err)
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("check store: %w", err)
	}
	return r, nil
}

func (s *Store) checkRecords(ctx context.Context, tx *txn, r *Report) error {
	x := new(oplog.Index)
	if err := s.load(tx, x); err != nil {
		return err
	}
	r.Claims = uint64(len(x.Claims))
	for _, name := range [][]byte{bucketLost, bucketEvidence} {
		err := tx.bucket(name).each(func(k, v []byte) (err error) {
			if string(name) == string(bucketLost) {
				_, err = decodeLost(k, v, false)
			} else {
				_, err = decodeEvidence(k, v)
			}
			return errors.Join(err, ctx.Err())
		})
		if err != nil {
			return err
		}
	}
	if err := s.checkRows(ctx, tx, x.Logs, r); err != nil {
		return err
	}
	return checkPayloads(ctx, tx, x.Claims, r)
}

// checkRows walks all rows in order, which is log by log.
func (s *Store) checkRows(ctx context.Context, tx *txn, logs []oplog.Log, r *Report) error {
	chains := make(map[mesh.LogKey]*chain, len(logs))
	for i := range logs {
		chains[logs[i].Key] = &chain{log: &logs[i]}
	}
	orphans := make(map[logno]bool)
	err := tx.bucket(bucketRows).each(func(k, v []byte) error {
		no, seq, err := splitRowKey(k)
		if err != nil {
			return err
		}
		key, known := s.lognos.key(no)
		c := chains[key]
		if !known || c == nil {
			if !orphans[no] {
				orphans[no] = true
				r.problem("operations without a log, from %d under number %d on", seq, no)
			}
			return nil
		}
		row, err := decodeRow(key, seq, v)
		if err != nil {
			return err
		}
		r.Operations++
		r.Bytes += uint64(row.Size())
		if what := c.row(row); what != "" {
			r.problem("operation %d of log %s: %s", seq, c.name(), what)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for i := range logs {
		if what := chains[logs[i].Key].end(); what != "" {
			r.problem("log %s: %s", chains[logs[i].Key].name(), what)
		}
	}
	return nil
}

// chain follows the rows of one log and compares them with its record.
type chain struct {
	log  *oplog.Log
	prev *operation.Operation // the row before
	ops  uint64               // of the chain, seen so far
	size uint64
	head mesh.Hash
	tail mesh.Hash // of the staged run
	run  uint32    // staged rows seen
}

func (c *chain) name() string {
	return fmt.Sprintf("%v (%s)", c.log.Instance, mesh.Hash(c.log.Key.Log).Short())
}

// row returns what is wrong with a row, or nothing.
func (c *chain) row(row oplog.Row) string {
	op, err := operation.Decode(row.Header)
	prev := c.prev
	c.prev = op
	if err != nil {
		return err.Error()
	}
	if len(row.Body) > 0 {
		if err := op.SetBody(row.Body); err != nil {
			return err.Error()
		}
	}
	switch l := c.log; {
	case row.Seq < l.Pruned:
		return "was pruned and is still there"
	case row.Seq >= l.Start && row.Seq < l.Next:
		c.ops++
		c.size += uint64(row.Size())
		c.head = row.ID
	case l.Staged != nil && row.Seq >= l.Staged.Begin && row.Seq < l.Staged.Next:
		c.run++
		c.tail = row.ID
	case row.Seq >= l.Next:
		return "is beyond what the log's record holds"
	}
	switch {
	case op.ID != row.ID:
		return "its bytes do not have its id"
	case op.Author != row.Log.Author || op.Log != row.Log.Log || op.Seq != row.Seq:
		return "belongs elsewhere"
	case op.PayloadSize > 0 && len(row.Body) == 0:
		return "its body is missing"
	case prev != nil && uint64(prev.Seq)+1 == uint64(op.Seq) && op.Backlink != prev.ID:
		return "does not follow the one before"
	}
	return ""
}

// end returns what is wrong with the log as a whole, or nothing.
func (c *chain) end() string {
	l := c.log
	if want := uint64(l.Next - min(l.Start, l.Next)); c.ops != want {
		return fmt.Sprintf("has %d operations of [%d, %d)", c.ops, l.Start, l.Next)
	}
	if l.Next > 0 && c.head != l.Head {
		return "its last operation is not its head"
	}
	if l.Ops != c.ops || l.Bytes != c.size {
		return fmt.Sprintf("counts %d operations and %d bytes, and has %d and %d", l.Ops, l.Bytes, c.ops, c.size)
	}
	if l.Staged != nil && (c.run != l.Staged.Next-l.Staged.Begin || c.run > 0 && c.tail != l.Staged.Head) {
		return "its staged run is not whole"
	}
	return ""
}

// checkPayloads compares live claims with the payloads: one for each, with its hash, and no others.
func checkPayloads(ctx context.Context, tx *txn, claims []mesh.Claim, r *Report) error {
	b := tx.bucket(bucketPayloads)
	live := 0
	for i := range claims {
		c := &claims[i]
		if c.Kind != mesh.Live {
			continue
		}
		live++
		var k writer
		k.claimKey(c.Ref())
		v, err := b.get(k.b)
		switch {
		case err != nil:
			return err
		case v == nil:
			r.problem("claim of %s on %v: its payload is missing", c.Zone, c.Object)
		case mesh.Sum(v) != c.Content || len(v) != int(c.Size):
			r.problem("claim of %s on %v: its payload is another", c.Zone, c.Object)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	held := 0
	err := tx.bucket(bucketPayloads).each(func(_, _ []byte) error { held++; return nil })
	if err == nil && held > live {
		r.problem("%d payloads for %d live claims", held, live)
	}
	return err
}
