package admin_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
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

const network = mesh.NetworkID("default")

var (
	instance  = mesh.Instance{Zone: "east", Incarnation: 1_700_000_000_000}
	secretKey = mesh.ObjectKey{Kind: "Secret", Namespace: "default", Name: "token"}
	configKey = mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}
)

// fakeNode is a node with one log of real operations.
type fakeNode struct {
	key  keys.Private
	rows []oplog.Row
	lost []oplog.LostEntry

	adopt   func(ctx context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error)
	changes func(at replica.Cursor, limit int) replica.Changes
	doctor  func(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error // nil: all is well
	status  func(ctx context.Context) (mesh.Status, error)
	digests []mesh.Hash // accepted
	asked   []admin.InviteRequest
	removed []keys.Public
}

// newFakeNode writes a log: a snapshot with a Secret in it, an update of each kind, a deletion.
func newFakeNode(t testing.TB) *fakeNode {
	t.Helper()
	var seed [keys.SeedSize]byte
	seed[0] = 7
	f := &fakeNode{key: keys.FromSeed(seed)}
	f.changes = func(at replica.Cursor, limit int) (c replica.Changes) { // nothing ever does
		if c.Next = (replica.Cursor{Changed: 5, Forgotten: 5}); at != c.Next {
			c.Items, _ = f.Resources(t.Context(), mesh.ObjectKey{}, limit)
		}
		return c
	}
	entries := []event.Entry{
		{Kind: event.EntryLive, Object: configKey, Payload: []byte(`{"data":{"a":"1"}}`), Version: 1, Epoch: 1, Birth: 1},
		{Kind: event.EntryLive, Object: secretKey, Payload: []byte(`{"data":{"p":"aHVudGVyMg=="}}`), Version: 2, Epoch: 1, Birth: 2},
	}
	digest := event.NewDigest()
	for _, e := range entries {
		if err := digest.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	count, sum := digest.Sum()
	for _, ev := range []event.Event{
		{SnapshotBegin: &event.SnapshotBegin{}},
		{SnapshotChunk: &event.SnapshotChunk{Entries: entries}},
		{SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: sum}},
		{Update: &event.Update{Object: configKey, Payload: []byte(`{"data":{"a":"2"}}`), Version: 3, Epoch: 1, Birth: 1}},
		{Update: &event.Update{Object: secretKey, Payload: []byte(`{"data":{"p":"aHVudGVyMg=="}}`), Version: 4, Epoch: 1, Birth: 2}},
		{Delete: &event.Delete{Object: configKey, Version: 5, Epoch: 1, Birth: 1}},
	} {
		f.append(t, ev)
	}
	f.lost = []oplog.LostEntry{{ID: 9, Size: 24, LostRecord: oplog.LostRecord{
		Object: secretKey, Zone: "east", Version: 4, Reason: "adopted", At: 1_700_000_000_500, Payload: []byte(`{"data":{"p":"c2VjcmV0"}}`),
	}}}
	return f
}

func (f *fakeNode) append(t testing.TB, ev event.Event) {
	t.Helper()
	ev.Instance = instance
	ev.Kind = kindOf(ev)
	body, err := event.Encode(&ev)
	if err != nil {
		t.Fatal(err)
	}
	h := operation.Header{Seq: uint32(len(f.rows)), Log: mesh.LogIDOf(network, instance),
		Timestamp: 1_700_000_000_000_000 + uint64(len(f.rows)), Prune: ev.SnapshotBegin != nil}
	if n := len(f.rows); n > 0 {
		h.Backlink = f.rows[n-1].ID
	}
	op, err := operation.Sign(f.key, h, body)
	if err != nil {
		t.Fatal(err)
	}
	f.rows = append(f.rows, oplog.Row{Log: f.log(), Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body})
}

func kindOf(ev event.Event) event.Kind {
	switch {
	case ev.Update != nil:
		return event.KindUpdate
	case ev.Delete != nil:
		return event.KindDelete
	case ev.SnapshotBegin != nil:
		return event.KindSnapshotBegin
	case ev.SnapshotChunk != nil:
		return event.KindSnapshotChunk
	}
	return event.KindSnapshotEnd
}

func (f *fakeNode) log() mesh.LogKey {
	return mesh.LogKey{Author: f.key.Public(), Log: mesh.LogIDOf(network, instance)}
}

func (f *fakeNode) Status(ctx context.Context) (mesh.Status, error) {
	if f.status != nil {
		return f.status(ctx)
	}
	return mesh.Status{Zone: "east", NetworkID: network, Ready: true, Findings: []mesh.Finding{}}, nil
}

func (f *fakeNode) Peers(context.Context) ([]mesh.Peer, error) {
	return []mesh.Peer{{Name: "west", Zone: "west", State: mesh.Ready}}, nil
}

func (f *fakeNode) Logs(context.Context) ([]mesh.LogStatus, error) {
	height := uint32(len(f.rows) - 1)
	return []mesh.LogStatus{{Name: "east", Zone: "east", PublicKey: f.key.Public().String(), LogID: f.log().Log.String(),
		Incarnation: time.UnixMilli(int64(instance.Incarnation)).UTC(), Height: &height, Operations: uint64(len(f.rows)), State: "OK"}}, nil
}

func (f *fakeNode) Rows(_ context.Context, log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error) {
	var out []oplog.Row
	if log != f.log() {
		return nil, nil
	}
	for _, r := range f.rows {
		if r.Seq >= from && r.Seq < to {
			out = append(out, r)
			if len(out) == 2 { // small pages: a caller must ask for the next
				break
			}
		}
	}
	return out, nil
}

func (f *fakeNode) Resources(_ context.Context, after mesh.ObjectKey, limit int) ([]mesh.Resource, error) {
	var out []mesh.Resource
	for i := range 5 {
		k := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: fmt.Sprintf("c%d", i)}
		if k.Compare(after) > 0 && len(out) < limit {
			out = append(out, mesh.Resource{Object: k.String(), Owner: "east", State: "Live"})
		}
	}
	return out, nil
}

func (f *fakeNode) Resource(_ context.Context, key mesh.ObjectKey) (mesh.Resource, bool, error) {
	if key != configKey {
		return mesh.Resource{}, false, nil
	}
	return mesh.Resource{Object: key.String(), Owner: "east", State: "Live", Epoch: 1}, true, nil
}

func (f *fakeNode) Trace(_ context.Context, key mesh.ObjectKey) (mesh.Trace, error) {
	return mesh.Trace{Resource: mesh.Resource{Object: key.String()}, Steps: []mesh.TraceStep{{Name: "owner", Status: mesh.CheckOK, Message: "east states it"}}}, nil
}

func (f *fakeNode) Changes(_ context.Context, at replica.Cursor, limit int) (replica.Changes, error) {
	return f.changes(at, limit), nil
}

func (f *fakeNode) Doctor(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
	if f.doctor != nil {
		return f.doctor(ctx, q, sink)
	}
	sink(mesh.CheckResult{Group: "config", ID: "config.valid", Status: mesh.CheckOK, Message: "the configuration is valid"})
	return nil
}

func (f *fakeNode) Topology(context.Context) (mesh.Topology, error) {
	rtt := 0.018
	return mesh.Topology{Self: "east", Links: []mesh.Link{{From: "east", To: "west", State: mesh.Ready, Direct: true, RTTSeconds: &rtt}}}, nil
}

func (f *fakeNode) Content(_ context.Context, key mesh.ObjectKey, zone mesh.Zone) (admin.Claimed, bool, error) {
	payload := map[mesh.ObjectKey]string{configKey: `{"data":{"a":"2"}}`, secretKey: `{"data":{"p":"aHVudGVyMg=="}}`}[key]
	return admin.Claimed{Object: key, Zone: cmp.Or(zone, "east"), Payload: []byte(payload)}, payload != "" && (zone == "" || zone == "east"), nil
}

func (f *fakeNode) Held(context.Context) ([]mesh.HeldDeletes, error) {
	return []mesh.HeldDeletes{{Zone: "west", Objects: []string{"ConfigMap/default/app"}, Digest: mesh.Sum([]byte("set")).String(), Reason: "Brake"}}, nil
}

func (f *fakeNode) Lost(context.Context) ([]oplog.LostEntry, error) {
	out := append([]oplog.LostEntry(nil), f.lost...)
	for i := range out {
		out[i].Payload = nil
	}
	return out, nil
}

func (f *fakeNode) LostOne(_ context.Context, id uint64) (oplog.LostEntry, bool, error) {
	for _, l := range f.lost {
		if l.ID == id {
			return l, true, nil
		}
	}
	return oplog.LostEntry{}, false, nil
}

func (f *fakeNode) Adopt(ctx context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error) {
	if f.adopt != nil {
		return f.adopt(ctx, key, dryRun)
	}
	return mesh.Adoption{Zone: "east", Done: !dryRun}, nil
}

func (f *fakeNode) AcceptDeletes(_ context.Context, zone mesh.Zone, digest mesh.Hash) (mesh.Confirmation, error) {
	if digest != mesh.Sum([]byte("set")) {
		return mesh.Confirmation{}, &admin.Error{Code: admin.CodeConflict, Message: "the held set has changed"}
	}
	f.digests = append(f.digests, digest)
	return mesh.Confirmation{Zone: zone, Accepted: 1}, nil
}

func (f *fakeNode) Invite(_ context.Context, req admin.InviteRequest) (mesh.NewInvite, error) {
	f.asked = append(f.asked, req)
	in := mesh.Invite{ID: "k7q2m9xd", Uses: req.Uses, State: mesh.InvitePending, Redemptions: []mesh.Redemption{}}
	return mesh.NewInvite{Invite: in, Endpoints: req.Endpoints, Token: "meshinv1_x"}, nil
}

func (f *fakeNode) Invites(context.Context) ([]mesh.Invite, error) {
	return []mesh.Invite{{ID: "k7q2m9xd", Uses: 1, State: mesh.InvitePending, Redemptions: []mesh.Redemption{}}}, nil
}

func (f *fakeNode) Revoke(_ context.Context, id string) (mesh.Invite, error) {
	if id != "k7q2m9xd" {
		return mesh.Invite{}, &admin.Error{Code: admin.CodeNotFound, Message: "no invite " + id}
	}
	return mesh.Invite{ID: id, State: mesh.InviteRevoked}, nil
}

func (f *fakeNode) Remove(_ context.Context, key keys.Public, dryRun bool) (mesh.Removal, error) {
	out := mesh.Removal{PublicKey: key.String(), State: mesh.NotRemoved}
	if !dryRun {
		f.removed, out.State = append(f.removed, key), mesh.RemovalProposed
	}
	return out, nil
}

// serve runs a server until the test ends and returns it.
func serve(t *testing.T, node admin.Inspector, change func(*admin.Config)) *admin.Server {
	t.Helper()
	// t.TempDir holds the test's name, which is too long for a socket.
	dir, err := os.MkdirTemp("", "adm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg := admin.Config{HTTPAddress: "127.0.0.1", DataDir: dir, Registry: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&cfg)
	}
	s, err := admin.New(cfg)
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
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

func client(t *testing.T, addr string) *admin.Client {
	t.Helper()
	c, err := admin.NewClient(addr, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// get returns status and body of a plain request.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, math.MaxInt32))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
