package event_test

import (
	"reflect"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

var (
	instance = mesh.Instance{Zone: "eu", Incarnation: 1700000000000}
	web      = mesh.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	settings = mesh.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	admin    = mesh.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "shop:admin"}
)

func public(n byte) keys.Public { return keys.FromSeed([keys.SeedSize]byte{n}).Public() }
func hash(s string) mesh.Hash   { return mesh.Sum([]byte(s)) }
func logID(s string) mesh.LogID { return mesh.LogID(hash(s)) }
func logKey(n byte, s string) mesh.LogKey {
	return mesh.LogKey{Author: public(n), Log: logID(s)}
}

// byAuthor are two authors in the order of their keys.
func byAuthor() (lower, higher byte) {
	if public(1).Compare(public(2)) < 0 {
		return 1, 2
	}
	return 2, 1
}

type sample struct {
	name  string
	event *event.Event
}

// samples has an event of every kind, lists in the order in which they are written.
func samples() []sample {
	lo, hi := byAuthor()
	of := func(k event.Kind, fill func(e *event.Event)) *event.Event {
		e := &event.Event{Instance: instance, Kind: k}
		fill(e)
		return e
	}
	entries := []event.Entry{
		{Kind: event.EntryLive, Object: settings, Payload: []byte(`{"data":{"a":"1"}}`), Version: 12, Epoch: 1, Birth: 12},
		{Kind: event.EntryReleased, Object: web, NewOwner: "us", Epoch: 3},
		{Kind: event.EntryDeleted, Object: admin, Version: 1 << 40, Epoch: 2, Birth: 70000},
		{Kind: event.EntryReport, Object: web, Zone: "eu", Version: 9, Payload: []byte(`{"replicas":2}`)},
		{Kind: event.EntryTrust, Header: []byte("a signed header"), Body: []byte("its body")},
	}
	return []sample{
		{"update", of(event.KindUpdate, func(e *event.Event) {
			e.Update = &event.Update{Object: web, Payload: []byte(`{"kind":"Deployment"}`), Version: 1700000000000001, Epoch: 2, Birth: 1700000000000000}
		})},
		{"delete", of(event.KindDelete, func(e *event.Event) {
			e.Delete = &event.Delete{Object: admin, Version: 300, Epoch: 1, Birth: 24}
		})},
		{"release", of(event.KindRelease, func(e *event.Event) {
			e.Release = &event.Release{Object: settings, NewOwner: "us-east", Epoch: 2}
		})},
		{"release-to-nobody", of(event.KindRelease, func(e *event.Event) {
			e.Release = &event.Release{Object: settings, Epoch: mesh.MaxEpoch}
		})},
		{"report", of(event.KindReport, func(e *event.Event) {
			e.Report = &event.Report{Object: web, Entry: "eu", Version: mesh.MaxVersion, Payload: []byte(`{"replicas":2}`)}
		})},
		{"ack", of(event.KindAck, func(e *event.Event) {
			e.Ack = &event.Ack{Heights: []event.Height{{logKey(lo, "a"), 0}, {logKey(hi, "a"), 70000}}}
		})},
		{"snapshot-begin", of(event.KindSnapshotBegin, func(e *event.Event) {
			e.SnapshotBegin = &event.SnapshotBegin{
				Floor:   1600000000000,
				Covers:  []event.Cover{{Log: logKey(lo, "a"), Incarnation: 1650000000000, Height: 7, Head: hash("head")}},
				Witness: event.Witness{Cluster: hash("cluster"), Counter: 5},
				Heights: []event.Height{{logKey(hi, "b"), 23}},
			}
		})},
		{"snapshot-begin-empty", of(event.KindSnapshotBegin, func(e *event.Event) {
			e.SnapshotBegin = &event.SnapshotBegin{}
		})},
		{"snapshot-chunk", of(event.KindSnapshotChunk, func(e *event.Event) {
			e.SnapshotChunk = &event.SnapshotChunk{Entries: entries}
		})},
		{"snapshot-end", of(event.KindSnapshotEnd, func(e *event.Event) {
			e.SnapshotEnd = &event.SnapshotEnd{Count: 5, Digest: hash("run")}
		})},
		{"admit", of(event.KindAdmit, func(e *event.Event) {
			e.Admit = &event.Admit{Key: public(3), Zone: "asia"}
		})},
		{"admit-without-zone", of(event.KindAdmit, func(e *event.Event) {
			e.Admit = &event.Admit{Key: public(3)}
		})},
		{"bind", of(event.KindBind, func(e *event.Event) {
			e.Bind = &event.Bind{Key: public(3), Zone: "asia"}
		})},
		{"remove", of(event.KindRemove, func(e *event.Event) {
			e.Remove = &event.Remove{Key: public(3), Cuts: []event.Cut{{Log: logID("a"), Height: 9, Head: hash("nine")}}}
		})},
		{"remove-proposal", of(event.KindRemove, func(e *event.Event) {
			e.Remove = &event.Remove{Key: public(3)}
		})},
		{"hand-over", of(event.KindHandOver, func(e *event.Event) {
			e.HandOver = &event.HandOver{Zone: "asia", From: public(3), To: public(4), Generation: 1,
				Cuts: []event.Cut{{Log: logID("a"), Height: 9, Head: hash("nine")}}}
		})},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		body, err := event.Encode(s.event)
		if err != nil {
			t.Fatalf("%s: Encode: %v", s.name, err)
		}
		got, err := event.Decode(body)
		if err != nil {
			t.Fatalf("%s: Decode(%x): %v", s.name, body, err)
		}
		if !reflect.DeepEqual(got, s.event) {
			t.Errorf("%s: Decode(Encode(e)) = %+v, want %+v", s.name, got, s.event)
		}
		if at, err := event.Instance(body); err != nil || at != instance {
			t.Errorf("%s: Instance = %v, %v, want %v", s.name, at, err, instance)
		}
	}
}
