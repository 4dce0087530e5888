package node

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
)

// BenchmarkSyncIngest is a first sync of 1 KiB operations between two nodes on loopback, with stores in
// memory: network, verification and loop. The ratio to BenchmarkVerifyAllCores of one run is the figure that
// counts.
func BenchmarkSyncIngest(b *testing.B) {
	a, c := newMember(b, 1), newMember(b, 2)
	if bytes.Compare(key(a), key(c)) > 0 {
		a, c = c, a // the smaller key dials at once
	}
	a.start()
	a.writeBatch(b.N, 1024)
	c.knows(a)
	c.start()
	b.ReportAllocs()
	b.ResetTimer()
	if err := a.node.SetNodes(b.Context(), []Peer{c.peer()}); err != nil {
		b.Fatal(err)
	}
	until(b, "all", func() bool { return int(c.holds(a)) == b.N })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkVerifyAllCores is what checking every signature on all cores costs, of as many bytes as a header has.
func BenchmarkVerifyAllCores(b *testing.B) {
	k := testKey(1)
	message := make([]byte, 250)
	signature := k.Sign(message)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !keys.Verify(k.Public(), message, signature) {
				b.Error("a signature does not verify")
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkLive is one operation at a time, from the change to its being persisted at the neighbour.
func BenchmarkLive(b *testing.B) {
	a, c := newMember(b, 1), newMember(b, 2)
	a.knows(c)
	c.knows(a)
	a.start()
	c.start()
	until(b, "compared", func() bool { return a.core.comparedWith(c.public()) > 0 && c.core.comparedWith(a.public()) > 0 })
	arrived := make(chan struct{}, 1)
	c.core.onChange = func() { arrived <- struct{}{} }
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		a.write(1, 100)
		<-arrived
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

func key(m *member) []byte {
	k := m.public()
	return k[:]
}
