package node

import (
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// lagClock remembers since when we are behind a zone.
type lagClock struct {
	mu    sync.Mutex
	began map[mesh.Zone]time.Time
}

// since returns how long the zone has been ahead of us; the first call starts the clock.
func (c *lagClock) since(z mesh.Zone) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began == nil {
		c.began = map[mesh.Zone]time.Time{}
	}
	t, ok := c.began[z]
	if !ok {
		t = time.Now()
		c.began[z] = t
	}
	return time.Since(t)
}

// clear stops the clock: we caught up.
func (c *lagClock) clear(z mesh.Zone) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.began, z)
}
