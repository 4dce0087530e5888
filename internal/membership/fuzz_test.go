package membership_test

import (
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzInputs makes inputs of bytes, with a clock that jumps both ways. Nothing panics, every change is one of the
// diagram and starts where the last one ended, strangers change nothing, and nobody becomes Ready but by a proof of
// life: its link, traffic on it, an answered probe, or a heartbeat of its own that is fresh.
func FuzzInputs(f *testing.F) {
	f.Add([]byte{0x00, 0, 0x15, 0, 0x20, 0, 0x30, 0, 0x30, 0, 0x70, 9})
	f.Add([]byte{0x60, 3, 0x80, 1, 0x80, 2, 0x80, 3, 0x80, 4, 0x70, 8, 0x10, 3})
	f.Add([]byte{0x90, 0x41, 0xa0, 0x12, 0x70, 0x99, 0x81, 0x33, 0x82, 0xff, 0xc0, 7, 0xd1, 7, 0xe2, 7, 0xf3, 7})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1000 {
			return
		}
		names := []string{"a", "b", "c", "me", "nobody"}
		steps := []time.Duration{0, time.Millisecond, time.Second, 3 * time.Second, 6 * time.Second, 20 * time.Second, 3 * time.Minute, -time.Hour}
		now := epoch
		m := membership.New(now, config(), members(names[:3]))
		state := map[keys.Public]mesh.PeerState{}
		for _, p := range m.Peers() {
			state[p.Key] = p.State
		}
		rose := map[heard]rises{}
		var sent uint64
		for ; len(in) >= 2; in = in[2:] {
			what, how := in[0]>>4, in[1]
			now = now.Add(steps[how>>5])
			name := names[int(in[0]&15)%len(names)]
			k := key(name)
			before, member := m.Peer(k)
			var ch []membership.Change
			proof := false
			switch what {
			case 0, 1:
				ch, proof = m.LinkUp(now, k), true
			case 2:
				ch = m.LinkDown(now, k, membership.ConnectionClosed)
			case 3:
				ch = m.ProbeMissed(now, k, now.Add(-time.Second))
			case 4:
				ch, proof = m.ProbeOK(now, k, time.Duration(how)), before.Linked
			case 5:
				ch, proof = m.Traffic(now, k), before.Linked
			case 6:
				sent = max(sent, uint64(how&31))
				m.Sent(sent)
			case 7:
				if d := m.Deadline(); !d.IsZero() {
					now = d
				}
				ch = m.Tick(now)
			case 8:
				ch = m.Stalled(now, time.Duration(how)*time.Second)
			case 9:
				var next []string
				for i, n := range names[:4] {
					if how>>i&1 == 1 {
						next = append(next, n)
					}
				}
				ch = m.SetMembers(now, members(next))
				seen := map[keys.Public]mesh.PeerState{}
				for _, p := range m.Peers() {
					seen[p.Key] = p.State
				}
				for _, c := range ch {
					if c.To == mesh.Ready {
						t.Fatalf("%+v by the list of members", c)
					}
				}
				state = seen
				for at := range rose { // who comes back is a new member
					if _, stays := seen[at.key]; !stays {
						delete(rose, at)
					}
				}
				continue
			default:
				h := membership.Heartbeat{Key: k, Run: runOf(uint64(what & 1)), Counter: uint64(how & 31), Direct: what&2 > 0 && before.Linked}
				if what&4 > 0 {
					h.Echo = membership.Echo{Run: config().Run.ID, Counter: uint64(how & 31)}
				}
				r, again := rose[heard{k, h.Run}]
				if again && h.Counter > r.high {
					r.times++
				}
				r.high = max(r.high, h.Counter)
				rose[heard{k, h.Run}] = r
				proof = h.Direct || r.times >= 2 || h.Echo.Counter > 0 && h.Echo.Counter <= sent
				ch = m.Heartbeat(now, h).Changes
			}
			if (!member || name == "me") && slices.ContainsFunc(ch, func(c membership.Change) bool { return c.Key == k }) {
				t.Fatalf("%s is no member, and changed: %+v", name, ch)
			}
			for _, c := range ch {
				if c.From != state[c.Key] || !slices.Contains(edges[c.From], c.To) {
					t.Fatalf("%+v, and it was %s", c, state[c.Key])
				}
				if c.To == mesh.Ready && (c.Key != k || !proof) {
					t.Fatalf("%+v by input %d of %s, which proves nothing", c, what, name)
				}
				state[c.Key] = c.To
			}
			for _, p := range m.Peers() {
				if p.State != state[p.Key] || p.State == mesh.Ready && p.Heard.IsZero() {
					t.Fatalf("%+v, the changes say %s", p, state[p.Key])
				}
			}
			// Whoever waits for the deadline comes to an end.
			if d := m.Deadline(); !d.IsZero() && d.Before(epoch.Add(-24*time.Hour)) {
				t.Fatalf("the next deadline is %s", d)
			}
		}
		for range 100 {
			d := m.Deadline()
			if d.IsZero() {
				for _, p := range m.Peers() {
					if !p.Linked && p.State != mesh.Unavailable {
						t.Fatalf("nothing left to wait for, and %+v", p)
					}
				}
				return
			}
			m.Tick(d)
		}
		t.Fatal("there is always one more deadline")
	})
}

// heard is a run of a key, and rises how its counter went up since it was first heard.
type (
	heard struct {
		key keys.Public
		run membership.Run
	}
	rises struct {
		high  uint64
		times int
	}
)
