package replica_test

import (
	"fmt"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// crowded is a replica that holds n objects of another zone and comes to rest.
func crowded(b *testing.B, n int) *bench {
	b.Helper()
	east := replica.Member{Key: keyOf(2).Public(), Zone: "east"}
	west := replica.Member{Key: keyOf(3).Public(), Zone: "west"}
	x := &bench{t: b, now: meshtest.Epoch, store: oplog.NewMemory()}
	idx := &oplog.Index{}
	at := mesh.Position{Incarnation: 1000}
	at.Log = mesh.LogKey{Author: east.Key, Log: mesh.LogIDOf(meshtest.Network, mesh.Instance{Zone: "east", Incarnation: 1000})}
	for i := range n {
		k := meshtest.Object(fmt.Sprintf("e%06d", i))
		idx.Claims = append(idx.Claims, mesh.Claim{Object: k, Zone: "east", Kind: mesh.Live, Version: 1, Epoch: 1, Birth: 1, At: at})
		idx.Placed = append(idx.Placed, oplog.Placed{Object: k, Zone: "east", Version: 1, Epoch: 1, Birth: 1, State: oplog.PlacedDone})
	}
	cfg := replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), Members: []replica.Member{east, west}}
	var err error
	if x.r, err = replica.New(cfg, idx, x.store, x.now); err != nil {
		b.Fatal(err)
	}
	x.open()
	return x
}

const crowd = 100_000

// BenchmarkLocalChange is one change of our own beside many objects.
func BenchmarkLocalChange(b *testing.B) {
	x := crowded(b, crowd)
	i := 0
	for b.Loop() {
		i++
		x.now = x.now.Add(time.Millisecond)
		x.do(replica.Local{Object: meshtest.Object("mine"), Payload: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
}

// BenchmarkSmallSnapshot is a run of another zone with ten objects, beside many that it doesn't concern.
func BenchmarkSmallSnapshot(b *testing.B) { benchmarkSnapshot(b, 10) }

// BenchmarkSnapshot is a run of another zone with 10,000 objects.
func BenchmarkSnapshot(b *testing.B) { benchmarkSnapshot(b, 10_000) }

func benchmarkSnapshot(b *testing.B, n int) {
	x := crowded(b, crowd)
	w := newAuthor(3, "west", 1000)
	x.do(w.begin(b)...)
	entries := make([]event.Entry, n)
	for i := range entries {
		entries[i] = event.Entry{Kind: event.EntryLive, Object: meshtest.Object(fmt.Sprintf("w%06d", i)),
			Payload: []byte(`{"kind":"ConfigMap"}`), Version: 1, Epoch: 1, Birth: 1}
	}
	for b.Loop() {
		b.StopTimer()
		in := w.run(b, entries...)
		b.StartTimer()
		x.do(in...)
	}
}
