package kube

import (
	"context"
	"sync"
	"time"
)

const (
	// versionFresh is how long the version of an API server is believed: upgrades take minutes and are rare.
	versionFresh = time.Hour
	// versionRetry is the longest pause before it is asked for again where it was not told.
	versionRetry = time.Minute
)

// server is what is told of the API server beside what is in it. It is safe for concurrent use.
type server struct {
	mu        sync.Mutex
	version   string // empty: not known yet
	conflicts lastHour
}

// learn asks for the version of the API server, now and then again, until ctx ends.
func (c *Cluster) learn(ctx context.Context) {
	pause := time.Second
	for {
		next := versionFresh
		if v, err := c.cfg.Conn.Version(ctx); err == nil {
			c.server.mu.Lock()
			c.server.version = v
			c.server.mu.Unlock()
			pause = time.Second
		} else {
			next, pause = pause, min(2*pause, versionRetry)
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// conflicted counts a write that was made anew because the object had changed meanwhile.
func (c *Cluster) conflicted() {
	c.cfg.Metrics.conflict()
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.conflicts.add(time.Now())
}

// lastHour counts what happened in the last hour, to a minute.
type lastHour struct {
	minutes [60]int
	newest  int64 // minutes since 1970
}

func (h *lastHour) add(now time.Time) {
	h.pass(now)
	h.minutes[h.newest%int64(len(h.minutes))]++
}

func (h *lastHour) sum(now time.Time) int {
	h.pass(now)
	n := 0
	for _, m := range h.minutes {
		n += m
	}
	return n
}

// pass forgets the minutes that are over an hour old. A clock that was set back moves nothing.
func (h *lastHour) pass(now time.Time) {
	minute := now.Unix() / 60
	for range min(max(minute-h.newest, 0), int64(len(h.minutes))) {
		h.newest++
		h.minutes[h.newest%int64(len(h.minutes))] = 0
	}
	h.newest = max(h.newest, minute)
}
