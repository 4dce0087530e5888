package kube_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// The API server ignores the namespace of an object whose kind has none: the key that a zone claims with one would
// lead to the object of another key, and of another zone.
func TestKeyOfAnotherScope(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt}, "v1")
	d.scope = "Cluster"
	d.install()
	e := d.entry("v1")
	e.Namespaces = nil
	r.entries(e).start().listed()
	m := d.thing("v1", "x", `"spec":{"a":1}`)
	delete(m["metadata"].(map[string]any), "namespace")
	r.done(r.claim(replica.PutReplica, "west", 1, m))
	in := func() string {
		t.Helper()
		u, err := r.user.Resource(d.gvr("v1")).Get(t.Context(), "x", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return at(u.Object, "spec.a")
	}

	w := r.claim(replica.PutReplica, "south", 2, d.thing("v1", "x", `"spec":{"a":2}`))
	if got := r.do(w); got.Err == "" || got.Retry {
		t.Errorf("answer = %+v, want a refusal", got)
	}
	if got := in(); got != "1" {
		t.Errorf("a = %s", got)
	}
	w.Kind, w.Content = replica.RemoveReplica, mesh.Hash{}
	r.done(w)
	if got := in(); got != "1" {
		t.Errorf("a = %s", got)
	}
	if p := r.cluster.Status().Problems; len(p) != 0 {
		t.Errorf("problems = %v", p)
	}

	// Nor the other way round: an object without namespace, of a kind that has one, is none.
	r.entries(kube.Entry{Version: "v1", Kind: "ConfigMap", Apply: true}).start().listed()
	m = r.configMap("x", map[string]any{"k": "1"})
	delete(m["metadata"].(map[string]any), "namespace")
	if got := r.do(r.claim(replica.PutReplica, "west", 1, m)); got.Err == "" || got.Retry {
		t.Errorf("answer = %+v, want a refusal", got)
	}
}
