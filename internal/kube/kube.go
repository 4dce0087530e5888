package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// FieldManager is the name under which mesh writes, in managedFields.
const FieldManager = "mesh"

// Reader gives the content of live claims: the part of oplog.Reader that is needed here. Safe for concurrent use.
type Reader interface {
	// Payload returns the content of a live claim; nil and no error if there is none.
	Payload(ref mesh.ClaimRef) ([]byte, error)
}

// Witness reads and writes the witness that stands in the cluster. Safe for concurrent use.
type Witness interface {
	// ReadWitness reads live. present is false only when it is certain that the cluster carries none. inc is the
	// highest incarnation of this zone that the cluster names; 0: none.
	ReadWitness(ctx context.Context) (w event.Witness, present bool, inc mesh.Incarnation, err error)
	WriteWitness(ctx context.Context, w event.Witness) error
}

// Recorder tells the cluster's users what happened to an object of theirs, as a Kubernetes Event. It must not
// block. Safe for concurrent use.
type Recorder interface {
	Object(key mesh.ObjectKey, apiVersion, uid string, warning bool, reason, note string)
}

// Drift says what becomes of a replica that was altered here.
type Drift string

const (
	// Correct puts the replica back.
	Correct Drift = "correct"
	// Observe only shows it, until its owner changes it. A replica that was deleted is put back all the same.
	Observe Drift = "observe"
)

// Config says what is replicated and how.
type Config struct {
	Conn    *Connection
	Zone    mesh.Zone // our own
	Entries []Entry
	Drift   Drift // default Correct

	Reader   Reader   // what is to be written; an oplog.Reader
	Witness  Witness  // ties the store to this cluster
	Recorder Recorder // nil: no Events

	// Publishes and Applies let an object out and in, whatever its entry says. Nil: every object.
	Publishes, Applies func(mesh.ObjectKey) bool
	// Secret reports whether bytes found in a Secret hold this node's private key: such a Secret never leaves.
	// Nil: none does.
	Secret func([]byte) bool

	Metrics *Metrics     // nil: nothing is counted
	Writers int          // writes under way at once; default 16
	Logger  *slog.Logger // nil: discard
	// Tell is handed what people should know of the cluster: notices without zone and id. It must not block. Nil: nobody
	// is told.
	Tell func(mesh.Notice)
}

// Cluster is a Kubernetes cluster as the cluster of a node. All methods but Run return at once; they are safe
// for concurrent use.
type Cluster struct {
	cfg      Config
	log      *slog.Logger
	types    *types
	entries  []*entry
	out      *outbox
	problems *problems
	writes   *writes
	proofs   *proofs
	witness  *witness
	fights   *fights
	server   server

	// mu guards index and the order of reports: what is known of an object and what is reported about it
	// change together.
	mu    sync.Mutex
	index map[mesh.ObjectKey]*known

	settled settled
	gate    gate

	last struct {
		sync.Mutex
		write time.Time
	}
}

// New checks the configuration. It sends no request and starts nothing.
func New(cfg Config) (*Cluster, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, log: cfg.Logger, types: newTypes(cfg.Conn.Discovery),
		out: newOutbox(), problems: newProblems(cfg.Logger, cfg.Tell), writes: newWrites(), proofs: newProofs(),
		fights: newFights(), index: map[mesh.ObjectKey]*known{},
	}
	c.witness = newWitness(c)
	c.gate.open = make(chan struct{})
	close(c.gate.open)
	for _, e := range cfg.Entries {
		x, err := newEntry(e)
		if err != nil {
			return nil, err
		}
		c.entries = append(c.entries, x)
	}
	return c, nil
}

func (c *Config) prepare() error {
	var errs []error
	if c.Conn == nil || c.Reader == nil || c.Witness == nil {
		errs = append(errs, errors.New("kube: connection, reader and witness are required"))
	}
	if _, err := mesh.ParseZone(string(c.Zone)); err != nil {
		errs = append(errs, fmt.Errorf("kube: %w", err))
	}
	if c.Writers < 0 {
		errs = append(errs, errors.New("kube: a negative number of writers"))
	}
	if c.Writers == 0 {
		c.Writers = 16
	}
	if c.Drift == "" {
		c.Drift = Correct
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	all := func(mesh.ObjectKey) bool { return true }
	if c.Publishes == nil {
		c.Publishes = all
	}
	if c.Applies == nil {
		c.Applies = all
	}
	if c.Secret == nil {
		c.Secret = func([]byte) bool { return false }
	}
	return errors.Join(errs...)
}

// Restore takes in which replicas the store knows: by their UIDs they are told from other objects of their names.
func (c *Cluster) Restore(placed []oplog.Placed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range placed {
		if p.Local || p.Base.UID == "" {
			continue
		}
		from := fromMatching
		if e := c.entryOf(p.Object); e != nil && e.Selector != "" {
			from = fromReplicas
		}
		x := &known{standing: standsReplica, from: from, zone: p.Zone, uid: p.Base.UID}
		if p.State != oplog.PlacedWanted {
			x.base, x.content, x.stated, x.epoch = p.Base.Content, p.Content, p.Version, p.Epoch
		} // else another content was decided than the one that the baseline is of
		c.index[p.Object] = x
	}
}

// Run watches the cluster and carries out writes until ctx ends, which returns nil, or sink fails, which returns
// its error. sink is called by one goroutine at a time, with inputs in the order in which things were seen.
// Run is called once.
func (c *Cluster) Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error {
	c.writes.begin()
	c.proofs.begin()
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return c.out.run(inner, &c.gate, sink) })
	group.Go(func() error {
		if c.witness.begin(inner) { // the first report; without it nothing that is missing could be judged
			c.watch(inner, group)
			c.witness.run(inner)
		}
		return nil
	})
	for range c.cfg.Writers {
		group.Go(func() error { c.write(inner); return nil })
	}
	for range provers {
		group.Go(func() error { c.prove(inner); return nil })
	}
	group.Go(func() error { c.learn(inner); return nil })
	group.Go(func() error {
		<-inner.Done()
		c.writes.stop()
		c.proofs.stop()
		return nil
	})
	err := group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Apply takes writes; each is answered with Written once it was tried. A write that waits is replaced by a newer
// one of the same object, without an answer; nor is there one when its claim says something else by now. A write that
// fails and is retried answers again when the outcome changes.
func (c *Cluster) Apply(ws []replica.Write) { c.writes.add(ws) }

// Probe asks for fresh reports about objects. There is no answer while the truth can't be told, because a type
// isn't served or may not be read; it follows when it can.
func (c *Cluster) Probe(keys []mesh.ObjectKey) {
	of := map[*entry]int{}
	for _, k := range keys {
		of[c.entryOf(k)]++
	}
	for _, k := range keys {
		e := c.entryOf(k)
		c.proofs.ask(k, e == nil || of[e] <= tooMany || !e.known())
	}
	for e, n := range of {
		for i := 0; e != nil && n > tooMany && i < len(e.sources); i++ {
			e.sources[i].relist()
		}
	}
}

// CheckWitness asks for a WitnessRead from a live read.
func (c *Cluster) CheckWitness() { c.witness.check() }

// WriteWitness writes the witness, answered with WitnessWritten when it stands.
func (c *Cluster) WriteWitness(w event.Witness) { c.witness.put(w) }

// Hold stops (true) or resumes writes and reports, for the time in which it is not certain that this node is the
// only one that works on the cluster.
func (c *Cluster) Hold(on bool) { c.gate.hold(on) }

// Status tells whether the cluster answers and what is wrong in it.
func (c *Cluster) Status() mesh.ClusterStatus {
	s := mesh.ClusterStatus{
		Kind: "kubernetes", Location: c.cfg.Conn.Location, Connected: c.witness.known() && c.settled.all(c.entries) && c.reached(),
		Problems: c.problems.list(),
	}
	c.server.mu.Lock()
	conflicts := c.server.conflicts.sum(time.Now())
	s.Version, s.ConflictsLastHour = c.server.version, &conflicts
	c.server.mu.Unlock()
	c.last.Lock()
	defer c.last.Unlock()
	if !c.last.write.IsZero() {
		at := c.last.write
		s.LastWrite = &at
	}
	return s
}

// reached reports whether every source that can be watched is being watched.
func (c *Cluster) reached() bool {
	for _, e := range c.entries {
		if e.away.Load() {
			return false
		}
	}
	return true
}

// APIVersion returns group and version in which an object is known here; empty if no entry covers it.
func (c *Cluster) APIVersion(k mesh.ObjectKey) string {
	if e := c.entryOf(k); e != nil {
		return e.gv.String()
	}
	return ""
}

// entryOf returns the entry that covers an object, or nil.
func (c *Cluster) entryOf(k mesh.ObjectKey) *entry {
	for _, e := range c.entries {
		if e.covers(k) {
			return e
		}
	}
	return nil
}

// gate holds back whoever waits for it.
type gate struct {
	mu   sync.Mutex
	held bool
	open chan struct{} // closed while nothing is held
}

func (g *gate) hold(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case on && !g.held:
		g.open = make(chan struct{})
	case !on && g.held:
		close(g.open)
	}
	g.held = on
}

// pass does something unless it is held: what begins to be held waits until it is done.
func (g *gate) pass(do func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held {
		do()
	}
	return !g.held
}

// wait returns when nothing is held, or false when ctx ended before.
func (g *gate) wait(ctx context.Context) bool {
	for {
		g.mu.Lock()
		open, held := g.open, g.held
		g.mu.Unlock()
		if !held {
			return ctx.Err() == nil
		}
		select {
		case <-open:
		case <-ctx.Done():
			return false
		}
	}
}
