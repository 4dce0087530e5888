package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// manifest reads JSON with %s for the rig's namespace.
func (r *rig) manifest(text string) map[string]any {
	r.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "%s", r.ns)), &m); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// Kinds in which each cluster keeps fields of its own are created and changed without touching those, and what the
// cluster fills in is no drift.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind, group, version, plural string
		ignore                       []string
		first, second                string
		kept                         []string // paths of what must be there after the change, as after the creation
		changed, value               string
	}{
		{
			kind: "Service", version: "v1", plural: "services",
			first:   `{"apiVersion":"v1","kind":"Service","metadata":{"name":"x","namespace":"%s"},"spec":{"type":"NodePort","ports":[{"port":80}]}}`,
			second:  `{"apiVersion":"v1","kind":"Service","metadata":{"name":"x","namespace":"%s"},"spec":{"type":"NodePort","ports":[{"port":81}],"selector":{"a":"b"}}}`,
			kept:    []string{"spec.clusterIP", "spec.clusterIPs", "spec.ports.0.nodePort"},
			changed: "spec.ports.0.port", value: "81",
		},
		{
			kind: "Job", group: "batch", version: "v1", plural: "jobs",
			first: `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x","namespace":"%s"},"spec":{"parallelism":1,
				"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}`,
			second: `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x","namespace":"%s"},"spec":{"parallelism":2,
				"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}`,
			kept:    []string{"spec.selector", "spec.template.metadata.labels"},
			changed: "spec.parallelism", value: "2",
		},
		{
			kind: "PersistentVolumeClaim", version: "v1", plural: "persistentvolumeclaims",
			first: `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"x","namespace":"%s"},"spec":{"accessModes":["ReadWriteOnce"],
				"storageClassName":"s","resources":{"requests":{"storage":"1Gi"}}}}`,
			second: `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"x","namespace":"%s","labels":{"new":"1"}},"spec":{"accessModes":["ReadWriteOnce"],
				"storageClassName":"s","resources":{"requests":{"storage":"1Gi"}}}}`,
			changed: "metadata.labels.new", value: "1",
		},
		{
			kind: "ServiceAccount", version: "v1", plural: "serviceaccounts",
			first:   `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"x","namespace":"%s"},"automountServiceAccountToken":true}`,
			second:  `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"x","namespace":"%s"},"automountServiceAccountToken":false}`,
			changed: "automountServiceAccountToken", value: "false",
		},
		{
			kind: "Deployment", group: "apps", version: "v1", plural: "deployments", ignore: []string{"/spec/replicas"},
			first: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"%s"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},
				"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`,
			second: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"%s"},"spec":{"replicas":7,"selector":{"matchLabels":{"a":"b"}},
				"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"j"}]}}}}`,
			kept:    []string{"spec.replicas"},
			changed: "spec.template.spec.containers.0.image", value: "j",
		},
	} {
		t.Run(c.kind, func(t *testing.T) {
			r := newRig(t, kubetest.Shared(t), kube.Entry{Group: c.group, Version: c.version, Kind: c.kind, Ignore: c.ignore, Publish: true, Apply: true}).start()
			r.listed()
			gvr := schema.GroupVersionResource{Group: c.group, Version: c.version, Resource: c.plural}
			r.done(r.claim(replica.PutReplica, "west", 1, r.manifest(c.first)))
			if c.kind == "Deployment" { // an autoscaler's
				r.merge(gvr, "x", `{"spec":{"replicas":3}}`)
			}
			before := r.get(gvr, "x")
			w := r.done(r.claim(replica.PutReplica, "west", 2, r.manifest(c.second))).Write
			after := r.get(gvr, "x")
			for _, path := range c.kept {
				if a, b := at(before.Object, path), at(after.Object, path); a != b || a == "" {
					t.Errorf("%s = %s, was %s", path, b, a)
				}
			}
			if got := at(after.Object, c.changed); got != c.value {
				t.Errorf("%s = %s, want %s", c.changed, got, c.value)
			}
			// Another restart sees what the cluster made of it as it was written.
			in := replica.Written{Write: w}
			r.mu.Lock()
			for _, i := range r.inputs {
				if x, ok := i.(replica.Written); ok && x.Write == w {
					in = x
				}
				if x, ok := i.(replica.ReplicaSeen); ok && x.Content != w.Content {
					t.Errorf("drift: %+v", x)
				}
			}
			r.mu.Unlock()
			p := placed(in)
			r.fresh()
			if c.kind == "Deployment" {
				r.merge(gvr, "x", `{"spec":{"replicas":4}}`)
			}
			r.cluster.Restore([]oplog.Placed{p})
			r.start()
			if in := next(r, "the replica", seen(w.Object)); in.Content != w.Content {
				t.Errorf("seen as %+v, want as written", in)
			}
		})
	}
}

// at reads a path of names and numbers, as text.
func at(v any, path string) string {
	for _, p := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			var i int
			fmt.Sscan(p, &i)
			if i >= len(x) {
				return ""
			}
			v = x[i]
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// Kinds without namespaces are replicated by entries that name none.
func TestClusterScoped(t *testing.T) {
	rbac := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	e := kube.Entry{Group: rbac.Group, Version: "v1", Kind: "ClusterRole", Namespaces: everywhere, Selector: "mesh-test=" + strings.ToLower(t.Name()), Publish: true, Apply: true}
	r := newRig(t, kubetest.Shared(t), e).start()
	r.listed()
	m := r.manifest(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"%s"},
		"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}`)
	w := r.done(r.claim(replica.PutReplica, "west", 1, m)).Write
	ctx := context.Background()
	u, err := r.user.Resource(rbac).Get(ctx, r.ns, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := at(u.Object, "rules.0.resources.0"); got != "pods" {
		t.Errorf("rules = %v", u.Object["rules"])
	}
	w.Kind, w.Content = replica.RemoveReplica, mesh.Hash{}
	r.done(w)
	m = r.manifest(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"%s-ours","labels":{"mesh-test":"testclusterscoped"}}}`)
	if _, err := r.user.Resource(rbac).Create(ctx, &unstructured.Unstructured{Object: m}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(r, "ours", local(mesh.ObjectKey{Group: rbac.Group, Kind: "ClusterRole", Name: r.ns + "-ours"}))

	// An entry that names namespaces for them is a visible mistake, and keeps nobody waiting.
	e.Namespaces = []string{r.ns}
	both := both()
	both.Namespaces = []string{r.ns}
	r.fresh(func(c *kube.Config) { c.Entries = []kube.Entry{e, both} }).start().listed()
	if p := r.problem(kube.ReasonListFailed); !strings.Contains(p.Text, "no namespace") {
		t.Errorf("problem = %+v", p)
	}
	r.marker("z")
}

// A namespace that is missing is a problem of the objects in it, which are applied once it is there, or it is made.
func TestNamespaceMissing(t *testing.T) {
	wide := both()
	wide.Namespaces = everywhere
	r := newRig(t, kubetest.Shared(t), wide).start()
	r.listed()
	m := r.configMap("x", nil)
	missing := r.ns + "-missing"
	m["metadata"].(map[string]any)["namespace"] = missing
	w := r.claim(replica.PutReplica, "west", 1, m)
	if in := r.do(w); !in.Retry || !strings.Contains(in.Err, missing) {
		t.Errorf("answer = %+v", in)
	}
	if p := r.problem(kube.ReasonApplyRejected); p.Object != w.Object.String() {
		t.Errorf("problem = %+v", p)
	}
	r.put("y", 1, nil) // others don't wait
	ctx := context.Background()
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": missing}}}
	if _, err := r.user.Resource(namespaces).Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if in := r.answer(w); in.Err != "" {
		t.Errorf("answer = %+v", in)
	}

	r.fresh(func(c *kube.Config) { c.Entries[0].CreateNamespaces = true }).start().listed()
	m["metadata"].(map[string]any)["namespace"] = missing + "-too"
	r.done(r.claim(replica.PutReplica, "west", 1, m))
}
