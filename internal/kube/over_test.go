package kube_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// What was wrong with an object ends with it: a claim that is withdrawn before it could be written is not tried for
// ever, and a replica that is gone has dropped no fields.
func TestProblemsEnd(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt}, "v1")
	d.install()
	r.entries(d.entry("v1")).start().listed()

	w := r.claim(replica.PutReplica, "west", 1, d.thing("v1", "refused", `"spec":{"word":"three"}`))
	if in := r.do(w); !in.Retry {
		t.Errorf("answer = %+v", in)
	}
	r.problem(kube.ReasonApplyRejected)
	r.claims.mu.Lock()
	delete(r.claims.of, mesh.ClaimRef{Object: w.Object, Zone: "west"})
	r.claims.mu.Unlock()
	none := func() bool { return len(r.cluster.Status().Problems) == 0 }
	r.eventually("no problem of a claim that is over", none)

	w = r.done(r.claim(replica.PutReplica, "west", 2, d.thing("v1", "dropped", `"spec":{"unheard":1}`))).Write
	r.problem(kube.ReasonFieldsDropped)
	w.Kind, w.Content = replica.RemoveReplica, mesh.Hash{}
	r.done(w)
	r.eventually("no problem of a replica that is gone", none)
}
