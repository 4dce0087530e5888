package meshtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	. "dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

// act is something that happens in a mesh of two zones in which z00 owns object x and z01 has a replica.
type act struct {
	name    string
	victims []int // the nodes to which it happens
	run     func(w *World, a, b *Node)
}

var acts = []act{
	{"create", []int{0, 1}, func(w *World, a, _ *Node) { w.Write(a, Object("y"), "created") }},
	{"update", []int{0, 1}, func(w *World, a, _ *Node) { w.Write(a, Object("x"), "updated") }},
	{"delete", []int{0, 1}, func(w *World, a, _ *Node) { w.Delete(a, Object("x")) }},
	{"yield", []int{0}, func(w *World, a, b *Node) {
		w.Cut(a, b, true)
		w.Do(b, replica.Adopt{Object: Object("x")})
		w.Drain()
		w.Write(b, Object("x"), "taken over")
		w.Drain()
		w.Heal()
	}},
	{"yield to a deletion", []int{0}, func(w *World, a, b *Node) {
		w.Cut(a, b, true)
		w.Do(b, replica.Adopt{Object: Object("x")})
		w.Drain()
		w.Delete(b, Object("x"))
		w.Drain()
		w.Heal()
	}},
	{"adopt", []int{0, 1}, func(w *World, a, b *Node) { w.Do(b, replica.Adopt{Object: Object("x")}) }},
	{"release", []int{0, 1}, func(w *World, a, _ *Node) {
		a.Config.Publishes = func(k mesh.ObjectKey) bool { return k != Object("x") }
		w.Stop(a)
		w.Start(a)
	}},
}

// TestCrashBetweenAnyTwoEffects stops a node between every two effects of everything that happens to an object,
// starts it again, and wants what an undisturbed run leads to: a crash anywhere is safe. Only a command that
// crashed before anything of it was on disk has to be given again.
func TestCrashBetweenAnyTwoEffects(t *testing.T) {
	t.Parallel()
	for _, act := range acts {
		for _, victim := range act.victims {
			t.Run(fmt.Sprint(act.name, " crash z0", victim), func(t *testing.T) {
				t.Parallel()
				want, boundaries := crashAt(t, act, victim, -1)
				if boundaries == 0 {
					t.Fatal("nothing happens at this node")
				}
				for n := range boundaries {
					if got, _ := crashAt(t, act, victim, n); got != want {
						t.Fatalf("after a crash at boundary %d of %d:\n%swant\n%s", n, boundaries, got, want)
					}
				}
			})
		}
	}
}

// crashAt plays an act, with a crash of one node at its nth boundary between two effects (negative: none), and
// returns how the clusters end up and how many boundaries there were.
func crashAt(t *testing.T, act act, victim, n int) (end string, boundaries int) {
	w := NewWorld(1, 2, nil)
	for _, x := range w.Nodes {
		w.Start(x)
	}
	w.Settle()
	w.Write(w.Nodes[0], Object("x"), "first")
	w.Settle()

	undone := ending(w)
	v := w.Nodes[victim]
	crashed, lost := false, false
	crash := func(point string) bool {
		if crashed {
			return false
		}
		crashed = boundaries == n
		boundaries++
		lost = crashed && point == "before persist"
		return crashed
	}
	v.CrashAt(crash)
	drain := func() {
		for busy := true; busy; {
			busy = false
			for _, x := range w.Nodes {
				if w.Deliver(x) {
					busy = true
					if x == v && v.Replica != nil && crash("between the cluster's write and its report") {
						w.Stop(v)
					}
				}
			}
		}
	}
	act.run(w, w.Nodes[0], w.Nodes[1])
	drain()
	w.Sync(w.Nodes[1], w.Nodes[0])
	w.Sync(w.Nodes[0], w.Nodes[1])
	drain()
	v.CrashAt(nil)
	if v.Replica == nil {
		w.Advance(time.Second)
		w.Start(v)
	}
	if n >= 0 && !crashed {
		t.Fatalf("boundary %d was not reached", n)
	}
	w.Settle()
	if before := ending(w); lost && before == undone {
		act.run(w, w.Nodes[0], w.Nodes[1])
		w.Settle()
	}
	if w.Err != nil {
		t.Fatalf("crash at boundary %d: %v", n, w.Err)
	}
	return ending(w), boundaries
}

// ending tells what stands in the clusters and who owns what: not the numbers, which a crash may raise.
func ending(w *World) string {
	var out strings.Builder
	for _, x := range w.Nodes {
		for _, k := range []string{"x", "y"} {
			res, known := x.Replica.Resource(Object(k))
			fmt.Fprintf(&out, "%s %s: own %q, replica %v, %v %s of %s at epoch %d\n", x.Name, k,
				x.Cluster.Local[Object(k)], x.Cluster.Replicas[Object(k)], known, res.State, res.Owner, res.Epoch)
		}
	}
	return out.String()
}
