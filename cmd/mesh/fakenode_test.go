package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// fakeNode is a node made of values, served by the real admin server. Its logs hold real operations.
type fakeNode struct {
	mu        sync.Mutex
	status    mesh.Status
	peers     []mesh.Peer
	logs      []mesh.LogStatus
	rows      map[mesh.LogKey][]oplog.Row
	resources []mesh.Resource
	held      []mesh.HeldDeletes
	lost      []oplog.LostEntry
	adoptions map[string]mesh.Adoption
	traces    map[string]mesh.Trace
	asked     int // adoptions that were asked about since the last one was wanted
	wanted    []string
	invites   []mesh.Invite
	takesOver *mesh.TakenOver
	refusal   error // of invitations, removals and adoptions
	broken    error // of questions for the status
	removals  map[string]mesh.Removal
	polled    int // times a removal was asked about since it was wanted; it counts from the second on, if cuts
	cuts      bool

	checks []mesh.CheckResult

	peersAsked int
	onPeers    func(n int) // called with each question for the peers, under mu
}

// fakeNow is the clock of newTestEnv.
var fakeNow = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

func before(d time.Duration) *time.Time {
	t := fakeNow.Add(-d)
	return &t
}

func ptr[T any](v T) *T { return &v }

// seedKey is the key of an RFC 8032 test vector's kind: made from a seed of one repeated byte.
func seedKey(n byte) keys.Private {
	var seed [keys.SeedSize]byte
	for i := range seed {
		seed[i] = n
	}
	return keys.FromSeed(seed)
}

// newFakeNode is zone east, with a healthy peer, one that is late and one that is gone.
func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	const day = 24 * time.Hour
	f := &fakeNode{rows: map[mesh.LogKey][]oplog.Row{}, adoptions: map[string]mesh.Adoption{}, removals: map[string]mesh.Removal{}}
	f.status = mesh.Status{
		Zone: "east", PeerID: "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV", PublicKey: seedKey(1).Public().String(),
		NetworkID: "default", Version: "0.4.0", UptimeSeconds: (3*day + 4*time.Hour).Seconds(), Incarnation: before(3*day + 4*time.Hour),
		Listen: []string{"udp/9102 quic", "tcp/9102", "http/3000"}, Ready: true,
		Peers:       mesh.PeerCounts{Total: 3, Ready: 1, NotReady: 1, Unavailable: 1},
		Replication: []mesh.Replication{{Zone: "south", Announced: 412, Applied: 400, LagOperations: 12, LagSeconds: 3.1}, {Zone: "west", Announced: 9, Applied: 9}},
		Resources:   mesh.Resources{Live: 57, Tombstones: 2, DeletesHeld: 2, Kinds: 1, Namespaces: 1},
		Cluster: mesh.ClusterStatus{Kind: "folder", Location: "/srv/east", Connected: true, LastWrite: before(2 * time.Second), Problems: []mesh.Problem{
			{File: "local/app.yaml", Line: 7, Reason: "Invalid", Text: "did not find expected key", Since: *before(time.Minute)},
			{Object: "ConfigMap/default/app", File: "local/copy.yaml", Line: 1, Reason: "Duplicate", Text: "local/app2.yaml defines it too and counts", Since: *before(time.Minute)},
		}},
		Findings: []mesh.Finding{
			{ID: "peers.reachable", Status: "fail", Subject: "lab", Text: "unavailable for 9m", Next: "mesh peers describe lab"},
			{ID: "deletes.held", Status: "warn", Subject: "west", Text: "2 deletes are held back", Next: "mesh peers accept-deletes west"},
		},
	}
	f.peers = []mesh.Peer{
		{Name: "lab", Zone: "lab", State: mesh.Unavailable, Since: before(9 * time.Minute), PublicKey: seedKey(4).Public().String(), PeerID: "12D3KooWLab",
			Endpoints: []string{"192.0.2.44:9102"}, LastSeen: before(9 * time.Minute), Version: ptr("0.4.0"), FirstSeen: before(12 * day),
			Reasons: []string{"HeartbeatsMissed"}, LastError: "dial 192.0.2.44:9102: connection timed out",
			Learnt: []mesh.LearntAddress{{Address: "198.51.100.44:9102", From: "peer"}, {Address: "10.0.0.44:9102", From: "lan", Worked: before(12 * day)}},
			Attempts: []mesh.DialAttempt{
				{Address: "192.0.2.44:9102", Transport: "quic", Error: "no answer", At: *before(4 * time.Second), Since: *before(9 * time.Minute)},
				{Address: "192.0.2.44:9102", Transport: "tcp", Error: "connection refused: no node listens there", At: *before(4 * time.Second), Since: *before(4 * time.Second)},
				{Address: "lab.example:9102", Error: "the name lab.example has no address", At: *before(9 * time.Minute), Since: *before(9 * time.Minute)}},
			Admission: &mesh.Admission{}, ZoneKeys: []mesh.ZoneKey{{PublicKey: seedKey(4).Public().String()}}},
		{Name: "west", Zone: "west", State: mesh.Ready, Since: before(3 * day), PublicKey: seedKey(2).Public().String(), PeerID: "12D3KooWWest",
			Endpoints: []string{"203.0.113.20:9102"}, Address: ptr("203.0.113.20:9102"), Transport: ptr("quic"), RTTSeconds: ptr(0.018), RTTP95Seconds: ptr(0.024), LossRatio: ptr(0.0), TxMessages: 812, RxMessages: 1040,
			LagOperations: ptr(uint64(0)), LagSeconds: ptr(0.0), LastSeen: before(time.Second), ClockOffsetSeconds: ptr(0.004), Version: ptr("0.4.0"),
			Incarnation: before(3 * day), FirstSeen: before(3 * day), TxBytes: 93184, RxBytes: 1572864, Reasons: []string{}, DeletesHeld: 2,
			Admission: &mesh.Admission{By: ptr(seedKey(1).Public().String()), ByZone: ptr(mesh.Zone("east")), At: before(3 * day)},
			ZoneKeys: []mesh.ZoneKey{
				{PublicKey: seedKey(9).Public().String(), By: ptr(seedKey(1).Public().String()), Since: before(30 * day), Ended: "HandedOver", Until: before(3 * day), EndedBy: ptr(seedKey(1).Public().String())},
				{PublicKey: seedKey(2).Public().String(), Generation: 1, By: ptr(seedKey(1).Public().String()), Since: before(3 * day)}}},
		{Name: "south", Zone: "south", State: mesh.NotReady, Since: before(14 * time.Second), PublicKey: seedKey(3).Public().String(), PeerID: "12D3KooWSouth",
			Endpoints: []string{"south.example:9102"}, Address: ptr("south.example:9102"), Transport: ptr("tcp"), RTTSeconds: ptr(0.23),
			LagOperations: ptr(uint64(12)), LagSeconds: ptr(3.1), LastSeen: before(14 * time.Second), Version: ptr("0.3.9"), FirstSeen: before(26 * time.Hour),
			Reasons: []string{"HeartbeatsMissed"}},
	}
	for i := range f.peers {
		if f.peers[i].ZoneKeys == nil {
			f.peers[i].ZoneKeys = []mesh.ZoneKey{}
		}
	}
	f.held = []mesh.HeldDeletes{{Zone: "west", Objects: []string{"ConfigMap/default/a", "ConfigMap/default/b"}, Digest: mesh.Sum([]byte("ab")).String(), Reason: "Brake"}}
	f.writeLog(t, seedKey(1), mesh.Instance{Zone: "east", Incarnation: mesh.Incarnation(before(3*day + 4*time.Hour).UnixMilli())})
	f.lost = []oplog.LostEntry{{ID: 1, Size: 21, LostRecord: oplog.LostRecord{Object: mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"},
		Zone: "west", Version: 17, Reason: "adopted", At: before(time.Hour).UnixMilli(), Payload: []byte(`{"data":{"from":"w"}}`)}}}
	app := mesh.Resource{Object: "ConfigMap/default/app", Owner: "west", State: "Conflict", Epoch: 2, Version: 17, Claims: []mesh.Zone{"east", "west"},
		Since: *before(time.Hour), Detail: "east and west created it"}
	f.adoptions[app.Object] = mesh.Adoption{Resource: app, Zone: "east", HasCopy: true, Against: "west", Differs: []string{"data.color", "data.size"}}
	own := mesh.Resource{Object: "ConfigMap/default/own", Owner: "east", State: "Live", Epoch: 1, Version: 4, Claims: []mesh.Zone{"east"}}
	f.adoptions[own.Object] = mesh.Adoption{Resource: own, Zone: "east", HasCopy: true, Done: true}
	return f
}

// writeLog signs a short log: a snapshot, an update of a ConfigMap and one of a Secret, a deletion.
func (f *fakeNode) writeLog(t *testing.T, key keys.Private, in mesh.Instance) {
	t.Helper()
	app := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}
	token := mesh.ObjectKey{Kind: "Secret", Namespace: "default", Name: "token"}
	count, sum := event.NewDigest().Sum()
	log := mesh.LogKey{Author: key.Public(), Log: mesh.LogIDOf("default", in)}
	var rows []oplog.Row
	size := uint64(0)
	for i, ev := range []event.Event{
		{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}},
		{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: sum}},
		{Kind: event.KindUpdate, Update: &event.Update{Object: app, Payload: []byte(`{"data":{"a":"1"}}`), Version: 11, Epoch: 1, Birth: 11}},
		{Kind: event.KindUpdate, Update: &event.Update{Object: token, Payload: []byte(`{"data":{"p":"aHVudGVyMg=="}}`), Version: 12, Epoch: 1, Birth: 12}},
		{Kind: event.KindDelete, Delete: &event.Delete{Object: app, Version: 13, Epoch: 1, Birth: 11}},
	} {
		ev.Instance = in
		body, err := event.Encode(&ev)
		if err != nil {
			t.Fatal(err)
		}
		h := operation.Header{Seq: uint32(i), Log: log.Log, Timestamp: uint64(before(time.Hour).UnixMicro()) + uint64(i), Prune: i == 0}
		if i > 0 {
			h.Backlink = rows[i-1].ID
		}
		op, err := operation.Sign(key, h, body)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, oplog.Row{Log: log, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body})
		size += uint64(rows[i].Size())
	}
	f.rows[log] = rows
	f.logs = append(f.logs, mesh.LogStatus{Name: string(in.Zone), Zone: in.Zone, PublicKey: log.Author.String(), LogID: log.Log.String(),
		Incarnation: time.UnixMilli(int64(in.Incarnation)).UTC(), Height: ptr(uint32(4)), Applied: ptr(uint32(4)), Snapshot: ptr(uint32(0)),
		Operations: 5, Bytes: size, State: "OK", Updated: before(time.Second)})
}

func (f *fakeNode) Status(context.Context) (mesh.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, f.broken
}

func (f *fakeNode) Peers(context.Context) ([]mesh.Peer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peersAsked++; f.onPeers != nil {
		f.onPeers(f.peersAsked)
	}
	return slices.Clone(f.peers), nil
}

func (f *fakeNode) Logs(context.Context) ([]mesh.LogStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.logs), nil
}

func (f *fakeNode) Rows(_ context.Context, log mesh.LogKey, from, to uint32, _ int) ([]oplog.Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []oplog.Row
	for _, r := range f.rows[log] {
		if r.Seq >= from && r.Seq < to && len(out) < 3 {
			out = append(out, r)
		}
	}
	return out, nil
}

func (f *fakeNode) Resources(context.Context, mesh.ObjectKey, int) ([]mesh.Resource, error) {
	return f.resources, nil
}

func (f *fakeNode) Resource(_ context.Context, key mesh.ObjectKey) (mesh.Resource, bool, error) {
	a, ok := f.adoptions[key.String()]
	return a.Resource, ok, nil
}

func (f *fakeNode) Trace(_ context.Context, key mesh.ObjectKey) (mesh.Trace, error) {
	return f.traces[key.String()], nil
}

func (f *fakeNode) Doctor(_ context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
	for _, x := range f.checks {
		if (len(q.Groups) == 0 || slices.Contains(q.Groups, x.Group)) && !slices.Contains(q.Skip, x.ID) {
			sink(x)
		}
	}
	return nil
}

func (f *fakeNode) Changes(_ context.Context, at replica.Cursor, _ int) (c replica.Changes, err error) {
	if c.Next = (replica.Cursor{Changed: 1, Forgotten: 1}); at != c.Next { // nothing ever changes
		c.Items = f.resources
	}
	return c, nil
}

func (f *fakeNode) Topology(context.Context) (mesh.Topology, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := mesh.Topology{Self: f.status.Zone}
	for _, p := range f.peers {
		t.Links = append(t.Links, mesh.Link{From: string(t.Self), To: p.Name, State: p.State, Direct: p.Transport != nil,
			Transport: p.Transport, RTTSeconds: p.RTTSeconds, Since: *p.Since})
	}
	return t, nil
}

func (f *fakeNode) Content(_ context.Context, key mesh.ObjectKey, _ mesh.Zone) (admin.Claimed, bool, error) {
	if key.String() != "ConfigMap/default/app" {
		return admin.Claimed{}, false, nil
	}
	return admin.Claimed{Object: key, Zone: "west", Payload: []byte(`{"data":{"a":"1"}}`)}, true, nil
}

func (f *fakeNode) Held(context.Context) ([]mesh.HeldDeletes, error) { return f.held, nil }

func (f *fakeNode) Lost(context.Context) ([]oplog.LostEntry, error) { return f.lost, nil }

func (f *fakeNode) LostOne(_ context.Context, id uint64) (oplog.LostEntry, bool, error) {
	i := slices.IndexFunc(f.lost, func(l oplog.LostEntry) bool { return l.ID == id })
	if i < 0 {
		return oplog.LostEntry{}, false, nil
	}
	return f.lost[i], true, nil
}

// Adopt is done the second time that somebody asks how it is going.
func (f *fakeNode) Adopt(_ context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := key.String()
	a, ok := f.adoptions[name]
	if !ok {
		return a, &admin.Error{Code: admin.CodeNotFound, Message: "no object " + name, Cause: "no zone has a claim on it",
			Next: []string{"mesh log show --object " + name}}
	}
	switch {
	case !dryRun && f.refusal != nil:
		return a, f.refusal
	case !dryRun:
		f.wanted, f.asked = append(f.wanted, name), 0
	case len(f.wanted) > 0 && !a.Done:
		if f.asked++; f.asked > 1 {
			a.Owner, a.State, a.Epoch, a.Done, a.Detail = a.Zone, "Live", a.Epoch+1, true, ""
			f.adoptions[name] = a
		}
	}
	return a, nil
}

func (f *fakeNode) AcceptDeletes(_ context.Context, zone mesh.Zone, digest mesh.Hash) (mesh.Confirmation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if digest.String() != f.held[0].Digest {
		return mesh.Confirmation{}, &admin.Error{Code: admin.CodeConflict, Message: "the held deletions of " + string(zone) + " are not those you saw",
			Cause: "the set has changed since", Next: []string{"mesh peers accept-deletes " + string(zone)}}
	}
	n := len(f.held[0].Objects)
	f.held = nil
	return mesh.Confirmation{Zone: zone, Accepted: n}, nil
}

// serveFake serves a node on the socket of a data directory until the test ends; nil is one that starts.
func serveFake(t *testing.T, node *fakeNode) (dataDir string) {
	t.Helper()
	return serveFakeAt(t, node, "")
}

// serveFakeAt is serveFake that also listens on a loopback address, as api.listen does.
func serveFakeAt(t *testing.T, node *fakeNode, listen string) (dataDir string) {
	t.Helper()
	// The name of a test makes t.TempDir too long for a socket.
	dir, err := os.MkdirTemp("", "mesh-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	serveFakeIn(t, node, dir, listen)
	return dir
}

// serveFakeIn is serveFakeAt with a data directory that is there.
func serveFakeIn(t *testing.T, node *fakeNode, dir, listen string) {
	t.Helper()
	s, err := admin.New(admin.Config{HTTPAddress: "127.0.0.1", DataDir: dir, APIListen: listen, Registry: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Debug: admin.Debug{Config: func() []admin.ConfigValue {
			return []admin.ConfigValue{{Key: "mesh.zone", Values: []string{"east"}, Origin: "flag --zone"}}
		}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if node != nil {
		s.Start(node)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
