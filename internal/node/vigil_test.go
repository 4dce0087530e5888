package node

import (
	"testing"
	"time"
)

// side is one of two that watch each other in virtual time.
type side struct {
	vigil
	pings
	next             time.Time // its next look
	signs            uint64
	written          uint64
	asked, missed    int
	last             time.Time // sign of life
	missedAt, silent time.Time
	arrives          []arrival // in order
}

// arrival is a probe, its answer if id is not 0, or an acknowledgement.
type arrival struct {
	at    time.Time
	probe bool
	id    uint64
}

// watchEachOther lets two sides probe each other over a way with a round trip, b beginning a phase later, until b is silent
// for too long or until the end. Who dies answers nothing that reaches it later.
func watchEachOther(phase, rtt, dies, ends time.Duration) (a, b *side) {
	const every, step = time.Second, 5 * time.Millisecond
	start := time.Unix(1000, 0)
	begin := func(at time.Time) *side {
		s := &side{next: at}
		s.vigil = vigil{every: every, pings: &s.pings, heard: at, spoke: at}
		return s
	}
	a, b = begin(start), begin(start.Add(phase))
	for now := start; now.Before(start.Add(ends)); now = now.Add(step) {
		for i, s := range [2]*side{a, b} {
			if s == b && dies > 0 && now.Sub(start) >= dies {
				continue
			}
			o := [2]*side{b, a}[i]
			send := func(x arrival) {
				s.written++
				x.at = now.Add(rtt / 2)
				o.arrives = append(o.arrives, x)
			}
			for len(s.arrives) > 0 && !now.Before(s.arrives[0].at) {
				x := s.arrives[0]
				s.arrives = s.arrives[1:]
				s.signs, s.last = s.signs+1, now
				if x.probe {
					send(arrival{id: x.id})
				} else {
					s.pings.answer(x.id, now)
				}
			}
			if now.Before(s.next) {
				continue
			}
			s.next = now.Add(every / stepsPerProbe)
			s.listen(now, s.signs, true)
			v := s.decide(now, s.written)
			if v.dead {
				s.silent = now
				return a, b
			}
			if v.missed {
				if s.missed++; s.missed == 2 {
					s.missedAt = now
				}
			}
			if v.ask {
				s.asked++
				send(arrival{probe: true, id: s.pings.start(now)})
			}
			if v.speak {
				send(arrival{})
			}
		}
	}
	return a, b
}

// Of two sides about one asks, less than once per interval, and nobody misses an answer, however long the way is.
func TestVigilOfTheLiving(t *testing.T) {
	t.Parallel()
	for _, rtt := range []time.Duration{2, 40, 100, 300, 900, 1800} {
		rtt *= time.Millisecond
		for phase := time.Duration(0); phase < time.Second; phase += 110 * time.Millisecond {
			a, b := watchEachOther(phase, rtt, 0, time.Minute)
			if a.missed+b.missed > 0 {
				t.Errorf("phase %s, round trip %s: %d and %d probes missed", phase, rtt, a.missed, b.missed)
			}
			if asked := a.asked + b.asked; asked > 60 && phase%250*time.Millisecond > 2*rtt {
				t.Errorf("phase %s, round trip %s: %d and %d probes in a minute", phase, rtt, a.asked, b.asked)
			}
		}
	}
}

// Who dies has two probes missed three and a quarter intervals after its last sign of life, and is given up after five.
func TestVigilOfTheDead(t *testing.T) {
	t.Parallel()
	const tick = 5 * time.Millisecond // of the test
	for _, phase := range []time.Duration{0, 110 * time.Millisecond, 380 * time.Millisecond, 700 * time.Millisecond} {
		for dies := 20 * time.Second; dies < 22*time.Second; dies += 90 * time.Millisecond {
			a, _ := watchEachOther(phase, 2*time.Millisecond, dies, time.Minute)
			if a.missedAt.IsZero() || a.silent.IsZero() {
				t.Fatalf("phase %s: who died after %s was not noticed", phase, dies)
			}
			if d := a.missedAt.Sub(a.last); d > 3250*time.Millisecond+tick {
				t.Errorf("phase %s: who died after %s had two probes missed %s after its last sign of life", phase, dies, d)
			}
			if d := a.silent.Sub(a.last); d < 4950*time.Millisecond || d > 5250*time.Millisecond+tick {
				t.Errorf("phase %s: who died after %s was given up %s after its last sign of life", phase, dies, d)
			}
		}
	}
}

// Who only listens is silent to the other, which it tells now and then that it lives; on a quiet link nobody does.
func TestVigilSpeaksUnasked(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	var p pings
	v := vigil{every: time.Second, pings: &p, heard: start, spoke: start, measured: start}
	spoke := 0
	for i := range 16 {
		now := start.Add(time.Duration(i) * 250 * time.Millisecond)
		v.listen(now, uint64(i+1), true)
		if o := v.decide(now, 0); o.speak {
			spoke++
		} else if o.ask || o.missed || o.dead {
			t.Errorf("look %d of a link that is heard: %+v", i, o)
		}
	}
	if spoke < 4 || spoke > 5 {
		t.Errorf("spoke %d times in four intervals, want 4 or 5", spoke)
	}
}
