package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// BenchmarkZones is what a minute of a mesh at rest costs one of its nodes, in meshes of 10 to 1,000 zones: the bytes of the
// frames that it sends, and its processor time. Links, presence and codecs are the real ones, the other nodes and the
// transport are simulated: what the node sends is counted, and what it would receive is handed to it. Intervals are the
// defaults, and every node holds one log of every zone.
//
// The exponent e says that the cost grows as zones^e does, over the last factor of ten: 1 is linear.
func BenchmarkZones(b *testing.B) {
	sizes := []int{10, 32, 100, 320, 1000}
	var sent, cpu []float64
	for b.Loop() {
		sent, cpu = nil, nil
		for _, n := range sizes {
			x := newResting(b, n)
			x.minute() // what is kept from then on is there
			x.bytes, x.cpu = 0, 0
			x.minute()
			sent, cpu = append(sent, float64(x.bytes)/60), append(cpu, x.cpu.Seconds()/60)
		}
	}
	for i, n := range sizes {
		b.ReportMetric(sent[i], fmt.Sprintf("B/s-%d", n))
		b.ReportMetric(100*cpu[i], fmt.Sprintf("%%-core-%d", n))
	}
	b.ReportMetric(exponent(sizes[2:], sent[2:]), "e-bytes")
	b.ReportMetric(exponent(sizes[2:], cpu[2:]), "e-cpu")
}

// exponent fits y = c * x^e.
func exponent(x []int, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		lx, ly := math.Log(float64(x[i])), math.Log(y[i])
		sx, sy, sxx, sxy = sx+lx, sy+ly, sxx+lx*lx, sxy+lx*ly
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// resting is one node of a mesh in which nothing happens, with a link to each of the others.
type resting struct {
	t      testing.TB
	node   *Node
	others []*other
	beats  uint64

	minutes int           // that have passed
	bytes   int           // sent
	cpu     time.Duration // taken
}

// other is another node as this one sees it.
type other struct {
	key  keys.Private
	zone mesh.Zone
	run  runID
	log  oplog.Have
	link *link
}

func newResting(b testing.TB, zones int) *resting {
	b.Helper()
	x := &resting{t: b}
	m := newMember(b, 1)
	m.cfg.HeartbeatInterval, m.cfg.ProbeInterval = DefaultConfig().HeartbeatInterval, DefaultConfig().ProbeInterval
	core := newChains(m.key, m.zone(), m.store)
	for i := range zones - 1 {
		var seed [keys.SeedSize]byte
		binary.BigEndian.PutUint32(seed[4:], uint32(i+1))
		o := &other{key: keys.FromSeed(seed), zone: mesh.Zone(fmt.Sprintf("zone-%04d", i))}
		binary.BigEndian.PutUint32(o.run[:], uint32(i+1))
		inst := mesh.Instance{Zone: o.zone, Incarnation: 1000}
		key := mesh.LogKey{Author: o.key.Public(), Log: mesh.LogIDOf(testNetwork, inst)}
		o.log = oplog.Have{Key: key, Instance: inst, Next: 2, Head: mesh.Hash{1}}
		core.logs[key] = oplog.Log{Key: key, Instance: inst, Next: 2, Head: mesh.Hash{1}}
		m.cfg.Nodes = append(m.cfg.Nodes, Peer{Key: o.key.Public(), Zone: o.zone})
		x.others = append(x.others, o)
	}
	if err := m.cfg.prepare(); err != nil {
		b.Fatal(err)
	}
	var err error
	if x.node, err = newNode(m.cfg, core, nil); err != nil {
		b.Fatal(err)
	}
	for i, c := range m.cfg.Nodes {
		if err := x.node.addPeer(c); err != nil {
			b.Fatal(err)
		}
		o := x.others[i]
		p := x.node.peers.get(o.key.Public())
		o.link = newLink(x.node, p, nil, hello{Network: testNetwork, Instance: o.log.Instance, Run: o.run}, true)
		p.install(o.link, x.node.self)
		x.node.presence.linkUp(o.link)
	}
	return x
}

// minute lets a minute pass.
func (x *resting) minute() {
	const beats = 12  // at 5 s
	const probes = 60 // at 1 s on each link, of which either side sends half
	for range beats {
		x.beat()
	}
	for i := range probes {
		for _, o := range x.others {
			if i%2 == 0 {
				x.take(o, encodePing(uint64(i+1)))
				continue
			}
			x.work(func() { o.link.send(encodePing(o.link.pings.start(time.Now()))) })
			x.drain(o)
			x.take(o, encodePong(pongMsg{ID: o.link.pings.last}))
		}
	}
	for i, o := range x.others {
		if !o.link.holdsTheSame() || (i+x.minutes)%(spares(len(x.others))+1) == 0 {
			x.round(o)
		}
	}
	x.minutes++
}

// beat is one heartbeat of everyone.
func (x *resting) beat() {
	x.beats++
	x.work(x.node.presence.beat)
	for _, o := range x.others {
		x.drain(o)
	}
	view := sightsOf(x.node.presence.peers())
	for _, o := range x.others {
		h := &heartbeat{
			Key: o.key.Public(), Network: testNetwork, Instance: o.log.Instance, Run: o.run, Life: 1000, Started: 1,
			Counter: x.beats, Clock: int64(x.beats), Next: o.log.Next, Head: o.log.Head, View: view,
			Digest: x.node.loop.view.Load().digest(),
		}
		h.Echoes = []echo{{x.node.self, x.node.run.ID, x.beats}}
		x.take(o, encodeHeartbeat(h, o.key))
	}
}

// round is a sync round that each side asks the other for.
func (x *resting) round(o *other) {
	x.work(func() {
		if !o.link.askRound(1) {
			x.t.Fatal("no room for a round")
		}
	})
	x.drain(o)
	haves := x.node.loop.view.Load().haves // theirs are the same
	x.take(o, encodeTrustDigest(mesh.Hash{}))
	x.take(o, encodeHave(haveMsg{Round: 1, Logs: haves}))
	x.work(func() {
		round, theirs, trust, asked := o.link.serve.take()
		if !asked {
			x.t.Fatal("the round is not served")
		}
		if err := o.link.serveRound(context.Background(), round, theirs, trust); err != nil {
			x.t.Fatal(err)
		}
	})
	x.drain(o)
}

// take hands a frame to the node as if it had come over a link.
func (x *resting) take(o *other, frame []byte) {
	x.t.Helper()
	x.work(func() {
		if err := o.link.take(context.Background(), kind(frame[4]), frame[5:]); err != nil {
			x.t.Fatal(err)
		}
	})
	x.drain(o)
}

// work counts the processor time of f. Nothing else runs here.
func (x *resting) work(f func()) {
	before := processorTime(x.t)
	f()
	x.cpu += processorTime(x.t) - before
}

func processorTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drain takes what the node put on the lanes of a link.
func (x *resting) drain(o *other) {
	for {
		frame, _, ok := o.link.nextFrame()
		if !ok {
			break
		}
		x.bytes += len(frame)
	}
	for len(o.link.pipe) > 0 {
		o.link.giveBack(<-o.link.pipe)
	}
}
