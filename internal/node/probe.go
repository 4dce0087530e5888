package node

import (
	"context"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
)

// takePong measures the round trip, and the other clock under the assumption that both ways took equally
// long.
func (l *link) takePong(m pongMsg) {
	now := time.Now()
	rtt, ok := l.pings.answer(m.ID, now)
	if !ok {
		return
	}
	offset := time.UnixMicro(m.Clock).Sub(l.node.cfg.Now().Add(-rtt / 2))
	l.peer.mu.Lock()
	l.peer.offset, l.peer.measured = offset, true
	l.peer.mu.Unlock()
	l.node.presence.observe(func(s *membership.Membership, at time.Time) []membership.Change {
		return s.ProbeOK(at, l.key(), rtt)
	})
}

// signs is a number that rises with every sign of life: with the bytes of the stream and, over QUIC, with the packets
// that were taken. Those are authenticated too, and none counts twice. They matter where packets are lost: what follows
// one that is lost arrives, and the stream waits.
func (l *link) signs() uint64 {
	n := l.in.bytes.Load()
	if l.quic != nil {
		n += l.quic.ConnectionStats().PacketsReceived
	}
	return n
}

// stepsPerProbe is how many times per probe interval the links are looked at.
const stepsPerProbe = 4

// linkWatch looks at all links with one timer: a node that wakes up for each of its neighbours at another moment spends
// most of what it costs on waking up.
type linkWatch struct {
	wake chan struct{} // capacity 1, never closed: there is a new link
}

func (w *linkWatch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// probeLinks watches whether the peers are heard, asks those that are quiet, and gives up links that stay so, until ctx
// ends. While there is no link it sleeps.
func (n *Node) probeLinks(ctx context.Context) error {
	step := n.cfg.ProbeInterval / stepsPerProbe
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var due time.Time // zero: asleep
	for {
		select {
		case <-timer.C:
		case <-n.watch.wake:
			if !due.IsZero() {
				continue
			}
		case <-ctx.Done():
			return nil
		}
		now, links := time.Now(), n.peers.links()
		if late := now.Sub(due); !due.IsZero() && late > n.cfg.ProbeInterval {
			n.excuse(links, now, late)
		}
		n.lookAt(links)
		if due = now.Add(step); len(links) == 0 {
			due = time.Time{}
			continue
		}
		timer.Reset(step)
	}
}

// excuse takes a silence on our own account: we stood still ourselves.
func (n *Node) excuse(links []*link, now time.Time, late time.Duration) {
	for _, l := range links {
		l.vigil.stalled(now)
	}
	n.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change { return m.Stalled(at, late) })
}

// lookAt does what is due on links. A byte or packet of any sort is a sign of life, so of two sides usually only one has
// to ask.
func (n *Node) lookAt(links []*link) {
	var alive []keys.Public
	for _, l := range links {
		if l.vigil.listen(time.Now(), l.signs(), l.reading.Load()) {
			alive = append(alive, l.key())
		}
	}
	if len(alive) > 0 {
		n.presence.observe(func(m *membership.Membership, at time.Time) (changes []membership.Change) {
			for _, k := range alive {
				changes = append(changes, m.Traffic(at, k)...)
			}
			return changes
		})
	}
	for _, l := range links {
		// The time is taken anew: what is asked now is asked after the last sign of life was taken.
		l.carryOut(l.vigil.decide(time.Now(), l.out.bytes.Load()))
	}
}

func (l *link) carryOut(v outlook) {
	if v.missed {
		l.loss.missed.Add(1)
		l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
			return m.ProbeMissed(at, l.key(), v.asked)
		})
	}
	switch {
	case v.dead:
		l.end(errSilent)
	case v.ask:
		l.loss.asked.Add(1)
		l.loss.sample(l.s.Conn(), v.at)
		l.send(encodePing(l.pings.start(v.at)))
	case v.speak:
		l.send(encodePong(pongMsg{Clock: l.node.cfg.Now().UnixMicro()}))
	}
}
