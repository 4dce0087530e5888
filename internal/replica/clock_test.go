package replica_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

// A clock that jumps at every step, by up to centuries and both ways, stops nothing and turns nothing back: the start
// ends, each change is signed with a higher version than the one before, and no wait is longer than the longest interval.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	const snapshotInterval = 5 * time.Minute // the default, and the longest there is
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 5))
		b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
		right := b.now
		jump := func() {
			ahead := []time.Duration{time.Second, time.Hour, 24 * time.Hour * 365, 200 * 24 * time.Hour * 365}[rng.IntN(4)]
			b.now = right.Add(time.Duration(rng.IntN(3)-1) * ahead)
		}
		b.do(replica.WitnessRead{}, replica.Listed{})
		b.do(replica.WitnessWritten{Witness: *b.last.WriteWitness})
		for tick := 0; ; tick++ { // nobody answers, and the start ends all the same
			if waits, why := b.r.Waiting(); !waits {
				break
			} else if tick == 100 {
				t.Fatalf("seed %d: the start does not end: %s", seed, why)
			}
			jump()
			right = right.Add(10 * time.Second)
			b.do(replica.Tick{})
		}
		var last mesh.Version
		for n := range 100 {
			jump()
			right = right.Add(time.Second)
			b.do(replica.Local{Object: meshtest.Object("x"), Payload: fmt.Appendf(nil, `{"a":%d}`, n)})
			r, ok := b.r.Resource(meshtest.Object("x"))
			if !ok || r.Version <= last {
				t.Fatalf("seed %d: version %d after %d", seed, r.Version, last)
			}
			last = r.Version
			if d := b.r.Deadline(); !d.IsZero() && d.Sub(b.now) > snapshotInterval {
				t.Fatalf("seed %d: after %d changes it waits for %s", seed, n, d.Sub(b.now))
			}
		}
	}
}
