package kube

import (
	"context"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/replica"
)

// Nobody begins to hold between the look whether something is held and the taking of reports: what is added after that
// stays until nothing is held any more.
func TestOutboxHolds(t *testing.T) {
	t.Parallel()
	o, g := newOutbox(), &gate{open: make(chan struct{})}
	close(g.open)
	out, done := make(chan replica.Input, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- o.run(ctx, g, func(_ context.Context, in ...replica.Input) error { out <- in[0]; return nil })
	}()
	o.mu.Lock()
	o.some <- struct{}{} // it looks, and stops before it has taken anything
	busy := 0
	for deadline := time.Now().Add(time.Minute); busy < 20; time.Sleep(time.Millisecond) {
		if busy++; g.mu.TryLock() {
			g.mu.Unlock()
			busy = 0
		}
		if time.Now().After(deadline) {
			o.mu.Unlock()
			t.Fatal("holding may begin while reports are taken")
		}
	}
	held := make(chan struct{})
	go func() {
		defer close(held)
		g.hold(true)
		o.add(replica.Listed{})
	}()
	o.mu.Unlock()
	<-held
	select {
	case in := <-out:
		t.Errorf("reported while it was held: %+v", in)
	case <-time.After(50 * time.Millisecond):
	}
	g.hold(false)
	<-out
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
