package kube_test

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

func TestOutwards(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	r.make(configMaps, r.configMap("a", map[string]any{"k": "1"}))
	r.start()
	next(r, "the witness first", func(replica.WitnessRead) bool { return true })
	about := func(name string) func(replica.Local) bool {
		return func(in replica.Local) bool { return in.Object == r.key(name) }
	}
	in := next(r, "what was there", about("a"))
	want := `{"apiVersion":"v1","data":{"k":"1"},"kind":"ConfigMap","metadata":{"name":"a","namespace":"` + r.ns + `"}}`
	if string(in.Payload) != want {
		t.Errorf("payload = %s, want %s", in.Payload, want)
	}
	r.listed()

	r.make(configMaps, r.configMap("b", map[string]any{"k": "2"}))
	next(r, "what was created", about("b"))
	r.merge(configMaps, "b", `{"data":{"k":"3"}}`)
	if in := next(r, "what was changed", about("b")); !strings.Contains(string(in.Payload), `"k":"3"`) {
		t.Errorf("payload = %s", in.Payload)
	}
	r.delete(configMaps, "b")
	next(r, "what was deleted", func(in replica.LocalGone) bool { return in.Object == r.key("b") })

	r.cluster.Probe([]mesh.ObjectKey{r.key("a"), r.key("never")})
	next(r, "an answer about what is there", about("a"))
	r.cluster.Probe([]mesh.ObjectKey{r.key("never")})
	next(r, "an answer about what isn't", func(in replica.LocalGone) bool { return in.Object == r.key("never") })
	if p := r.cluster.Status().Problems; len(p) > 0 {
		t.Errorf("problems: %v", p)
	}
}

func TestInwards(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	seen := func(in replica.ReplicaSeen) bool { return in.Object == r.key("x") }

	first := r.put("x", 7, map[string]any{"a": "1", "b": "2"})
	u := r.get(configMaps, "x")
	if got := dataOf(u); got != "a=1 b=2" {
		t.Errorf("data = %s", got)
	}
	labels := u.GetLabels()
	if labels[object.LabelZone] != "west" || labels[object.LabelVersion] != "7" || labels[object.LabelEpoch] != "1" {
		t.Errorf("labels = %v", labels)
	}
	if first.Base.UID != string(u.GetUID()) || first.Base.Content.IsZero() {
		t.Errorf("base = %+v, want UID %s", first.Base, u.GetUID())
	}

	second := r.put("x", 8, map[string]any{"a": "3"})
	if got := dataOf(r.get(configMaps, "x")); got != "a=3" {
		t.Errorf("data = %s", got)
	}

	// Somebody alters the replica: reported, and another write puts it back, additions included.
	r.merge(configMaps, "x", `{"data":{"a":"mine","c":"added"},"metadata":{"labels":{"theirs":"yes"}}}`)
	if in := next(r, "drift", seen); in.Content == second.Write.Content || in.Content.IsZero() || in.Zone != "west" {
		t.Errorf("drift = %+v", in)
	}
	r.done(second.Write)
	u = r.get(configMaps, "x")
	if got := dataOf(u); got != "a=3" {
		t.Errorf("data = %s", got)
	}
	if u.GetLabels()["theirs"] != "yes" {
		t.Error("a label of somebody else's is gone")
	}

	// Somebody deletes it.
	r.delete(configMaps, "x")
	next(r, "absence", func(in replica.ReplicaSeen) bool { return seen(in) && in.Content.IsZero() })
	r.done(second.Write)
	if got := dataOf(r.get(configMaps, "x")); got != "a=3" {
		t.Errorf("data = %s", got)
	}

	remove := second.Write
	remove.Kind, remove.Content = replica.RemoveReplica, mesh.Hash{}
	r.done(remove)
	if u := r.get(configMaps, "x"); u != nil {
		t.Errorf("it is still there: %v", u)
	}
	none(r, "a replica was taken for ours", func(in replica.Local) bool { return in.Object == r.key("x") })
}
