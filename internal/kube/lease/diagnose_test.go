package lease_test

import (
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// Whoever looks sees who leads, until when, and that nobody does; and takes part in nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	conn := connection(t, s, ns, s.Token)
	if term, there, err := lease.Look(t.Context(), conn, "mesh-east"); err != nil || there {
		t.Errorf("before anybody led: %+v %t %v", term, there, err)
	}
	a := start(t, s, ns, "a", s.Token)
	a.await(t, lease.Held, "a")
	term, there, err := lease.Look(t.Context(), conn, "mesh-east")
	if err != nil || !there || term.Holder != "a" || term.RunsOut.Sub(term.Renewed) != lease.Duration || time.Since(term.Renewed) > patience {
		t.Errorf("a leads: %+v %t %v", term, there, err)
	}
	a.stop()
	if err := a.end(t); err != nil {
		t.Error(err)
	}
	if term, there, err := lease.Look(t.Context(), conn, "mesh-east"); err != nil || !there || term.Holder != "" {
		t.Errorf("a has given it back: %+v %t %v", term, there, err)
	}
	if _, _, err := lease.Look(t.Context(), connection(t, s, ns, "nobody's"), "mesh-east"); err == nil {
		t.Error("a refusal is no absence")
	}
}
