package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// This file is about the checks of operations from outside that need no state: canonical bytes, a strict signature,
// the body, the event, and that the log id follows from network and instance.
//
// A signature costs more than everything else together. But each operation names the one before it by BLAKE3 over all
// its bytes, signature included: so in a run of operations that follow each other the one verified signature at the end
// vouches for the exact bytes before it. Nobody but the author can make such a run, and no relay can change or put in
// anything. Operations taken on that ground are handed in as vouched, and their own signatures are verified later, from
// the store, by the checker. What that doesn't cover:
//
//   - Where the last signature doesn't hold, each operation of the run is verified by itself. So nobody can have good
//     ones refused by adding a bad one, and it costs us what it would have cost alone.
//   - What proves something, or can't be taken back, is verified by itself in any case (replica.NeedsSignature), and so
//     is all of our own key, what comes one by one, and what gossip would pass on.

// job is one operation from outside on its way through the checks. It is written by one worker and read by whoever
// waits for its batch.
type job struct {
	msg opMsg // its bytes belong to the operation once it is checked

	op      *operation.Operation // nil: not even its bytes are right
	event   *event.Event         // nil: the body could not be read, the operation is quarantined
	held    bool                 // the same operation is held already: nothing to do
	hint    bool                 // it names a body that didn't come with it: a reason to sync, no more
	vouched bool                 // its own signature was not verified: that of a later one of its batch vouches for it
	reason  refusal              // not empty: refused
}

// batch is operations that are checked by one worker, in the order in which they came.
type batch struct {
	jobs []job
	each bool // every signature is verified, even of what is held already
	done chan struct{}
}

// verifier checks operations on a bounded number of workers, outside the loop.
type verifier struct {
	network mesh.NetworkID
	self    keys.Public
	reader  oplog.Reader
	view    func() *view
	batches chan *batch  // unbuffered: what waits is bounded by who sends; never closed
	worked  atomic.Int64 // Unix ns at which something was last checked
}

func newVerifier(n mesh.NetworkID, self keys.Public, r oplog.Reader, v func() *view) *verifier {
	return &verifier{network: n, self: self, reader: r, view: v, batches: make(chan *batch)}
}

// run keeps workers going until ctx ends.
func (v *verifier) run(ctx context.Context, workers int) error {
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			w := worker{verifier: v}
			for {
				select {
				case <-ctx.Done():
					return nil
				case b := <-v.batches:
					w.check(b)
					close(b.done)
					v.worked.Store(time.Now().UnixNano())
				}
			}
		})
	}
	return g.Wait()
}

// checkOne checks an operation that came alone, in the caller's goroutine.
func (v *verifier) checkOne(m opMsg) *job {
	b := &batch{jobs: []job{{msg: m}}, each: true}
	w := worker{verifier: v}
	w.check(b)
	return &b.jobs[0]
}

// busy reports whether operations are arriving, one after the other.
func (v *verifier) busy() bool {
	return time.Since(time.Unix(0, v.worked.Load())) < 2*checkYield
}

// submit hands a batch to a worker.
func (v *verifier) submit(ctx context.Context, b *batch) error {
	b.done = make(chan struct{})
	select {
	case v.batches <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// worker is one goroutine's part of the verifier, with what it remembers from one operation to the next.
type worker struct {
	*verifier
	decoder  operation.Decoder
	instance mesh.Instance // whose log id was worked out last
	log      mesh.LogID
}

func (w *worker) check(b *batch) {
	for i := range b.jobs {
		w.look(&b.jobs[i], b.each)
	}
	for rest := b.jobs; len(rest) > 0; {
		n := follows(rest)
		w.sign(rest[:n], b.each)
		rest = rest[n:]
	}
	for i := range b.jobs {
		if j := &b.jobs[i]; b.each && j.reason == "" {
			j.held = w.holds(j.op)
		}
	}
}

// holds reports whether the very operation is held. Most operations that come twice are found here, for a fifth of what
// a signature costs.
func (w *worker) holds(op *operation.Operation) bool {
	key := mesh.LogKey{Author: op.Author, Log: op.Log}
	if op.Seq >= w.view().next(key) {
		return false
	}
	id, held, err := w.reader.RowID(key, op.Seq)
	return err == nil && held && id == op.ID
}

// look is everything but the signature.
func (w *worker) look(j *job, each bool) {
	op, err := w.decoder.Decode(j.msg.Header)
	if err != nil {
		j.reason = refusalOf(err)
		return
	}
	j.op = op
	if !each && w.holds(op) {
		j.held = true
		return
	}
	if len(j.msg.Body) == 0 {
		j.hint = op.PayloadSize > 0
		return
	}
	if err := op.TakeBody(j.msg.Body); err != nil {
		j.reason = refusalOf(err)
		return
	}
	var inst mesh.Instance
	if j.event, err = event.Decode(op.Body); err == nil {
		inst = j.event.Instance
	} else if inst, err = event.Instance(op.Body); err != nil {
		return // an instance that cannot be read is for the replica to judge: it may know the log
	}
	if inst != w.instance {
		w.instance, w.log = inst, mesh.LogIDOf(w.network, inst)
	}
	if w.log != op.Log {
		j.reason = refusedLogID
	}
}

// follows counts the jobs at the front of which each one names the one before it.
func follows(jobs []job) int {
	n := 1
	for n < len(jobs) && jobs[n-1].op != nil && jobs[n].op != nil && jobs[n-1].op.Log == jobs[n].op.Log &&
		operation.ValidateBacklink(jobs[n-1].op, jobs[n].op) == nil {
		n++
	}
	return n
}

// sign verifies the signatures of operations that follow each other, as far as the last one doesn't vouch for them.
func (w *worker) sign(jobs []job, each bool) {
	n := len(jobs)
	for n > 0 && (jobs[n-1].op == nil || jobs[n-1].held) {
		n--
	}
	if n == 0 {
		return
	}
	last := &jobs[n-1]
	vouches := verified(last) && !each && last.op.Author != w.self
	for i := range jobs[:n-1] {
		switch j := &jobs[i]; {
		case j.held:
		case vouches && j.reason == "" && !j.hint && !replica.NeedsSignature(j.op, j.event):
			j.vouched = true
		default:
			verified(j)
		}
	}
}

// verified verifies the operation's own signature. That it doesn't hold outdoes any other reason to refuse it.
func verified(j *job) bool {
	if err := j.op.Verify(); err != nil {
		j.reason = refusalOf(err)
		return false
	}
	return true
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
