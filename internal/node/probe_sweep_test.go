package node

import (
	"container/heap"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
)

var sweepFlag = flag.Duration("sweep", 0, "simulate each cell of TestLossAndJitter for this long, and print all of them")

// TestLossAndJitter runs two probers against each other over simulated links, in virtual time: each side's own decisions,
// the failure detector behind them, and a model of what QUIC and TCP do about a packet that is lost. Up to 5 % of loss
// each way and half a second of jitter nobody who lives is taken for dead, over TCP less than once an hour; and one who dies
// is missed in seconds.
func TestLossAndJitter(t *testing.T) {
	t.Parallel()
	span, times := *sweepFlag, 15
	if span > 0 {
		times = 100
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-5s %5s %7s   %12s %12s   %9s %9s\n", "", "loss", "jitter", "alarms/hour", "lost/hour", "p50", "p99")
	for _, quic := range []bool{true, false} {
		for _, jitter := range []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second} {
			for _, loss := range []float64{0, 0.01, 0.05, 0.1, 0.2} {
				promised := loss <= 0.05 && jitter <= 500*time.Millisecond
				if span == 0 && !promised {
					continue
				}
				lasts := max(span, 20*time.Minute)
				q := quality{loss: loss, delay: 10 * time.Millisecond, jitter: jitter, quic: quic}
				s := newSweep(q, 1)
				s.run(lasts)
				noticed := missedAfter(q, times)
				name := map[bool]string{true: "QUIC", false: "TCP"}[quic]
				hours := lasts.Hours()
				fmt.Fprintf(&table, "%-5s %4.0f%% %7s   %12.1f %12.1f   %8.1fs %8.1fs\n", name, 100*loss, jitter, float64(s.alarms)/hours,
					float64(s.lost)/hours, noticed[len(noticed)/2].Seconds(), noticed[len(noticed)*99/100].Seconds())
				if !promised {
					continue
				}
				allowed := 0
				if !quic {
					allowed = int(hours) // a packet may be lost three times in a row
				}
				if s.alarms > allowed || s.lost > 0 {
					t.Errorf("%s, %.0f%%, %s: %d alarms and %d links given up in %s, want at most %d and none", name, 100*loss, jitter, s.alarms, s.lost, lasts, allowed)
				}
				if worst := noticed[len(noticed)-1]; worst > 10*time.Second {
					t.Errorf("%s, %.0f%%, %s: a peer that died was missed after %s, want 10 s at most", name, 100*loss, jitter, worst)
				}
			}
		}
	}
	t.Logf("alarms are peers that live and count as not ready, lost links are closed because nothing is heard;\np50 and p99 is how long a peer that died counts as ready\n%s", &table)
}

// quality is that of a simulated link, the same both ways.
type quality struct {
	loss   float64
	delay  time.Duration
	jitter time.Duration // up to so much more, each packet by itself
	quic   bool          // packets that overtake a lost one are a sign of life
}

// missedAfter lets peers die at any moment, and sorts how long each still counted as ready.
func missedAfter(q quality, times int) (out []time.Duration) {
	for seed := range times {
		s := newSweep(q, uint64(seed)+100)
		s.run(time.Minute + time.Duration(seed)*37*time.Millisecond)
		died := s.now
		s.ends[1].died = true
		for s.ready(0) && s.now.Sub(died) < time.Minute {
			s.run(20 * time.Millisecond)
		}
		out = append(out, s.now.Sub(died))
	}
	slices.Sort(out)
	return out
}

// sweep is two nodes and the link between them.
type sweep struct {
	quality
	now    time.Time
	rand   *rand.Rand
	events agenda
	ends   [2]*sweepEnd
	alarms int
	lost   int
}

// sweepEnd is one node. What it writes are frames, one in a packet, which are sent again until they are acknowledged and
// read in order.
type sweepEnd struct {
	died   bool
	life   int // rises with each new link: what belongs to an earlier one is void
	vigil  vigil
	pings  *pings
	member *membership.Membership
	other  keys.Public

	next    int             // frame to number
	open    map[int]*flight // sent and not acknowledged
	got     map[int]frameOf // arrived and not read: one before is missing
	read    int             // frames
	signs   uint64          // packets and frames
	written uint64          // frames
	mean    time.Duration   // round trip of the transport
	vary    time.Duration   //
	backoff int             // timeouts in a row
	timer   time.Time       // when the oldest unacknowledged frame is sent again
}

type frameOf struct {
	ping, pong uint64
}

type flight struct {
	frameOf
	sent  time.Time
	tries int
}

// happening is due at a time; order breaks ties.
type happening struct {
	at    time.Time
	order int
	what  func()
}

type agenda struct {
	list  []happening
	count int
}

func (a *agenda) Len() int { return len(a.list) }
func (a *agenda) Less(i, j int) bool {
	x, y := a.list[i], a.list[j]
	return x.at.Before(y.at) || x.at.Equal(y.at) && x.order < y.order
}
func (a *agenda) Swap(i, j int) { a.list[i], a.list[j] = a.list[j], a.list[i] }
func (a *agenda) Push(x any)    { a.list = append(a.list, x.(happening)) }
func (a *agenda) Pop() any {
	x := a.list[len(a.list)-1]
	a.list = a.list[:len(a.list)-1]
	return x
}

const sweepProbe, sweepHeartbeat = time.Second, 5 * time.Second

func newSweep(q quality, seed uint64) *sweep {
	s := &sweep{quality: q, now: time.Unix(1_800_000_000, 0), rand: rand.New(rand.NewPCG(seed, 7))}
	for i := range s.ends {
		e := &sweepEnd{other: testKey(byte(2 - i)).Public()}
		e.member = membership.New(s.now, membership.Config{Self: testKey(byte(1 + i)).Public()}, []membership.Member{{Key: e.other}})
		s.ends[i] = e
	}
	s.connect()
	for i := range s.ends {
		var beat, look func()
		beat = func() {
			s.write(i, frameOf{})
			s.in(sweepHeartbeat-sweepHeartbeat/20+time.Duration(s.rand.Int64N(int64(sweepHeartbeat/10))), beat)
		}
		look = func() {
			s.look(i)
			s.in(sweepProbe/stepsPerProbe, look)
		}
		s.in(time.Duration(s.rand.Int64N(int64(sweepHeartbeat))), beat)
		s.in(time.Duration(s.rand.Int64N(int64(sweepProbe/stepsPerProbe))), look)
	}
	return s
}

// connect gives both ends a new link. How long packets take is known from making it.
func (s *sweep) connect() {
	for _, e := range s.ends {
		e.life++
		e.pings = &pings{}
		e.vigil = vigil{every: sweepProbe, pings: e.pings, stream: !s.quic, heard: s.now, spoke: s.now}
		e.next, e.read, e.signs, e.written, e.backoff = 0, 0, 0, 0, 0
		e.open, e.got = map[int]*flight{}, map[int]frameOf{}
		e.mean = 2*s.delay + s.jitter
		e.vary = e.mean / 2
		s.count(e.member.LinkUp(s.now, e.other))
	}
}

func (s *sweep) in(d time.Duration, what func()) {
	s.events.count++
	heap.Push(&s.events, happening{s.now.Add(d), s.events.count, what})
}

// run lets time pass.
func (s *sweep) run(d time.Duration) {
	end := s.now.Add(d)
	for s.events.Len() > 0 && !s.events.list[0].at.After(end) {
		h := heap.Pop(&s.events).(happening)
		s.now = h.at
		h.what()
	}
	s.now = end
}

func (s *sweep) ready(i int) bool {
	p, _ := s.ends[i].member.Peer(s.ends[i].other)
	return p.State == mesh.Ready
}

// count counts alarms.
func (s *sweep) count(changes []membership.Change) {
	for _, c := range changes {
		if c.From == mesh.Ready {
			s.alarms++
		}
	}
}

// look is what a node does for each link some times per interval.
func (s *sweep) look(i int) {
	e := s.ends[i]
	if e.died {
		return
	}
	if e.vigil.listen(s.now, e.signs, true) {
		s.count(e.member.Traffic(s.now, e.other))
	}
	v := e.vigil.decide(s.now, e.written)
	if v.missed {
		s.count(e.member.ProbeMissed(s.now, e.other, v.asked))
	}
	switch {
	case v.dead:
		s.lost++
		s.count(e.member.LinkDown(s.now, e.other, membership.ConnectionClosed))
		if !s.ends[1-i].died {
			s.connect()
		}
	case v.ask:
		s.write(i, frameOf{ping: e.pings.start(s.now)})
	case v.speak:
		s.write(i, frameOf{})
	}
}

// write sends a frame.
func (s *sweep) write(i int, f frameOf) {
	e := s.ends[i]
	if e.died {
		return
	}
	e.open[e.next] = &flight{frameOf: f}
	e.next++
	e.written++
	s.send(i, e.next-1)
}

// send puts a frame onto the wire, again if need be, and sees to it that it is sent once more if nobody acknowledges it.
func (s *sweep) send(i, n int) {
	e, o := s.ends[i], s.ends[1-i]
	f := e.open[n]
	if f == nil || e.died {
		return
	}
	f.sent, f.tries = s.now, f.tries+1
	life, frame, tries := e.life, f.frameOf, f.tries
	s.carry(i, func() {
		if o.life == life {
			s.arrive(1-i, n, frame, tries)
		}
	})
	s.arm(i)
}

// arm sets the timer after which the oldest frame that nobody acknowledged is sent again: RFC 9002 and RFC 6298 agree on
// how long that is but for the least.
func (s *sweep) arm(i int) {
	e := s.ends[i]
	least := 25 * time.Millisecond
	if !s.quic {
		least = 200 * time.Millisecond
	}
	wait := max(e.mean+4*e.vary, least) << min(e.backoff, 6)
	e.timer = s.now.Add(wait)
	life := e.life
	s.in(wait, func() {
		if e.life != life || s.now.Before(e.timer) || len(e.open) == 0 {
			return
		}
		e.backoff++
		oldest := e.next
		for n := range e.open {
			oldest = min(oldest, n)
		}
		s.send(i, oldest)
	})
}

// carry lets something arrive at the other side, unless it is lost.
func (s *sweep) carry(from int, what func()) {
	to := s.ends[1-from]
	if s.rand.Float64() < s.loss {
		return
	}
	d := s.delay
	if s.jitter > 0 {
		d += time.Duration(s.rand.Int64N(int64(s.jitter)))
	}
	s.in(d, func() {
		if to.died {
			return
		}
		if s.quic {
			to.signs++
		}
		what()
	})
}

// arrive is a packet with a frame: it is acknowledged, and what is complete is read.
func (s *sweep) arrive(i, n int, f frameOf, tries int) {
	e, o := s.ends[i], s.ends[1-i]
	if n >= e.read {
		e.got[n] = f
	}
	life := e.life
	s.carry(i, func() {
		if o.life == life {
			s.acknowledge(1-i, n, tries)
		}
	})
	for {
		f, ok := e.got[e.read]
		if !ok {
			return
		}
		delete(e.got, e.read)
		e.read++
		e.signs++
		switch {
		case f.ping > 0:
			s.write(i, frameOf{pong: f.ping})
		case f.pong > 0:
			if rtt, ok := e.pings.answer(f.pong, s.now); ok {
				s.count(e.member.ProbeOK(s.now, e.other, rtt))
			}
		}
	}
}

// acknowledge is the way back. A frame counts as lost when three that were sent after it were acknowledged.
func (s *sweep) acknowledge(i, n, tries int) {
	e := s.ends[i]
	f := e.open[n]
	if f == nil {
		return
	}
	if tries == f.tries {
		rtt := s.now.Sub(f.sent)
		e.vary += ((e.mean - rtt).Abs() - e.vary) / 4
		e.mean += (rtt - e.mean) / 8
	}
	delete(e.open, n)
	e.backoff = 0
	for _, old := range slices.Sorted(maps.Keys(e.open)) {
		if old+3 <= n && e.open[old].sent.Before(f.sent) {
			s.send(i, old)
		}
	}
	if len(e.open) > 0 {
		s.arm(i)
	}
}
