package membership_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
)

// edges are the transitions of the diagram in the package comment.
var edges = map[mesh.PeerState][]mesh.PeerState{
	mesh.Unknown:     {mesh.Ready, mesh.Unavailable},
	mesh.Ready:       {mesh.NotReady},
	mesh.NotReady:    {mesh.Ready, mesh.Unavailable},
	mesh.Unavailable: {mesh.Ready, mesh.NotReady},
}

// TestAnyInputs feeds random inputs, with hostile numbers and a clock that jumps both ways: nothing panics,
// every transition is one of the diagram and starts where the last one ended, and the same inputs give
// the same answers.
func TestAnyInputs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			first, last := anyInputs(t, seed)
			again, _ := anyInputs(t, seed)
			if !reflect.DeepEqual(first, again) {
				t.Fatalf("seed %d: two runs differ:\n%v\n%v", seed, first, again)
			}
			counts := mesh.PeerCounts{Total: len(last)}
			for _, p := range last {
				switch p.State {
				case mesh.Ready:
					counts.Ready++
					if p.Heard.IsZero() {
						t.Errorf("%s is Ready and was never heard", name(p.Key))
					}
				case mesh.NotReady:
					counts.NotReady++
				case mesh.Unknown:
					counts.Unknown++
					if p.Linked || !p.Heard.IsZero() {
						t.Errorf("%s is Unknown and was heard: %+v", name(p.Key), p)
					}
				case mesh.Unavailable:
					counts.Unavailable++
				}
			}
			if counts.Ready+counts.NotReady+counts.Unknown+counts.Unavailable != counts.Total {
				t.Errorf("states of %d members: %+v", len(last), counts)
			}
		})
	}
}

func anyInputs(t *testing.T, seed uint64) ([]membership.Change, []membership.Peer) {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"a", "b", "c", "d", "me", "nobody"}
	now := epoch
	m := membership.New(now, config(), members(names[:4]))
	state := map[keys.Public]mesh.PeerState{}
	for _, p := range m.Peers() {
		state[p.Key] = p.State
	}
	numbers := []uint64{0, 1, 2, 3, 4, 5, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}
	steps := []time.Duration{0, time.Millisecond, time.Second, 5 * time.Second, time.Minute, -time.Hour, 24 * time.Hour, -24 * time.Hour}
	var all []membership.Change
	for range 300 {
		step := steps[r.IntN(len(steps))]
		if r.IntN(4) > 0 {
			step = time.Duration(r.IntN(3000)) * time.Millisecond
		}
		now = now.Add(step)
		k := key(names[r.IntN(len(names))])
		num := func() uint64 { return numbers[r.IntN(len(numbers))] }
		var ch []membership.Change
		switch r.IntN(11) {
		case 0:
			ch = m.LinkUp(now, k)
		case 1:
			ch = m.LinkDown(now, k, membership.ConnectionClosed)
		case 2:
			ch = m.ProbeOK(now, k, time.Duration(num()))
		case 3, 4:
			ch = m.ProbeMissed(now, k, now.Add(-time.Second))
		case 5:
			ch = m.Traffic(now, k)
		case 6:
			m.Sent(num())
		case 7:
			if d := m.Deadline(); !d.IsZero() && r.IntN(2) == 0 {
				now = d
			}
			ch = m.Tick(now)
		case 8:
			ch = m.Stalled(now, time.Duration(num()))
		case 9:
			perm := r.Perm(5)
			next := make([]string, 0, 5)
			for _, i := range perm[:r.IntN(6)] {
				next = append(next, names[i])
			}
			ch = m.SetMembers(now, members(next))
			seen := map[keys.Public]mesh.PeerState{}
			for _, c := range ch {
				state[c.Key] = c.To
			}
			for _, p := range m.Peers() {
				seen[p.Key] = p.State
			}
			state = seen
			all = append(all, ch...)
			continue
		default:
			h := membership.Heartbeat{Key: k, Run: runOf(num()), Counter: num(), Direct: r.IntN(2) == 0}
			if r.IntN(2) == 0 {
				h.Echo = membership.Echo{Run: config().Run.ID, Counter: num()}
			}
			ch = m.Heartbeat(now, h).Changes
		}
		for _, c := range ch {
			if c.From != state[c.Key] {
				t.Fatalf("seed %d: change %+v, want From %s", seed, c, state[c.Key])
			}
			ok := false
			for _, to := range edges[c.From] {
				ok = ok || to == c.To
			}
			if !ok {
				t.Fatalf("seed %d: change %+v is no edge of the diagram", seed, c)
			}
			state[c.Key] = c.To
		}
		all = append(all, ch...)
		for _, p := range m.Peers() {
			if p.State != state[p.Key] {
				t.Fatalf("seed %d: %s is %s, the changes say %s", seed, name(p.Key), p.State, state[p.Key])
			}
		}
	}
	return all, m.Peers()
}

// TestReplayProvesNothing records every heartbeat of a run, then plays them to a fresh node in any order, as
// often as it likes, within half an interval: the signer never looks alive.
func TestReplayProvesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := membership.New(epoch, config(), members([]string{"a"}))
		m.Sent(5)
		for i := range 200 {
			m.Heartbeat(epoch.Add(time.Duration(i)*10*time.Millisecond), membership.Heartbeat{
				Key: key("a"), Run: runOf(3), Counter: r.Uint64N(1000),
				Echo: membership.Echo{Run: runOf(49).ID, Counter: r.Uint64N(6)},
			})
		}
		if p, _ := m.Peer(key("a")); p.State != mesh.Unknown {
			t.Fatalf("seed %d: %+v after replays, want Unknown", seed, p)
		}
	}
}

// TestSilentPeersAreFound checks the times of the whole way down, for every way in which a peer can go.
func TestSilentPeersAreFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		die      func(*membership.Membership)
		notReady time.Duration // after the last proof of life at 20 s
	}{
		{"connection closed", func(m *membership.Membership) {
			m.LinkUp(at(20), key("a"))
			m.LinkDown(at(20), key("a"), membership.ConnectionClosed)
		}, 0},
		{"probes missed", func(m *membership.Membership) {
			m.LinkUp(at(20), key("a"))
			m.ProbeMissed(at(22), key("a"), at(21))
			m.ProbeMissed(at(23), key("a"), at(22))
		}, 3 * time.Second},
		{"heartbeats missed", func(m *membership.Membership) {
			for i := range 3 {
				m.Heartbeat(at(10+5*i), membership.Heartbeat{Key: key("a"), Run: runOf(1), Counter: uint64(i)})
			}
		}, 17500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := membership.New(epoch, config(), members([]string{"a"}))
			tt.die(m)
			want := at(20).Add(tt.notReady)
			for p, _ := m.Peer(key("a")); p.State == mesh.Ready; p, _ = m.Peer(key("a")) {
				m.Tick(m.Deadline())
			}
			p, _ := m.Peer(key("a"))
			if p.State != mesh.NotReady || !p.Since.Equal(want) {
				t.Errorf("%s since %s, want NotReady since %s", p.State, clock(p.Since), clock(want))
			}
			for p.State == mesh.NotReady {
				m.Tick(m.Deadline())
				p, _ = m.Peer(key("a"))
			}
			want = want.Add(120 * time.Second)
			if p.State != mesh.Unavailable || !p.Since.Equal(want) {
				t.Errorf("%s since %s, want Unavailable since %s", p.State, clock(p.Since), clock(want))
			}
			if d := m.Deadline(); !d.IsZero() {
				t.Errorf("deadline %s with nothing left to find, want none", clock(d))
			}
		})
	}
}

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// TestBounds floods the machine with members and runs.
func TestBounds(t *testing.T) { // not parallel: it counts allocations
	var many []membership.Member
	for i := range 2 * membership.MaxMembers {
		many = append(many, membership.Member{Key: key(fmt.Sprint("k", i))})
	}
	m := membership.New(epoch, config(), many)
	if n := m.Counts().Total; n != membership.MaxMembers {
		t.Errorf("%d members remembered, want %d", n, membership.MaxMembers)
	}
	if _, ok := m.Peer(key("k0")); !ok {
		t.Error("the first member given is not remembered")
	}
	for i := range 10_000 {
		m.Heartbeat(epoch, membership.Heartbeat{Key: key("k0"), Run: runOf(uint64(i)), Counter: 1})
		m.Heartbeat(epoch, membership.Heartbeat{Key: key("me"), Run: runOf(uint64(i)), Counter: 1})
	}
	allocs := testing.AllocsPerRun(100, func() {
		m.Heartbeat(epoch, membership.Heartbeat{Key: key("k0"), Run: runOf(1_000_000), Counter: 1})
	})
	if allocs > 2 {
		t.Errorf("%v allocations per heartbeat after the flood", allocs)
	}
}

func BenchmarkTraffic(b *testing.B) {
	var many []membership.Member
	for i := range 1000 {
		many = append(many, membership.Member{Key: key(fmt.Sprint("k", i))})
	}
	m := membership.New(epoch, config(), many)
	now := epoch
	for _, mem := range many {
		m.LinkUp(now, mem.Key)
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		m.Traffic(now, many[0].Key)
	}
}
