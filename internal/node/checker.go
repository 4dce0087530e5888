package node

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// checkBytes is how much is read from the store at a time, and checkBite how many signatures are verified between
	// two looks at whether the cores are wanted for something better: a millisecond's worth.
	checkBytes = 256 << 10
	checkBite  = 16
	// checkYield is how long the checker rests after a bite while operations arrive. It never rests for longer, so
	// that a peer that sends for ever doesn't put the check off for ever: a tenth of the time is left to it.
	checkYield = 10 * time.Millisecond
	// checkReport is how much work is put into one report, which costs a transaction. A crash repeats as much.
	checkReport = 2 * time.Second
)

// checker verifies the signatures of operations that were taken in on the word of a later one. It works through the
// store in the background, with all cores as long as they are idle, and tells the replica what it found. What is left
// stands in the records of the logs, so a restart goes on where it stopped.
type checker struct {
	store  oplog.Reader
	view   func() *view
	report func(context.Context, replica.Checked) error // returns when the effects were carried out
	busy   func() bool                                  // operations are arriving
	wake   chan struct{}                                // capacity 1, never closed: there may be something to check
}

func newChecker(store oplog.Reader, view func() *view, busy func() bool, report func(context.Context, replica.Checked) error) *checker {
	return &checker{store: store, view: view, busy: busy, report: report, wake: make(chan struct{}, 1)}
}

func (c *checker) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run checks what there is to check until ctx ends. An error is one of the store.
func (c *checker) run(ctx context.Context) error {
	for {
		moved := false
		for _, s := range c.view().unchecked {
			some, err := c.span(ctx, s)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			moved = moved || some
		}
		if moved {
			continue
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// span checks the rows of one stretch, or as many as fit into one report, and reports whether there were any. Rows may
// be missing that are being pruned.
func (c *checker) span(ctx context.Context, s oplog.Span) (bool, error) {
	found := replica.Checked{Log: s.Log, From: s.From, To: s.From}
	for began := time.Now(); found.To < s.To && found.False.IsZero() && time.Since(began) < checkReport; {
		rows, err := c.store.Rows(s.Log, found.To, s.To, checkBytes)
		if err != nil {
			return false, fmt.Errorf("read what is to be checked: %w", err)
		}
		before := found.To
		if err := c.rows(ctx, rows, &found); err != nil {
			return false, err
		}
		if found.To == before {
			break
		}
	}
	if found.To == found.From && found.False.IsZero() {
		return false, nil
	}
	if err := c.report(ctx, found); err != nil {
		return false, err
	}
	// What the replica makes nothing of is not told again before something changes.
	return !slices.ContainsFunc(c.view().unchecked, func(o oplog.Span) bool { return o.Log == s.Log && o.From == s.From }), nil
}

// rows checks rows and adds what it finds: up to the first one that is missing or whose signature doesn't hold.
func (c *checker) rows(ctx context.Context, rows []oplog.Row, found *replica.Checked) error {
	ops := make([]*operation.Operation, len(rows))
	var d operation.Decoder
	n := 0
	for last := found.Last; n < len(rows) && uint64(rows[n].Seq) == uint64(found.To)+uint64(n); n++ {
		op, err := d.Decode(rows[n].Header)
		if err == nil && op.ID != rows[n].ID {
			err = fmt.Errorf("its bytes don't have its hash %s", rows[n].ID.Short())
		}
		if err != nil {
			return fmt.Errorf("check operation %d of log %s in the store: %w; mesh log verify tells more", rows[n].Seq, mesh.Hash(found.Log.Log).Short(), err)
		}
		if !last.IsZero() && op.Backlink != last {
			break // the rows are being replaced
		}
		ops[n], last = op, op.ID
	}
	bad := c.verify(ctx, ops[:n])
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if bad > 0 {
		found.To, found.Last = ops[bad-1].Seq+1, ops[bad-1].ID
	}
	if bad < n {
		found.False = ops[bad].ID
	}
	return nil
}

// verify returns the index of the first operation whose signature doesn't hold, or their number. It gives up when ctx
// ends.
func (c *checker) verify(ctx context.Context, ops []*operation.Operation) int {
	var next, bad atomic.Int64
	bad.Store(int64(len(ops)))
	var g sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(ops)+checkBite-1)/checkBite) {
		g.Go(func() {
			for ctx.Err() == nil {
				from := next.Add(checkBite) - checkBite
				if from >= bad.Load() {
					return // a lower one was found, or there is none any more
				}
				for i := from; i < min(from+checkBite, int64(len(ops))); i++ {
					if ops[i].Verify() != nil {
						lower(&bad, i)
						break
					}
					runtime.Gosched() // whoever else has something to do goes first
				}
				c.yield(ctx)
			}
		})
	}
	g.Wait()
	return int(bad.Load())
}

// lower sets a to v unless it is lower already.
func lower(a *atomic.Int64, v int64) {
	for old := a.Load(); v < old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// yield rests for a moment while operations arrive.
func (c *checker) yield(ctx context.Context) {
	if !c.busy() {
		return
	}
	t := time.NewTimer(checkYield)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
