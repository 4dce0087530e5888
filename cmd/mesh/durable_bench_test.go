package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/rivaltest"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/store"
)

// BenchmarkDurable is one operation at a time, at rest, from the change at A until it is synced to disk and merged at
// B; in turns with a message that is published on a JetStream of one NATS server until it stands in the mirror on
// another, over a leaf node connection, with every write synced. Either pair is one process with both ends in it, joined
// by sockets on loopback, with its stores on the same disk.
//
// A message counts as stored when a consumer of the mirror has it, which is one handing over more than ours pay; what
// that costs can't be more than the time from the acknowledgement, which is reported too.
func BenchmarkDurable(b *testing.B) {
	const size = 512 // bytes of content
	dir := b.TempDir()
	there := make(chan time.Time, 1)
	a := startDurable(b, "a", filepath.Join(dir, "a"), nil)
	z := startDurable(b, "z", filepath.Join(dir, "z"), there, a)
	if err := a.node.SetNodes(b.Context(), []node.Peer{z.peer}); err != nil {
		b.Fatal(err)
	}
	theirs := rivaltest.Start(b, "nats", exec.Command(rivaltest.Build(b), "nats", "-dir", filepath.Join(dir, "nats")))

	count := 0
	change := func() (acked, stored time.Duration) {
		count++
		content := fmt.Sprintf(`{"apiVersion":"v1","data":{"value":"%0*d"},"kind":"ConfigMap","metadata":{"name":"o","namespace":"default"}}`, size-100, count)
		began := time.Now()
		err := a.node.Do(b.Context(), replica.Local{Object: mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "o"}, Payload: []byte(content)})
		if err != nil {
			b.Fatal(err)
		}
		acked = time.Since(began)
		select {
		case at := <-there:
			return acked, at.Sub(began)
		case <-time.After(2 * time.Minute):
			b.Fatal("B never gets it")
		}
		panic("unreachable")
	}
	message := func() (acked, stored time.Duration) {
		theirs.Send(map[string]int{"size": size})
		var done struct{ Acked, Stored int64 }
		theirs.Next(&done)
		return time.Duration(done.Acked), time.Duration(done.Stored)
	}
	change() // signed only when both have compared what they hold
	for range 20 {
		change()
		message()
	}
	var ours, rivals, oursAcked, rivalsAcked []time.Duration
	for b.Loop() {
		for range 300 { // enough for a p99 in the shortest run
			time.Sleep(3 * time.Millisecond) // at rest: what follows a change is over
			acked, stored := change()
			ours, oursAcked = append(ours, stored), append(oursAcked, acked)
			time.Sleep(3 * time.Millisecond)
			acked, stored = message()
			rivals, rivalsAcked = append(rivals, stored), append(rivalsAcked, acked)
		}
	}
	for _, of := range []struct {
		name string
		took []time.Duration
	}{{"", ours}, {"acked-", oursAcked}, {"nats-", rivals}, {"nats-acked-", rivalsAcked}} {
		b.ReportMetric(milliseconds(of.took, 0.5), of.name+"p50-ms")
		b.ReportMetric(milliseconds(of.took, 0.99), of.name+"p99-ms")
	}
	b.ReportMetric(milliseconds(ours, 0.5)/milliseconds(rivals, 0.5), "x-nats-p50")
	b.ReportMetric(milliseconds(ours, 0.99)/milliseconds(rivals, 0.99), "x-nats-p99")
}

// milliseconds returns a quantile.
func milliseconds(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[int(float64(len(d)-1)*q)].Nanoseconds()) / 1e6
}

// durable is a node with a store on disk, and no more of a cluster than it needs to have its writes confirmed.
type durable struct {
	node *node.Node
	peer node.Peer
}

func startDurable(b *testing.B, zone mesh.Zone, dir string, applied chan time.Time, knows ...*durable) *durable {
	b.Helper()
	key := keys.FromSeed([keys.SeedSize]byte{zone[0]})
	s, err := store.Open(dir+".db", store.Options{Owner: store.Identity{Network: "bench", Zone: zone, Author: key.Public()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	cfg := node.DefaultConfig()
	cfg.Key, cfg.Zone, cfg.Network, cfg.Store = key, zone, "bench", s
	cfg.BindAddresses, cfg.Port = []string{"127.0.0.1"}, 0
	cfg.Cluster = &confirming{applied: applied, answers: make(chan []replica.Input, 1024)}
	for _, k := range knows {
		cfg.Nodes = append(cfg.Nodes, k.peer)
	}
	n, err := node.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	for end := time.Now().Add(time.Minute); !n.Ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%s is not ready", zone)
		}
	}
	return &durable{n, node.Peer{Key: key.Public(), Zone: zone, Endpoints: []string{net.JoinHostPort("127.0.0.1", fmt.Sprint(n.Port()))}}}
}

// confirming is a cluster that confirms every write and says when it was asked for one, which is after what asks for it
// was synced to disk.
type confirming struct {
	applied chan time.Time       // capacity 1; nil: nobody asks
	answers chan []replica.Input // capacity far beyond what waits at a time
	witness atomic.Pointer[event.Witness]
}

func (c *confirming) Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error {
	c.CheckWitness()
	c.answers <- []replica.Input{replica.Listed{}}
	for {
		select {
		case in := <-c.answers:
			if err := sink(ctx, in...); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *confirming) Apply(ws []replica.Write) {
	now := time.Now()
	for _, w := range ws {
		if w.Kind == replica.PutReplica && c.applied != nil {
			c.applied <- now
		}
		c.answers <- []replica.Input{replica.Written{Write: w}}
	}
}

func (c *confirming) Probe([]mesh.ObjectKey) {}
func (c *confirming) Restore([]oplog.Placed) {}
func (c *confirming) CheckWitness() {
	read := replica.WitnessRead{}
	if w := c.witness.Load(); w != nil {
		read.Present, read.Witness = true, *w
	}
	c.answers <- []replica.Input{read}
}

func (c *confirming) WriteWitness(w event.Witness) {
	c.witness.Store(&w)
	c.answers <- []replica.Input{replica.WitnessWritten{Witness: w}}
}

func (c *confirming) Status() mesh.ClusterStatus {
	return mesh.ClusterStatus{Kind: "bench", Connected: true}
}
