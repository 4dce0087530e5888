package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// presence tells others that we live and keeps count of who else does. It wraps the failure detector, which
// is no friend of two goroutines.
type presence struct {
	n    *Node
	wake chan struct{} // capacity 1, never closed: the detector's deadline moved towards now

	mu      sync.Mutex
	members *membership.Membership
	counter uint64
	rival   *echo // newest heartbeat of another process with our own key
	muted   bool
}

func newPresence(n *Node, now time.Time, members []membership.Member) *presence {
	return &presence{n: n, wake: make(chan struct{}, 1), members: membership.New(now, membership.Config{
		Self: n.self, Run: n.run,
		HeartbeatInterval: n.cfg.HeartbeatInterval, UnavailableAfter: n.cfg.PeerUnavailableAfter,
	}, members)}
}

// observe feeds the detector and reports the transitions that follow.
func (p *presence) observe(f func(m *membership.Membership, now time.Time) []membership.Change) {
	p.mu.Lock()
	before := p.members.Deadline()
	changes := f(p.members, time.Now())
	after := p.members.Deadline()
	p.mu.Unlock()
	for _, c := range changes {
		zone := c.Zone
		if e := p.n.peers.get(c.Key); zone == "" && e != nil {
			zone = e.saidZone()
		}
		p.n.log.Info("peer is "+stateWord(c.To), "peer", c.Key, "zone", string(zone), "was", string(c.From), "reason", string(c.Reason))
		p.n.metrics.membershipChanges.Inc()
		p.n.tellChange(c)
	}
	if after.IsZero() || !before.IsZero() && !after.Before(before) {
		return // what observes most, that a peer is heard, moves no deadline
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func stateWord(s mesh.PeerState) string {
	switch s {
	case mesh.Ready:
		return "ready"
	case mesh.NotReady:
		return "not ready"
	case mesh.Unavailable:
		return "unavailable"
	}
	return "unknown"
}

func (p *presence) peers() []membership.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Peers()
}

func (p *presence) reach() membership.Reach {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members.Reach()
}

func (p *presence) linkUp(l *link) {
	p.observe(func(m *membership.Membership, now time.Time) []membership.Change { return m.LinkUp(now, l.key()) })
}

func (p *presence) linkDown(k keys.Public) {
	if p.n.stopping.Load() {
		return // we ended it; that says nothing about the peer
	}
	p.observe(func(m *membership.Membership, now time.Time) []membership.Change {
		return m.LinkDown(now, k, membership.ConnectionClosed)
	})
}

// goodbye believes a peer that it stops, if this was its only process.
func (p *presence) goodbye(l *link, reason string) {
	p.n.log.Debug("goodbye", "peer", l.key(), "reason", reason)
	if len(l.peer.current()) == 1 {
		p.observe(func(m *membership.Membership, now time.Time) []membership.Change {
			return m.LinkDown(now, l.key(), membership.Goodbye)
		})
	}
}

// run sends heartbeats and lets time pass for the detector, until ctx ends.
func (p *presence) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		p.mu.Lock()
		deadline := p.members.Deadline()
		p.mu.Unlock()
		at := next
		if !deadline.IsZero() && deadline.Before(at) {
			at = deadline
		}
		timer.Reset(max(0, time.Until(at)))
		select {
		case <-timer.C:
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
		now := time.Now()
		if !deadline.IsZero() && !now.Before(deadline) {
			p.observe((*membership.Membership).Tick)
		}
		if !now.Before(next) {
			p.beat()
			p.n.watchLag()
			p.n.watchFiles()
			// A twentieth of jitter keeps nodes that started together from beating together.
			d := p.n.cfg.HeartbeatInterval
			next = now.Add(d - d/20 + rand.N(d/10+1))
		}
	}
}

// beat sends one heartbeat on every link, each with the echo of its receiver, and by gossip where that is
// needed.
func (p *presence) beat() {
	h := p.next()
	links := p.n.peers.links()
	for _, l := range links {
		own := *h
		own.Echoes = append(l.peer.echoes(l.hello.Run), h.Echoes...)
		l.send(encodeHeartbeat(&own, p.n.cfg.Key))
	}
	p.n.gossipHeartbeat(h)
}

// next is the heartbeat to send now, without the echo of a receiver.
func (p *presence) next() *heartbeat {
	v := p.n.loop.view.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counter++
	p.members.Sent(p.counter)
	h := &heartbeat{
		Key: p.n.self, Network: p.n.cfg.Network, Instance: v.instance,
		Run: p.n.run.ID, Life: uint64(p.n.run.Incarnation), Started: p.n.run.Start,
		Counter: p.counter, Clock: p.n.cfg.Now().UnixMicro(), Next: v.own.Next, Head: v.own.Head, Digest: v.digest(),
		Version: p.n.cfg.Version, Addresses: p.n.cfg.Advertise, View: sightsOf(p.members.Peers()),
	}
	if p.rival != nil {
		h.Echoes = []echo{*p.rival}
	}
	return h
}

// sightsOf tells about zones, those that are not Ready first.
func sightsOf(peers []membership.Peer) []sight {
	var out []sight
	for _, m := range peers {
		zone := m.Zone
		if zone == "" {
			zone = m.Named
		}
		if zone != "" {
			s := sight{Zone: zone, State: m.State, Direct: m.Linked && m.State == mesh.Ready, Counter: m.Counter}
			if s.Direct {
				s.RTT = milliseconds(m.RTT)
			}
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b sight) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Zone, b.Zone))
	})
	return out[:min(len(out), maxBeatView)]
}

func rank(s mesh.PeerState) int {
	if s == mesh.Ready {
		return 1
	}
	return 0
}

// echoes repeats the newest heartbeat of the peer's process.
func (p *peerEntry) echoes(run runID) []echo {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beat == nil || p.beat.Run != run {
		return nil
	}
	return []echo{{p.key, run, p.beat.Counter}}
}

// takeHeartbeat judges a heartbeat that came over a link: the peer's own, or that of another process with
// our key, which the peer passes on because it sees both.
func (n *Node) takeHeartbeat(ctx context.Context, l *link, payload []byte) error {
	h, err := decodeHeartbeat(payload)
	if err != nil {
		n.metrics.refused(refusedHeartbeat)
		return err
	}
	switch {
	case h.Network != n.cfg.Network:
		n.metrics.refused(refusedNetwork)
		return nil
	case h.Key == l.key() && h.Run != l.hello.Run, h.Key != l.key() && h.Key != n.self:
		return errUnexpectedHeartbeat
	}
	fresh := n.heard(ctx, h, h.Key == l.key())
	if fresh && h.Key == l.key() {
		// Two processes with one key cannot see each other; whoever sees both tells them.
		for _, o := range l.peer.current() {
			if o != l {
				o.send(seal(append(begin(kindHeartbeat), payload...)))
			}
		}
	}
	if h.Key == l.key() && h.Next > 0 {
		key := mesh.LogKey{Author: h.Key, Log: mesh.LogIDOf(n.cfg.Network, h.Instance)}
		l.known.learn(key, h.Next)
		if n.loop.view.Load().next(key) < h.Next {
			l.ask.unless(hintDelay, key, h.Next)
		}
	}
	return nil
}

// heard feeds a verified heartbeat of this network to the detector and reports whether it was news.
func (n *Node) heard(ctx context.Context, h *heartbeat, direct bool) (fresh bool) {
	if why := n.disbelieved(h); why != "" {
		n.metrics.refused(why)
		return false
	}
	in := membership.Heartbeat{Key: h.Key, Zone: h.Instance.Zone, Counter: h.Counter, Direct: direct,
		Run: membership.Run{Incarnation: mesh.Incarnation(h.Life), Start: h.Started, ID: h.Run}}
	for _, e := range h.Echoes {
		if e.Key == n.self && (e.Run == n.run.ID || in.Echo == (membership.Echo{})) {
			in.Echo = membership.Echo{Run: e.Run, Counter: e.Counter}
		}
	}
	var heard membership.Heard
	n.presence.observe(func(m *membership.Membership, now time.Time) []membership.Change {
		heard = m.Heartbeat(now, in)
		return heard.Changes
	})
	if heard.Fresh {
		n.noteHeartbeat(h)
	}
	if c := heard.Conflict; c != nil {
		n.conflict(ctx, c)
	}
	return heard.Fresh
}

// disbelieved says why a verified heartbeat is not believed; empty: it is.
func (n *Node) disbelieved(h *heartbeat) refusal {
	p := n.peers.get(h.Key)
	switch {
	case h.Network != n.cfg.Network:
		return refusedNetwork
	case h.Key == n.self && h.Instance.Zone == n.cfg.Zone && h.Run != n.run.ID:
		return ""
	case h.Key == n.self && h.Instance.Zone == n.cfg.Zone:
		return refusedOrder // our own, come back
	case h.Key == n.self:
		return refusedZone
	case p == nil:
		return refusedNotAdmitted
	case h.Instance.Incarnation > mesh.MaxIncarnation:
		return refusedHeartbeat
	case h.Instance.Zone == n.cfg.Zone:
		return refusedZone
	}
	if z := p.boundZone(); z != "" && z != h.Instance.Zone {
		return refusedZone
	}
	return ""
}

func (n *Node) noteHeartbeat(h *heartbeat) {
	if h.Key == n.self {
		n.presence.mu.Lock()
		n.presence.rival = &echo{h.Key, h.Run, h.Counter}
		n.presence.mu.Unlock()
		return
	}
	p := n.peers.get(h.Key)
	if p == nil {
		return
	}
	n.book.sign(h.Key, h.Instance.Zone)
	if n.book.advertised(h.Key, h.Addresses) {
		p.heardOf()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beat = h
	p.lastSeen = n.cfg.Now()
	p.looksAt(h.View, p.lastSeen)
}

// conflict acts on two live processes with one key. Ours stops signing if it is the higher one and the other
// is proven to live now; it stays so until this process ends, because what the other one signed meanwhile is
// only reconciled by a new start.
func (n *Node) conflict(ctx context.Context, c *membership.Conflict) {
	n.log.Error("two live nodes have the same key", "peer", c.Key, "goesOn", hex.EncodeToString(c.Lower.ID[:4]),
		"stops", hex.EncodeToString(c.Higher.ID[:4]), "proven", c.Proven, "self", c.Self)
	if !c.Yield {
		return
	}
	n.presence.mu.Lock()
	first := !n.presence.muted
	n.presence.muted = true
	n.presence.mu.Unlock()
	if first {
		n.tell(mesh.Notice{Kind: mesh.NoticePeer, Level: mesh.LevelBad, Reason: "IdentityConflict", Text: "two live nodes have this node's key; this one stops publishing"})
		_ = n.loop.put(ctx, n.loop.local, entry{in: replica.Mute{On: true}}) // fails only when we stop anyway
	}
}
