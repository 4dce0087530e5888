package meshtest_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	. "dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run only this seed, with its trace")
	seedsFlag = flag.Uint64("seeds", 2000, "how many seeds to run")
)

const chaosSteps = 150

// The promises hold in every simulated life. A failing seed prints the command that runs it again.
func TestChaos(t *testing.T) {
	if *seedFlag != 0 {
		c := NewChaos(*seedFlag)
		c.Paranoid = true
		err := c.Run(chaosSteps)
		t.Log(strings.Join(c.Trace, "\n"))
		if err != nil {
			t.Error(err)
			dump(t, c)
		}
		return
	}
	const shards = 4
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint("shard", shard), func(t *testing.T) {
			t.Parallel()
			for seed := 1 + shard; seed <= *seedsFlag; seed += shards {
				if err := NewChaos(seed).Run(chaosSteps); err != nil {
					t.Errorf("seed %d: %v\n\trun it again: go test ./internal/meshtest -run TestChaos -seed %d -v", seed, err, seed)
				}
			}
		})
	}
}

// A member that leaves signatures out harms nobody's objects but its own, whatever else goes wrong, and every node finds
// out what it was given. A failing seed prints the command that runs it again.
func TestChaosLiar(t *testing.T) {
	t.Parallel()
	lies, found, seeds := 0, 0, *seedsFlag/20
	for seed := uint64(1); seed <= seeds; seed++ {
		if *seedFlag != 0 {
			seed = *seedFlag
			seeds = seed
		}
		c := NewChaos(seed)
		c.Liar = c.Nodes[0]
		err := c.Run(chaosSteps)
		if *seedFlag != 0 {
			t.Log(strings.Join(c.Trace, "\n"))
		}
		if err != nil {
			t.Errorf("seed %d: %v\n\trun it again: go test ./internal/meshtest -run TestChaosLiar -seed %d -v", seed, err, seed)
		}
		lies += c.Lies
		for _, x := range c.Nodes {
			if n := len(x.Replica.Unchecked()); n > 0 {
				t.Errorf("seed %d: %s has %d stretches unchecked", seed, x.Name, n)
			}
			for _, d := range x.Reports {
				if d.Reason == replica.FalseSignature {
					found++
					if d.Log.Author != c.Liar.Key.Public() {
						t.Errorf("seed %d: %s blames %s", seed, x.Name, d.Zone)
					}
				}
			}
		}
	}
	if seeds >= 10 && *seedFlag == 0 && (lies < int(seeds)/4 || found == 0) {
		t.Errorf("%d lies, %d found in %d lives: that proves nothing", lies, found, seeds)
	}
}

func dump(t *testing.T, c *Chaos) {
	for _, x := range c.Nodes {
		t.Logf("== %s local %v replicas %v witness %v", x.Name, x.Cluster.Local, x.Cluster.Replicas, x.Cluster.Witness)
		if x.Replica == nil {
			continue
		}
		for _, l := range x.Claims() {
			t.Log("   ", l)
		}
		for _, h := range x.Replica.Haves() {
			t.Logf("    log %v [%d,%d) head %s frozen %v", h.Instance, h.Start, h.Next, h.Head.Short(), h.Frozen)
		}
		for _, f := range x.Replica.Findings() {
			t.Log("   ", f)
		}
		for _, r := range x.Reports[max(0, len(x.Reports)-25):] {
			t.Logf("      %s %s %s seq %d %s", r.Reason, r.Zone, r.Object.Name, r.Seq, r.Detail)
		}
	}
}

// The core is a function of its inputs: the same seed gives the same bytes, down to every signed operation.
func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	life := func(seed uint64) string {
		c := NewChaos(seed)
		if err := c.Run(chaosSteps); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range c.Nodes {
			for _, h := range x.Replica.Haves() {
				fmt.Fprintln(&b, h.Instance, h.Start, h.Next, h.Head)
			}
			fmt.Fprintln(&b, x.Claims())
		}
		return b.String()
	}
	for seed := uint64(1); seed <= 30; seed++ {
		if first, second := life(seed), life(seed); first != second {
			t.Fatalf("seed %d gave two lives:\n%s\n%s", seed, first, second)
		}
	}
}
