package kube_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

func secretEntry() kube.Entry {
	return kube.Entry{Version: "v1", Kind: "Secret", Publish: true, Apply: true}
}

// of fits reports about one object.
func local(k mesh.ObjectKey) func(replica.Local) bool {
	return func(in replica.Local) bool { return in.Object == k }
}

func gone(k mesh.ObjectKey) func(replica.LocalGone) bool {
	return func(in replica.LocalGone) bool { return in.Object == k }
}

func unmatched(k mesh.ObjectKey) func(replica.LocalUnmatched) bool {
	return func(in replica.LocalUnmatched) bool { return in.Object == k }
}

func seen(k mesh.ObjectKey) func(replica.ReplicaSeen) bool {
	return func(in replica.ReplicaSeen) bool { return in.Object == k }
}

func absent(k mesh.ObjectKey) func(replica.ReplicaSeen) bool {
	return func(in replica.ReplicaSeen) bool { return in.Object == k && in.Content.IsZero() }
}

// marker is created last, so that what is reported before it was all there was to report.
func (r *rig) marker(name string) {
	r.t.Helper()
	r.make(configMaps, r.configMap(name, map[string]any{"marker": name}))
	next(r, "the marker", local(r.key(name)))
}

// Labels may withhold but never authorise: an object that mesh didn't write is the user's, whatever its labels say.
func TestLabelsOfSomebodyElseMakeNoReplica(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), secretEntry())
	r.make(secrets, map[string]any{"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"k": "v"},
		"metadata": map[string]any{"name": "s", "labels": map[string]any{
			object.LabelZone: "west", object.LabelVersion: "3", object.LabelEpoch: "1"}}})
	r.start()
	k := mesh.ObjectKey{Kind: "Secret", Namespace: r.ns, Name: "s"}
	if in := next(r, "the Secret", local(k)); in.Labelled != "west" || strings.Contains(string(in.Payload), object.LabelZone) {
		t.Errorf("Labelled = %q, payload %s", in.Labelled, in.Payload)
	}
}

// What belongs to one cluster never leaves it: the list of objects that are never published.
func TestNeverPublished(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both(), secretEntry())
	secret := func(name, kind string, data map[string]any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": map[string]any{"name": name,
			"annotations": map[string]any{"kubernetes.io/service-account.name": "default"}}, "stringData": data}
	}
	r.make(configMaps, r.configMap("kube-root-ca.crt", nil))
	r.make(secrets, secret("token", "kubernetes.io/service-account-token", nil))
	r.make(secrets, secret("sh.helm.release.v1.web.v1", "helm.sh/release.v1", map[string]any{"release": "x"}))
	r.make(secrets, secret("key", "Opaque", map[string]any{"key": "this node's key"}))
	part := r.configMap("config", nil)
	part["metadata"].(map[string]any)["labels"] = map[string]any{"app.kubernetes.io/part-of": "mesh"}
	r.make(configMaps, part)
	controlled := r.configMap("controlled", nil)
	controlled["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "1", "controller": true}}
	r.make(configMaps, controlled)
	r.make(secrets, secret("other", "Opaque", map[string]any{"key": "anything"}))
	r.start()
	other := mesh.ObjectKey{Kind: "Secret", Namespace: r.ns, Name: "other"}
	next(r, "the Secret that may leave", local(other))
	r.listed()
	r.marker("z")
	none(r, "published", func(in replica.Local) bool { return in.Object != other && in.Object != r.key("z") })

	// Asked, it is said that they are not published, rather than nothing.
	r.cluster.Probe([]mesh.ObjectKey{r.key("controlled")})
	next(r, "an answer", unmatched(r.key("controlled")))

	// The key of this node, put into a Secret that is published, is published no more.
	r.merge(secrets, "other", fmt.Sprintf(`{"data":{"key":%q}}`, base64.StdEncoding.EncodeToString([]byte("this node's key"))))
	next(r, "its withdrawal", unmatched(other))

	both := both()
	both.IncludeControlled, both.Namespaces = true, []string{r.ns}
	r.fresh(func(c *kube.Config) { c.Entries = []kube.Entry{both} }).start()
	next(r, "what a controller made, where that is wanted", local(r.key("controlled")))
}

// What exists but no longer matches is released, never deleted; what matches again is ours again.
func TestSelector(t *testing.T) {
	e := both()
	e.Selector = "tier=web"
	r := newRig(t, kubetest.Shared(t), e).start()
	r.listed()
	m := r.configMap("a", map[string]any{"k": "1"})
	m["metadata"].(map[string]any)["labels"] = map[string]any{"tier": "web"}
	r.make(configMaps, m)
	k := r.key("a")
	next(r, "what matches", local(k))
	for range 3 {
		r.merge(configMaps, "a", `{"metadata":{"labels":{"tier":"db"}}}`)
		next(r, "what doesn't match any more", unmatched(k))
		r.merge(configMaps, "a", `{"metadata":{"labels":{"tier":"web"}}}`)
		next(r, "what matches again", local(k))
	}
	none(r, "an object that exists was reported gone", gone(k))

	// Replicas are followed although the selector doesn't match them, and known without their labels.
	r.put("x", 1, map[string]any{"k": "1"})
	r.merge(configMaps, "x", `{"data":{"k":"2"}}`)
	drift := next(r, "drift", seen(r.key("x")))
	w := r.put("x", 2, map[string]any{"k": "3"})
	if drift.Content.IsZero() || drift.Content == w.Write.Content {
		t.Errorf("drift = %+v", drift)
	}
	r.merge(configMaps, "x", `{"metadata":{"labels":null}}`)
	if in := next(r, "a replica without labels", seen(r.key("x"))); in.Zone != "west" || in.Content.IsZero() {
		t.Errorf("seen = %+v, want one of west", in)
	}
	r.done(w.Write)
	if l := r.get(configMaps, "x").GetLabels()[object.LabelZone]; l != "west" {
		t.Errorf("label = %q", l)
	}
	none(r, "a replica was taken for ours", local(r.key("x")))

	r.delete(configMaps, "a")
	next(r, "what was deleted", gone(k))
}

// An entry that is narrowed, or flows inwards only, releases what it no longer covers, whether it is there or not.
func TestNarrowed(t *testing.T) {
	s := kubetest.Shared(t)
	r := newRig(t, s, both())
	r.make(configMaps, r.configMap("a", nil))
	r.start()
	next(r, "a", local(r.key("a")))
	elsewhere := both()
	elsewhere.Namespaces = []string{s.Namespace(t)}
	r.fresh(func(c *kube.Config) { c.Entries = []kube.Entry{elsewhere} }).start()
	r.listed()
	r.cluster.Probe([]mesh.ObjectKey{r.key("a"), r.key("b")})
	next(r, "a is not covered", unmatched(r.key("a")))
	r.cluster.Probe([]mesh.ObjectKey{r.key("b")})
	next(r, "b is not covered", unmatched(r.key("b")))
	if in := r.do(r.claim(replica.PutReplica, "west", 1, r.configMap("c", nil))); in.Err == "" || in.Retry {
		t.Errorf("a namespace that no entry names: %+v", in)
	}

	subscribe := both()
	subscribe.Publish, subscribe.Namespaces = false, []string{r.ns}
	r.fresh(func(c *kube.Config) { c.Entries = []kube.Entry{subscribe} }).start()
	r.listed()
	r.cluster.Probe([]mesh.ObjectKey{r.key("a")})
	next(r, "a is not published", unmatched(r.key("a")))
	r.delete(configMaps, "a")
	r.cluster.Probe([]mesh.ObjectKey{r.key("a")})
	next(r, "nor is its end", unmatched(r.key("a")))
	r.put("c", 1, map[string]any{"k": "1"})

	publish := both()
	publish.Apply, publish.Namespaces = false, []string{r.ns}
	r.fresh(func(c *kube.Config) { c.Entries = []kube.Entry{publish} }).start()
	r.listed()
	if in := r.do(r.claim(replica.PutReplica, "west", 1, r.configMap("d", nil))); in.Err == "" || in.Retry || r.get(configMaps, "d") != nil {
		t.Errorf("written against the direction: %+v", in)
	}
	r.marker("z")
	none(r, "published", local(r.key("a")))
}

// An object of ours that waits for its finalizers is still ours, and its end is reported when it comes.
func TestDeletionWaitsForFinalizers(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	m := r.configMap("a", map[string]any{"k": "1"})
	m["metadata"].(map[string]any)["finalizers"] = []any{"example.org/hold"}
	r.make(configMaps, m)
	r.start()
	next(r, "a", local(r.key("a")))
	r.listed()
	r.delete(configMaps, "a")
	r.marker("y")
	none(r, "an object that is still there was reported gone", gone(r.key("a")))
	r.merge(configMaps, "a", `{"metadata":{"finalizers":null}}`)
	next(r, "its end", gone(r.key("a")))

	// Deleted while we are down: the first list doesn't show it, the engine asks.
	r.fresh()
	r.delete(configMaps, "y")
	r.start().listed()
	r.cluster.Probe([]mesh.ObjectKey{r.key("y")})
	next(r, "what was deleted meanwhile", gone(r.key("y")))
}

// A read that was overtaken by an event proves nothing: neither that an object is gone which was made since, nor that
// one is there which was deleted since.
func TestOvertakenReads(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	for i := range 5 {
		name := fmt.Sprint("o", i)
		k := r.key(name)
		// The answer to the read is held back until the object was made, and that was reported.
		held, release := make(chan struct{}), make(chan struct{})
		r.traffic.after(func(req *http.Request) {
			if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/"+name) {
				select {
				case <-held:
				default:
					close(held)
					<-release
				}
			}
		})
		r.cluster.Probe([]mesh.ObjectKey{k})
		<-held
		r.make(configMaps, r.configMap(name, nil))
		next(r, "the object", local(k))
		close(release)
		next(r, "a true answer", local(k))
		none(r, "reported gone", gone(k))

		held, release = make(chan struct{}), make(chan struct{})
		r.cluster.Probe([]mesh.ObjectKey{k})
		<-held
		r.delete(configMaps, name)
		r.marker(fmt.Sprint("m", i)) // the watch has shown its end
		close(release)
		next(r, "its end", gone(k))
		r.traffic.after(nil)
		r.cluster.Probe([]mesh.ObjectKey{k})
		next(r, "a last answer", gone(k))
	}
}

// Fifty objects asked about at once are read one by one, many are answered by one list.
func TestProbeOfMany(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	const n = 100
	var keys []mesh.ObjectKey
	for i := range n {
		r.make(configMaps, r.configMap(fmt.Sprint("a", i), map[string]any{"k": "1"}))
		keys = append(keys, r.key(fmt.Sprint("a", i)), r.key(fmt.Sprint("b", i)))
	}
	r.start().listed()
	r.traffic.reset()
	r.cluster.Probe(keys)
	answered := map[mesh.ObjectKey]bool{}
	for len(answered) < len(keys) {
		next(r, "an answer", func(in replica.Input) bool {
			switch in := in.(type) {
			case replica.Local:
				answered[in.Object] = true
			case replica.LocalGone:
				answered[in.Object] = true
			default:
				return false
			}
			return true
		})
	}
	if gets := len(r.traffic.about("GET")); gets != n {
		t.Errorf("%d reads, want %d for those that no list shows", gets, n)
	}
}

// A page of a list, and the answer of a watch, may be as large as an object gets.
func TestLargeObjects(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	large := strings.Repeat("x", 1<<20-4096)
	for i := range 3 {
		r.make(configMaps, r.configMap(fmt.Sprint("a", i), map[string]any{"k": large}))
	}
	r.start()
	for i := range 3 {
		next(r, "a large object", func(in replica.Local) bool {
			return len(in.Payload) > len(large) && in.Object == r.key(fmt.Sprint("a", i))
		})
	}
	r.listed()
	r.put("x", 1, map[string]any{"k": large})
	u, err := r.of(configMaps).Get(context.Background(), "x", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := unstructured.NestedString(u.Object, "data", "k"); got != large {
		t.Errorf("%d bytes arrived, want %d", len(got), len(large))
	}
}
