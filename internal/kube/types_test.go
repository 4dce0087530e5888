package kube_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// crd is a definition of a kind Thing in a group of its own, so that tests don't meet.
type crd struct {
	r      *rig
	group  string
	status bool
	scope  string
	// versions by name, each with the properties of spec as JSON; "preserve" keeps unknown ones.
	versions map[string]string
	stored   string
}

func (r *rig) crd(versions map[string]string, stored string) *crd {
	return &crd{r: r, group: strings.ReplaceAll(r.ns, ".", "-") + ".example.org", scope: "Namespaced", versions: versions, stored: stored}
}

func (d *crd) gvr(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: d.group, Version: version, Resource: "things"}
}

func (d *crd) key(name string) mesh.ObjectKey {
	return mesh.ObjectKey{Group: d.group, Kind: "Thing", Namespace: d.r.ns, Name: name}
}

func (d *crd) entry(version string) kube.Entry {
	return kube.Entry{Group: d.group, Version: version, Kind: "Thing", Namespaces: []string{d.r.ns}, Publish: true, Apply: true, Status: d.status}
}

// install applies the definition and waits until it is served and offered, which come one after the other.
func (d *crd) install() {
	d.r.t.Helper()
	var list []any
	for name, properties := range d.versions {
		spec := fmt.Sprintf(`{"type":"object","properties":%s}`, properties)
		if properties == "preserve" {
			spec = `{"type":"object","x-kubernetes-preserve-unknown-fields":true}`
		}
		v := d.r.manifest(fmt.Sprintf(`{"name":%q,"served":true,"storage":%t,"schema":{"openAPIV3Schema":{"type":"object","properties":
			{"spec":%s,"status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}`, name, name == d.stored, spec))
		if d.status {
			v["subresources"] = map[string]any{"status": map[string]any{}}
		}
		list = append(list, v)
	}
	m := d.r.manifest(fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.%s"},
		"spec":{"group":%q,"scope":%q,"names":{"plural":"things","singular":"thing","kind":"Thing","listKind":"ThingList"}}}`, d.group, d.group, d.scope))
	m["spec"].(map[string]any)["versions"] = list
	ctx := context.Background()
	if _, err := d.r.user.Resource(definitions).Create(ctx, &unstructured.Unstructured{Object: m}, metav1.CreateOptions{}); err != nil {
		d.r.t.Fatal(err)
	}
	d.r.t.Cleanup(d.remove)
	for v := range d.versions {
		d.r.eventually("it is served", func() bool {
			_, err := d.r.user.Resource(d.gvr(v)).List(ctx, metav1.ListOptions{})
			return err == nil && d.isOffered(v)
		})
	}
}

// isOffered asks discovery for the type in a version, with all that can be done.
func (d *crd) isOffered(version string) bool {
	list, err := d.r.offered.ServerResourcesForGroupVersion(d.group + "/" + version)
	if err != nil {
		return false
	}
	things, status := false, false
	for _, r := range list.APIResources {
		things = things || r.Name == "things" && slices.Contains(r.Verbs, "create")
		status = status || r.Name == "things/status"
	}
	return things && status == d.status
}

// remove deletes the definition and waits until it is gone.
func (d *crd) remove() {
	ctx := context.Background()
	name := "things." + d.group
	err := d.r.user.Resource(definitions).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		d.r.t.Fatal(err)
	}
	d.r.eventually("the definition is gone", func() bool {
		_, err := d.r.user.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func (d *crd) thing(version, name, sections string) map[string]any {
	return d.r.manifest(fmt.Sprintf(`{"apiVersion":"%s/%s","kind":"Thing","metadata":{"name":%q,"namespace":"%%s"},%s}`, d.group, version, name, sections))
}

// entries replaces the rig's entries.
func (r *rig) entries(list ...kube.Entry) *rig {
	return r.fresh(func(c *kube.Config) { c.Entries = list })
}

// anyInt is a schema that knows one field.
const anyInt = `{"a":{"type":"integer"},"word":{"type":"string","enum":["one","two"]},"dflt":{"type":"string","default":"filled in"}}`

// A type that isn't served keeps nobody waiting, and works from when it is installed.
func TestTypeInstalledLater(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt}, "v1")
	r.entries(r.config.Entries[0], d.entry("v1")).start().listed()
	r.problem(kube.ReasonTypeNotServed)
	w := r.claim(replica.PutReplica, "west", 1, d.thing("v1", "x", `"spec":{"a":1}`))
	if in := r.do(w); !in.Retry {
		t.Errorf("answer = %+v, want one to wait for", in)
	}
	r.cluster.Probe([]mesh.ObjectKey{d.key("y")})
	r.put("other", 1, nil)
	none(r, "an object without a type was reported gone", gone(d.key("y")))
	d.install()
	if in := r.answer(w); in.Err != "" {
		t.Errorf("answer = %+v", in)
	}
	r.eventually("no problem is left but that of what went with the type", func() bool {
		for _, p := range r.cluster.Status().Problems {
			if p.Reason != kube.ReasonNotProven {
				return false
			}
		}
		return true
	})
	r.make(d.gvr("v1"), d.thing("v1", "y", `"spec":{"a":2}`))
	next(r, "an object of ours", local(d.key("y")))
	r.delete(d.gvr("v1"), "y")
	next(r, "its end", gone(d.key("y")))
}

// A definition that goes takes its objects along, which is a deletion by nobody, however the events of their ends and
// discovery race. Replicas come back with the definition.
func TestDefinitionDeleted(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": "preserve"}, "v1")
	d.install()
	r.entries(d.entry("v1")).start().listed()
	const n = 20
	for round := range 3 {
		w := r.done(r.claim(replica.PutReplica, "west", 1, d.thing("v1", "x", `"spec":{"a":1}`))).Write
		for i := range n {
			name := fmt.Sprint("ours", round, "-", i)
			r.make(d.gvr("v1"), d.thing("v1", name, `"spec":{"a":1}`))
			next(r, "ours", local(d.key(name)))
		}
		var keys []mesh.ObjectKey
		for i := range n {
			keys = append(keys, d.key(fmt.Sprint("ours", round, "-", i)))
		}
		d.remove()
		next(r, "the replica's end", absent(d.key("x")))
		r.cluster.Probe(keys)
		r.cluster.Apply([]replica.Write{w})
		r.problem(kube.ReasonTypeNotServed)
		d.install()
		r.eventually("the replica is back", func() bool { return r.get(d.gvr("v1"), "x") != nil })
		r.eventually("all are shown as lost", func() bool {
			lost := 0
			for _, p := range r.cluster.Status().Problems {
				if p.Reason == kube.ReasonNotProven && strings.Contains(p.Text, "came back without it") {
					lost++
				}
			}
			return lost >= n
		})
		r.cluster.Probe(keys)
		r.make(d.gvr("v1"), d.thing("v1", keys[0].Name, `"spec":{"a":2}`))
		next(r, "one that was made again", local(keys[0]))
		none(r, "an object that went with its type was reported gone", func(in replica.LocalGone) bool { return in.Object.Group == d.group })
		// Its own deletion is one, though.
		r.delete(d.gvr("v1"), keys[0].Name)
		next(r, "a deletion", gone(keys[0]))
		r.entries(d.entry("v1")).start().listed() // the engine of a new run asks again where it wants to
	}
}

// Versions of one type may differ between zones: the payload's is written, the entry's is compared.
func TestVersions(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt, "v2": `{"a":{"type":"integer"},"b":{"type":"integer"}}`}, "v2")
	d.install()
	r.entries(d.entry("v1")).start().listed()
	w := r.done(r.claim(replica.PutReplica, "west", 1, d.thing("v2", "x", `"spec":{"a":1,"b":2}`))).Write
	if got := at(r.get(d.gvr("v2"), "x").Object, "spec.b"); got != "2" {
		t.Errorf("b = %s", got)
	}
	w = r.done(r.claim(replica.PutReplica, "west", 2, d.thing("v2", "x", `"spec":{"a":1,"b":3}`))).Write
	if got := at(r.get(d.gvr("v2"), "x").Object, "spec.b"); got != "3" {
		t.Errorf("b = %s", got)
	}
	r.make(d.gvr("v1"), d.thing("v1", "z", `"spec":{"a":2}`))
	next(r, "the marker", local(d.key("z")))
	none(r, "the other version was taken for drift", func(in replica.ReplicaSeen) bool { return in.Content != w.Content })

	v3 := r.claim(replica.PutReplica, "west", 3, d.thing("v3", "y", `"spec":{"a":1}`))
	if in := r.do(v3); !in.Retry || !strings.Contains(in.Err, "v3") {
		t.Errorf("a version that isn't served: %+v", in)
	}
	if p := r.problem(kube.ReasonTypeNotServed); p.Object != d.key("y").String() {
		t.Errorf("problem = %+v", p)
	}
}

// Fields that this cluster's definition doesn't know are dropped visibly; where unknown ones are kept they arrive.
func TestUnknownFields(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt, "v2": "preserve"}, "v2")
	d.install()
	r.entries(d.entry("v1")).start().listed()
	w := r.done(r.claim(replica.PutReplica, "west", 1, d.thing("v1", "x", `"spec":{"a":1,"newer":{"deep":[1,2]}}`))).Write
	if p := r.problem(kube.ReasonFieldsDropped); !strings.Contains(p.Text, "/spec/newer") || strings.Contains(p.Text, "deep") || p.Object != w.Object.String() {
		t.Errorf("problem = %+v", p)
	}
	r.done(r.claim(replica.PutReplica, "west", 2, d.thing("v1", "x", `"spec":{"a":1}`)))
	r.eventually("no problem is left", func() bool { return len(r.cluster.Status().Problems) == 0 })

	r.entries(d.entry("v2")).start().listed()
	r.done(r.claim(replica.PutReplica, "west", 3, d.thing("v2", "y", `"spec":{"newer":{"deep":[1,{"b":1.5}],"empty":{},"nothing":null}}`)))
	u := r.get(d.gvr("v2"), "y")
	if got := at(u.Object, "spec.newer.deep.1.b"); got != "1.5" {
		t.Errorf("spec = %v", u.Object["spec"])
	}
	r.make(d.gvr("v2"), d.thing("v2", "z", `"spec":{"newer":{"deep":[1,{"b":1.5}]}}`))
	if in := next(r, "ours", local(d.key("z"))); !strings.Contains(string(in.Payload), `"deep":[1,{"b":1.5}]`) {
		t.Errorf("payload = %s", in.Payload)
	}
}

// The status is written where the entry says so, by one request more, and left alone elsewhere.
func TestStatus(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt}, "v1")
	d.status = true
	d.install()
	r.entries(d.entry("v1")).start().listed()
	r.done(r.claim(replica.PutReplica, "west", 1, d.thing("v1", "warm-up", `"spec":{"a":1}`)))
	r.traffic.reset()
	w := r.done(r.claim(replica.PutReplica, "west", 1, d.thing("v1", "x", `"spec":{"a":1},"status":{"unknown":{"n":1}}`))).Write
	u := r.get(d.gvr("v1"), "x")
	if got := at(u.Object, "status.unknown.n"); got != "1" || at(u.Object, "spec.dflt") != "filled in" {
		t.Errorf("object = %v", u.Object)
	}
	r.done(r.claim(replica.PutReplica, "west", 2, d.thing("v1", "x", `"spec":{"a":2},"status":{"unknown":{"n":2}}`)))
	if got := r.traffic.about("things"); len(got) != 4 {
		t.Errorf("requests: %v, want two for each write", got)
	}
	if _, err := r.of(d.gvr("v1")).Patch(context.Background(), "x", types.MergePatchType, []byte(`{"status":{"unknown":{"n":7}}}`),
		metav1.PatchOptions{FieldManager: "kubectl"}, "status"); err != nil {
		t.Fatal(err)
	}
	next(r, "drift of the status", seen(w.Object))

	e := d.entry("v1")
	e.Status = false
	r.entries(e).start().listed()
	r.done(r.claim(replica.PutReplica, "west", 3, d.thing("v1", "x", `"spec":{"a":3}`)))
	u = r.get(d.gvr("v1"), "x")
	if at(u.Object, "status.unknown.n") != "7" || at(u.Object, "spec.a") != "3" {
		t.Errorf("object = %v", u.Object)
	}
}

// A type without a status subresource keeps its status among the other sections: it follows its owner there, too.
func TestStatusWithoutSubresource(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	d := r.crd(map[string]string{"v1": anyInt}, "v1")
	d.install()
	e := d.entry("v1")
	e.Status = true
	r.entries(e).start().listed()
	for i, status := range []string{`"status":{"n":1}`, `"status":{"n":2}`} {
		r.done(r.claim(replica.PutReplica, "west", mesh.Version(i+1), d.thing("v1", "x", `"spec":{"a":1},`+status)))
		if got := at(r.get(d.gvr("v1"), "x").Object, "status.n"); got != strconv.Itoa(i+1) {
			t.Errorf("status.n = %s, want %d", got, i+1)
		}
	}
	r.merge(d.gvr("v1"), "x", `{"status":{"n":7}}`)
	next(r, "drift of the status", seen(d.key("x")))
}
