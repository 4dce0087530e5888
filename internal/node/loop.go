package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// core is what the loop needs of the replica.
type core interface {
	Step(now time.Time, inputs ...replica.Input) (replica.Effects, error)
	Deadline() time.Time
	Haves() []oplog.Have
	Unchecked() []oplog.Span
	TrustDigest() mesh.Hash
	Trust() []oplog.TrustOp
	Incarnation() mesh.Incarnation
	ledger
}

const (
	// A group is what one transaction persists: large enough to pay for its two disk syncs, small enough
	// that nobody waits long for the next one. An input may be a run of operations, which their bytes bound.
	groupInputs = 1000
	groupBytes  = 4 << 20
	// groupLocal is the share of a group that local changes may fill, so that a busy cluster doesn't shut out
	// the other nodes.
	groupLocal = groupInputs * 3 / 4

	// Channels of the loop hold one group each: the next one gathers while one is committed. Senders wait
	// when they are full.
	localQueue  = groupInputs
	remoteQueue = groupInputs
	askQueue    = 64
)

// errStopped answers those who come after the loop has ended.
var errStopped = errors.New("the node has stopped")

// entry is one input on its way into the loop.
type entry struct {
	in   replica.Input
	size int        // bytes it counts for
	book bookChange // of the address book, persisted with the effects
	done func()     // called when its effects were carried out; may be nil
}

// bookChange is what of the address book is to be kept and forgotten.
type bookChange struct {
	put  []oplog.Contact
	drop []keys.Public
}

// loop is the one goroutine that touches the replica and commits to the store.
type loop struct {
	core    core
	store   oplog.Store
	cluster Cluster // may be nil
	self    keys.Public
	zone    mesh.Zone
	now     func() time.Time
	log     *slog.Logger
	metrics *nodeMetrics

	local   chan entry    // of the cluster and the operator; never closed
	remote  chan entry    // of other nodes; never closed
	asks    chan func()   // read-only closures to run between two groups; never closed
	begun   chan struct{} // closed after the first step
	stopped chan struct{}

	decided func(replica.Decision) // may be nil; must not block
	tell    func(replica.Decision) // must not block
	view    atomic.Pointer[view]
	publish func([]replica.Published) // must not block
	request func([]keys.Public)       // must not block
	members func([]replica.Member)    // those in force from now on; must not block
	check   func()                    // there are signatures to be verified in the store; must not block

	group  []entry
	inputs []replica.Input
	made   time.Time
	turned atomic.Int64 // when the last turn was, in ns since made, for liveness: no clock that is set moves it; 0: none yet
}

func newLoop(cfg *Config, c core, m *nodeMetrics) *loop {
	l := &loop{
		core: c, store: cfg.Store, cluster: cfg.Cluster, self: cfg.Key.Public(), zone: cfg.Zone,
		made: time.Now(), now: cfg.Now, log: cfg.Logger, metrics: m, decided: cfg.Decided,
		local:   make(chan entry, localQueue),
		remote:  make(chan entry, remoteQueue),
		asks:    make(chan func(), askQueue),
		begun:   make(chan struct{}),
		stopped: make(chan struct{}),
		tell:    func(replica.Decision) {},
		publish: func([]replica.Published) {},
		request: func([]keys.Public) {},
		members: func([]replica.Member) {},
		check:   func() {},
	}
	l.refresh(nil)
	return l
}

// run takes inputs until ctx ends, then those that local senders had handed in, and returns. An error is
// one of the store: what was decided is not on disk, so nothing of it may be told to anyone.
func (l *loop) run(ctx context.Context) error {
	defer close(l.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	if err := l.step(entry{in: replica.Tick{}}); err != nil {
		return err
	}
	close(l.begun)
	for {
		l.arm(timer)
		var err error
		select {
		case e := <-l.local:
			err = l.gather([]entry{e}, nil)
		case e := <-l.remote:
			err = l.gather(nil, []entry{e})
		case ask := <-l.asks:
			ask()
		case <-timer.C:
			err = l.step(entry{in: replica.Tick{}})
		case <-ctx.Done():
			return l.drain()
		}
		if err != nil {
			return err
		}
	}
}

// arm sets the timer to the replica's deadline. Without one it sleeps for good.
func (l *loop) arm(t *time.Timer) {
	l.turned.Store(int64(max(1, time.Since(l.made))))
	t.Stop()
	if d := l.core.Deadline(); !d.IsZero() {
		t.Reset(max(0, d.Sub(l.now())))
	}
}

// gather adds what waits in the channels to what was taken already, local changes first, and steps.
func (l *loop) gather(local, remote []entry) error {
	group, size := append(l.group[:0], local...), 0
	for _, e := range append(local, remote...) {
		size += e.size
	}
	more := true
	for more && len(group) < groupLocal && size < groupBytes {
		select {
		case e := <-l.local:
			group, size = append(group, e), size+e.size
		default:
			more = false
		}
	}
	group, more = append(group, remote...), true
	for more && len(group) < groupInputs && size < groupBytes {
		select {
		case e := <-l.remote:
			group, size = append(group, e), size+e.size
		default:
			more = false
		}
	}
	l.group = group
	return l.step(group...)
}

// drain takes what the cluster and the operator have handed in.
func (l *loop) drain() error {
	for len(l.local) > 0 {
		if err := l.gather(nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// step feeds one group to the replica and carries out the effects, in their order.
func (l *loop) step(group ...entry) error {
	l.inputs = l.inputs[:0]
	for _, e := range group {
		l.inputs = append(l.inputs, e.in)
	}
	fx, err := l.core.Step(l.now(), l.inputs...)
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	for _, e := range group {
		fx.Persist.Contacts = append(fx.Persist.Contacts, e.book.put...)
		fx.Persist.DropContacts = append(fx.Persist.DropContacts, e.book.drop...)
	}
	clear(l.inputs) // so that bodies are not kept alive until the slot is used again
	if err := l.carryOut(&fx); err != nil {
		return err
	}
	for i, e := range group {
		if e.done != nil {
			e.done()
		}
		group[i] = entry{}
	}
	return nil
}

func (l *loop) carryOut(fx *replica.Effects) error {
	if !isEmpty(&fx.Persist) {
		changed := &changes{
			logs:  len(fx.Persist.Logs)+len(fx.Persist.DropLogs) > 0,
			trust: len(fx.Persist.Trust) > 0,
		}
		if err := l.store.Commit(&fx.Persist); err != nil {
			return fmt.Errorf("commit to the store: %w", err)
		}
		if changed.logs || changed.trust {
			l.refresh(changed)
		}
	}
	if len(fx.Publish) > 0 {
		l.publish(fx.Publish)
	}
	if l.cluster != nil {
		if fx.WriteWitness != nil {
			l.cluster.WriteWitness(*fx.WriteWitness)
		}
		if fx.CheckWitness {
			l.cluster.CheckWitness()
		}
		if len(fx.Apply) > 0 {
			l.cluster.Apply(fx.Apply)
		}
		if len(fx.Probe) > 0 {
			l.cluster.Probe(fx.Probe)
		}
	}
	for _, d := range fx.Report {
		l.report(d)
	}
	if len(fx.Request) > 0 {
		l.request(fx.Request)
	}
	if fx.Members != nil {
		l.members(*fx.Members)
	}
	return nil
}

type changes struct{ logs, trust bool }

// refresh replaces the view. Only what changed is built anew; nil means everything.
func (l *loop) refresh(c *changes) {
	old := l.view.Load()
	v := old
	if c == nil || c.logs {
		v = newView(l.core.Haves(), l.self, l.zone, l.core.Incarnation())
		v.unchecked = l.core.Unchecked()
	} else {
		w := *old
		v = &w
	}
	if c == nil || c.trust {
		v.setTrust(l.core.Trust(), l.core.TrustDigest())
	} else {
		v.trust, v.trustDigest, v.trustHeld = old.trust, old.trustDigest, old.trustHeld
	}
	l.view.Store(v)
	if len(v.unchecked) > 0 {
		l.check()
	}
}

// report tells the operator what was decided. Decisions carry no object content.
func (l *loop) report(d replica.Decision) {
	l.metrics.decided(d)
	if l.decided != nil {
		l.decided(d)
	}
	l.tell(d)
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("reason", string(d.Reason)))
	if d.Zone != "" {
		attrs = append(attrs, slog.String("zone", string(d.Zone)))
	}
	if d.Object != (mesh.ObjectKey{}) {
		attrs = append(attrs, slog.String("object", d.Object.String()))
	}
	if d.Log != (mesh.LogKey{}) {
		attrs = append(attrs, slog.Any("log", d.Log.Log), slog.Uint64("seq", uint64(d.Seq)))
	}
	if !d.Peer.IsZero() {
		attrs = append(attrs, slog.Any("peer", d.Peer))
	}
	if d.Detail != "" {
		attrs = append(attrs, slog.String("detail", d.Detail))
	}
	l.log.LogAttrs(context.Background(), levelOf(d.Reason), "decided", attrs...)
}

// put hands an input in, waiting while the channel is full.
func (l *loop) put(ctx context.Context, to chan<- entry, e entry) error {
	select {
	case to <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.stopped:
		return errStopped
	}
}

// ask runs f on the loop and returns when it has run.
func (l *loop) ask(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case l.asks <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.stopped:
		return errStopped
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.stopped:
		return errStopped
	}
}

// isEmpty reports whether a batch has nothing to persist, which saves two disk syncs.
func isEmpty(b *oplog.Batch) bool {
	return len(b.Rows)+len(b.Prune)+len(b.Logs)+len(b.DropLogs)+len(b.Claims)+len(b.DropClaims)+
		len(b.Placed)+len(b.DropPlaced)+len(b.Trust)+len(b.DropTrust)+len(b.Lost)+len(b.Evidence)+len(b.Bindings)+
		len(b.Brakes)+len(b.Acked)+len(b.Covers)+len(b.Invites)+len(b.DropInvites)+len(b.Contacts)+len(b.DropContacts) == 0 && b.Meta == nil
}
