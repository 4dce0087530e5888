package node

import (
	"slices"
	"sync"
	"time"
)

const (
	// probeMemory is how many probes a link remembers the outcome of.
	probeMemory = 100
	// openProbes is how many of the newest probes may still be answered. An answer that comes late says how slow the
	// link is; without it a link would never be known to be slower than what is waited for.
	openProbes = 8
	// slowestAnswer bounds, in probe intervals, how long an answer is waited for, however slow the link is.
	slowestAnswer = 3
)

// pings are the probes of one link, and what their answers say about it. They are safe for concurrent use.
type pings struct {
	mu   sync.Mutex
	last uint64                // newest id; 0: none was sent
	sent [openProbes]time.Time // of the newest ones, at id % openProbes; zero: answered or given up
	miss uint64                // newest that counted as lost
	rtt  time.Duration         // of the last answer; 0: none yet
	mean time.Duration         // round trip, smoothed as TCP does it (RFC 6298); 0: none yet
	vary time.Duration         // mean deviation from it
	slow time.Duration         // the slowest of late; each answer takes a fiftieth off it

	past [probeMemory]time.Duration // round trips of the last ones, 0: lost
	n    int                        // that had an outcome; the next one is kept at n % probeMemory
}

// ended remembers the outcome of a probe. The caller holds mu.
func (p *pings) ended(rtt time.Duration) {
	p.past[p.n%probeMemory] = rtt
	p.n++
}

// quality tells how the last probes did: which share was lost, that is not answered in time, and the round trip that 95
// of a hundred answered ones stay within, 0 if none was. ok: one had an outcome.
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

// start numbers a probe that is sent now.
func (p *pings) start(now time.Time) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	slot := &p.sent[p.last%openProbes]
	if !slot.IsZero() && p.last-openProbes > p.miss {
		p.ended(0) // it was never waited for, because the peer was heard otherwise, and nobody answered it
	}
	*slot = now
	return p.last
}

// pending returns when the newest probe was sent, if it was not answered yet.
func (p *pings) pending() (sent time.Time, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent = p.sent[p.last%openProbes]
	return sent, !sent.IsZero()
}

// late counts the newest probe as lost. An answer to it still tells the round trip.
func (p *pings) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.miss < p.last {
		p.miss = p.last
		p.ended(0)
	}
}

// forget gives up what is unanswered: the time since then says nothing about the link.
func (p *pings) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = [openProbes]time.Time{}
}

// answer takes the answer to a probe and returns its round trip, at least 1 ns.
func (p *pings) answer(id uint64, now time.Time) (rtt time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == 0 || id > p.last || p.last-id >= openProbes || p.sent[id%openProbes].IsZero() {
		return 0, false
	}
	rtt = max(now.Sub(p.sent[id%openProbes]), 1)
	p.sent[id%openProbes] = time.Time{}
	if id > p.miss {
		p.ended(rtt)
	}
	p.rtt = rtt
	p.slow = max(rtt, p.slow-p.slow/50)
	if p.mean == 0 {
		p.mean, p.vary = rtt, rtt/2
	} else {
		p.vary += ((p.mean - rtt).Abs() - p.vary) / 4
		p.mean += (rtt - p.mean) / 8
	}
	return rtt, true
}

// roundTrip is that of the last answer; 0: none yet.
func (p *pings) roundTrip() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rtt
}

// shortPatience is how long an answer is waited for at least.
func shortPatience(every time.Duration) time.Duration { return every * 3 / 4 }

// patience is how long an answer is waited for on a link that is probed every interval: three quarters of an interval where
// answers come quickly, more where they take long or come unevenly, and two intervals as long as nothing is known. stream is
// whether nothing but the stream tells of the peer: then what is lost twice in a row is waited for too, since a
// transport waits for about that long before it sends again, and then twice as long.
func (p *pings) patience(every time.Duration, stream bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 {
		return 2 * every
	}
	longest := slowestAnswer * every
	p.slow = min(p.slow, longest*4/5) // more would be waited for no longer, but for more time
	d := max(p.mean+4*p.vary, p.slow+p.slow/4)
	if stream {
		d += d / 2
	}
	return min(max(d, shortPatience(every)), longest)
}
