package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// BenchmarkAppend appends one operation of 700 bytes with its claim and its log's record at a time, in turns with a bare bbolt
// commit of one key: x-bare is the ratio of the medians, x-bare-mean that of the means, in which a disk that hangs once counts.
func BenchmarkAppend(b *testing.B) {
	s := newTest(b)
	log := storetest.Log(1, 1)
	body := make([]byte, 500)
	bare, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	err = bare.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("b"))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []time.Duration
	for n := 0; b.Loop(); n++ {
		claim := storetest.ClaimOf(object(n%5000), "eu", 1, "")
		claim.Payload = body
		batch := &oplog.Batch{
			Rows:   []oplog.Row{{Log: log, Seq: uint32(n), Header: body[:200], Body: body}},
			Logs:   []oplog.Log{{Key: log, Next: uint32(n) + 1}},
			Claims: []oplog.ClaimWrite{claim},
		}
		start := time.Now()
		if err := s.Commit(batch); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		err := bare.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("b")).Put(order.AppendUint64(nil, uint64(n)), body)
		})
		if err != nil {
			b.Fatal(err)
		}
		ours, theirs = append(ours, middle.Sub(start)), append(theirs, time.Since(middle))
	}
	b.ReportMetric(median(ours).Seconds()*1e3, "p50-ms")
	b.ReportMetric(median(theirs).Seconds()*1e3, "bare-p50-ms")
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "x-bare")
	b.ReportMetric(float64(sum(ours))/float64(sum(theirs)), "x-bare-mean")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func sum(d []time.Duration) (s time.Duration) {
	for _, x := range d {
		s += x
	}
	return s
}

// BenchmarkAppendBatch appends 1,000 operations of 300 bytes with their claims per commit.
func BenchmarkAppendBatch(b *testing.B) {
	s := newTest(b)
	log := storetest.Log(1, 1)
	const size = 1000
	body := make([]byte, 300)
	var seq uint32
	b.ReportAllocs()
	for b.Loop() {
		var batch oplog.Batch
		for range size {
			batch.Rows = append(batch.Rows, oplog.Row{Log: log, Seq: seq, ID: mesh.Hash{1}, Header: body[:200], Body: body})
			claim := storetest.ClaimOf(object(int(seq)%20_000), "eu", 1, "")
			claim.Payload = body
			batch.Claims = append(batch.Claims, claim)
			seq++
		}
		if err := s.Commit(&batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "ops/s")
}

// fillClaims stores n claims with a payload of a kilobyte.
func fillClaims(b *testing.B, s *Store, n int) {
	b.Helper()
	payload := make([]byte, 1000)
	for i := 0; i < n; {
		var batch oplog.Batch
		for range min(5000, n-i) {
			c := storetest.ClaimOf(object(i), mesh.Zone(fmt.Sprintf("zone-%d", i%5)), 1, "")
			c.Payload = payload
			batch.Claims = append(batch.Claims, c)
			i++
		}
		if err := s.Commit(&batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad opens a store of 100,000 claims and loads its index: the store's part of a start. The file is in
// the page cache.
func BenchmarkLoad(b *testing.B) {
	const claims = 100_000
	s := newTest(b)
	fillClaims(b, s, claims)
	path := s.Path()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var heap uint64
	for b.Loop() {
		var before, after runtime.MemStats
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		s, err := Open(path, small)
		if err != nil {
			b.Fatal(err)
		}
		x, err := s.Load()
		if err != nil || len(x.Claims) != claims {
			b.Fatal(len(x.Claims), err)
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		heap = after.HeapAlloc - before.HeapAlloc
		runtime.KeepAlive(x)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*claims), "ns/claim")
	b.ReportMetric(float64(heap)/claims, "heap-B/claim")
	b.ReportMetric(float64(info.Size())/claims, "file-B/claim")
}

// BenchmarkAppendManyFree appends one at a time to a file with 25,000 free pages, as after a large prune: the
// list of them is written with every commit.
func BenchmarkAppendManyFree(b *testing.B) {
	s := newTest(b)
	log := storetest.Log(9, 1)
	body := make([]byte, 4000)
	for n := range uint32(25) {
		var batch oplog.Batch
		for i := range uint32(1000) {
			batch.Rows = append(batch.Rows, oplog.Row{Log: log, Seq: n*1000 + i, Header: []byte{1}, Body: body})
		}
		if err := s.Commit(&batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Commit(&oplog.Batch{Prune: []oplog.Span{{Log: log, From: 0, To: 25_000}}}); err != nil {
		b.Fatal(err)
	}
	c := newChain(1)
	for b.Loop() {
		if err := s.Commit(c.next()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadsBesideCommits reads rows in batches while another goroutine commits.
func BenchmarkReadsBesideCommits(b *testing.B) {
	s := newTest(b)
	c := newChain(1)
	for range 200 {
		if err := s.Commit(c.next()); err != nil {
			b.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Commit(c.next()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	log := storetest.Log(1, 1)
	for b.Loop() {
		if _, err := s.Rows(log, 0, 1<<32-1, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}
