package kube

import (
	"context"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// witness reads and writes the witness for the engine, again and again until the cluster answers.
type witness struct {
	c    *Cluster
	wake chan struct{} // capacity 1: there is a request

	mu      sync.Mutex
	read    bool // asked for
	write   *event.Witness
	present bool // it was read once

	told carried // what the engine knows; of the goroutine that reads and writes
}

// carried is the witness that the cluster carries.
type carried struct {
	present bool
	event.Witness
}

func newWitness(c *Cluster) *witness { return &witness{c: c, wake: make(chan struct{}, 1)} }

func (w *witness) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *witness) check() {
	w.mu.Lock()
	w.read = true
	w.mu.Unlock()
	w.nudge()
}

// put replaces a witness that was not written yet.
func (w *witness) put(x event.Witness) {
	w.mu.Lock()
	w.write = &x
	w.mu.Unlock()
	w.nudge()
}

// known reports whether the witness was read in this run.
func (w *witness) known() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.present
}

// begin reads the witness for the first time. false: ctx ended before.
func (w *witness) begin(ctx context.Context) bool {
	w.report(ctx)
	return ctx.Err() == nil
}

// run answers requests until ctx ends.
func (w *witness) run(ctx context.Context) {
	for {
		w.mu.Lock()
		read, write := w.read, w.write
		w.read, w.write = false, nil
		w.mu.Unlock()
		switch {
		case write != nil:
			w.store(ctx, *write)
			if read {
				w.check() // in the order in which the engine would have it: what is read is what was written
			}
			continue
		case read:
			w.report(ctx)
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

var witnessSubject = subject{topic: "witness"}

// report reads until it succeeds.
func (w *witness) report(ctx context.Context) {
	w.retry(ctx, func() error {
		x, present, inc, err := w.c.cfg.Witness.ReadWitness(ctx)
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.present = true
		w.mu.Unlock()
		w.tell(carried{present, x}, inc)
		return nil
	})
}

func (w *witness) tell(now carried, inc mesh.Incarnation) {
	w.told = now
	w.c.out.add(replica.WitnessRead{Present: now.present, Witness: now.Witness, Incarnation: inc})
}

// store writes until it succeeds or a newer one is to be written. A cluster that carries another witness than the
// engine knows was restored or replaced meanwhile, which nothing would tell any more once it is written over: then the
// engine is told instead.
func (w *witness) store(ctx context.Context, x event.Witness) {
	w.retry(ctx, func() error {
		if w.newer() || !w.c.gate.wait(ctx) {
			return nil
		}
		now, present, inc, err := w.c.cfg.Witness.ReadWitness(ctx)
		if err != nil {
			return err
		}
		want := carried{true, x}
		switch found := (carried{present, now}); found {
		case want: // the answer to an attempt was lost
		case w.told:
			if err := w.c.cfg.Witness.WriteWitness(ctx, x); err != nil {
				return err
			}
		default:
			w.tell(found, inc)
			return nil
		}
		w.told = want
		w.c.out.add(replica.WitnessWritten{Witness: x})
		return nil
	})
}

func (w *witness) newer() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write != nil
}

func (w *witness) retry(ctx context.Context, do func() error) {
	wait := backoff{first: 200 * time.Millisecond, most: 10 * time.Second}
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			w.c.problems.clear(witnessSubject)
			return
		}
		w.c.problems.put(witnessSubject, reasonOf(err, ReasonWitnessUnreadable), "the witness of this node's MeshPeer: "+err.Error())
		if !wait.sleep(ctx) {
			return
		}
	}
}

// backoff doubles its wait up to a limit.
type backoff struct{ first, most, next time.Duration }

// sleep waits and returns true, or false when ctx ended before.
func (b *backoff) sleep(ctx context.Context) bool {
	b.next = min(max(b.first, 2*b.next), b.most)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *backoff) reset() { b.next = 0 }
