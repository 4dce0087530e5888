package kube_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// notices keeps what an adapter tells.
type notices struct {
	mu sync.Mutex
	of []mesh.Notice
}

func (n *notices) tell(x mesh.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of = append(n.of, x)
}

func (n *notices) has(level, reason, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.of, func(x mesh.Notice) bool {
		return x.Kind == mesh.NoticeKube && x.Level == level && x.Reason == reason && strings.Contains(x.Text, text)
	})
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%+v", n.of)
}

// That the API server is away, that it is back, and that a watch begins anew is told as it happens.
func TestTheClusterIsToldOf(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	told := new(notices)
	r.fresh(func(c *kube.Config) { c.Tell = told.tell })
	net := newCut(r)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("told: %s", told)
		}
	})
	r.start()
	r.make(configMaps, r.configMap("first", nil))
	next(r, "an object", local(r.key("first")))
	r.marker("watched") // by a watch, which is cut then
	net.cut()
	r.eventually("away", func() bool { return told.has(mesh.LevelBad, kube.ReasonAPIServerUnreachable, "watch ConfigMap") })
	net.expire()
	r.eventually("restarted", func() bool {
		return told.has(mesh.LevelInfo, "WatchRestarted", "watch ConfigMap in "+r.ns+" restarted")
	})
	r.eventually("back", func() bool { return told.has(mesh.LevelInfo, kube.ReasonAPIServerUnreachable, "well again after ") })
}
