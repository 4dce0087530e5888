package node

import (
	"testing"
	"testing/synctest"
	"time"
)

// Where the peer ended a link because it keeps another one, that one is waited for, and not for ever.
func TestTheOtherLinkIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &peerEntry{wake: make(chan struct{}, 1)}
		began := time.Now()
		if p.linkedWithin(t.Context(), otherLinkGrace) || time.Since(began) != otherLinkGrace {
			t.Errorf("waited %s for a link that doesn't come, want %s", time.Since(began), otherLinkGrace)
		}
		go func() {
			time.Sleep(time.Second)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.links = append(p.links, &link{})
		}()
		began = time.Now()
		if !p.linkedWithin(t.Context(), otherLinkGrace) || time.Since(began) > otherLinkGrace/2 {
			t.Errorf("a link that came after a second was seen after %s", time.Since(began))
		}
	})
}
