package node

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// badTriesPerMinute is how many tries to get in may fail from one source within a minute before everything
	// from there is refused for a while. A secret has 128 bits: this is about noise and cost.
	badTriesPerMinute = 5
	// maxSources bounds a table of sources. Whoever commands more addresses than that makes us forget some.
	maxSources = 4096
)

// tries counts what came from each source within the last minute. It is safe for concurrent use.
type tries struct {
	limit int
	now   func() time.Time

	mu sync.Mutex
	at map[netip.Prefix][]time.Time // oldest first, at most limit of each
}

func newTries(limit int, now func() time.Time) *tries {
	return &tries{limit: limit, now: now, at: map[netip.Prefix][]time.Time{}}
}

// exhausted reports whether a source has used up what it may.
func (t *tries) exhausted(source netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.at[source]
	return len(at) >= t.limit && t.recent(at[0])
}

// recent is false for what lies in the future, too: a clock that was set back must lock nobody out.
func (t *tries) recent(at time.Time) bool {
	d := t.now().Sub(at)
	return d >= 0 && d < time.Minute
}

// add counts one.
func (t *tries) add(source netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, known := t.at[source]
	if !known && len(t.at) >= maxSources {
		t.forget()
	}
	at = append(at, t.now())
	t.at[source] = slices.Delete(at, 0, max(0, len(at)-t.limit))
}

// forget makes room: all sources that were quiet for a minute go, and if there is none, the one that was quiet
// for longest.
func (t *tries) forget() {
	var quietest netip.Prefix
	var since time.Time
	for s, at := range t.at {
		last := at[len(at)-1]
		if !t.recent(last) {
			delete(t.at, s)
		} else if since.IsZero() || last.Before(since) {
			quietest, since = s, last
		}
	}
	if len(t.at) >= maxSources {
		delete(t.at, quietest)
	}
}
