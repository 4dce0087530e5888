package node

import (
	"context"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/replica"
)

// A link that ends while its operations wait gives back what they hold of the budget that all links share:
// otherwise some broken links later nobody could send anything any more.
func TestEndedLinksGiveTheirBudgetBack(t *testing.T) {
	t.Parallel()
	a, c := newMember(t, 1), newMember(t, 2)
	a.knows(c)
	c.knows(a)
	a.start()
	a.writeBatch(600, 1024)
	c.start()
	// The loop of c stands still while operations arrive, so they wait in the pipe of the link.
	stand, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release) // or a failed test would never end
	go func() {
		_ = c.node.loop.ask(context.Background(), func() { close(stand); <-goOn }) // runs to its end
	}()
	<-stand
	for full := false; !full; {
		select {
		case c.node.loop.remote <- entry{in: replica.Tick{}}:
		default:
			full = true
		}
	}
	whole := func() bool {
		free := c.node.inFlight.TryAcquire(inFlightBytes)
		if free {
			c.node.inFlight.Release(inFlightBytes)
		}
		return free
	}
	var l *link // one may have replaced another
	until(t, "operations in the pipe", func() bool {
		for _, l = range c.entry(a).current() {
			if !whole() && len(l.pipe) > 0 {
				return true
			}
		}
		return false
	})
	l.end(errReplaced)
	<-l.gone
	release()
	until(t, "synced", func() bool { return c.holds(a) == 600 })
	a.stop()
	until(t, "the whole budget", whole)
}
