package replica

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Config is what a replica is told. It is not changed while it runs, but for Members and Rules.
type Config struct {
	Network mesh.NetworkID
	Zone    mesh.Zone
	Key     keys.Private
	Members []Member // admitted keys, without our own

	OnConflict         OnConflict
	BrakeMin           int           // deletions per window below which the brake never holds; default 10
	BrakeShare         float64       // share of a zone's objects above which it holds; default 0.5
	BrakeWindow        time.Duration // default 10 min
	SnapshotMaxLog     uint64        // operations after which a snapshot is due; default 256
	SnapshotInterval   time.Duration // after which one is due if something changed; default 5 min
	TombstoneRetention time.Duration // least life of a tombstone; default 10 min
	Bootstrap          bool          // skip the wait at the start if the store is new and no member is known

	// Clusterless nodes keep and pass on logs without a cluster of their own: nothing is published or applied.
	Clusterless bool

	// Publishes and Applies say which objects the configuration lets out and in. Nil: every object.
	Publishes, Applies func(mesh.ObjectKey) bool
	// Outside says in one sentence why Applies refuses an object, for people. Nil: nobody knows.
	Outside func(mesh.ObjectKey) string
	// Rules say which of them flow between zones. The input Rules replaces them.
	Rules []Rule
}

// OnConflict says what happens to the copies of two zones that created one object independently.
type OnConflict string

const (
	// Hold lets each creator keep its own copy until somebody adopts the object.
	Hold OnConflict = "hold"
	// Oldest lets the winner replace the other copies.
	Oldest OnConflict = "oldest"
)

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	all := func(mesh.ObjectKey) bool { return true }
	none := func(mesh.ObjectKey) bool { return false }
	c.OnConflict = cmp.Or(c.OnConflict, Hold)
	c.BrakeMin = cmp.Or(c.BrakeMin, 10)
	c.BrakeShare = cmp.Or(c.BrakeShare, 0.5)
	c.BrakeWindow = cmp.Or(c.BrakeWindow, 10*time.Minute)
	c.SnapshotMaxLog = cmp.Or(c.SnapshotMaxLog, 256)
	c.SnapshotInterval = cmp.Or(c.SnapshotInterval, 5*time.Minute)
	c.TombstoneRetention = cmp.Or(c.TombstoneRetention, 10*time.Minute)
	if c.Clusterless {
		c.Publishes, c.Applies = none, none
	}
	if c.Publishes == nil {
		c.Publishes = all
	}
	if c.Applies == nil {
		c.Applies = all
	}
	return c
}

// Replica is this node's copy of everyone's claims. It is owned by one goroutine: no method may be called
// while another runs.
type Replica struct {
	cfg    Config
	self   keys.Public
	reader oplog.Reader
	meta   oplog.Meta

	admits    []Member                  // admissions of this node's own
	members   map[keys.Public]mesh.Zone // admitted keys, without our own; empty zone: their first operation decides
	bindings  map[keys.Public]oplog.Binding
	logs      map[mesh.LogKey]*oplog.Log
	runs      map[mesh.LogKey]*run // snapshot runs in progress, of any author
	covers    map[keys.Public]event.SnapshotBegin
	pending   pendingBuffer
	staged    map[mesh.LogKey]*run                 // runs beyond a gap, not whole yet
	catching  []mesh.LogKey                        // logs that jumped to a whole run and are merging it
	offered   map[mesh.LogKey]uint32               // begins of runs that a peer holds whole beyond our chain
	pruned    map[mesh.LogKey]*operation.Operation // the last one seen from before a log's start
	newLogs   map[keys.Public]*bucket              // how often authors begin new logs
	trust     trustState
	rules     ruleSet
	invites   map[string]oplog.Invite
	proposals map[keys.Public]*proposal // removals on their way

	objects map[mesh.ObjectKey]*object
	counts  counts
	revs    revisions

	start   startState
	wit     witnessState
	gone    goneSet
	brakes  map[mesh.Zone]*oplog.Brake
	acked   map[mesh.Zone]map[mesh.LogKey]uint32
	snap    snapshotState
	prunes  []pruneJob
	muted   bool
	rebirth map[mesh.ObjectKey]pastLife // own objects whose older life was read back
	overdue []mesh.ClaimRef             // claims found ended while loading

	step // what the running Step has gathered
}

// New builds a replica from what the store holds; now is the creation time of a new store. It fails when the
// store belongs to another zone, key or network.
func New(cfg Config, idx *oplog.Index, reader oplog.Reader, now time.Time) (*Replica, error) {
	if cfg.Key.IsZero() || cfg.Zone == "" {
		return nil, errors.New("replica: a key and a zone are required")
	}
	r := &Replica{
		cfg: cfg.withDefaults(), self: cfg.Key.Public(), reader: reader,
		members:   make(map[keys.Public]mesh.Zone),
		bindings:  make(map[keys.Public]oplog.Binding),
		logs:      make(map[mesh.LogKey]*oplog.Log),
		runs:      make(map[mesh.LogKey]*run),
		covers:    make(map[keys.Public]event.SnapshotBegin),
		pending:   newPendingBuffer(),
		offered:   make(map[mesh.LogKey]uint32),
		staged:    make(map[mesh.LogKey]*run),
		pruned:    make(map[mesh.LogKey]*operation.Operation),
		newLogs:   make(map[keys.Public]*bucket),
		trust:     newTrustState(Member{Key: cfg.Key.Public(), Zone: cfg.Zone}, cfg.Members),
		invites:   make(map[string]oplog.Invite),
		proposals: make(map[keys.Public]*proposal),
		objects:   make(map[mesh.ObjectKey]*object, len(idx.Claims)),
		counts:    newCounts(cfg.Zone),
		gone:      goneSet{of: make(map[mesh.ObjectKey]*goneState)},
		brakes:    make(map[mesh.Zone]*oplog.Brake),
		acked:     make(map[mesh.Zone]map[mesh.LogKey]uint32),
		rebirth:   make(map[mesh.ObjectKey]pastLife),
	}
	r.wit.known = cfg.Clusterless // there is nothing to witness
	r.admits = slices.DeleteFunc(slices.Clone(cfg.Members), func(m Member) bool { return m.Key == r.self })
	r.rules = newRuleSet(cfg.Rules, r.self)
	if idx.Meta == nil {
		r.meta = oplog.Meta{
			Network: cfg.Network, Zone: cfg.Zone, Author: r.self,
			Created: min(mesh.Incarnation(max(now.UnixMilli(), 1)), mesh.MaxIncarnation),
		}
		r.metaDirty = true
		r.start.newStore = true
	} else {
		r.meta = *idx.Meta
		r.start.newStore = r.meta.Incarnation == 0 && len(idx.Logs) == 0 // killed before anything was signed
	}
	if m := r.meta; m.Network != cfg.Network || m.Zone != cfg.Zone || m.Author != r.self {
		return nil, fmt.Errorf("the store belongs to zone %s, key %s, network %s; configured are zone %s, key %s, network %s",
			m.Zone, m.Author.Short(), m.Network, cfg.Zone, r.self.Short(), cfg.Network)
	}
	r.load(idx)
	return r, nil
}

// load rebuilds the index. What was decided and not confirmed is taken up again by resume.
func (r *Replica) load(idx *oplog.Index) {
	for i := range idx.Logs {
		l := idx.Logs[i]
		r.logs[l.Key] = &l
		if l.Pruned < l.Start {
			r.prunes = append(r.prunes, pruneJob{log: l.Key})
		}
		if l.Staged != nil && l.Staged.Begin == l.Next && l.Next > 0 {
			r.catching = append(r.catching, l.Key)
		}
		// Rows of a run that was abandoned just before a crash.
		r.prunes = append(r.prunes, pruneJob{log: l.Key, span: oplog.Span{Log: l.Key, From: l.Next, To: math.MaxUint32}})
	}
	for a, c := range idx.Covers {
		r.covers[a] = c
	}
	for _, b := range idx.Bindings {
		r.bindings[b.Key] = b
	}
	for _, b := range idx.Brakes {
		r.brakes[b.Zone] = &b
		r.gone.before = r.gone.before || b.Zone == r.cfg.Zone && b.Held
	}
	for _, a := range idx.Acked {
		r.noteAck(a.Zone, a.Log, a.Height)
	}
	r.trust.load(idx.Trust)
	r.membersChanged()
	for _, in := range idx.Invites {
		r.invites[in.ID] = in
	}
	r.bindRules()
	for _, p := range idx.Placed {
		o := r.object(p.Object)
		o.placed = &p
		r.counts.placed[p.Zone] += replicaCount(o.placed)
	}
	for _, l := range r.logs {
		r.limitLog(l)
	}
	for _, c := range idx.Claims {
		if r.ended(&c) {
			r.overdue = append(r.overdue, c.Ref()) // its snapshot said so; a crash came before the rows were gone
			continue
		}
		o := r.object(c.Object)
		o.setClaim(c)
		if c.Zone == r.cfg.Zone {
			o.stated = c.At.Seq
		}
		r.counts.add(&c, 1)
	}
	for _, o := range r.objects {
		r.reclassify(o)
		r.revs.settled(o)
	}
	for _, l := range r.logs {
		if l.Key.Author == r.self && l.Instance.Incarnation != r.meta.Incarnation {
			r.start.floor = max(r.start.floor, l.Instance.Incarnation+1)
		}
	}
	r.loadSnapshotState()
}

func anyObject(*object) bool { return true }

// objectsWhere returns the objects that fn wants, in order. To sort is what costs, so fn should want few.
func (r *Replica) objectsWhere(fn func(*object) bool) []*object {
	var out []*object
	for _, o := range r.objects {
		if fn(o) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *object) int { return a.key.Compare(b.key) })
	return out
}
