package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/membership"
)

const (
	// deadProbes is how many probe intervals of silence end a connection, so that it is dialled anew. By itself
	// QUIC would take half a minute.
	deadProbes = 5
	// measureEvery is how many probe intervals may pass without measuring the round trip of a busy link.
	measureEvery = 5
)

// pings is the probe that is under way.
type pings struct {
	mu   sync.Mutex
	last uint64
	open uint64 // unanswered; 0: none
	sent time.Time
	rtt  time.Duration // of the last answered one; 0: none yet

	past [probeMemory]time.Duration // round trips of the last ones, 0: lost
	n    int                        // that had an outcome; the next one is kept at n % probeMemory
}

// probeMemory is how many probes a link remembers.
const probeMemory = 100

// ended remembers the outcome of a probe. The caller holds mu.
func (p *pings) ended(rtt time.Duration) {
	p.past[p.n%probeMemory] = rtt
	p.n++
}

// quality tells how the last probes did: which share was lost, and the round trip that 95 of a hundred answered ones
// stay within, 0 if none was. ok: one had an outcome.
func (p *pings) quality() (loss float64, p95 time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.n, probeMemory)
	if n == 0 {
		return 0, 0, false
	}
	answered := make([]time.Duration, 0, n)
	for _, rtt := range p.past[:n] {
		if rtt > 0 {
			answered = append(answered, rtt)
		}
	}
	if len(answered) > 0 {
		slices.Sort(answered)
		p95 = answered[(len(answered)*95+99)/100-1]
	}
	return float64(n-len(answered)) / float64(n), p95, true
}

func (p *pings) start(now time.Time) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != 0 {
		p.ended(0)
	}
	p.last++
	p.open, p.sent = p.last, now
	return p.last
}

func (p *pings) pending() (sent time.Time, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.open != 0
}

func (p *pings) answer(id uint64, now time.Time) (rtt time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == 0 || p.open != id {
		return 0, false
	}
	p.open, p.rtt = 0, max(now.Sub(p.sent), 1)
	p.ended(p.rtt)
	return p.rtt, true
}

func (p *pings) roundTrip() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rtt
}

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

// probe watches whether the peer is heard, asks it when it is quiet, and gives the connection up when it
// stays so. A byte of any sort is a sign of life, so of two sides usually only one has to ask. It looks twice
// per interval, so that a peer that dies is not ready after two to three intervals.
func (l *link) probe(ctx context.Context) error {
	every := l.node.cfg.ProbeInterval
	timer := time.NewTimer(0)
	defer timer.Stop()
	var seen uint64
	heard, measured := time.Now(), time.Time{}
	for {
		pause := every*9/20 + rand.N(every/10+1)
		due := time.Now().Add(pause)
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := time.Now()
		if late := now.Sub(due); late > every {
			heard = now // we stood still ourselves: the silence is ours
			l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
				return m.Stalled(at, late)
			})
		}
		if b := l.in.bytes.Load(); b != seen {
			seen, heard = b, now
			l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
				return m.Traffic(at, l.key())
			})
		} else if !l.reading.Load() {
			heard = now // what the peer sent waits for our own loop
		}
		if now.Sub(heard) >= deadProbes*every {
			_ = l.s.Conn().Close()
			return errSilent
		}
		if l.askAlive(now, heard) || now.Sub(measured) >= measureEvery*every {
			measured = now
			l.loss.asked.Add(1)
			l.loss.sample(l.s.Conn(), now)
			l.send(encodePing(l.pings.start(now)))
		}
	}
}

// askAlive counts a probe that got no answer, and reports whether another is due.
func (l *link) askAlive(now, heard time.Time) bool {
	every := l.node.cfg.ProbeInterval
	sent, open := l.pings.pending()
	if !open || sent.Before(heard) {
		return now.Sub(heard) >= every*4/5
	}
	// An answer takes a round trip; three of them on a slow link, half an interval on any.
	if now.Sub(sent) < min(max(every/2, 3*l.pings.roundTrip()), 2*every) {
		return false
	}
	l.loss.missed.Add(1)
	l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
		return m.ProbeMissed(at, l.key(), sent)
	})
	return true
}
