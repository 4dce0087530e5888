package node

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// job is one operation from outside on its way through the checks that need no state. It is written by one
// worker and read by whoever waits for done.
type job struct {
	msg  opMsg
	done chan struct{}

	op     *operation.Operation
	event  *event.Event // nil: the body could not be read, the operation is quarantined
	held   bool         // the same operation is held already: nothing to do
	hint   bool         // it names a body that didn't come with it: a reason to sync, no more
	reason refusal      // not empty: refused
}

// verifier checks operations on a bounded number of workers, outside the loop.
type verifier struct {
	network mesh.NetworkID
	reader  oplog.Reader
	view    func() *view
	jobs    chan *job // unbuffered: what waits is bounded by who sends; never closed
}

func newVerifier(n mesh.NetworkID, r oplog.Reader, v func() *view) *verifier {
	return &verifier{network: n, reader: r, view: v, jobs: make(chan *job)}
}

// run keeps workers going until ctx ends.
func (v *verifier) run(ctx context.Context, workers int) error {
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case j := <-v.jobs:
					v.check(j)
					close(j.done)
				}
			}
		})
	}
	return g.Wait()
}

// submit hands a job to a worker.
func (v *verifier) submit(ctx context.Context, j *job) error {
	j.done = make(chan struct{})
	select {
	case v.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// check is everything that can be said of an operation by itself: canonical bytes, strict signature, body,
// event, and that its log id follows from the network and the instance that the body names.
func (v *verifier) check(j *job) {
	op, err := operation.Decode(j.msg.Header)
	if err != nil {
		j.reason = refusalOf(err)
		return
	}
	key := mesh.LogKey{Author: op.Author, Log: op.Log}
	if op.Seq < v.view().next(key) {
		// Most operations that come twice are found here, for a fifth of what a signature costs. The id names
		// the signed bytes, so the held one was verified.
		if id, ok, err := v.reader.RowID(key, op.Seq); err == nil && ok && id == op.ID {
			j.held = true
			return
		}
	}
	if err := op.Verify(); err != nil {
		j.reason = refusalOf(err)
		return
	}
	switch {
	case op.PayloadSize > 0 && len(j.msg.Body) == 0:
		j.op, j.hint = op, true
		return
	case len(j.msg.Body) > 0:
		if err := op.SetBody(j.msg.Body); err != nil {
			j.reason = refusalOf(err)
			return
		}
		// An instance that cannot be read is for the replica to judge: it may know the log.
		if i, err := event.Instance(op.Body); err == nil && mesh.LogIDOf(v.network, i) != op.Log {
			j.reason = refusedLogID
			return
		}
		if e, err := event.Decode(op.Body); err == nil {
			j.event = e
		}
	}
	j.op = op
}

func refusalOf(err error) refusal {
	var invalid *operation.InvalidError
	switch {
	case errors.As(err, &invalid):
		return ofOperation(invalid.Reason)
	case errors.Is(err, errFrameTooLarge):
		return refusedTooLarge
	}
	return refusedMalformed
}
