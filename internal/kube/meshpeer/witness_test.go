package meshpeer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

func TestWitness(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	conn := connect(t, s, s.Token, ns)
	keeper, err := meshpeer.New(meshpeer.Config{Conn: conn, Self: key("self"), Zone: "east", Peers: none})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, s: s, ns: ns, keeper: keeper, self: key("self")}
	ctx := t.Context()
	read := func(want event.Witness, present bool, inc mesh.Incarnation) {
		t.Helper()
		w, p, i, err := keeper.ReadWitness(ctx)
		if err != nil || w != want || p != present || i != inc {
			t.Errorf("ReadWitness = %v, %t, %d, %v; want %v, %t, %d", w, p, i, err, want, present, inc)
		}
	}
	a, b := mesh.Sum([]byte("a")), mesh.Sum([]byte("b"))
	read(event.Witness{}, false, 0)
	if err := keeper.WriteWitness(ctx, event.Witness{Cluster: a, Counter: 1}); err != nil {
		t.Fatal(err)
	}
	read(event.Witness{Cluster: a, Counter: 1}, true, 0)
	for _, n := range []uint64{5, 5} {
		if err := keeper.WriteWitness(ctx, event.Witness{Cluster: a, Counter: n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := keeper.WriteWitness(ctx, event.Witness{Cluster: a, Counter: 4}); !errors.Is(err, meshpeer.ErrWitnessNewer) {
		t.Errorf("a lower counter: %v", err)
	}
	read(event.Witness{Cluster: a, Counter: 5}, true, 0)

	// Of several the highest counts, and what is written then is what is read.
	f.create(manifest("second", f.self, ""))
	f.patch("second", fmt.Sprintf(`{"metadata":{"annotations":{%q:"%s/9"}}}`, meshpeer.WitnessAnnotation, b))
	f.patch("second/status", `{"status":{"status":"Ready","instance":{"zone":"east","start_time":"2024-03-09T16:00:00Z",
		"start_timestamp":1710000000000},"updateTime":"2024-03-09T16:00:00Z","conditions":[]}}`)
	read(event.Witness{Cluster: b, Counter: 9}, true, 1710000000000)
	if err := keeper.WriteWitness(ctx, event.Witness{Cluster: a, Counter: 6}); err != nil {
		t.Fatal(err)
	}
	read(event.Witness{Cluster: a, Counter: 6}, true, 1710000000000)

	for _, bad := range []string{"", "x", a.String(), a.String() + "/", a.String() + "/-1", a.String() + "/01",
		strings.ToUpper(a.String()) + "/1", a.String() + "/18446744073709551616", strings.Repeat("0", 64) + "/1"} {
		f.patch("second", fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, meshpeer.WitnessAnnotation, bad))
		if _, _, _, err := keeper.ReadWitness(ctx); !errors.Is(err, meshpeer.ErrWitnessMalformed) {
			t.Errorf("ReadWitness with %q: %v", bad, err)
		}
		if err := keeper.WriteWitness(ctx, event.Witness{Cluster: a, Counter: 99}); !errors.Is(err, meshpeer.ErrWitnessMalformed) {
			t.Errorf("WriteWitness over %q: %v", bad, err)
		}
	}
}

// The incarnation of another store of this zone is kept for all to see, even while this node writes under a lower one.
func TestIncarnationIsNeverLowered(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	f := start(t, s, ns, s.Token)
	f.mu.Lock()
	f.inc = 1800000000000
	f.mu.Unlock()
	higher := func() string {
		o := f.wants(f.self, "Ready", "True/Running")
		if i := o.Status.Instance; i == nil || i.StartTimestamp != 1800000000000 {
			return fmt.Sprintf("instance = %+v", i)
		}
		return ""
	}
	eventually(t, higher)
	for _, lower := range []mesh.Incarnation{0, 1700000000000} {
		f.mu.Lock()
		f.inc = lower
		f.mu.Unlock()
		f.looked()
		if why := higher(); why != "" {
			t.Error(why)
		}
	}
	if _, _, inc, err := f.keeper.ReadWitness(t.Context()); err != nil || inc != 1800000000000 {
		t.Errorf("ReadWitness names incarnation %d, %v", inc, err)
	}
}

// The cluster of another zone's node is told from one that is only new: its MeshPeer carries a witness. One of a former
// key of this zone, and those that this node keeps for its peers, are no sign of it.
func TestForeignCluster(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	conn := connect(t, s, s.Token, ns)
	keeper, err := meshpeer.New(meshpeer.Config{Conn: conn, Self: key("self"), Zone: "east", Peers: none})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, s: s, ns: ns, keeper: keeper, self: key("self")}
	status := func(zone string) {
		f.patch("other/status", fmt.Sprintf(`{"status":{"status":"Ready","instance":{"zone":%q,"start_time":"2024-03-09T16:00:00Z",
			"start_timestamp":1710000000000},"updateTime":"2024-03-09T16:00:00Z","conditions":[]}}`, zone))
	}
	f.create(manifest("other", key("other"), ""))
	status("west")
	if _, present, _, err := keeper.ReadWitness(t.Context()); err != nil || present {
		t.Errorf("beside a peer: present %t, %v", present, err)
	}
	f.patch("other", fmt.Sprintf(`{"metadata":{"annotations":{%q:"%s/9"}}}`, meshpeer.WitnessAnnotation, mesh.Sum([]byte("b"))))
	if _, _, _, err := keeper.ReadWitness(t.Context()); !errors.Is(err, meshpeer.ErrForeignCluster) || !strings.Contains(err.Error(), "zone west") {
		t.Errorf("beside another zone's node: %v", err)
	}
	if err := keeper.WriteWitness(t.Context(), event.Witness{Cluster: mesh.Sum([]byte("a")), Counter: 1}); !errors.Is(err, meshpeer.ErrForeignCluster) {
		t.Errorf("a witness beside another zone's: %v", err)
	}
	status("east")
	if _, _, _, err := keeper.ReadWitness(t.Context()); err != nil {
		t.Errorf("beside a former key of this zone: %v", err)
	}
}
