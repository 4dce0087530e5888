package kube

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// writes holds what is to be written: at most one write per object, of which a newer one takes the place, so it is
// bounded by the number of objects. Objects wait for nothing but their own write. Safe for concurrent use.
type writes struct {
	queue workqueue.TypedRateLimitingInterface[mesh.ObjectKey]
	mu    sync.Mutex
	of    map[mesh.ObjectKey]*write
}

type write struct {
	replica.Write
	lastErr string
}

func newWrites() *writes { return &writes{of: map[mesh.ObjectKey]*write{}} }

// begin lets the writes that came before Run be carried out.
func (w *writes) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = newQueue()
	for k := range w.of {
		w.queue.Add(k)
	}
}

// now has an object's write tried now. mu is held.
func (w *writes) now(k mesh.ObjectKey) {
	if w.queue != nil {
		w.queue.Forget(k)
		w.queue.Add(k)
	}
}

func (w *writes) add(list []replica.Write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range list {
		w.of[x.Object] = &write{Write: x}
		w.now(x.Object)
	}
}

// hurry has a write that waits tried again now. It returns whether there is one.
func (w *writes) hurry(k mesh.ObjectKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[k] == nil {
		return false
	}
	w.now(k)
	return true
}

// hurryAll does so for all objects of an entry.
func (c *Cluster) hurryAll(e *entry) {
	w := c.writes
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.of {
		if e.covers(k) {
			w.now(k)
		}
	}
}

func (w *writes) stop() { w.queue.ShutDown() }

// take waits for the next write. nil: stopped.
func (w *writes) take() *write {
	for {
		k, stopped := w.queue.Get()
		if stopped {
			return nil
		}
		w.mu.Lock()
		x := w.of[k]
		w.mu.Unlock()
		if x != nil {
			return x
		}
		w.queue.Done(k)
	}
}

// done ends a write, unless a newer one took its place meanwhile: that one is in the queue already.
func (w *writes) done(x *write) {
	w.mu.Lock()
	if w.of[x.Object] == x {
		delete(w.of, x.Object)
	}
	w.mu.Unlock()
	w.queue.Forget(x.Object)
	w.queue.Done(x.Object)
}

// again tries later, after a while that grows if wait is 0. It returns whether the failure is news.
func (w *writes) again(x *write, errText string, wait time.Duration) bool {
	w.mu.Lock()
	news := x.lastErr != errText
	x.lastErr = errText
	w.mu.Unlock()
	if wait > 0 {
		w.queue.AddAfter(x.Object, wait)
	} else {
		w.queue.AddRateLimited(x.Object)
	}
	w.queue.Done(x.Object)
	return news
}

// Why a write was not carried out, beyond the errors of requests.
var (
	errAltered = errors.New("the object was changed meanwhile")
	errForeign = errors.New("an object that mesh did not write stands there, and is not replicated from here")
	errOurs    = errors.New("an object of ours stands there already")
	errNewer   = errors.New("the claim has changed since, or is over")
)

// finalError is one that trying again doesn't help.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// waitError is no failure: the cluster needs its time.
type waitError struct {
	text string
	wait time.Duration // 0: longer and longer
}

func (e waitError) Error() string { return e.text }

// write carries out writes until the queue is stopped.
func (c *Cluster) write(ctx context.Context) {
	for {
		x := c.writes.take()
		if x == nil {
			return
		}
		if !c.gate.wait(ctx) {
			c.writes.again(x, x.lastErr, 0)
			continue
		}
		c.try(ctx, x)
	}
}

// try carries out one write and reports how it went.
func (c *Cluster) try(ctx context.Context, x *write) {
	k := x.Object
	c.mu.Lock()
	now := c.at(k)
	now.busy = true
	before := *now
	c.mu.Unlock()

	after, wrote, err := c.carryOut(ctx, x.Write, before)

	c.mu.Lock()
	c.proofs.seen(k, false) // a read that was made meanwhile may be from before the write
	later := now.later
	now.later, now.busy = nil, false
	answer := replica.Written{Write: x.Write}
	if err == nil {
		if wrote { // else the watches know better what stands there
			c.became(k, now, after)
		}
		if after.standing == standsReplica {
			answer.Base = oplog.Baseline{UID: after.uid, Content: after.base}
		}
		c.succeeded(k)
		c.out.add(answer)
	} else if ctx.Err() == nil {
		c.failed(x, &answer, err)
	}
	c.forgetIfEmpty(k)
	c.mu.Unlock()
	if err == nil {
		c.writes.done(x)
	}
	if later != nil {
		c.catchUp(k, later)
	}
}

// became takes in what a write made of an object. mu is held.
func (c *Cluster) became(k mesh.ObjectKey, x *known, after known) {
	after.busy, after.later, after.from = x.busy, x.later, x.from
	after.told, after.drifted = after.standing != standsNothing, false
	*x = after
	c.problems.clear(subject{k, topicObject})
	if x.standing != standsReplica {
		c.problems.clear(subject{k, topicFields})
		c.fights.over(k)
	}
}

func (c *Cluster) succeeded(k mesh.ObjectKey) {
	c.problems.clear(subject{k, topicWrite})
	c.last.Lock()
	c.last.write = time.Now().UTC().Round(0)
	c.last.Unlock()
}

const topicWrite = "write" // what keeps a write from being carried out

// failed decides whether a write is tried again, and says so where it is news. mu is held.
func (c *Cluster) failed(x *write, answer *replica.Written, err error) {
	if errors.Is(err, errNewer) { // the engine knows, and has decided about the object anew if it wants something of it
		c.problems.clear(subject{x.Object, topicWrite})
		c.writes.done(x)
		return
	}
	var final finalError
	var wait waitError
	answer.Err = clip(quiet(x.Object, err))
	answer.Altered = errors.Is(err, errAltered)
	answer.Retry = !answer.Altered && !errors.As(err, &final)
	about := subject{x.Object, topicWrite}
	reason := reasonOf(err, ReasonApplyRejected)
	visible := !answer.Altered // that is the course of things
	switch {
	case errors.As(err, &wait):
		reason = ReasonDeletionPending
		if x.Kind == replica.PutReplica && wait.wait > 0 {
			reason = ReasonContested
		}
	case answer.Altered:
		c.problems.clear(about)
	}
	if visible && c.problems.put(about, reason, answer.Err) && (reason == ReasonApplyRejected || reason == ReasonContested) {
		c.record(x.Object, c.index[x.Object], reason, answer.Err)
	}
	if answer.Retry {
		if c.writes.again(x, answer.Err, wait.wait) {
			c.out.add(*answer)
		}
		return
	}
	c.out.add(*answer)
	c.writes.done(x)
}

// record warns the cluster's users about an object. mu is held.
func (c *Cluster) record(k mesh.ObjectKey, x *known, reason, note string) {
	if c.cfg.Recorder == nil {
		return
	}
	version := ""
	if e := c.entryOf(k); e != nil {
		version = e.gv.String()
	}
	uid := ""
	if x != nil {
		uid = x.uid
	}
	c.cfg.Recorder.Object(k, version, uid, true, reason, note)
}

// catchUp looks at what was seen while a write was under way.
func (c *Cluster) catchUp(k mesh.ObjectKey, s *sighting) {
	e := c.entryOf(k)
	if e == nil {
		return
	}
	if s.live != nil {
		c.observe(e, s.live, s.from, s.asked)
		return
	}
	if s.asked {
		c.proofs.ask(k, true)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.index[k]; x != nil && x.standing != standsNothing {
		c.proofs.suspect(k) // perhaps it was there before the write, perhaps it is gone after it
	}
}
