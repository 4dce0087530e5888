package node

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// One node's clock jumps whenever it is read: ahead by centuries, back by a year, to the right time. It is linked and
// Ready all the same, what is made and deleted goes both ways, also after a restart, and no figure it shows of itself
// or of the other is a reason to restart it.
func TestClockJumps(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.knows(b)
	b.knows(a)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 6))
	b.cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		const year = 365 * 24 * time.Hour
		now := time.Now().Round(0) // as a clock on a wall: nothing else tells how much time has passed
		return now.Add([]time.Duration{0, 250 * year, -year, time.Hour, -time.Minute}[rng.IntN(5)])
	}
	sa, sb := newShelf(), newShelf()
	a.startReal(sa)
	b.startReal(sb)
	object := func(of string, i int) (mesh.ObjectKey, []byte) {
		name := fmt.Sprintf("%s%d", of, i)
		return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name},
			fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"default"}}`, name)
	}
	for round := range 2 {
		until(t, "both are Ready", func() bool { return a.stateOf(b) == mesh.Ready && b.stateOf(a) == mesh.Ready })
		for i := range 20 {
			sa.put(object("a", 20*round+i))
			sb.put(object("b", 20*round+i))
		}
		until(t, "all objects everywhere", func() bool {
			for i := range 20 {
				ka, _ := object("a", 20*round+i)
				kb, _ := object("b", 20*round+i)
				if !sb.has(ka) || !sa.has(kb) {
					return false
				}
			}
			return true
		})
		ka, _ := object("a", 20*round)
		kb, _ := object("b", 20*round)
		sa.put(ka, nil)
		sb.put(kb, nil)
		until(t, "deletions everywhere", func() bool { return !sb.has(ka) && !sa.has(kb) })
		until(t, "in sync", func() bool {
			s, err := b.node.Status(t.Context())
			return err == nil && s.InSync && b.node.Stalled() < time.Minute
		})
		if round == 0 {
			b.stop()
			b.startReal(sb)
		}
	}
}
