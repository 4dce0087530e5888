package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// cutAndHealed takes ways away from three nodes, each in another manner, for longer than any pause between two attempts
// grows, and gives them back. What is measured is the time to the first link. What is asserted strictly is what bounds
// it and doesn't depend on how busy the machine is: that at no time while a way was cut nothing was tried on it for
// longer than back.
func cutAndHealed(t *testing.T, w *wires) {
	east, west, north := w.machine("east"), w.machine("west"), w.machine("north")
	w.meet(east, west, north)
	near := wire{delay: 5 * time.Millisecond}
	onlyQUIC, onlyTCP := wire{delay: near.delay, noTCP: true}, wire{delay: near.delay, noUDP: true}
	w.both(east, west, onlyQUIC)
	w.both(east, north, onlyTCP)
	w.both(west, north, onlyQUIC)
	startAll(t, east, west, north)
	all := follows(east, west, north)
	start := time.Time{}
	all.linked(t, east, west, start)
	all.linked(t, east, north, start)
	all.linked(t, west, north, start)
	runsBy(t, east, west, "quic")
	runsBy(t, west, north, "quic")
	runsBy(t, east, north, "tcp")

	machine := watchMachine(t)

	// Packets are dropped, and nobody says so: by QUIC, by TCP. Between west and north UDP alone is, then TCP alone.
	cut := time.Now()
	w.both(east, west, wire{cut: true})
	w.both(east, north, wire{cut: true})
	w.both(west, north, wire{noUDP: true})
	unlinked(t, east, west)
	unlinked(t, east, north)
	t.Logf("silent cut: both ends of both links knew after %.1f s", time.Since(cut).Seconds())
	took := all.linked(t, west, north, cut)
	t.Logf("UDP blocked: linked after %.1f s, noticing it included", took.Seconds())
	runsBy(t, west, north, "tcp")
	only := time.Now()
	w.both(west, north, wire{noTCP: true})
	took = all.linked(t, west, north, only)
	t.Logf("TCP blocked, UDP back: linked after %.1f s, noticing it included", took.Seconds())
	runsBy(t, west, north, "quic")
	time.Sleep(time.Until(cut.Add(30 * time.Second))) // so that pauses have grown as long as they get
	for _, other := range []*zone{west, north} {
		for _, quiet := range []time.Duration{w.quiet(east, other), w.quiet(other, east)} {
			if stood := machine.stood(time.Now(), time.Since(cut)); quiet > back+stood {
				t.Errorf("between east and %s one side tried nothing for %s while the way was cut, want at most %s (this machine stood still for %s)", other.name, quiet, back, stood)
			}
		}
		t.Logf("between east and %s the sides tried nothing for at most %.1f and %.1f s", other.name, w.quiet(east, other).Seconds(), w.quiet(other, east).Seconds())
	}
	healed := time.Now()
	w.both(east, west, near)
	w.both(east, north, onlyTCP)
	for _, other := range []*zone{west, north} {
		took := all.linked(t, east, other, healed)
		t.Logf("healed: east and %s linked by %s after %.1f s", other.name, east.by(other), took.Seconds())
		if took > back+slack {
			t.Errorf("east and %s were linked %s after the way was back, want %s", other.name, took, back)
		}
	}

	// The cable of east is pulled: it hears so from its own machine, and dials nobody.
	w.ip("-n", east.machine, "link", "set", "eth0", "down")
	unlinked(t, east, west)
	unlinked(t, east, north)
	time.Sleep(14 * time.Second)
	plugged := time.Now()
	w.ip("-n", east.machine, "link", "set", "eth0", "up")
	for _, other := range []*zone{west, north} {
		took := all.linked(t, east, other, plugged)
		t.Logf("plugged in again: east and %s linked after %.1f s", other.name, took.Seconds())
		if took > back+slack {
			t.Errorf("east and %s were linked %s after the cable was back, want %s", other.name, took, back)
		}
	}

	// A machine gets another address. No config says so. A link by QUIC may survive that; another is made anew.
	moved := time.Now()
	w.moves(north, addressOf(33))
	north.write("north.yaml", manifest("north", "moved"))
	for _, other := range []*zone{east, west} {
		other.write("of-"+other.name+".yaml", manifest("of-"+other.name, "moved"))
	}
	equal(t, model{"north": {"north": "moved"}, "east": {"of-east": "moved"}, "west": {"of-west": "moved"}}, east, west, north)
	t.Logf("another address: all changes were everywhere after %.1f s", time.Since(moved).Seconds())
	took = all.linked(t, east, north, moved)
	t.Logf("another address: east and north linked by %s after %.1f s, noticing it included", east.by(north), took.Seconds())
	if took > back+slack {
		t.Errorf("east and north were linked %s after north got another address, want %s", took, back)
	}
	for _, other := range []*zone{east, west} {
		eventually(t, "north is linked again, and it is known where it is", func() error {
			p, err := other.peer("north")
			if err != nil || p.State != mesh.Ready || p.Transport == nil {
				return fmt.Errorf("for %s it is %s: %v %s, %w", other.name, p.State, p.Reasons, p.LastError, err)
			}
			for _, l := range p.Learnt {
				if l.Address == addressOf(33).String()+":9102" {
					return nil
				}
			}
			return fmt.Errorf("%s knows of %v", other.name, p.Learnt)
		})
		for _, ends := range [][2]*zone{{other, north}, {north, other}} {
			for _, n := range all.of(ends[0], ends[1], moved, mesh.NoticeLink) {
				t.Logf("another address: %s says of %s after %.1f s: %s", ends[0].name, ends[1].name, n.Time.Sub(moved).Seconds(), n.Text)
			}
		}
	}
	for _, z := range []*zone{east, west, north} {
		z.stop()
	}
}

// oneWay cuts one direction: east still hears west, and west hears nothing.
func oneWay(t *testing.T, w *wires) {
	short := setMesh("peer_timeout", map[string]any{"peer_unavailable_after_seconds": 15})
	east, west := w.machine("east", short), w.machine("west", short)
	w.meet(east, west)
	startAll(t, east, west)
	all := follows(east, west)
	all.linked(t, east, west, time.Time{})
	cut := time.Now()
	w.one(east, west, wire{cut: true})
	unlinked(t, east, west)
	east.sees("west", mesh.Unavailable)
	west.sees("east", mesh.Unavailable)
	time.Sleep(20 * time.Second) // in which both try, and one side's attempts arrive
	for _, ends := range [][2]*zone{{east, west}, {west, east}} {
		var states []string
		for _, n := range all.of(ends[0], ends[1], cut, mesh.NoticePeer) {
			states = append(states, n.Text)
			t.Logf("%s says of %s after %.1f s: %s", ends[0].name, ends[1].name, n.Time.Sub(cut).Seconds(), n.Text)
		}
		if len(states) != 2 {
			t.Errorf("%s changed its mind on %s %d times, want NotReady and Unavailable: %q", ends[0].name, ends[1].name, len(states), states)
		}
	}
	healed := time.Now()
	w.one(east, west, wire{})
	took := all.linked(t, east, west, healed)
	t.Logf("the other direction is back: linked after %.1f s", took.Seconds())
	if took > back+slack {
		t.Errorf("linked %s after the way was back, want %s", took, back)
	}

	// A new link begins where long packets are lost both ways, and nobody says so. QUIC can't begin with shorter ones.
	w.both(east, west, wire{cut: true})
	unlinked(t, east, west)
	narrow := time.Now()
	w.both(east, west, wire{mtu: 1200})
	all.linked(t, east, west, narrow)
	runsBy(t, east, west, "tcp")
	linked := time.Now()
	long := fmt.Sprintf("%0200000d", 1)
	east.write("long.yaml", manifest("long", long))
	eventually(t, "what is long arrives in short packets", func() error { return west.differs(model{"east": {"long": long}}) })
	t.Logf("packets beyond 1200 bytes are lost: linked by %s after %.1f s, then 200 kB took %.1f s", west.by(east), linked.Sub(narrow).Seconds(), time.Since(linked).Seconds())
	east.stop()
	west.stop()
}
