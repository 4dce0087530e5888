package e2e_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// TestNetwork has nodes meet what real networks do. Its stories wait most of the time, so all are told at once.
func TestNetwork(t *testing.T) {
	t.Parallel()
	if _, ok := newWires(t); !ok {
		return
	}
	_, err := program() // once, before they all want it
	must(t, err)
	var all sync.WaitGroup
	for name, story := range map[string]func(*testing.T, *wires){
		"loss and jitter": lossAndJitter,
		"cut":             cutAndHealed,
		"one way":         oneWay,
		"partition":       partitioned,
		"resume":          resumed,
		"NAT":             behindNAT,
		"frozen":          frozen,
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				w, ok := newWires(t)
				if ok {
					story(t, w)
				}
			})
		})
	}
	all.Wait()
}

// back is how long after a way returns a link over it is up at the latest, and slack what a machine that does much else
// may add to that: the figures that are printed are the ones to look at.
const (
	back  = 15 * time.Second
	slack = 30 * time.Second
)

// chronicle is what nodes tell, each by its own clock, which is the same here.
type chronicle map[string]*watched

func follows(all ...*zone) chronicle {
	c := chronicle{}
	for _, z := range all {
		c[z.name] = z.watch()
	}
	return c
}

// of lists what a node told of another since then.
func (c chronicle) of(z, about *zone, since time.Time, kinds ...mesh.NoticeKind) (out []mesh.Notice) {
	w := c[z.name]
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.notices {
		if n.Zone == mesh.Zone(about.name) && !n.Time.Before(since) && slices.Contains(kinds, n.Kind) {
			out = append(out, n)
		}
	}
	return out
}

// alarms lists what nodes told of each other since then that takes one for away, or a link for broken.
func (c chronicle) alarms(z, about *zone, since time.Time) []mesh.Notice {
	return slices.DeleteFunc(c.of(z, about, since, mesh.NoticePeer, mesh.NoticeLink), func(n mesh.Notice) bool {
		return n.Level != mesh.LevelWarn && n.Level != mesh.LevelBad
	})
}

// linked waits until both ends have a link to each other that began since then, and returns how long that took.
func (c chronicle) linked(t testing.TB, a, b *zone, since time.Time) time.Duration {
	t.Helper()
	var took time.Duration
	eventually(t, fmt.Sprintf("%s and %s are linked", a.name, b.name), func() error {
		took = 0
		for _, ends := range [][2]*zone{{a, b}, {b, a}} {
			p, err := ends[0].peer(ends[1].name)
			if err != nil {
				return err
			}
			if p.State != mesh.Ready || p.Transport == nil {
				return fmt.Errorf("for %s it is %s: %v %s", ends[0].name, p.State, p.Reasons, p.LastError)
			}
			opened := slices.DeleteFunc(c.of(ends[0], ends[1], since, mesh.NoticeLink), func(n mesh.Notice) bool { return n.Reason != "Opened" })
			if len(opened) == 0 {
				return fmt.Errorf("%s has opened no link", ends[0].name)
			}
			took = max(took, opened[0].Time.Sub(since))
		}
		return nil
	})
	return took
}

// unlinked waits until neither has a link to the other.
func unlinked(t testing.TB, a, b *zone) {
	t.Helper()
	for _, ends := range [][2]*zone{{a, b}, {b, a}} {
		eventually(t, fmt.Sprintf("%s has no link to %s", ends[0].name, ends[1].name), func() error {
			p, err := ends[0].peer(ends[1].name)
			if err == nil && p.Transport != nil {
				err = fmt.Errorf("it has one by %s: %s", *p.Transport, p.State)
			}
			return err
		})
	}
}

// runsBy waits until both ends have their link by what alone can carry one: a link that is about to be replaced may be by
// the other for a moment, and none for good.
func runsBy(t testing.TB, a, b *zone, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s and %s are linked by %s", a.name, b.name, want), func() error {
		for _, ends := range [][2]*zone{{a, b}, {b, a}} {
			if got := ends[0].by(ends[1]); got != want {
				return fmt.Errorf("for %s it is by %s", ends[0].name, got)
			}
		}
		return nil
	})
}

// by returns how the link of a node to another runs.
func (z *zone) by(other *zone) string {
	p, err := z.peer(other.name)
	if err != nil || p.Transport == nil {
		return "nothing"
	}
	return *p.Transport
}
