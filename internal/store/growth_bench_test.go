package store

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// BenchmarkObjects is what an object costs among 10,000, 30,000 and 100,000 of another zone: the time to take it in (the
// state machine's and that of groups of a thousand in a transaction, without network and signatures), its share of the
// file, of memory after a start, and of the processor time of that start.
//
// The exponent e says that the cost of all of them grows as objects^e does: 1 is linear.
func BenchmarkObjects(b *testing.B) {
	sizes := []int{10_000, 30_000, 100_000}
	var ingest, file, heap, start []float64
	arriving := statements(b, sizes[len(sizes)-1])
	for b.Loop() {
		ingest, file, heap, start = nil, nil, nil, nil
		for _, n := range sizes {
			c := measureObjects(b, arriving[:n+2])
			ingest, file = append(ingest, c.ingest.Seconds()), append(file, float64(c.file))
			heap, start = append(heap, float64(c.heap)), append(start, c.start.Seconds())
		}
	}
	for i, n := range sizes {
		size := fmt.Sprintf("-%dk", n/1000)
		b.ReportMetric(1e6*ingest[i]/float64(n), "ingest-µs"+size)
		b.ReportMetric(1e6*start[i]/float64(n), "start-µs"+size)
		b.ReportMetric(file[i]/float64(n), "file-B"+size)
		b.ReportMetric(heap[i]/float64(n), "heap-B"+size)
	}
	b.ReportMetric(exponent(sizes, ingest), "e-ingest")
	b.ReportMetric(exponent(sizes, start), "e-start")
	b.ReportMetric(exponent(sizes, file), "e-file")
	b.ReportMetric(exponent(sizes, heap), "e-heap")
}

// exponent fits y = c * x^e.
func exponent(x []int, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		lx, ly := math.Log(float64(x[i])), math.Log(y[i])
		sx, sy, sxx, sxy = sx+lx, sy+ly, sxx+lx*lx, sxy+lx*ly
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

const growthNetwork mesh.NetworkID = "growth"

var growthStart = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

// statements are the operations of a zone that publishes n objects, with those that begin its log, as they arrive.
func statements(b *testing.B, n int) (out []replica.Input) {
	b.Helper()
	memory := oplog.NewMemory()
	east := startReplica(b, memory, replica.Config{Network: growthNetwork, Zone: "east", Key: keys.FromSeed([keys.SeedSize]byte{1}),
		Bootstrap: true, SnapshotMaxLog: uint64(10 * n)})
	take := func(in ...replica.Input) {
		fx, err := east.Step(growthStart, in...)
		if err != nil {
			b.Fatal(err)
		}
		if err := memory.Commit(&fx.Persist); err != nil {
			b.Fatal(err)
		}
		for _, p := range fx.Publish {
			op, err := operation.Decode(p.Header)
			if err == nil {
				err = op.SetBody(p.Body)
			}
			if err != nil {
				b.Fatal(err)
			}
			ev, err := event.Decode(p.Body)
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, replica.Arrived{Op: op, Event: ev, From: op.Author})
		}
	}
	take(replica.Tick{})
	take(replica.WitnessRead{}, replica.Listed{})
	for i := range n {
		take(replica.Local{Object: object(i), Payload: fmt.Appendf(nil, `{"apiVersion":"v1","data":{"value":%q},"kind":"ConfigMap"}`, strings.Repeat("v", 200))})
	}
	if len(out) != n+2 {
		b.Fatalf("%d operations say what %d objects are, want two more", len(out), n)
	}
	return out
}

func startReplica(b *testing.B, s oplog.Store, cfg replica.Config) *replica.Replica {
	b.Helper()
	x, err := s.Load()
	if err != nil {
		b.Fatal(err)
	}
	r, err := replica.New(cfg, x, s, growthStart)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// growthCost is what a number of objects cost together.
type growthCost struct {
	ingest, start time.Duration
	file          int64  // bytes
	heap          uint64 // bytes
}

func measureObjects(b *testing.B, arriving []replica.Input) (c growthCost) {
	b.Helper()
	s := newTest(b)
	cfg := replica.Config{Network: growthNetwork, Zone: "west", Key: keys.FromSeed([keys.SeedSize]byte{2}), Clusterless: true,
		Members: []replica.Member{{Key: keys.FromSeed([keys.SeedSize]byte{1}).Public(), Zone: "east"}}}
	west := startReplica(b, s, cfg)
	take := func(in ...replica.Input) {
		fx, err := west.Step(growthStart, in...)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(&fx.Persist); err != nil {
			b.Fatal(err)
		}
	}
	take(replica.Tick{})
	const group = 1000
	began := time.Now()
	for at := 0; at < len(arriving); at += group {
		take(arriving[at:min(at+group, len(arriving))]...)
	}
	c.ingest = time.Since(began)
	path := s.Path()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	c.file = info.Size()

	before := heapInUse()
	const starts = 3 // of which the fastest counts: what disturbs one makes it longer
	for range starts {
		from := processorTime(b)
		if s, err = Open(path, small); err != nil {
			b.Fatal(err)
		}
		west = startReplica(b, s, cfg)
		if took := processorTime(b) - from; c.start == 0 || took < c.start {
			c.start = took
		}
		c.heap = heapInUse() - before
		if _, err := west.Step(growthStart, replica.Tick{}); err != nil { // it is in use until here
			b.Fatal(err)
		}
		if n := west.Counts().Live; n != len(arriving)-2 {
			b.Fatalf("%d objects are known after a start, want %d", n, len(arriving)-2)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		west = nil
	}
	return c
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
