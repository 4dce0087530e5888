package kube_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// A write that was decided and not carried out before the node ended is not taken for done: the baseline that was
// stored is that of the content before.
func TestUnfinishedWrite(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	first := r.put("x", 1, map[string]any{"k": "old"})
	r.fresh()
	second := r.claim(replica.PutReplica, "west", 2, r.configMap("x", map[string]any{"k": "new"}))
	p := placed(first)
	p.Version, p.Content, p.State = second.Version, second.Content, oplog.PlacedWanted
	r.cluster.Restore([]oplog.Placed{p})
	r.start()
	in := next(r, "the replica", func(in replica.ReplicaSeen) bool { return in.Object == r.key("x") })
	if in.Content == second.Content || in.Content.IsZero() {
		t.Errorf("reported with content %s, want that of what stands there", in.Content)
	}
	r.done(second)
	if got := dataOf(r.get(configMaps, "x")); got != "k=new" {
		t.Errorf("data = %s", got)
	}
	r.traffic.reset()
	r.done(second)
	if n := r.traffic.writes(); n != 0 {
		t.Errorf("%d writes for what stands already", n)
	}
}
