package kube

import (
	"sync"

	"dcp.hiro.io/mesh/internal/replica"
)

// settled tells when every source has listed what exists, or is known to have nothing to list: its type isn't
// served, or may not be read. Safe for concurrent use.
type settled struct {
	mu   sync.Mutex
	of   map[*source]struct{}
	done bool
}

// settle notes that a source has settled (nil: there is none) and reports Listed once all have.
func (c *Cluster) settle(s *source) {
	t := &c.settled
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[*source]struct{}{}
	}
	if s != nil {
		t.of[s] = struct{}{}
	}
	if t.done || len(t.of) < sources(c.entries) {
		return
	}
	t.done = true
	c.out.add(replica.Listed{})
}

func (t *settled) all(entries []*entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.of) >= sources(entries)
}

func sources(entries []*entry) int {
	n := 0
	for _, e := range entries {
		n += len(e.sources)
	}
	return n
}
