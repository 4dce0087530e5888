package membership

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// MaxMembers bounds the remembered keys: four times the largest mesh that is simulated (1,000 zones).
const MaxMembers = 4096

// Reason says why a member is in its state. The names are shown to people and in JSON.
type Reason string

const (
	NotHeardYet      Reason = "NotHeardYet"      // Unknown: nothing heard in this run
	Connected        Reason = "Connected"        // Ready: a direct connection is up and answers
	HeartbeatsHeard  Reason = "HeartbeatsHeard"  // Ready: no direct connection, live heartbeats through others
	ConnectionClosed Reason = "ConnectionClosed" // NotReady: the direct connection is gone
	Goodbye          Reason = "Goodbye"          // NotReady: it said that it stops
	ProbesMissed     Reason = "ProbesMissed"     // NotReady: the direct connection doesn't answer
	HeartbeatsMissed Reason = "HeartbeatsMissed" // NotReady: no direct connection and no heartbeats
	NeverHeard       Reason = "NeverHeard"       // Unavailable: not once in this run
	TimedOut         Reason = "TimedOut"         // Unavailable: NotReady for too long
)

// Config holds the timeouts. The zero value of a field means its default.
type Config struct {
	Self keys.Public // our own key; never a member
	Run  Run         // this run of this process

	HeartbeatInterval time.Duration // between two heartbeats of a node; default 5 s
	UnavailableAfter  time.Duration // from NotReady or Unknown to Unavailable; default 120 s
	ProbeMisses       int           // probes missed in a row that make a neighbour NotReady; default 2
	HeartbeatMisses   int           // heartbeats missed that make another NotReady; default 3
	StallAfter        time.Duration // lateness of our own wake-up that counts as a stall; default 2 s
}

func (c Config) withDefaults() Config {
	c.HeartbeatInterval = cmp.Or(max(c.HeartbeatInterval, 0), 5*time.Second)
	c.UnavailableAfter = cmp.Or(max(c.UnavailableAfter, 0), 120*time.Second)
	c.ProbeMisses = cmp.Or(max(c.ProbeMisses, 0), 2)
	c.HeartbeatMisses = cmp.Or(max(c.HeartbeatMisses, 0), 3)
	c.StallAfter = cmp.Or(max(c.StallAfter, 0), 2*time.Second)
	return c
}

// silence is how long a member without a link may be quiet: the last heartbeat missed counts as missed half
// an interval after it was due.
func (c Config) silence() time.Duration {
	return time.Duration(c.HeartbeatMisses)*c.HeartbeatInterval + c.HeartbeatInterval/2
}

// Member is an admitted key and the zone bound to it, empty while there is none.
type Member struct {
	Key  keys.Public
	Zone mesh.Zone
}

// Change is one transition.
type Change struct {
	Key      keys.Public
	Zone     mesh.Zone
	From, To mesh.PeerState
	Reason   Reason
	At       time.Time
}

// Peer is what is known of one member.
type Peer struct {
	Member
	State   mesh.PeerState
	Since   time.Time // when State began
	Reason  Reason
	Linked  bool          // an admitted direct connection is up
	RTT     time.Duration // of the last answered probe; 0: none yet
	Heard   time.Time     // last proof of life; zero: none in this run
	Named   mesh.Zone     // zone that its newest heartbeat names: a hint, its binding is Zone
	Run     Run           // the run it proved to live in last, else one that was heard; zero: no heartbeat yet
	Counter uint64        // newest counter of Run
	Rival   *Run          // a second live run of the same key, if one is seen
}

// Membership holds the members' states. It is owned by one goroutine; it is not safe for concurrent use.
type Membership struct {
	cfg   Config
	peers map[keys.Public]*peer
	now   time.Time // highest seen
	wake  time.Time // no timer fires before; zero: none is set

	sent    uint64 // our newest counter
	doubted time.Time
	self    runs // other runs of our own key
	yield   *Run
}

// peer is one member.
//
// Invariants: state is Ready if linked and misses < ProbeMisses; a linked peer is never Unknown.
type peer struct {
	Member
	state  mesh.PeerState
	since  time.Time
	reason Reason
	linked bool
	misses int
	rtt    time.Duration
	heard  time.Time
	quiet  time.Time // from when silence counts: the last proof of life, change of state or doubt of our own
	named  mesh.Zone
	runs   runs
}

// New starts with every member Unknown. Self, duplicates and what is beyond MaxMembers are left out.
func New(now time.Time, cfg Config, members []Member) *Membership {
	m := &Membership{cfg: cfg.withDefaults(), peers: map[keys.Public]*peer{}, now: now}
	m.replace(members)
	return m
}

// SetMembers replaces the members: new ones start as Unknown, removed ones are forgotten without a Change,
// the others keep their state and take the zone given.
func (m *Membership) SetMembers(now time.Time, members []Member) []Change {
	ch := m.advance(now)
	m.replace(members)
	return ch
}

// replace keeps the first MaxMembers in the order given, so that a caller who puts config first loses the
// least important.
func (m *Membership) replace(members []Member) {
	next := make(map[keys.Public]*peer, min(len(members), MaxMembers))
	for _, mem := range members {
		if mem.Key == m.cfg.Self || next[mem.Key] != nil || len(next) == MaxMembers {
			continue
		}
		p := m.peers[mem.Key]
		if p == nil {
			p = &peer{state: mesh.Unknown, reason: NotHeardYet, since: m.now, quiet: m.now}
			m.schedule(m.now.Add(m.cfg.UnavailableAfter))
		}
		p.Member = mem
		next[mem.Key] = p
	}
	m.peers = next
}

// LinkUp says that a direct connection to key is admitted by both sides. It is about the peer, not about one
// of several connections to it; repeated calls are traffic.
func (m *Membership) LinkUp(now time.Time, key keys.Public) []Change {
	ch := m.advance(now)
	p := m.peers[key]
	if p == nil {
		return ch
	}
	p.linked = true
	return m.direct(ch, p)
}

// LinkDown says that the last direct connection to key is gone. Give Goodbye when it was announced by the
// peer, else ConnectionClosed.
func (m *Membership) LinkDown(now time.Time, key keys.Public, why Reason) []Change {
	ch := m.advance(now)
	p := m.peers[key]
	if p == nil || !p.linked {
		return ch
	}
	p.linked, p.misses, p.rtt = false, 0, 0
	p.runs.distrust()
	if p.state == mesh.Ready {
		return m.move(ch, p, mesh.NotReady, why)
	}
	return ch
}

// Traffic says that authenticated bytes came from key over its link. What is left over from a link that
// closed meanwhile counts for nothing.
func (m *Membership) Traffic(now time.Time, key keys.Public) []Change {
	ch := m.advance(now)
	if p := m.peers[key]; p != nil && p.linked {
		return m.direct(ch, p)
	}
	return ch
}

// ProbeOK says that a probe was answered over the link.
func (m *Membership) ProbeOK(now time.Time, key keys.Public, rtt time.Duration) []Change {
	ch := m.advance(now)
	if p := m.peers[key]; p != nil && p.linked {
		p.rtt = max(rtt, 1)
		return m.direct(ch, p)
	}
	return ch
}

// ProbeMissed says that a probe sent at sent got no answer in time. It counts only if nothing was heard since
// and this node didn't stall meanwhile.
func (m *Membership) ProbeMissed(now time.Time, key keys.Public, sent time.Time) []Change {
	ch := m.advance(now)
	p := m.peers[key]
	if p == nil || !p.linked || sent.Before(p.heard) || sent.Before(m.doubted) {
		return ch
	}
	p.misses = min(p.misses+1, m.cfg.ProbeMisses)
	if p.misses == m.cfg.ProbeMisses && p.state == mesh.Ready {
		p.runs.distrust()
		return m.move(ch, p, mesh.NotReady, ProbesMissed)
	}
	return ch
}

// direct takes a proof of life that came over the link.
func (m *Membership) direct(ch []Change, p *peer) []Change {
	p.heard, p.quiet, p.misses = m.now, m.now, 0
	if p.state != mesh.Ready {
		return m.move(ch, p, mesh.Ready, Connected)
	}
	p.reason = Connected
	return ch
}

// relayed takes a proof of life that came through others.
func (m *Membership) relayed(ch []Change, p *peer) []Change {
	p.heard, p.quiet = m.now, m.now
	switch {
	case p.state == mesh.Ready:
		return ch
	case !p.linked:
		return m.move(ch, p, mesh.Ready, HeartbeatsHeard)
	case p.state == mesh.Unavailable: // alive elsewhere, but this link is not
		return m.move(ch, p, mesh.NotReady, ProbesMissed)
	}
	return ch
}

// Tick lets time pass; call it when Deadline is reached.
func (m *Membership) Tick(now time.Time) []Change { return m.advance(now) }

// Stalled says that this node noticed, by a timer of its own, that it did nothing for lost.
func (m *Membership) Stalled(now time.Time, lost time.Duration) []Change {
	m.setNow(now)
	m.doubt(lost)
	return m.fire()
}

// Deadline is when a Tick is due at the latest; zero: never. It moves with every call of another method.
func (m *Membership) Deadline() time.Time { return m.wake }

func (m *Membership) setNow(now time.Time) {
	if now.After(m.now) {
		m.now = now
	}
}

// advance comes first in every call: it takes the new time and fires the timers that are due.
func (m *Membership) advance(now time.Time) []Change {
	m.setNow(now)
	if m.wake.IsZero() || m.now.Before(m.wake) {
		return nil
	}
	if late := m.now.Sub(m.wake); late > m.cfg.StallAfter {
		m.doubt(late)
	}
	return m.fire()
}

// fire visits the members in key order, so that the answer doesn't depend on the map.
func (m *Membership) fire() []Change {
	var ch []Change
	m.wake = time.Time{}
	for _, p := range m.sorted() {
		due := m.due(p)
		if due.IsZero() {
			continue
		}
		if !m.now.Before(due) {
			switch p.state {
			case mesh.Ready:
				p.runs.distrust()
				ch = m.move(ch, p, mesh.NotReady, HeartbeatsMissed)
			case mesh.Unknown:
				ch = m.move(ch, p, mesh.Unavailable, NeverHeard)
			default:
				ch = m.move(ch, p, mesh.Unavailable, TimedOut)
			}
		}
		m.schedule(m.due(p))
	}
	return ch
}

// due is when the timer of p fires; zero: it has none.
func (m *Membership) due(p *peer) time.Time {
	switch {
	case p.state == mesh.Ready && !p.linked:
		return p.quiet.Add(m.cfg.silence())
	case p.state == mesh.NotReady, p.state == mesh.Unknown:
		return p.quiet.Add(m.cfg.UnavailableAfter)
	}
	return time.Time{}
}

// schedule makes sure that the owner comes back by t. Timers only ever move away from now once set, so the
// earliest one remembered is a lower bound and an early Tick finds the next.
func (m *Membership) schedule(t time.Time) {
	if !t.IsZero() && (m.wake.IsZero() || t.Before(m.wake)) {
		m.wake = t
	}
}

// doubt puts a silence of lost on our own account.
func (m *Membership) doubt(lost time.Duration) {
	lost = max(lost, 0)
	m.doubted = m.now
	// Whoever is close to Unavailable gets the time in which a live one would be heard.
	latest := m.now.Add(m.cfg.silence() - m.cfg.UnavailableAfter)
	for _, p := range m.peers {
		p.misses = 0
		q := p.quiet.Add(lost)
		if q.Before(latest) {
			q = latest
		}
		if p.state == mesh.Ready || q.After(m.now) {
			q = m.now
		}
		p.quiet = q
	}
}

func (m *Membership) move(ch []Change, p *peer, to mesh.PeerState, why Reason) []Change {
	ch = append(ch, Change{Key: p.Key, Zone: p.Zone, From: p.state, To: to, Reason: why, At: m.now})
	p.state, p.reason, p.since, p.quiet = to, why, m.now, m.now
	m.schedule(m.due(p))
	return ch
}

// Peer returns what is known of key, and whether it is a member.
func (m *Membership) Peer(key keys.Public) (Peer, bool) {
	p := m.peers[key]
	if p == nil {
		return Peer{}, false
	}
	return m.view(p), true
}

// Peers returns every member in key order.
func (m *Membership) Peers() []Peer {
	out := make([]Peer, 0, len(m.peers))
	for _, p := range m.sorted() {
		out = append(out, m.view(p))
	}
	return out
}

// Counts counts the members by state.
func (m *Membership) Counts() mesh.PeerCounts {
	c := mesh.PeerCounts{Total: len(m.peers)}
	for _, p := range m.peers {
		switch p.state {
		case mesh.Ready:
			c.Ready++
		case mesh.NotReady:
			c.NotReady++
		case mesh.Unknown:
			c.Unknown++
		case mesh.Unavailable:
			c.Unavailable++
		}
	}
	return c
}

func (m *Membership) view(p *peer) Peer {
	v := Peer{Member: p.Member, State: p.state, Since: p.since, Reason: p.reason, Linked: p.linked, RTT: p.rtt,
		Heard: p.heard, Named: p.named}
	if len(p.runs) > 0 {
		v.Run, v.Counter = p.runs[0].Run, p.runs[0].counter
		v.Rival = p.runs.rival(m.now.Add(-m.cfg.silence()))
	}
	return v
}

func (m *Membership) sorted() []*peer {
	out := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *peer) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return out
}
