package admin

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
)

// seats bounds how many connections a server has. Whoever reaches its port may open some and say nothing, so one that
// waits for a request has its seat only until a newcomer needs one: then that goes which has waited longest. None goes in
// the middle of a request; where all are, newcomers wait. How long a request and its answer may take is bounded elsewhere.
type seats struct {
	most  int
	freed chan struct{} // capacity 1, never closed: a newcomer may look again

	mu    sync.Mutex
	taken map[net.Conn]bool
	idle  []net.Conn // those of them that wait for a request, the longest first
}

func newSeats(most int) *seats {
	return &seats{most: most, freed: make(chan struct{}, 1), taken: map[net.Conn]bool{}}
}

// follow returns what the server has to call as its ConnState. With a new connection it comes back once that has a seat,
// or ctx ends; until then the server accepts no other.
func (s *seats) follow(ctx context.Context) func(net.Conn, http.ConnState) {
	return func(c net.Conn, now http.ConnState) {
		if now != http.StateNew {
			s.note(c, now)
			return
		}
		for !s.take(c) {
			select {
			case <-s.freed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take gives a new connection a seat, another's if need be, and reports whether there was one.
func (s *seats) take(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) >= s.most {
		if len(s.idle) == 0 {
			return false
		}
		s.idle[0].Close() // the server is told when it reads on
		delete(s.taken, s.idle[0])
		s.idle = s.idle[1:]
	}
	s.taken[c] = true
	s.idle = append(s.idle, c)
	return true
}

// note is told what became of a connection that may have a seat.
func (s *seats) note(c net.Conn, now http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = slices.DeleteFunc(s.idle, func(o net.Conn) bool { return o == c })
	switch {
	case now == http.StateClosed || now == http.StateHijacked:
		delete(s.taken, c)
	case now == http.StateIdle && s.taken[c]:
		s.idle = append(s.idle, c)
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
