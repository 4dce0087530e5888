package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/trust"
)

const testNetwork mesh.NetworkID = "test"

// patience is how long a condition may take on a busy machine.
const patience = 3 * time.Minute

func testKey(i byte) keys.Private { return keys.FromSeed([keys.SeedSize]byte{i, 1, 2, 3}) }

// chains is the least that can stand in for the replica: it signs local changes, takes operations that
// follow what it holds, and records what it was told.
type chains struct {
	key   keys.Private
	inst  mesh.Instance
	logs  map[mesh.LogKey]oplog.Log
	store *oplog.Memory

	onChange func() // called after each operation that was taken from elsewhere; may be nil
	admits   []replica.Member
	joined   map[keys.Public]mesh.Zone          // by invitation, by what was presented, by hand-over
	former   map[keys.Public]bool               // handed over or removed
	judge    func(replica.Redeem) replica.Grant // nil: no invitation is known
	papers   []oplog.TrustOp

	mu       sync.Mutex
	compared map[keys.Public]int
	haves    map[keys.Public]int
	inputs   []replica.Input
	muted    bool
}

func newChains(key keys.Private, zone mesh.Zone, store *oplog.Memory) *chains {
	c := &chains{key: key, inst: mesh.Instance{Zone: zone, Incarnation: 1000}, store: store,
		joined: map[keys.Public]mesh.Zone{}, former: map[keys.Public]bool{},
		logs: map[mesh.LogKey]oplog.Log{}, compared: map[keys.Public]int{}, haves: map[keys.Public]int{}}
	idx, _ := store.Load() // memory doesn't fail
	for _, l := range idx.Logs {
		c.logs[l.Key] = l
	}
	return c
}

func (c *chains) ownLog() mesh.LogKey {
	return mesh.LogKey{Author: c.key.Public(), Log: mesh.LogIDOf(testNetwork, c.inst)}
}

func (c *chains) sign(in replica.Local) *operation.Operation {
	return c.state(&event.Event{Kind: event.KindUpdate, Update: &event.Update{
		Object: in.Object, Payload: in.Payload, Version: mesh.Version(c.logs[c.ownLog()].Next + 1), Epoch: 1, Birth: 1}})
}

func (c *chains) state(ev *event.Event) *operation.Operation {
	l := c.logs[c.ownLog()]
	ev.Instance = c.inst
	body, err := event.Encode(ev)
	if err != nil {
		panic(err)
	}
	op, err := operation.Sign(c.key, operation.Header{Seq: l.Next, Backlink: l.Head, Log: c.ownLog().Log, Timestamp: 1}, body)
	if err != nil {
		panic(err)
	}
	return op
}

func (c *chains) Step(_ time.Time, inputs ...replica.Input) (fx replica.Effects, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := map[mesh.LogKey]bool{}
	accept := func(op *operation.Operation, inst mesh.Instance, from keys.Public) {
		key := mesh.LogKey{Author: op.Author, Log: op.Log}
		l := c.logs[key]
		if op.Seq != l.Next || op.Backlink != l.Head {
			return
		}
		row := oplog.Row{Log: key, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body}
		l.Key, l.Instance, l.Next, l.Head = key, inst, op.Seq+1, op.ID
		c.logs[key] = l
		changed[key] = true
		fx.Persist.Rows = append(fx.Persist.Rows, row)
		fx.Publish = append(fx.Publish, replica.Published{Row: row, Instance: inst, From: from})
		if c.onChange != nil && from != c.key.Public() {
			c.onChange()
		}
	}
	var flat []replica.Input
	for _, in := range inputs {
		run, several := in.(replica.ArrivedRun)
		for _, one := range run {
			flat = append(flat, one)
		}
		if !several {
			flat = append(flat, in)
		}
	}
	for _, in := range flat {
		switch in := in.(type) {
		case replica.Local:
			if !c.muted {
				accept(c.sign(in), c.inst, c.key.Public())
			}
		case replica.Arrived:
			if in.Event != nil {
				accept(in.Op, in.Event.Instance, in.From)
			}
		case replica.Haves:
			c.haves[in.From]++
		case replica.Compared:
			c.compared[in.From]++
		case replica.Mute:
			c.muted = in.On
		case replica.Members:
			c.admits = in.Nodes
			fx.Members = c.inForce()
		case replica.Redeemed:
			if g := c.grant(in.Redeem); g.Denial == "" {
				if _, twice := c.joined[in.Key]; !twice {
					accept(c.state(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: in.Key, Zone: g.Zone}}), c.inst, c.key.Public())
				}
				c.joined[in.Key] = g.Zone
				fx.Members = c.inForce()
			}
		case replica.ArrivedTrust:
			if a := in.Event.Admit; a != nil {
				c.joined[a.Key] = a.Zone
				fx.Members = c.inForce()
			}
		case replica.HandedOver:
			c.joined[in.To], c.former[in.From] = c.zoneOf(in.From), true
			fx.Members = c.inForce()
		case replica.Expel:
			c.former[in.Key] = true
			fx.Members = c.inForce()
		}
		if _, tick := in.(replica.Tick); !tick {
			c.inputs = append(c.inputs, in)
		}
	}
	for k := range changed {
		fx.Persist.Logs = append(fx.Persist.Logs, c.logs[k])
	}
	return fx, nil
}

func (c *chains) inForce() *[]replica.Member {
	var out []replica.Member
	for _, m := range c.admits {
		if !c.former[m.Key] {
			out = append(out, m)
		}
	}
	for k, z := range c.joined {
		if !c.former[k] && !slices.ContainsFunc(out, func(m replica.Member) bool { return m.Key == k }) {
			out = append(out, replica.Member{Key: k, Zone: z})
		}
	}
	return &out
}

func (c *chains) grant(q replica.Redeem) replica.Grant {
	if c.judge == nil {
		return replica.Grant{Denial: replica.DenialUnknown}
	}
	return c.judge(q)
}

func (c *chains) Redemption(_ time.Time, q replica.Redeem) replica.Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.grant(q)
	if _, in := c.joined[q.Key]; g.Denial == "" && !in {
		g.Denial = replica.DenialNotYet
		return g
	}
	rows, _ := c.store.Rows(c.ownLog(), 0, c.logs[c.ownLog()].Next, 1<<20) // memory doesn't fail
	for _, r := range rows {
		if ev, err := event.Decode(r.Body); g.Denial == "" && err == nil && ev.Admit != nil && ev.Admit.Key == q.Key {
			g.Trust = append(g.Trust, oplog.TrustOp{ID: r.ID, Header: r.Header, Body: r.Body})
		}
	}
	return g
}

func (c *chains) Invites() []oplog.Invite { return nil }

func (c *chains) TrustView() *trust.View {
	return trust.NewSet(trust.Member{Key: c.key.Public(), Zone: c.inst.Zone}).View()
}

func (c *chains) Credentials() []oplog.TrustOp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.papers
}

func (c *chains) ZoneOf(k keys.Public) mesh.Zone {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zoneOf(k)
}

func (c *chains) zoneOf(k keys.Public) mesh.Zone {
	for _, m := range *c.inForce() {
		if m.Key == k {
			return m.Zone
		}
	}
	return ""
}

func (c *chains) Unchecked() []oplog.Span       { return nil }
func (c *chains) Deadline() time.Time           { return time.Time{} }
func (c *chains) TrustDigest() mesh.Hash        { return mesh.Hash{} }
func (c *chains) Trust() []oplog.TrustOp        { return nil }
func (c *chains) Incarnation() mesh.Incarnation { return c.inst.Incarnation }

func (c *chains) Haves() (out []oplog.Have) {
	for _, l := range c.logs {
		out = append(out, oplog.Have{Key: l.Key, Instance: l.Instance, Start: l.Start, Next: l.Next, Head: l.Head})
	}
	return out
}

func (c *chains) comparedWith(k keys.Public) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compared[k]
}

func (c *chains) isMuted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.muted
}

// arrivals counts operations that reached the core.
func (c *chains) arrivals() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.inputs {
		if _, ok := in.(replica.Arrived); ok {
			n++
		}
	}
	return n
}

// member is one node of a test mesh.
type member struct {
	t     testing.TB
	i     byte
	key   keys.Private
	port  int
	store *oplog.Memory
	core  *chains
	node  *Node
	cfg   Config
	log   *safeBuffer
	stop  func() // returns when Run has

	before func(*Node)                        // called before Run; may be nil
	judge  func(replica.Redeem) replica.Grant // of the core; may be nil
	papers []oplog.TrustOp                    // of the core
}

// newMember prepares node i of zone z<i>, listening on a loopback port of its own.
func newMember(t testing.TB, i byte) *member {
	t.Helper()
	m := &member{t: t, i: i, key: testKey(i), port: porttest.Free(t), store: oplog.NewMemory(), log: new(safeBuffer)}
	m.cfg = DefaultConfig()
	m.cfg.Key, m.cfg.Zone, m.cfg.Network, m.cfg.Store = m.key, m.zone(), testNetwork, m.store
	m.cfg.BindAddresses, m.cfg.Port, m.cfg.StrictPort = []string{"127.0.0.1"}, m.port, true
	m.cfg.HeartbeatInterval, m.cfg.ProbeInterval = 500*time.Millisecond, 500*time.Millisecond
	m.cfg.Gossip = false
	m.cfg.Logger = slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return m
}

func (m *member) zone() mesh.Zone            { return mesh.Zone(fmt.Sprintf("z%d", m.i)) }
func (m *member) public() keys.Public        { return m.key.Public() }
func (m *member) endpoint() string           { return net.JoinHostPort("127.0.0.1", fmt.Sprint(m.port)) }
func (m *member) peer() Peer                 { return Peer{m.public(), m.zone(), []string{m.endpoint()}} }
func (m *member) entry(o *member) *peerEntry { return m.node.peers.get(o.public()) }

// knows configures peers.
func (m *member) knows(others ...*member) {
	for _, o := range others {
		m.cfg.Nodes = append(m.cfg.Nodes, o.peer())
	}
}

// start runs the member until the test or m.stop ends it.
func (m *member) start() {
	m.t.Helper()
	if err := m.cfg.prepare(); err != nil {
		m.t.Fatal(err)
	}
	m.core = newChains(m.key, m.zone(), m.store)
	m.core.admits, m.core.judge, m.core.papers = m.cfg.Replica.Members, m.judge, m.papers
	m.startNode(func() (*Node, error) { return newNode(m.cfg, m.core, m.contacts()) })
}

// contacts is what the store keeps of the address book.
func (m *member) contacts() []oplog.Contact {
	idx, _ := m.store.Load() // memory doesn't fail
	return idx.Contacts
}

func (m *member) startNode(build func() (*Node, error)) {
	m.t.Helper()
	var err error
	if m.node, err = build(); err != nil {
		m.t.Fatal(err)
	}
	if m.before != nil {
		m.before(m.node)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.node.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("Run of %s: %v", m.zone(), err)
		}
	})
	m.t.Cleanup(m.stop)
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("log of %s:\n%s", m.zone(), m.log)
		}
	})
	until(m.t, "ready", m.node.Ready)
}

// local is a change of an object with size bytes of content.
func local(i, size int) replica.Local {
	return replica.Local{Object: mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: fmt.Sprintf("o%d", i)},
		Payload: []byte(`{"d":"` + strings.Repeat("x", size) + `"}`)}
}

// write publishes n objects one by one and returns when they are on disk.
func (m *member) write(n, size int) {
	m.t.Helper()
	for i := range n {
		if err := m.node.Do(context.Background(), local(i, size)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// writeBatch publishes n objects as fast as the loop takes them.
func (m *member) writeBatch(n, size int) {
	m.t.Helper()
	for i := range n - 1 {
		if err := m.node.sink(context.Background(), local(i, size)); err != nil {
			m.t.Fatal(err)
		}
	}
	m.write(1, size)
}

// holds is how much of another's log a member has.
func (m *member) holds(o *member) uint32 {
	return m.node.loop.view.Load().next(mesh.LogKey{Author: o.public(), Log: mesh.LogIDOf(testNetwork, mesh.Instance{Zone: o.zone(), Incarnation: 1000})})
}

func (m *member) linkedTo(o *member) bool { return m.node.peers.linked(o.public()) }

func (m *member) stateOf(o *member) mesh.PeerState {
	for _, p := range m.node.presence.peers() {
		if p.Key == o.public() {
			return p.State
		}
	}
	return ""
}

// until polls a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// mutual configures members for each other and starts them.
func mutual(ms ...*member) {
	for _, m := range ms {
		for _, o := range ms {
			if o != m {
				m.knows(o)
			}
		}
	}
	for _, m := range ms {
		m.start()
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func counterValue(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
