package kube

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// provers is how many live reads are under way at once.
	provers = 8
	// proofGrace is how long the absence of an object whose type may be removed waits before it is believed: its
	// definition may be going away with all its objects, and that shows a moment later.
	proofGrace = 2 * time.Second

	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// proofs are the objects that the engine asked about or that seem gone: each is answered from a live read. Safe for
// concurrent use.
type proofs struct {
	queue workqueue.TypedRateLimitingInterface[mesh.ObjectKey]
	mu    sync.Mutex
	due   map[mesh.ObjectKey]*proof
}

type proof struct {
	asked bool      // the engine wants an answer whatever it is
	since time.Time // seems gone since
	// turn grows with every question and with everything seen of the object: what a read brings is worth nothing
	// if the object was seen to change, end or begin while the read was under way.
	turn int
	// typeGone: its type was removed meanwhile, and the object with it. That is no deletion by anybody, also when
	// the type is back.
	typeGone bool
}

func newProofs() *proofs { return &proofs{due: map[mesh.ObjectKey]*proof{}} }

// begin lets the questions that came before Run be answered.
func (p *proofs) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = newQueue()
	for k := range p.due {
		p.queue.Add(k)
	}
}

// add queues an object. mu is held.
func (p *proofs) add(k mesh.ObjectKey) {
	if p.queue != nil {
		p.queue.Add(k)
	}
}

// newQueue starts goroutines, which end with its shutdown.
func newQueue() workqueue.TypedRateLimitingInterface[mesh.ObjectKey] {
	return workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[mesh.ObjectKey](firstRetry, lastRetry))
}

func (p *proofs) at(k mesh.ObjectKey) *proof {
	x := p.due[k]
	if x == nil {
		x = &proof{since: time.Now()}
		p.due[k] = x
	}
	x.turn++
	return x
}

// ask wants a report about an object: by a read of its own if now is true, else by the list that was asked for, or
// after it.
func (p *proofs) ask(k mesh.ObjectKey, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(k).asked = true
	if now {
		p.add(k)
	}
}

// suspect has it proven that an object is gone.
func (p *proofs) suspect(k mesh.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(k)
	p.add(k)
}

// lose notes that an object went with its type. It is looked for when the type is back.
func (p *proofs) lose(k mesh.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(k).typeGone = true
}

// seen notes that something was seen of an object: reads under way are outdated. It returns whether anybody waits
// for an answer.
func (p *proofs) seen(k mesh.ObjectKey, alive bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.due[k]
	if x == nil {
		return false
	}
	x.turn++
	if alive {
		x.typeGone = false
	}
	return true
}

// still reports whether nothing was asked or seen since a question was taken.
func (p *proofs) still(k mesh.ObjectKey, x proof) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.due[k]
	return now != nil && *now == x
}

// wants reports whether the engine asked about an object that a list shows, and takes that for answered.
func (p *proofs) wants(k mesh.ObjectKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.due[k]
	if x == nil {
		return false
	}
	delete(p.due, k)
	return x.asked
}

// hurry has all that wait tried again now: something has changed.
func (p *proofs) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.due {
		p.queue.Forget(k)
		p.add(k)
	}
}

func (p *proofs) stop() { p.queue.ShutDown() }

// take waits for the next object. false: stopped.
func (p *proofs) take() (mesh.ObjectKey, proof, bool) {
	for {
		k, stopped := p.queue.Get()
		if stopped {
			return k, proof{}, false
		}
		p.mu.Lock()
		x, due := p.due[k]
		var now proof
		if due {
			now = *x
		}
		p.mu.Unlock()
		if due {
			return k, now, true
		}
		p.queue.Forget(k)
		p.queue.Done(k) // answered meanwhile
	}
}

// answered ends the matter of an object, unless it was asked about again.
func (p *proofs) answered(k mesh.ObjectKey, x proof) {
	p.mu.Lock()
	if now := p.due[k]; now != nil && *now == x {
		delete(p.due, k)
	}
	p.mu.Unlock()
	p.queue.Forget(k)
	p.queue.Done(k)
}

// park leaves a question open until something happens to its type.
func (p *proofs) park(k mesh.ObjectKey) {
	p.queue.Forget(k)
	p.queue.Done(k)
}

// later tries again after a while that grows.
func (p *proofs) later(k mesh.ObjectKey) {
	p.queue.AddRateLimited(k)
	p.queue.Done(k)
}

// after tries again after a while.
func (p *proofs) after(k mesh.ObjectKey, d time.Duration) {
	p.queue.AddAfter(k, d)
	p.queue.Done(k)
}

// tooMany is from how many questions on a kind is listed instead of reading its objects one by one.
const tooMany = 64

// prove answers questions until the queue is stopped.
func (c *Cluster) prove(ctx context.Context) {
	for {
		k, x, ok := c.proofs.take()
		if !ok {
			return
		}
		if ctx.Err() != nil {
			c.proofs.later(k)
			continue
		}
		c.answer(ctx, k, x)
		c.out.waitRoom(ctx)
	}
}
