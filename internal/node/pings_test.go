package node

import (
	"testing"
	"time"
)

// The share of lost probes and the slowest round trips are those of the last hundred.
func TestProbeQuality(t *testing.T) {
	t.Parallel()
	var p pings
	if _, _, ok := p.quality(); ok {
		t.Error("a link without probes has a quality")
	}
	at := time.Unix(1000, 0)
	for i := range 200 {
		id := p.start(at)
		if i%10 == 9 {
			p.late()
			continue
		}
		p.answer(id, at.Add(time.Duration(i)*time.Millisecond))
	}
	loss, p95, ok := p.quality()
	if !ok || loss != 0.1 || p95 != 194*time.Millisecond {
		t.Errorf("loss %v, p95 %v, %v", loss, p95, ok)
	}
}

// A link is waited for as long as its answers take: less where they come at once, more where they don't, and never
// without end. Answers that come late count for that, or a slow link would never be known to be one.
func TestProbePatience(t *testing.T) {
	t.Parallel()
	const every = time.Second
	at := time.Unix(1000, 0)
	tests := []struct {
		name     string
		answers  []time.Duration // they come when the probe counts as lost, if they take longer than 2 s
		from, to time.Duration
	}{
		{"nothing is known", nil, 2 * every, 2 * every},
		{"at once", []time.Duration{1, 2, 1, 3}, every * 3 / 4, every * 3 / 4},
		{"a satellite", []time.Duration{600e6, 610e6, 600e6, 605e6, 600e6, 600e6, 600e6, 600e6, 600e6, 600e6}, 610e6, 1200e6},
		{"uneven", []time.Duration{100e6, 900e6, 200e6, 1100e6, 600e6, 100e6, 900e6, 400e6}, 1500e6, 2500e6},
		{"very slow", []time.Duration{5e9, 5e9, 5e9}, slowestAnswer * every, slowestAnswer * every},
	}
	for _, tt := range tests {
		var p pings
		for _, rtt := range tt.answers {
			id := p.start(at)
			if rtt > 2*every {
				p.late()
			}
			if got, ok := p.answer(id, at.Add(rtt)); !ok || got != rtt {
				t.Errorf("%s: answer after %s: %s, %v", tt.name, rtt, got, ok)
			}
		}
		if got := p.patience(every, false); got < tt.from || got > tt.to {
			t.Errorf("%s: patience %s, want %s to %s", tt.name, got, tt.from, tt.to)
		}
	}
}

// What was never asked, was answered, is too old, or was asked before we stood still ourselves, is no answer.
func TestProbeAnswers(t *testing.T) {
	t.Parallel()
	var p pings
	at := time.Unix(1000, 0)
	if _, ok := p.answer(0, at); ok {
		t.Error("id 0 answers nothing")
	}
	first := p.start(at)
	if _, ok := p.answer(first+1, at); ok {
		t.Error("an answer to what was not asked yet")
	}
	if _, ok := p.answer(first, at); !ok {
		t.Error("the answer was not taken")
	}
	if _, ok := p.answer(first, at); ok {
		t.Error("it was taken twice")
	}
	old := p.start(at)
	for range openProbes {
		p.start(at)
	}
	if _, ok := p.answer(old, at); ok {
		t.Error("an answer to what was asked long ago")
	}
	last := p.start(at)
	p.forget()
	if _, open := p.pending(); open {
		t.Error("what was forgotten is waited for")
	}
	if _, ok := p.answer(last, at.Add(time.Hour)); ok {
		t.Error("an hour that we slept is no round trip")
	}
}
