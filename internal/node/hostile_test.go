package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// attack is one way to misbehave, and what it may cost.
type attack struct {
	number   int // of its key
	name     string
	stranger bool   // its key is not admitted
	over     string // tcp or udp, which is QUIC; empty: in turn
	// reconnect has the honest peer lose its connection meanwhile: it must come back.
	reconnect bool
	lasting   bool // what it leaves stays: the last of all
	// assault begins it. What it starts with goOn goes on while the honest traffic is watched.
	assault func(a *assailant)
	counts  []string // each of these rises: reasons of mesh_refused_total, or other counters with their labels
	most    cost
}

// cost is what an attack takes of the victim, at its peak.
type cost struct {
	memory     int64 // bytes of RSS
	goroutines int
	streams    int
	conns      int
	disk, log  int64 // bytes
}

// usual is what most attacks stay below by far: the figures are those of a busy machine, and a defect that this is about
// grows without end.
var usual = cost{memory: 64 << 20, goroutines: 400, streams: 300, conns: 16, disk: 1 << 20, log: 64 << 10}

// arena is a victim with an honest peer beside it.
type arena struct {
	t      *testing.T
	v      *victim
	honest *member
	shelf  *shelf
	writes int
}

func newArena(t *testing.T, strict bool, attacks []attack) *arena {
	t.Helper()
	setup := victimSetup{Zone: "z1", Strict: strict}
	admit := func(k keys.Private, z mesh.Zone) {
		pub := k.Public()
		setup.Members = append(setup.Members, victimMember{pub[:], z})
	}
	admit(honestKey(), "z2")
	for _, a := range attacks {
		if !a.stranger {
			admit(hostileKey(a.number), hostileZone(a.number))
		}
	}
	r := &arena{t: t, v: newVictim(t, setup), honest: newMember(t, 2), shelf: newShelf()}
	r.honest.cfg.Gossip = true
	r.honest.cfg.Nodes = []Peer{{Key: testKey(1).Public(), Zone: "z1", Endpoints: []string{r.v.endpoint()}}}
	r.honest.startReal(r.shelf)
	r.traffic()
	return r
}

// traffic shows that changes arrive, both ways.
func (r *arena) traffic() {
	r.t.Helper()
	r.writes++
	there, back := fmt.Sprintf("there%d", r.writes), fmt.Sprintf("back%d", r.writes)
	r.shelf.put(victimObject(there), victimPayload(there))
	r.v.ask("put", back)
	until(r.t, "the honest peer's change arrives", func() bool { return r.v.ask("gauge", there).Has })
	until(r.t, "the victim's change arrives", func() bool { return r.shelf.has(victimObject(back)) })
}

// endure runs one attack and returns what it cost.
func (r *arena) endure(at attack) (c cost, cpu time.Duration, counted string) {
	t := r.t
	before := r.v.ask("begin", "")
	a := newAssailant(t, r.v, at.number, at.over)
	defer a.end()
	at.assault(a)
	if at.reconnect {
		victim := r.honest.node.peers.get(testKey(1).Public())
		before := victim.current()
		_ = r.honest.node.host.Network().ClosePeer(a.victimID())
		until(t, "the honest peer is back", func() bool {
			return slices.ContainsFunc(victim.current(), func(l *link) bool { return !slices.Contains(before, l) })
		})
	}
	r.traffic()
	var after gauge
	missing := func(n string) bool { return after.Counts[n] <= before.Counts[n] }
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if after = r.v.ask("gauge", ""); !slices.ContainsFunc(at.counts, missing) {
			break
		}
		if time.Now().After(end) {
			t.Errorf("not counted: %v", slices.DeleteFunc(slices.Clone(at.counts), func(n string) bool { return !missing(n) }))
			break
		}
	}
	a.end()
	c, counted = costOf(before, after), countedBetween(before, after)
	until(t, "the victim is at rest again", func() bool {
		now := r.v.ask("gauge", "")
		return at.lasting || now.Goroutines <= before.Goroutines+20 && now.Conns <= before.Conns+1
	})
	r.traffic()
	return c, after.CPU - before.CPU, counted
}

// costOf is what was used between two looks, at the most.
func costOf(before, after gauge) cost {
	return cost{memory: after.PeakRSS - before.RSS, goroutines: after.PeakGoroutines - before.Goroutines,
		streams: after.PeakStreams - before.Streams, conns: after.PeakConns - before.Conns,
		disk: after.Disk - before.Disk, log: after.Log - before.Log}
}

// countedBetween lists the counters that rose, for people.
func countedBetween(before, after gauge) string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(after.Counts)) {
		d := after.Counts[n] - before.Counts[n]
		if d > 0 && !strings.HasPrefix(n, "mesh_messages") && !strings.HasPrefix(n, "mesh_network") && (!strings.HasPrefix(n, "libp2p_") || strings.HasSuffix(n, "_blocked_resources")) {
			out = append(out, fmt.Sprintf("%s %.0f", n, d))
		}
	}
	return strings.Join(out, ", ")
}

func (c cost) check(t *testing.T, most cost) {
	t.Helper()
	over := func(what string, got, limit int64) {
		if got > limit {
			t.Errorf("it cost the victim %d of %s, at most %d are allowed", got, what, limit)
		}
	}
	over("bytes of memory", c.memory, raced*most.memory)
	over("goroutines", int64(c.goroutines), int64(most.goroutines))
	over("streams", int64(c.streams), int64(most.streams))
	over("connections", int64(c.conns), int64(most.conns))
	over("bytes on disk", c.disk, most.disk)
	over("bytes of log", c.log, most.log)
}

// Each attack is refused for a reason that is counted, costs no more than stated, and leaves honest traffic alone.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	attacks := slices.Concat(frameAttacks(), operationAttacks(), presenceAttacks(), connectionAttacks(), gossipAttacks(), strangerAttacks(), lastAttacks())
	for i := range attacks {
		attacks[i].number = i
	}
	r := newArena(t, true, attacks)
	for i, at := range attacks {
		if at.over == "" {
			at.over = []string{"udp", "tcp"}[i%2]
		}
		if at.most == (cost{}) {
			at.most = usual
		}
		t.Run(strings.ReplaceAll(at.name, " ", "-"), func(t *testing.T) {
			outer := r.t
			r.t, r.v.t = t, t
			defer func() { r.t, r.v.t = outer, outer }()
			began := time.Now()
			c, cpu, counted := r.endure(at)
			t.Logf("| %s | %s | %s | %.1f MiB | %d | %d | %d | %d KiB | %d KiB | %d ms of %d ms |", at.name, at.over, counted, float64(c.memory)/(1<<20), c.goroutines, c.streams, c.conns, c.disk>>10, c.log>>10,
				cpu.Milliseconds(), time.Since(began).Milliseconds())
			c.check(t, at.most)
		})
	}
}
