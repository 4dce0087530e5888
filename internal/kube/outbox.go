package kube

import (
	"context"
	"slices"
	"sync"

	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// outboxBytes is how much may wait for the engine before the watches are read no further: some groups of
	// its loop.
	outboxBytes = 16 << 20
	// outboxBatch is how many inputs one call of the sink carries.
	outboxBatch = 256
	inputBytes  = 256 // what an input counts for beyond its payload
)

// outbox holds reports in the order in which they were made until the engine takes them. To add never blocks, so
// that it can be done under the lock of the index; who makes many reports waits for room afterwards.
type outbox struct {
	mu    sync.Mutex
	list  []replica.Input
	bytes int
	some  chan struct{} // capacity 1: there is something
	room  chan struct{} // closed and replaced when something was taken
}

func newOutbox() *outbox { return &outbox{some: make(chan struct{}, 1), room: make(chan struct{})} }

func inputSize(in replica.Input) int {
	if l, ok := in.(replica.Local); ok {
		return inputBytes + len(l.Payload)
	}
	return inputBytes
}

func (o *outbox) add(in replica.Input) {
	o.mu.Lock()
	o.list = append(o.list, in)
	o.bytes += inputSize(in)
	o.mu.Unlock()
	select {
	case o.some <- struct{}{}:
	default:
	}
}

// waitRoom returns when there is room, or ctx ended.
func (o *outbox) waitRoom(ctx context.Context) {
	for ctx.Err() == nil {
		o.mu.Lock()
		full, room := o.bytes > outboxBytes, o.room
		o.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
}

func (o *outbox) take() []replica.Input {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.list), outboxBatch)
	batch := slices.Clone(o.list[:n])
	clear(o.list[:n]) // payloads go when the engine is done with them
	o.list = o.list[n:]
	if len(o.list) == 0 {
		o.list = nil
	}
	for _, in := range batch {
		o.bytes -= inputSize(in)
	}
	close(o.room)
	o.room = make(chan struct{})
	return batch
}

// run hands the reports on. It ends with ctx or the first error of sink.
func (o *outbox) run(ctx context.Context, g *gate, sink func(context.Context, ...replica.Input) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.some:
		}
		for {
			if !g.wait(ctx) {
				return nil
			}
			var batch []replica.Input
			if !g.pass(func() { batch = o.take() }) {
				continue
			}
			if len(batch) == 0 {
				break
			}
			if err := sink(ctx, batch...); err != nil {
				return err
			}
		}
	}
}
