package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// script is a core whose every step is written by the test.
type script struct {
	chains
	step     func(inputs []replica.Input) replica.Effects
	deadline time.Time
}

func (s *script) Step(_ time.Time, in ...replica.Input) (replica.Effects, error) {
	return s.step(slices.Clone(in)), nil
}
func (s *script) Deadline() time.Time { return s.deadline }

// recorder notes what happened, in order.
type recorder struct {
	mu sync.Mutex
	at []string
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, s)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

// recordingStore notes commits and may fail them.
type recordingStore struct {
	*oplog.Memory
	rec *recorder
	err error
}

func (s *recordingStore) Commit(b *oplog.Batch) error {
	s.rec.note("persist")
	if s.err != nil {
		return s.err
	}
	return s.Memory.Commit(b)
}

// recordingCluster notes what it is told, and reports one object when it is asked to stop.
type recordingCluster struct {
	rec  *recorder
	last replica.Input
}

func (c *recordingCluster) Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error {
	<-ctx.Done()
	if c.last != nil {
		if err := sink(context.WithoutCancel(ctx), c.last); err != nil {
			return err
		}
	}
	c.rec.note("cluster stopped")
	return ctx.Err()
}
func (c *recordingCluster) Apply([]replica.Write)      { c.rec.note("apply") }
func (c *recordingCluster) Probe([]mesh.ObjectKey)     { c.rec.note("probe") }
func (c *recordingCluster) Restore([]oplog.Placed)     {}
func (c *recordingCluster) CheckWitness()              { c.rec.note("check") }
func (c *recordingCluster) WriteWitness(event.Witness) { c.rec.note("witness") }
func (c *recordingCluster) Status() mesh.ClusterStatus { return mesh.ClusterStatus{Kind: "test"} }

func testLoop(t *testing.T, c core, store oplog.Store, cl Cluster) *loop {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Key, cfg.Zone, cfg.Network, cfg.Store, cfg.Cluster = testKey(1), "z1", testNetwork, store, cl
	if err := cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	return newLoop(&cfg, c, m)
}

// Carry out one Effects completely and in this order: persist, publish, witness, apply, probe, request.
func TestEffectsAreCarriedOutInOrder(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	s := &script{chains: *newChains(testKey(1), "z1", oplog.NewMemory())}
	s.step = func([]replica.Input) replica.Effects {
		return replica.Effects{
			Persist:      oplog.Batch{Meta: &oplog.Meta{}},
			Publish:      []replica.Published{{}},
			WriteWitness: &event.Witness{}, CheckWitness: true,
			Apply: []replica.Write{{}}, Probe: []mesh.ObjectKey{{}}, Request: []keys.Public{{}},
		}
	}
	l := testLoop(t, s, &recordingStore{oplog.NewMemory(), rec, nil}, &recordingCluster{rec: rec})
	l.publish = func([]replica.Published) { rec.note("publish") }
	l.request = func([]keys.Public) { rec.note("request") }
	if err := l.step(entry{in: replica.Tick{}}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rec.all(), " "), "persist publish witness check apply probe request"; got != want {
		t.Errorf("order = %s, want %s", got, want)
	}
}

func TestNothingIsPublishedAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	rec, full := &recorder{}, errors.New("no space left on device")
	s := &script{chains: *newChains(testKey(1), "z1", oplog.NewMemory())}
	s.step = func([]replica.Input) replica.Effects {
		return replica.Effects{Persist: oplog.Batch{Meta: &oplog.Meta{}}, Publish: []replica.Published{{}}, Apply: []replica.Write{{}}}
	}
	l := testLoop(t, s, &recordingStore{oplog.NewMemory(), rec, full}, &recordingCluster{rec: rec})
	l.publish = func([]replica.Published) { rec.note("publish") }
	if err := l.run(t.Context()); !errors.Is(err, full) {
		t.Errorf("run() = %v, want %v", err, full)
	}
	if got := rec.all(); len(got) != 1 {
		t.Errorf("after the failed commit: %v, want nothing", got[1:])
	}
	if err := l.put(t.Context(), l.local, entry{}); err != nil && !errors.Is(err, errStopped) {
		t.Errorf("put() after the end = %v", err)
	}
	if err := l.ask(t.Context(), func() {}); !errors.Is(err, errStopped) {
		t.Errorf("ask() after the end = %v, want %v", err, errStopped)
	}
}

func TestGroupsTakeLocalChangesFirstAndAreBounded(t *testing.T) {
	t.Parallel()
	var groups [][]replica.Input
	s := &script{chains: *newChains(testKey(1), "z1", oplog.NewMemory())}
	s.step = func(in []replica.Input) replica.Effects { groups = append(groups, in); return replica.Effects{} }
	l := testLoop(t, s, oplog.NewMemory(), nil)
	for range localQueue {
		l.local <- entry{in: replica.Listed{}}
	}
	for range remoteQueue {
		l.remote <- entry{in: replica.Compared{}}
	}
	if err := l.gather(nil, nil); err != nil {
		t.Fatal(err)
	}
	g := groups[0]
	if len(g) != groupInputs {
		t.Errorf("a group of %d inputs, want %d", len(g), groupInputs)
	}
	for i, in := range g {
		if _, local := in.(replica.Listed); local != (i < groupLocal) {
			t.Fatalf("input %d is %T", i, in)
		}
	}
	for len(l.local) > 0 {
		<-l.local
	}
	for len(l.remote) > 0 {
		<-l.remote
	}
	for range 10 {
		l.local <- entry{in: replica.Listed{}, size: groupBytes / 2}
	}
	if err := l.gather(nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(groups[1]); n != 2 {
		t.Errorf("a group of %d large inputs, want 2", n)
	}
}

func TestDeadlineWakesTheLoop(t *testing.T) {
	t.Parallel()
	ticks := make(chan struct{}, 10)
	s := &script{chains: *newChains(testKey(1), "z1", oplog.NewMemory())}
	s.step = func([]replica.Input) replica.Effects {
		s.deadline = time.Now()
		if len(ticks) > 3 {
			s.deadline = time.Time{}
		}
		select {
		case ticks <- struct{}{}:
		default:
		}
		return replica.Effects{}
	}
	l := testLoop(t, s, oplog.NewMemory(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	until(t, "ticks", func() bool { return len(ticks) > 3 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What the adapter reports while it stops is signed and published, before the peers hear goodbye.
func TestShutdownOrder(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	rec := &recorder{}
	cl := &recordingCluster{rec: rec, last: replica.Local{Object: mesh.ObjectKey{Kind: "ConfigMap", Name: "last"}, Payload: []byte("{}")}}
	a.cfg.Cluster = cl
	mutual(a, b)
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	a.stop()
	until(t, "the last change arrived", func() bool { return b.holds(a) == 1 })
	if a.node.Ready() {
		t.Error("still ready")
	}
	if err := a.node.Run(t.Context()); !errors.Is(err, errRanTwice) {
		t.Errorf("a second Run = %v, want %v", err, errRanTwice)
	}
}

func TestRunEndsWithTheStore(t *testing.T) {
	a := newMember(t, 1)
	full := errors.New("no space left on device")
	a.cfg.Store = &recordingStore{oplog.NewMemory(), &recorder{}, full}
	if err := a.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(a.cfg, newChains(a.key, a.zone(), a.store), nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(t.Context()) }()
	until(t, "ready", n.Ready)
	err = n.Do(t.Context(), replica.Local{Object: mesh.ObjectKey{Kind: "A", Name: "a"}, Payload: []byte("{}")})
	if !errors.Is(err, errStopped) {
		t.Errorf("Do() = %v, want %v", err, errStopped)
	}
	if err := <-done; !errors.Is(err, full) {
		t.Errorf("Run() = %v, want %v", err, full)
	}
}

func TestConfigReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := New(Config{BindAddresses: []string{"x"}, Port: -1, Nodes: []Peer{{Endpoints: []string{"bad"}}}})
	for _, want := range []string{"key:", "zone:", "network:", "bind addresses[0]", "port:", "heartbeat", "store:", "nodes[0]", "endpoints[0]", "grace"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v, want it to name %s", err, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	reg := prometheus.NewRegistry()
	a.cfg.Registerer = reg
	mutual(a, b)
	until(t, "link", func() bool { return a.stateOf(b) == mesh.Ready })
	b.write(3, 10)
	until(t, "sync", func() bool { return a.holds(b) == 3 })
	got, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range got {
		names[f.GetName()] = true
	}
	for _, want := range strings.Fields(`mesh_peers mesh_peer_up mesh_peer_last_seen_timestamp_seconds mesh_messages_received_total
		mesh_messages_sent_total mesh_network_bytes_total mesh_log_announced_height mesh_log_height mesh_log_applied_height
		mesh_replication_lag_operations mesh_resources mesh_deletes_held mesh_disk_low mesh_errors_total mesh_refused_total mesh_queue_depth
		mesh_queue_capacity mesh_log_forks_total mesh_snapshots_total libp2p_swarm_connections_opened_total`) {
		if !names[want] {
			t.Errorf("%s is not exported", want)
		}
	}
	for i := range 200 {
		a.node.metrics.zone(mesh.Zone("x" + string(rune('a'+i%26)) + string(rune('a'+i/26))))
	}
	if got := a.node.metrics.zone("one-more"); got != otherZone {
		t.Errorf("label of a zone beyond the cap = %s", got)
	}
	s, err := a.node.Status(t.Context())
	if err != nil || !s.Ready || s.Peers.Ready != 1 || len(s.Replication) != 1 || s.Replication[0].Applied != 3 || len(s.Listen) != 2 {
		t.Errorf("Status() = %+v, %v", s, err)
	}
	ps, err := a.node.Peers(t.Context())
	if err != nil || len(ps) != 1 || ps[0].Name != "z2" || ps[0].Address == nil || *ps[0].Transport == "" || ps[0].RxBytes == 0 {
		t.Errorf("Peers() = %+v, %v", ps, err)
	}
}
