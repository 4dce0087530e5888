package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/quic-go/quic-go"

	"dcp.hiro.io/mesh/internal/membership"
)

const (
	// deadProbes is how many probe intervals of silence end a connection, so that it is dialled anew. By itself
	// QUIC would take half a minute. On a slow link it is deadAnswers times what an answer is waited for, if that is more.
	deadProbes  = 5
	deadAnswers = 3
	// measureEvery is how many probe intervals may pass without measuring the round trip of a busy link.
	measureEvery = 5
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
func (l *link) signs(q *quic.Conn) uint64 {
	n := l.in.bytes.Load()
	if q != nil {
		n += q.ConnectionStats().PacketsReceived
	}
	return n
}

// vigil decides what a link does about its peer's silence, and its own. It reads no clock and does no I/O.
type vigil struct {
	every    time.Duration // between two probes of a quiet link
	pings    *pings
	seen     uint64    // signs of life, when looked at last
	said     uint64    // bytes written, when looked at last
	heard    time.Time // the last sign of life
	spoke    time.Time // when we were seen to have written last
	measured time.Time // the last question; zero: none yet
}

// outlook is what follows from one look at a link.
type outlook struct {
	heard  bool      // the peer gave a sign of life
	missed bool      // the question of asked got no answer in time
	asked  time.Time //
	dead   bool      // it is silent for too long
	ask    bool      // ask it
	speak  bool      // tell it that we live, unasked
}

// look is called twice per interval or so. signs counts up with every sign of life, written with the bytes that we
// wrote; reading is whether more could be heard, that is, what the peer sent doesn't wait for our own loop.
func (p *vigil) look(now time.Time, signs, written uint64, reading bool) (v outlook) {
	if signs != p.seen {
		p.seen, p.heard, v.heard = signs, now, true
	} else if !reading {
		p.heard = now
	}
	if now.Sub(p.heard) >= max(deadProbes*p.every, deadAnswers*p.pings.patience(p.every)) {
		v.dead = true
		return v
	}
	if written != p.said {
		p.said, p.spoke = written, now
	}
	switch sent, open := p.pings.pending(); {
	case !open || sent.Before(p.heard):
		v.ask = now.Sub(p.heard) >= p.every*4/5
	case now.Sub(sent) >= p.pings.patience(p.every):
		p.pings.late()
		v.missed, v.asked, v.ask = true, sent, true
	}
	v.ask = v.ask || now.Sub(p.measured) >= measureEvery*p.every
	// While the peer has so much to say that we only listen, its questions may wait behind all that for longer than it
	// waits for an answer; so it hears of us unasked.
	v.speak = !v.ask && now.Sub(p.spoke) >= p.every*4/5
	if v.ask {
		p.measured = now
	}
	if v.ask || v.speak {
		p.spoke = now
	}
	return v
}

// stalled says that we stood still ourselves: the silence was ours.
func (p *vigil) stalled(now time.Time) {
	p.heard = now
	p.pings.forget()
}

// probe watches whether the peer is heard, asks it when it is quiet, and gives the connection up when it
// stays so. A byte of any sort is a sign of life, so of two sides usually only one has to ask. It looks twice
// per interval, so that a peer that dies is not ready after two to three intervals.
func (l *link) probe(ctx context.Context) error {
	every := l.node.cfg.ProbeInterval
	var overQUIC *quic.Conn // nil: it is TCP
	if !l.s.Conn().As(&overQUIC) {
		overQUIC = nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	began := time.Now()
	p := vigil{every: every, pings: &l.pings, heard: began, spoke: began}
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
			p.stalled(now)
			l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
				return m.Stalled(at, late)
			})
		}
		v := p.look(now, l.signs(overQUIC), l.out.bytes.Load(), l.reading.Load())
		if v.heard {
			l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
				return m.Traffic(at, l.key())
			})
		}
		if v.missed {
			l.loss.missed.Add(1)
			l.node.presence.observe(func(m *membership.Membership, at time.Time) []membership.Change {
				return m.ProbeMissed(at, l.key(), v.asked)
			})
		}
		switch {
		case v.dead:
			_ = l.s.Conn().Close()
			return errSilent
		case v.ask:
			l.loss.asked.Add(1)
			l.loss.sample(l.s.Conn(), now)
			l.send(encodePing(l.pings.start(now)))
		case v.speak:
			l.send(encodePong(pongMsg{Clock: l.node.cfg.Now().UnixMicro()}))
		}
	}
}
