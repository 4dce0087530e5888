package e2e_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// lossAndJitter has four nodes at work over wires that lose every twentieth packet each way and hold each up for up to
// half a second, for a minute and a half: nobody is taken for dead.
func lossAndJitter(t *testing.T, w *wires) {
	const (
		span = 90 * time.Second
		ms   = time.Millisecond
	)
	a, b, c, d := w.machine("a"), w.machine("b"), w.machine("c"), w.machine("d")
	zs := []*zone{a, b, c, d}
	w.meet(zs...)
	pairs := []struct {
		x, y *zone
		is   wire
		what string
	}{
		{a, b, wire{loss: 0.05, jitter: 500 * ms}, "packets overtake each other"},
		{a, c, wire{loss: 0.05, jitter: 500 * ms, inOrder: true}, "in order"},
		{b, c, wire{loss: 0.05, jitter: 500 * ms, noUDP: true}, "TCP alone"},
		{a, d, wire{loss: 0.05, delay: 300 * ms, jitter: 500 * ms}, "300 ms more"},
		{b, d, wire{loss: 0.05, delay: 100 * ms, jitter: 500 * ms, inOrder: true, noUDP: true}, "TCP alone, in order, 100 ms more"},
		{c, d, wire{loss: 0.05, jitter: 500 * ms, twice: 0.1}, "a tenth arrives twice"},
	}
	startAll(t, zs...)
	all := follows(zs...)
	for _, p := range pairs {
		all.linked(t, p.x, p.y, time.Time{})
	}
	for _, p := range pairs { // by UDP, and then not
		w.both(p.x, p.y, p.is)
	}
	for _, p := range pairs {
		eventually(t, "links by TCP where UDP is blocked", func() error {
			if got := p.x.by(p.y); got == "nothing" || p.is.noUDP && got != "tcp" {
				return fmt.Errorf("%s and %s are linked by %s", p.x.name, p.y.name, got)
			}
			return nil
		})
	}
	eventually(t, "no link is being replaced any more", func() error {
		since := time.Now().Add(-10 * time.Second)
		for _, p := range pairs {
			for _, ends := range [][2]*zone{{p.x, p.y}, {p.y, p.x}} {
				if said := all.of(ends[0], ends[1], since, mesh.NoticePeer, mesh.NoticeLink); len(said) > 0 {
					return fmt.Errorf("%s says of %s: %s", ends[0].name, ends[1].name, said[len(said)-1].Text)
				}
			}
		}
		return nil
	})
	machine := watchMachine(t)
	began := time.Now()
	for i := 0; time.Since(began) < span; i++ {
		time.Sleep(5 * time.Second)
		for _, z := range zs {
			z.write("news.yaml", manifest("of-"+z.name, fmt.Sprint(i)))
		}
	}
	ended := time.Now()
	for _, p := range pairs {
		for _, ends := range [][2]*zone{{p.x, p.y}, {p.y, p.x}} {
			for _, n := range all.alarms(ends[0], ends[1], began) {
				if n.Time.After(ended) {
					continue
				}
				what := fmt.Sprintf("%s-%s (%s): %.1f s after the beginning %s says: %s", p.x.name, p.y.name, p.what, n.Time.Sub(began).Seconds(), ends[0].name, n.Text)
				machine.blame(t, n.Time, what)
			}
		}
		packets, lost := w.lossRatio(p.x, p.y)
		is, err := p.x.peer(p.y.name)
		must(t, err)
		if is.RTTP95Seconds == nil || is.LossRatio == nil {
			t.Fatalf("%s measured nothing of %s", p.x.name, p.y.name)
		}
		t.Logf("%s-%s by %s (%s): %d packets, %.0f%% lost; round trips of probes up to %.1f s (p95), %.0f%% of them late", p.x.name, p.y.name,
			p.x.by(p.y), p.what, packets, 100*lost, *is.RTTP95Seconds, 100**is.LossRatio)
	}
	for _, z := range zs {
		z.stop()
	}
}

// heartbeatOfMachine knows when this machine had no time for anybody: a node that isn't given a processor for seconds
// answers no probe, and whoever says so is right.
type heartbeatOfMachine struct {
	mu   sync.Mutex
	late map[time.Time]time.Duration // for how long, by when that ended
}

// watchMachine watches until the test ends.
func watchMachine(t *testing.T) *heartbeatOfMachine {
	const every, much = 50 * time.Millisecond, time.Second
	h := &heartbeatOfMachine{late: map[time.Time]time.Duration{}}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for last := time.Now(); ; {
			select {
			case <-time.After(every):
			case <-done:
				return
			}
			now := time.Now()
			if late := now.Sub(last) - every; late > much {
				h.mu.Lock()
				h.late[now] = late
				h.mu.Unlock()
			}
			last = now
		}
	})
	t.Cleanup(func() { close(done); watching.Wait() })
	return h
}

// stood is for how long the machine stood still at a time, in the span before a time: also where that went on after it.
func (h *heartbeatOfMachine) stood(at time.Time, span time.Duration) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for when, d := range h.late {
		if when.Add(span).After(at) && when.Add(-d).Before(at.Add(time.Second)) {
			longest = max(longest, d)
		}
	}
	return longest
}

// blame reports what a node said of another, as an error unless the machine stood still then.
func (h *heartbeatOfMachine) blame(t *testing.T, at time.Time, what string) {
	t.Helper()
	if stood := h.stood(at, 10*time.Second); stood > 0 {
		t.Logf("this machine stood still for %s: %s", stood, what)
		return
	}
	t.Error(what)
}
