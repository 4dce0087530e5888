package tui

import (
	"math"
	"slices"
	"time"
)

// historySeconds is how far back the pictures of lag and round trips reach, 10 min in buckets of 1 s.
const historySeconds = 600

// maxGap is the longest pause between two frames over which a value is taken to have stayed: a node says
// something every second, or else it is not known what it would have said.
const maxGap = 5

// series is a value over the last 10 min, one bucket per second: the highest of the second. NaN is no data. The
// zero value is empty.
type series struct {
	buckets []float32 // by second modulo their number; nil until the first value
	newest  int64     // second of the newest bucket, since 1970
}

// add says that the value is v from t on. A time before the newest is taken as the newest, so that a clock set
// back does no harm.
func (s *series) add(t time.Time, v float64) {
	now := t.Unix()
	if s.buckets == nil {
		if math.IsNaN(v) {
			return
		}
		s.buckets = make([]float32, historySeconds)
		for i := range s.buckets {
			s.buckets[i] = float32(math.NaN())
		}
		s.newest = now
		s.buckets[slot(now)] = float32(v)
		return
	}
	if now <= s.newest {
		if last := &s.buckets[slot(s.newest)]; math.IsNaN(float64(*last)) || float32(v) > *last {
			*last = float32(v)
		}
		return
	}
	between := float32(math.NaN())
	if now-s.newest <= maxGap {
		between = s.buckets[slot(s.newest)]
	}
	for sec := max(s.newest+1, now-historySeconds); sec < now; sec++ {
		s.buckets[slot(sec)] = between
	}
	s.buckets[slot(now)] = float32(v)
	s.newest = now
}

// slot is where a second is kept, also one before 1970.
func slot(sec int64) int64 { return (sec%historySeconds + historySeconds) % historySeconds }

// at returns the value of a second, NaN if it is not known. For a moment the newest value is taken to stay.
func (s *series) at(sec int64) float64 {
	if s.buckets == nil || sec > s.newest+maxGap || sec <= s.newest-historySeconds {
		return math.NaN()
	}
	sec = min(sec, s.newest)
	return float64(s.buckets[slot(sec)])
}

// samples returns n values that cover span seconds up to now, the newest last, each the highest of its part;
// NaN: no data. The parts lie on multiples of their length, so that the picture moves by whole columns. A part of
// less than a second is the second it lies in.
func (s *series) samples(now time.Time, span, n int) []float64 {
	out := make([]float64, max(n, 0))
	if span <= 0 {
		return out
	}
	length, parts, end := int64(span), int64(n), now.Unix()
	for i := range out {
		part := floorDiv(end*parts, length) - parts + 1 + int64(i)
		from, to := -floorDiv(-part*length, parts), -floorDiv(-(part+1)*length, parts)-1 // whole seconds that begin in it
		if to < from {
			from = floorDiv(part*length, parts)
			to = from
		}
		out[i] = math.NaN()
		for sec := from; sec <= min(to, end); sec++ {
			if v := s.at(sec); math.IsNaN(out[i]) || v > out[i] {
				out[i] = v
			}
		}
	}
	return out
}

// floorDiv divides by a positive number and rounds down, also below zero.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// percentiles returns the values below which half and 95 in 100 of the known seconds lie; false: none is known.
func (s *series) percentiles() (p50, p95 float64, known bool) {
	var all []float32
	for _, v := range s.buckets {
		if v == v { // no NaN
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, 0, false
	}
	slices.Sort(all)
	return float64(all[(len(all)-1)/2]), float64(all[(len(all)-1)*95/100]), true
}

// clone returns a series of its own.
func (s *series) clone() series { return series{slices.Clone(s.buckets), s.newest} }
