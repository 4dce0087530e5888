package kube_test

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// An object that somebody else made and that no entry lets out stands in a replica's way: that is shown, it is not
// touched, and the replica is written once it is gone, although no watch may tell.
func TestForeignObjectInTheWay(t *testing.T) {
	subscribe := both()
	subscribe.Publish = false
	selected := both()
	selected.Selector = "share=yes"
	for name, e := range map[string]kube.Entry{"subscribe": subscribe, "selector": selected} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, kubetest.Shared(t), e).start()
			r.listed()
			r.make(configMaps, r.configMap("x", map[string]any{"k": "mine"}))
			w := r.claim(replica.PutReplica, "west", 1, r.configMap("x", map[string]any{"k": "1"}))
			if in := r.do(w); in.Err == "" || !in.Retry || in.Altered {
				t.Errorf("answer = %+v, want one that is tried again", in)
			}
			if p := r.problem(kube.ReasonApplyRejected); !strings.Contains(p.Text, "did not write") {
				t.Errorf("problem = %+v", p)
			}
			if got := dataOf(r.get(configMaps, "x")); got != "k=mine" {
				t.Errorf("data = %s", got)
			}
			r.delete(configMaps, "x")
			if in := r.answer(w); in.Err != "" {
				t.Errorf("answer = %+v", in)
			}
			if got := dataOf(r.get(configMaps, "x")); got != "k=1" {
				t.Errorf("data = %s", got)
			}
		})
	}
}
