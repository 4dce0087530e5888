package admin

import (
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// maxNotices of info and above are kept, and maxDetails of those that are shown only when asked for: a
	// thousand objects that come in at once must not push out that a peer is gone.
	maxNotices = 1000
	maxDetails = 250
	// maxNoticeText bounds one sentence, in bytes. Some of it may come from other nodes.
	maxNoticeText = 400
)

// Notices remembers the newest things that a node had to tell. The zero value is ready for use. It is safe for
// concurrent use, and telling never waits for those who read.
type Notices struct {
	mu      sync.Mutex
	last    uint64
	told    ring
	details ring
	wake    []chan<- struct{}
}

// ring keeps the newest notices, oldest first from next on.
type ring struct {
	of   []mesh.Notice
	next int
}

func (r *ring) add(n mesh.Notice, limit int) {
	if len(r.of) < limit {
		r.of = append(r.of, n)
		return
	}
	r.of[r.next] = n
	r.next = (r.next + 1) % limit
}

// after appends those with an id above after, in their order.
func (r *ring) after(out []mesh.Notice, after uint64) []mesh.Notice {
	for i := range r.of {
		if n := r.of[(r.next+i)%len(r.of)]; n.ID > after {
			out = append(out, n)
		}
	}
	return out
}

// Tell takes a notice, gives it its id and, unless it has one, the time. What could steer a terminal is taken
// out of its texts, and what is too long is cut.
func (s *Notices) Tell(n mesh.Notice) {
	if n.Time.IsZero() {
		n.Time = time.Now()
	}
	n.Time = n.Time.UTC().Round(time.Millisecond)
	n.Zone = mesh.Zone(plain(string(n.Zone)))
	n.Object, n.Reason, n.Text = plain(n.Object), plain(n.Reason), plain(n.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	n.ID = s.last
	if n.Level == mesh.LevelDebug {
		s.details.add(n, maxDetails)
	} else {
		s.told.add(n, maxNotices)
	}
	for _, w := range s.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// After returns the notices with an id above after that are kept, in the order of their ids.
func (s *Notices) After(after uint64) []mesh.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after >= s.last {
		return nil
	}
	out := s.details.after(s.told.after(nil, after), after)
	slices.SortFunc(out, func(a, b mesh.Notice) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// follow has wake poked whenever there is a notice, until stop is called. wake needs a capacity of 1.
func (s *Notices) follow(wake chan<- struct{}) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = append(s.wake, wake)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wake = slices.DeleteFunc(s.wake, func(w chan<- struct{}) bool { return w == wake })
	}
}

// plain makes one short printable line of a text.
func plain(s string) string {
	if len(s) > maxNoticeText {
		at := maxNoticeText
		for at > 0 && !utf8.RuneStart(s[at]) {
			at--
		}
		s = s[:at] + " ..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
