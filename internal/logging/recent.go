package logging

import (
	"slices"
	"sync"
	"time"
)

// What is kept of the newest lines: enough to see what led to a fault, little enough to forget about.
const (
	recentAge   = time.Hour
	recentBytes = 4 << 20
)

// recent keeps the newest lines in memory. The zero value is ready to use. Safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	lines []recentLine // oldest first
	bytes int
}

type recentLine struct {
	at   time.Time // of the record
	text []byte
}

// add keeps a line, which must not be changed any more, and drops those that are too old beside it or too many.
func (r *recent) add(at time.Time, line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, recentLine{at, line})
	r.bytes += len(line)
	n := 0
	for n < len(r.lines) && (r.bytes > recentBytes || at.Sub(r.lines[n].at) > recentAge) {
		r.bytes -= len(r.lines[n].text)
		n++
	}
	clear(r.lines[:n]) // so that their texts are freed before append moves the rest
	r.lines = r.lines[n:]
}

// since returns the lines of records from a moment on, oldest first.
func (r *recent) since(from time.Time) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := 0
	for _, l := range r.lines {
		size += len(l.text)
	}
	out := make([]byte, 0, size)
	for _, l := range r.lines {
		if !l.at.Before(from) {
			out = append(out, l.text...)
		}
	}
	return slices.Clip(out)
}

// Recent returns the lines of the last hour before now, oldest first and as they were written, of at most 4 MiB: older
// ones are dropped first. What the filter kept out is not among them.
func (l *Logs) Recent(now time.Time) []byte { return l.recent.since(now.Add(-recentAge)) }
