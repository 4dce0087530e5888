package e2e_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// kind is a replicated kind in a story.
type kind struct {
	name   string
	path   func(z *kubeZone) string // of its objects
	object func(value string) map[string]any
	value  func(o object) any
	status bool // has one, which is replicated
}

// TestKubeStory tells what the program is for: objects that are made in one cluster appear, change and disappear in the
// others, whatever their kind is, and what others do to replicas doesn't last.
func TestKubeStory(t *testing.T) {
	t.Parallel()
	const group = "story.example.com"
	all := sharedZones(t, "east west north")
	for _, z := range all {
		z.define(group, "Widget", true)
		z.define(group, "Realm", false)
		z.replicates(configMaps(z.ns),
			entry{"version": "v1", "kind": "Secret", "namespaces": []string{z.ns}, "selector": "replicate=yes"},
			entry{"group": group, "version": "v1", "kind": "Widget", "namespaces": []string{z.ns}, "status": true},
			entry{"group": group, "version": "v1", "kind": "Realm"})
	}
	must(t, all[0].create("early", "1")) // there before the node is
	startAll(t, plain(all)...)
	for _, z := range all {
		z.becomes("what was there before arrives at "+z.name, z.at("early"), func(o object) bool { return o.Data["value"] == "1" })
	}

	spec := func(o object) any { return o.Spec["value"] }
	for _, k := range []kind{
		{"config map", (*kubeZone).configMaps,
			func(v string) map[string]any { return map[string]any{"data": map[string]any{"value": v}} },
			func(o object) any { return o.Data["value"] }, false},
		{"secret", (*kubeZone).secrets,
			func(v string) map[string]any {
				return map[string]any{"stringData": map[string]any{"value": v}, "metadata": map[string]any{"labels": map[string]any{"replicate": "yes"}}}
			},
			func(o object) any { return decode(t, o.Data["value"]) }, false},
		{"custom resource", func(z *kubeZone) string { return "/apis/" + group + "/v1/namespaces/" + z.ns + "/widgets" }, specOf(group, "Widget"), spec, true},
		{"cluster-scoped", func(*kubeZone) string { return "/apis/" + group + "/v1/realms" }, specOf(group, "Realm"), spec, false},
	} {
		t.Run(k.name, func(t *testing.T) { k.story(t, all) })
	}
	t.Run("by hand", func(t *testing.T) { byHand(t, all) })
	t.Run("selector", func(t *testing.T) { outOfTheSelector(t, all) })
	t.Run("two creators", func(t *testing.T) { twoCreators(t, all) })
	sameClaims(t, all...)
	for _, z := range all {
		z.well()
	}
	for _, z := range all {
		if out := z.cli("status"); !strings.Contains(out, z.name) || !strings.Contains(out, "lease held") {
			t.Errorf("status of %s:\n%s", z.name, out)
		}
		z.cli("status", "--wait=120s")
		z.verify()
		z.stop()
		z.verify()
	}
}

func (z *kubeZone) configMaps() string { return z.at() }
func (z *kubeZone) secrets() string    { return "/api/v1/namespaces/" + z.ns + "/secrets" }

func specOf(group, kind string) func(value string) map[string]any {
	return func(value string) map[string]any {
		return map[string]any{"apiVersion": group + "/v1", "kind": kind, "spec": map[string]any{
			"value": value, "list": []int{1, 2}, "new-here": map[string]any{"unknown": true}}}
	}
}

// define makes a custom resource whose fields the cluster knows nothing about, and waits until it is served.
func (z *kubeZone) define(group, kind string, namespaced bool) {
	z.t.Helper()
	scope, plural := "Cluster", strings.ToLower(kind)+"s"
	if namespaced {
		scope = "Namespaced"
	}
	z.must(http.MethodPost, definitions, map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group},
		"spec": map[string]any{
			"group": group, "scope": scope,
			"names": map[string]any{"kind": kind, "plural": plural, "singular": strings.ToLower(kind), "listKind": kind + "List"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	})
	eventually(z.t, kind+" is served", func() error {
		_, err := z.list("/apis/" + group + "/v1/" + plural)
		return err
	})
}

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// story creates an object at the first zone, changes it and deletes it.
func (k kind) story(t *testing.T, all []*kubeZone) {
	east := all[0]
	const name = "told"
	at := func(z *kubeZone) string { return k.path(z) + "/" + name }
	is := func(value string) {
		t.Helper()
		for _, z := range all {
			eventually(t, fmt.Sprintf("the %s of %s is %q", k.name, z.name, value), func() error {
				o, err := z.get(at(z))
				if err == nil && (k.value(o) != value || z != east && o.owner() != "east") {
					err = fmt.Errorf("it is %v of %q", k.value(o), o.owner())
				}
				return err
			})
		}
	}
	first := k.object("1")
	if first["metadata"] == nil {
		first["metadata"] = map[string]any{}
	}
	first["metadata"].(map[string]any)["name"] = name
	east.must(http.MethodPost, k.path(east), first)
	is("1")
	east.must(http.MethodPatch, at(east), k.object("2"))
	is("2")
	if k.status {
		status := map[string]any{"phase": "Running", "nested": map[string]any{"count": 3.0}}
		east.must(http.MethodPatch, at(east)+"/status", map[string]any{"status": status})
		for _, z := range all {
			eventually(t, "the status arrives at "+z.name, func() error {
				o, err := z.get(at(z))
				if err == nil && !reflect.DeepEqual(o.Status, status) {
					err = fmt.Errorf("it is %v", o.Status)
				}
				return err
			})
		}
	}
	here, err := east.get(at(east))
	must(t, err)
	there, err := all[1].get(at(all[1]))
	must(t, err)
	if !reflect.DeepEqual(here.Spec, there.Spec) || !reflect.DeepEqual(here.Data, there.Data) {
		t.Errorf("the sections differ: %v %v and %v %v", here.Spec, here.Data, there.Spec, there.Data)
	}
	east.must(http.MethodDelete, at(east), nil)
	for _, z := range all {
		z.gone(at(z))
	}
}

// gone waits until an object does not exist.
func (z *kubeZone) gone(path string) {
	z.t.Helper()
	eventually(z.t, path+" is gone from "+z.name, func() error {
		_, err := z.get(path)
		switch {
		case errors.Is(err, errGone):
			return nil
		case err == nil:
			err = errors.New("it exists")
		}
		return err
	})
}

// becomes waits until an object is as it should be.
func (z *kubeZone) becomes(what, path string, right func(o object) bool) object {
	z.t.Helper()
	var o object
	eventually(z.t, what, func() (err error) {
		o, err = z.get(path)
		if err == nil && !right(o) {
			err = fmt.Errorf("it is %+v", o)
		}
		return err
	})
	return o
}

// byHand does to replicas what people do. It ends with a deletion that a finalizer of this cluster delays.
func byHand(t *testing.T, all []*kubeZone) {
	east, north := all[0], all[2]
	must(t, east.put("hand", "right"))
	right := func(o object) bool { return o.Data["value"] == "right" && o.owner() == "east" && len(o.Data) == 1 }
	first := north.becomes("the replica is there", north.at("hand"), right)

	north.must(http.MethodPatch, north.at("hand"), map[string]any{"data": map[string]any{"value": "wrong", "more": "x"}})
	north.becomes("an edited replica is put back", north.at("hand"), right)
	for _, label := range []any{nil, "west"} {
		north.must(http.MethodPatch, north.at("hand"),
			map[string]any{"metadata": map[string]any{"labels": map[string]any{"dcp.hiro.io/owner-zone": label}}})
		north.becomes(fmt.Sprintf("a replica labelled %v is put back", label), north.at("hand"), right)
	}
	north.must(http.MethodDelete, north.at("hand"), nil)
	second := north.becomes("a deleted replica is put back", north.at("hand"), right)
	if second.Metadata.UID == first.Metadata.UID {
		t.Error("the replica was not deleted")
	}
	// What is not mesh's stays.
	north.must(http.MethodPatch, north.at("hand"), map[string]any{"metadata": map[string]any{
		"labels": map[string]any{"mine": "yes"}, "annotations": map[string]any{"mine": "yes"}, "finalizers": []string{"example.com/mine"}}})
	must(t, east.put("hand", "changed"))
	o := north.becomes("a change arrives at a replica with labels of others", north.at("hand"), func(o object) bool { return o.Data["value"] == "changed" })
	if o.Metadata.Labels["mine"] != "yes" || len(o.Metadata.Finalizers) != 1 {
		t.Errorf("labels and finalizers of others are gone: %+v", o.Metadata)
	}
	must(t, east.remove("hand"))
	north.becomes("the replica is being deleted", north.at("hand"), func(o object) bool { return o.Metadata.Deleted != "" })
	all[1].gone(all[1].at("hand"))
	north.shows("hand", "DeletionPending", "example.com/mine")
	north.must(http.MethodPatch, north.at("hand"), map[string]any{"metadata": map[string]any{"finalizers": nil}})
	north.gone(north.at("hand"))
	north.quiet("hand")
}

// outOfTheSelector changes the label that lets an object out: its replicas stay as they are, nobody's, until it is back.
func outOfTheSelector(t *testing.T, all []*kubeZone) {
	east, west := all[0], all[1]
	path := east.secrets() + "/label"
	label := func(value any) any {
		return map[string]any{"metadata": map[string]any{"labels": map[string]any{"replicate": value}}}
	}
	east.must(http.MethodPost, east.secrets(), map[string]any{"stringData": map[string]any{"value": "1"},
		"metadata": map[string]any{"name": "label", "labels": map[string]any{"replicate": "yes"}}})
	is := func(value string) func(o object) bool {
		return func(o object) bool { return decode(t, o.Data["value"]) == value && o.owner() == "east" }
	}
	for _, z := range all[1:] {
		z.becomes("the secret arrives at "+z.name, path, is("1"))
	}
	east.must(http.MethodPatch, path, label(nil))
	for _, z := range all[1:] {
		eventually(t, "the secret is nobody's at "+z.name, func() error {
			s, err := z.status()
			if err == nil && s.Resources.Unmanaged != 1 {
				err = fmt.Errorf("%d unmanaged", s.Resources.Unmanaged)
			}
			return err
		})
		if _, err := z.get(path); err != nil {
			t.Errorf("the secret at %s: %v", z.name, err)
		}
	}
	// What is not in the selector any more is east's own business, also its end.
	east.must(http.MethodPatch, path, map[string]any{"stringData": map[string]any{"value": "2"}})
	east.must(http.MethodDelete, path, nil)
	must(t, east.put("after", "1"))
	west.becomes("what came later arrives", west.at("after"), func(o object) bool { return o.Data["value"] == "1" })
	for _, z := range all[1:] {
		if o, err := z.get(path); err != nil || !is("1")(o) {
			t.Errorf("the secret at %s: %v, %v", z.name, o.owner(), err)
		}
	}
	east.must(http.MethodPost, east.secrets(), map[string]any{"stringData": map[string]any{"value": "3"},
		"metadata": map[string]any{"name": "label", "labels": map[string]any{"replicate": "yes"}}})
	for _, z := range all[1:] {
		z.becomes("the secret is east's again at "+z.name, path, is("3"))
	}
	east.must(http.MethodDelete, path, nil)
	must(t, east.remove("after"))
	for _, z := range all {
		z.gone(path)
	}
}

// twoCreators lets two zones create one object: each keeps its own, until one adopts it.
func twoCreators(t *testing.T, all []*kubeZone) {
	east, west, north := all[0], all[1], all[2]
	west.signal(syscall.SIGSTOP) // so that neither hears of the other's before it has its own
	must(t, east.put("c", "of east"))
	must(t, west.put("c", "of west"))
	west.signal(syscall.SIGCONT)
	for _, z := range []*kubeZone{east, west} {
		eventually(t, "the conflict shows at "+z.name, func() error {
			s, err := z.status()
			if err == nil && s.Resources.Contested != 1 {
				err = fmt.Errorf("%d contested", s.Resources.Contested)
			}
			return err
		})
		if o, err := z.get(z.at("c")); err != nil || o.Data["value"] != "of "+z.name || o.owner() != "" {
			t.Errorf("%s lost its own copy: %+v, %v", z.name, o, err)
		}
	}
	north.becomes("who has no copy takes one of them", north.at("c"), func(o object) bool { return o.owner() != "" })
	key := "ConfigMap/" + east.ns + "/c"
	if out := west.cli("adopt", key, "-y", "--timeout=120s"); !strings.Contains(out, "adopted") {
		t.Errorf("adopt says %q", out)
	}
	for _, z := range all {
		z.becomes("the adopted object is at "+z.name, z.at("c"), func(o object) bool {
			return o.Data["value"] == "of west" && cmp.Or(o.owner(), z.name) == "west"
		})
	}
	if out := east.cli("log", "show", "--lost"); !strings.Contains(out, key) {
		t.Errorf("what east lost is not kept:\n%s", out)
	}
	must(t, west.put("c", "still of west"))
	east.becomes("the adopted object goes on", east.at("c"), func(o object) bool { return o.Data["value"] == "still of west" })
	must(t, west.remove("c"))
	for _, z := range all {
		z.gone(z.at("c"))
	}
}
