package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Node is one running member of a mesh. Its methods are safe for concurrent use.
type Node struct {
	cfg     Config
	self    keys.Public
	run     membership.Run
	log     *slog.Logger
	replica *replica.Replica // touched by the loop alone
	started time.Time

	loop     *loop
	verifier *verifier
	checker  *checker
	presence *presence
	watch    linkWatch
	peers    *registry
	announce announcer
	metrics  *nodeMetrics
	gater    *gater
	inFlight *semaphore.Weighted // bytes of operations between the links and the loop
	disk     diskGauge
	lag      lagClock
	book     *book
	own      ownRecord
	lan      *lan

	helloID, syncID protocol.ID
	door            *door
	halfOpen        *halfOpen
	desk            *desk
	back            *backDesk
	host            host.Host              // set by Run before anything that uses it starts
	gossip          atomic.Pointer[gossip] // nil: off, or not begun
	gossipOut       chan []byte            // capacity gossipQueue, never closed; what finds no room is dropped

	received, sent atomic.Uint64 // bytes on all links

	ran       atomic.Bool
	ready     atomic.Bool
	stopping  atomic.Bool
	port      atomic.Int32
	filesGone atomic.Bool          // as FilesGone answered last
	members   sync.Mutex           // one change of the members at a time
	local     map[keys.Public]Peer // this node's own admissions; guarded by members
	inForce   inForce

	spawning sync.Mutex
	spawn    func(func(context.Context)) bool // set while Run runs: starts a goroutine that Run waits for
}

// New builds a node from what the store holds. It starts nothing.
func New(cfg Config) (*Node, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	idx, err := cfg.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("load the store: %w", err)
	}
	cfg.Nodes = withInviters(cfg.Nodes, idx.Contacts)
	cfg.Replica.Members = replicaMembers(cfg.Nodes, cfg.Key.Public())
	r, err := replica.New(cfg.Replica, idx, cfg.Store, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("start the replica: %w", err)
	}
	n, err := newNode(cfg, r, idx.Contacts)
	if err != nil {
		return nil, err
	}
	if cfg.Cluster != nil {
		cfg.Cluster.Restore(idx.Placed)
	}
	n.replica = r
	return n, nil
}

// prepare fills in what follows from the rest and validates.
func (c *Config) prepare() error {
	if c.lookup == nil {
		c.lookup = lookupName
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.JoinLogger == nil {
		c.JoinLogger = c.Logger
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("node configuration: %w", err)
	}
	c.Replica.Network, c.Replica.Zone, c.Replica.Key = c.Network, c.Zone, c.Key
	c.Replica.Members = replicaMembers(c.Nodes, c.Key.Public())
	c.Replica.Clusterless = c.Cluster == nil
	return nil
}

// newNode joins the parts around a replica.
func newNode(cfg Config, c core, contacts []oplog.Contact) (*Node, error) {
	n := &Node{
		cfg: cfg, self: cfg.Key.Public(), log: cfg.Logger, started: cfg.Now(),
		peers:     &registry{byKey: map[keys.Public]*peerEntry{}},
		announce:  announcer{wake: make(chan struct{}, 1), heads: map[mesh.LogKey]head{}},
		inFlight:  semaphore.NewWeighted(inFlightBytes),
		gossipOut: make(chan []byte, gossipQueue),
		local:     localAdmissions(cfg.Nodes, cfg.Key.Public()),
		inForce:   inForce{wake: make(chan struct{}, 1)},
		watch:     linkWatch{wake: make(chan struct{}, 1)},
		door:      newDoor(cfg.Now),
		halfOpen:  newHalfOpen(time.Now),
		desk:      newDesk(cfg.Network, cfg.Now),
		back:      newBackDesk(cfg.Network),
	}
	n.book, n.lan = newBook(cfg.Now, onlyLoopback(cfg.BindAddresses), contacts), newLAN()
	n.helloID, n.syncID = protocolIDs(cfg.Network)
	n.run.Start = uint64(n.started.UnixMilli())
	if n.run.Incarnation = c.Incarnation(); n.run.Incarnation == 0 {
		n.run.Incarnation = mesh.Incarnation(n.run.Start)
	}
	if _, err := io.ReadFull(rand.Reader, n.run.ID[:]); err != nil {
		return nil, fmt.Errorf("draw a run id: %w", err)
	}
	var err error
	if n.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	n.loop = newLoop(&n.cfg, c, n.metrics)
	n.loop.publish, n.loop.request, n.loop.members, n.loop.tell = n.published, n.requested, n.inForce.tell, n.tellDecision
	n.verifier = newVerifier(cfg.Network, n.self, cfg.Store, n.loop.view.Load)
	n.checker = newChecker(cfg.Store, n.loop.view.Load, n.verifier.busy, n.tellChecked)
	n.loop.check = n.checker.poke
	n.presence = newPresence(n, time.Now(), membershipMembers(cfg.Nodes))
	n.gater = newGater(cfg.AdmissionOpen)
	n.gater.room, n.gater.let = n.hasRoom, n.letIn
	n.gater.begin, n.gater.done = n.mayShakeHands, n.halfOpen.done
	for _, p := range cfg.Nodes {
		if err := n.addPeer(p); err != nil {
			return nil, err
		}
	}
	n.gater.set(n.peerIDs())
	n.knowMembers()
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(newStatusCollector(n)); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return n, nil
}

// Incarnation is that of the own log in use; 0 while nothing was signed.
func (n *Node) Incarnation() mesh.Incarnation { return n.loop.view.Load().instance.Incarnation }

// Ready reports whether the node listens and its loop runs.
func (n *Node) Ready() bool { return n.ready.Load() }

// Port is the UDP and TCP port that the node listens on; 0 before it is Ready.
func (n *Node) Port() int { return int(n.port.Load()) }

// Stalled is how long ago the loop last went round, while it has something to do; 0 when it is idle, or was never begun.
func (n *Node) Stalled() time.Duration {
	turned := n.loop.turned.Load()
	if turned == 0 || len(n.loop.local)+len(n.loop.remote)+len(n.loop.asks) == 0 {
		return 0
	}
	return time.Since(n.loop.made) - time.Duration(turned)
}

// Inspect runs f on the loop, between two groups, and returns when it has run. f must only read, and quickly.
func (n *Node) Inspect(ctx context.Context, f func(*replica.Replica)) error {
	return n.loop.ask(ctx, func() { f(n.replica) })
}

// Do feeds an input of the operator and returns when its effects were carried out: what it decided is on
// disk then, the cluster follows.
func (n *Node) Do(ctx context.Context, in replica.Input) error {
	return n.through(ctx, n.loop.local, entry{in: in})
}

// through hands an entry in and returns when its effects were carried out.
func (n *Node) through(ctx context.Context, lane chan<- entry, e entry) error {
	done := make(chan struct{})
	e.done = func() { close(done) }
	if err := n.loop.put(ctx, lane, e); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.loop.stopped:
		select {
		case <-done:
			return nil
		default:
			return errStopped
		}
	}
}

// tellChecked hands in what the check of the store found.
func (n *Node) tellChecked(ctx context.Context, found replica.Checked) error {
	if err := n.through(ctx, n.loop.remote, entry{in: found, size: itemOverhead}); !errors.Is(err, errStopped) {
		return err
	}
	<-ctx.Done() // the loop has ended and everything else does
	return nil
}

// sink is where the cluster reports.
func (n *Node) sink(ctx context.Context, inputs ...replica.Input) error {
	for _, in := range inputs {
		if err := n.loop.put(ctx, n.loop.local, entry{in: in, size: sizeOf(in)}); err != nil {
			return err
		}
		if w, ok := in.(replica.Written); ok {
			n.tellWritten(w)
		}
	}
	return nil
}

func sizeOf(in replica.Input) int {
	if l, ok := in.(replica.Local); ok {
		return len(l.Payload) + itemOverhead
	}
	return itemOverhead
}

const (
	// diskLowEvery is how long an answer of Config.DiskLow is used.
	diskLowEvery = time.Second
	// diskLowText is what people are told meanwhile.
	diskLowText = "the disk is nearly full: operations of other zones are refused until there is room"
)

// filesGoneText is what people are told while nothing can be opened.
const filesGoneText = "no more files may be opened: connections are refused, and what changes in files is not seen"

// watchFiles tells once when the process may open no more files, and once when it may again.
func (n *Node) watchFiles() {
	if n.cfg.FilesGone == nil {
		return
	}
	gone := n.cfg.FilesGone()
	switch was := n.filesGone.Swap(gone); {
	case gone && !was:
		n.log.Error(filesGoneText)
		n.tell(mesh.Notice{Kind: mesh.NoticeLog, Level: mesh.LevelBad, Reason: "FilesGone", Text: filesGoneText})
	case was && !gone:
		n.log.Info("files can be opened again")
		n.tell(mesh.Notice{Kind: mesh.NoticeLog, Level: mesh.LevelInfo, Reason: "FilesGone", Text: "files can be opened again"})
	}
}

type diskGauge struct {
	mu  sync.Mutex
	at  time.Time
	low bool
}

// DiskLow reports whether operations of other zones are refused because the disk is nearly full. Safe for concurrent use.
func (n *Node) DiskLow() bool { return n.diskLow() }

// diskLow reports whether foreign operations are not to be taken.
func (n *Node) diskLow() bool {
	if n.cfg.DiskLow == nil {
		return false
	}
	d := &n.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.at.IsZero() || now.Sub(d.at) >= diskLowEvery {
		was := d.low
		d.at, d.low = now, n.cfg.DiskLow()
		if d.low && !was {
			n.log.Error(diskLowText)
			n.tell(mesh.Notice{Kind: mesh.NoticeLog, Level: mesh.LevelBad, Reason: "DiskLow", Text: diskLowText})
		} else if was && !d.low {
			n.log.Info("the disk has room again")
			n.tell(mesh.Notice{Kind: mesh.NoticeLog, Level: mesh.LevelInfo, Reason: "DiskLow", Text: "the disk has room again"})
		}
	}
	return d.low
}
