package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// partitioned cuts five zones into three parts, of which one is a single zone, has each part go on working, and joins them.
func partitioned(t *testing.T, w *wires) {
	var zs []*zone
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		zs = append(zs, w.machine(name, setMesh("peer_timeout", map[string]any{"peer_unavailable_after_seconds": 10})))
	}
	w.meet(zs...)
	startAll(t, zs...)
	all := follows(zs...)
	want := model{}
	say := func(z *zone, name, value string) {
		want.set(z.name, name, value)
		z.write(name+".yaml", manifest(name, value))
	}
	for i, z := range zs {
		for n := range 4 {
			say(z, fmt.Sprintf("%s-%d", z.name, n), "before")
		}
		for _, o := range zs[i+1:] {
			all.linked(t, z, o, time.Time{})
		}
	}
	equal(t, want, zs...)

	parts := [][]*zone{zs[:2], zs[2:4], zs[4:]}
	cut := time.Now()
	for i, p := range parts {
		for _, q := range parts[i+1:] {
			w.apart(p, q, wire{cut: true})
		}
	}
	for _, z := range zs {
		say(z, z.name+"-0", "apart")
		say(z, z.name+"-new", "apart")
		z.remove(z.name + "-1.yaml")
		delete(want[z.name], z.name+"-1")
	}
	for i, p := range parts {
		mine := model{}
		for _, z := range zs {
			if slices.Contains(p, z) {
				mine[z.name] = want[z.name]
				continue
			}
			mine[z.name] = map[string]string{}
			for n := range 4 {
				mine.set(z.name, fmt.Sprintf("%s-%d", z.name, n), "before")
			}
		}
		equal(t, mine, p...)
		for _, z := range p {
			for j, q := range parts {
				for _, o := range q {
					if i != j {
						z.sees(o.name, mesh.Unavailable)
					}
				}
			}
		}
	}
	healed := time.Now()
	t.Logf("three parts of five zones, each of which knew that the rest is away after %.1f s", healed.Sub(cut).Seconds())
	w.apart(zs, zs, wire{})
	equal(t, want, zs...)
	converged := time.Since(healed)
	var slowest time.Duration
	for i, z := range zs {
		for _, o := range zs[i+1:] {
			if !slices.ContainsFunc(parts, func(p []*zone) bool { return slices.Contains(p, z) && slices.Contains(p, o) }) {
				slowest = max(slowest, all.linked(t, z, o, healed))
			}
		}
	}
	t.Logf("healed: all folders equal after %.1f s, all links up after %.1f s", converged.Seconds(), slowest.Seconds())
	if slowest > back+slack {
		t.Errorf("the last link came %s after the way was back, want %s", slowest, back)
	}
	for i, z := range zs {
		for _, o := range zs[i+1:] {
			if links := all.of(z, o, healed, mesh.NoticeLink); len(links) > 6 {
				t.Errorf("%s and %s, which dial each other at once, have a dispute: %v", z.name, o.name, links)
			}
		}
		z.verify()
	}
	for _, z := range zs {
		z.stop()
	}
}

// frozen stops a process for longer than all timeouts, as a suspended machine is. When it goes on it doubts itself first.
func frozen(t *testing.T, w *wires) {
	short := setMesh("peer_timeout", map[string]any{"peer_unavailable_after_seconds": 10})
	east, west, north := w.machine("east", short), w.machine("west", short), w.machine("north", short)
	zs := []*zone{east, west, north}
	w.meet(zs...)
	startAll(t, zs...)
	all := follows(zs...)
	for i, z := range zs {
		for _, o := range zs[i+1:] {
			all.linked(t, z, o, time.Time{})
		}
	}
	machine := watchMachine(t)
	slept := time.Now()
	east.signal(syscall.SIGSTOP)
	for _, z := range zs[1:] {
		z.sees("east", mesh.Unavailable)
	}
	west.write("west.yaml", manifest("west", "meanwhile"))
	time.Sleep(time.Until(slept.Add(35 * time.Second))) // longer than QUIC keeps a silent connection
	woke := time.Now()
	east.signal(syscall.SIGCONT)
	for _, z := range zs[1:] {
		took := all.linked(t, east, z, woke)
		t.Logf("awake again: east and %s linked after %.1f s", z.name, took.Seconds())
		if took > back+slack {
			t.Errorf("east and %s were linked %s after east went on, want %s", z.name, took, back)
		}
		for _, n := range all.of(east, z, slept, mesh.NoticePeer) {
			t.Logf("east says of %s after %.1f s: %s", z.name, n.Time.Sub(woke).Seconds(), n.Text)
			if n.Level == mesh.LevelBad || n.Reason == "ProbesMissed" || n.Reason == "HeartbeatsMissed" {
				machine.blame(t, n.Time, fmt.Sprintf("east, which slept, says of %s: %s", z.name, n.Text))
			}
		}
	}
	for _, n := range append(all.of(west, north, slept, mesh.NoticePeer), all.of(north, west, slept, mesh.NoticePeer)...) {
		machine.blame(t, n.Time, fmt.Sprintf("those who were awake say of each other: %s %s", n.Zone, n.Text))
	}
	equal(t, model{"west": {"west": "meanwhile"}}, zs...)
	for _, z := range zs {
		z.stop()
	}
}

// behindNAT has a node that others can't dial, and a NAT that forgets it.
func behindNAT(t *testing.T, w *wires) {
	home, away := w.machine("home"), w.machine("away")
	w.knows(home, away)
	away.config["nodes"] = []map[string]any{{"public_key": home.public, "zone": "home"}}
	away.save()
	outside := addressOf(200)
	w.hide(home, outside)
	startAll(t, home, away)
	all := follows(home, away)
	all.linked(t, home, away, time.Time{})
	for _, by := range []string{"quic", "tcp"} {
		if by == "tcp" {
			w.both(home, away, wire{noUDP: true})
			runsBy(t, home, away, "tcp")
		}
		eventually(t, "away sees home where the NAT shows it", func() error {
			p, err := away.peer("home")
			switch {
			case err != nil:
				return err
			case p.Address == nil:
				return fmt.Errorf("it sees it nowhere: %s", p.State)
			case !strings.HasPrefix(*p.Address, outside.String()+":"):
				return fmt.Errorf("it sees it at %s, want %s", *p.Address, outside)
			}
			return nil
		})
		forgot := time.Now()
		w.rebind(outside)
		value := "after the NAT forgot " + by
		away.write("away.yaml", manifest("away", value))
		eventually(t, "it arrives all the same", func() error { return home.differs(model{"away": {"away": value}}) })
		t.Logf("the NAT forgot a link by %s: a change arrived %.1f s later, over %d new links", by, time.Since(forgot).Seconds(),
			len(all.of(home, away, forgot, mesh.NoticeLink)))
	}
	home.stop()
	away.stop()
}
