package kube_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// A write of several requests stops between two of them when it isn't certain any more that nobody else writes.
func TestHoldWithinAWrite(t *testing.T) {
	e := both()
	e.Ignore = []string{"/data/local"} // has a change read the object first
	r := newRig(t, kubetest.Shared(t), e).start()
	r.listed()
	r.put("x", 1, map[string]any{"k": "1"})
	var held, early atomic.Bool
	r.traffic.meddle(func(req *http.Request) error {
		switch {
		case !strings.HasSuffix(req.URL.Path, "/x"):
		case req.Method == http.MethodGet && !held.Swap(true):
			r.cluster.Hold(true)
			time.AfterFunc(200*time.Millisecond, func() { // long enough for a request that doesn't wait
				held.Store(false)
				r.cluster.Hold(false)
			})
		case req.Method == http.MethodPatch && held.Load():
			early.Store(true)
		}
		return nil
	})
	r.done(r.claim(replica.PutReplica, "west", 2, r.configMap("x", map[string]any{"k": "2"})))
	if early.Load() {
		t.Error("written while it was held")
	}
	if got := dataOf(r.get(configMaps, "x")); got != "k=2" {
		t.Errorf("data = %s", got)
	}
}
