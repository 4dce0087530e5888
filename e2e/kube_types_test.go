package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestKubeDefinitions takes a custom resource's definition away from its owner's cluster, with all objects, and gives it
// to another cluster only later.
func TestKubeDefinitions(t *testing.T) {
	t.Parallel()
	const group = "types.example.com"
	all := sharedZones(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	for _, z := range all {
		z.replicates(configMaps(z.ns), entry{"group": group, "version": "v1", "kind": "Widget", "namespaces": []string{z.ns}})
		if z != north {
			z.define(group, "Widget", true)
		}
	}
	startAll(t, plain(all)...)
	want := model{}
	widgets := "/apis/" + group + "/v1/namespaces/" + east.ns + "/widgets"
	make := func(n int, value string) {
		t.Helper()
		o := specOf(group, "Widget")(value)
		o["metadata"] = map[string]any{"name": fmt.Sprint("w-", n)}
		east.must(http.MethodPost, widgets, o)
	}
	are := func(z *kubeZone, value string) {
		t.Helper()
		for n := range several {
			z.becomes("a widget is at "+z.name, fmt.Sprint(widgets, "/w-", n), func(o object) bool { return o.Spec["value"] == value && o.owner() == "east" })
		}
	}
	flow := func(value string) {
		t.Helper()
		change(t, want, east, 0, 3, value)
		change(t, want, west, 0, 3, value)
		alike(t, want, all...)
	}
	for n := range several {
		make(n, "1")
	}
	are(west, "1")
	flow("without the definition")
	north.shows("TypeNotServed", "Widget")
	north.define(group, "Widget", true)
	are(north, "1")
	north.quiet("TypeNotServed")

	east.must(http.MethodDelete, definitions+"/widgets."+group, nil)
	east.gone(definitions + "/widgets." + group)
	east.shows("TypeNotServed", "Widget")
	flow("definition deleted")
	are(west, "1")
	are(north, "1")

	east.define(group, "Widget", true)
	east.quiet("TypeNotServed")
	make(0, "1")
	for n := 1; n < several; n++ {
		make(n, "2")
	}
	make(several, "1") // the last to arrive
	for _, z := range all[1:] {
		z.becomes("new widgets arrive at "+z.name, fmt.Sprint(widgets, "/w-", several), func(o object) bool { return o.Spec["value"] == "1" })
	}
	east.must(http.MethodPatch, widgets+"/w-0", map[string]any{"spec": map[string]any{"value": "2"}})
	are(west, "2")
	are(north, "2")
	if s, err := east.status(); err != nil || s.Resources.DeletesHeld+s.Resources.Tombstones > 0 {
		t.Errorf("east holds %d deletions and remembers %d, %v", s.Resources.DeletesHeld, s.Resources.Tombstones, err)
	}
	east.must(http.MethodDelete, widgets+"/w-1", nil)
	for _, z := range all[1:] {
		z.gone(widgets + "/w-1")
	}
	flow("again")
}

// TestKubeRefused lets a cluster refuse what arrives: a namespace is missing, a right is missing. What is refused is
// shown, everything else goes on, and it is made up for.
func TestKubeRefused(t *testing.T) {
	t.Parallel()
	all := sharedZones(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	other := east.ns + "-other"
	for _, z := range all {
		maps := configMaps(z.ns)
		maps["namespaces"] = []string{z.ns, other}
		if z == north {
			maps["create_namespaces"] = true
		}
		z.replicates(maps, entry{"version": "v1", "kind": "Secret", "namespaces": []string{z.ns}})
	}
	restrict(west, other)
	startAll(t, plain(all)...)

	east.must(http.MethodPost, "/api/v1/namespaces", namespace(other))
	elsewhere := "/api/v1/namespaces/" + other + "/configmaps"
	east.must(http.MethodPost, elsewhere, map[string]any{"metadata": map[string]any{"name": "a"}, "data": map[string]any{"value": "1"}})
	east.must(http.MethodPost, east.secrets(), map[string]any{"metadata": map[string]any{"name": "s"}, "stringData": map[string]any{"value": "hidden"}})
	north.becomes("a namespace is made with the object", elsewhere+"/a", func(o object) bool { return o.Data["value"] == "1" })
	north.becomes("the secret arrives", north.secrets()+"/s", func(o object) bool { return decode(t, o.Data["value"]) == "hidden" })
	west.shows("ConfigMap/"+other+"/a", "namespace "+other+" does not exist")
	west.shows("Secret/"+west.ns+"/s", "Forbidden")
	want := model{}
	change(t, want, east, 0, 3, "1")
	change(t, want, west, 0, 3, "1")
	alike(t, want, all...)
	eventually(t, "west counts what was rejected", func() error {
		s, err := west.status()
		if err == nil && s.Resources.Rejected != 2 {
			err = fmt.Errorf("it counts %d", s.Resources.Rejected)
		}
		return err
	})

	west.must(http.MethodPost, "/api/v1/namespaces", namespace(other))
	west.becomes("it arrives with the namespace", elsewhere+"/a", func(o object) bool { return o.Data["value"] == "1" })
	grant(west, west.ns, "late", "", "secrets", "create", "patch", "delete")
	west.becomes("it arrives with the right", west.secrets()+"/s", func(o object) bool { return decode(t, o.Data["value"]) == "hidden" })
	west.well()
	east.must(http.MethodDelete, elsewhere+"/a", nil)
	west.gone(elsewhere + "/a")
}

// restrict has a node work as a service account that may do what it has to, but make no Secret.
func restrict(z *kubeZone, namespaces ...string) {
	z.t.Helper()
	z.must(http.MethodPost, "/api/v1/namespaces/"+z.ns+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "node"}})
	all := []string{"get", "list", "watch", "create", "patch", "delete"}
	grant(z, z.ns, "maps", "", "configmaps", all...)
	grant(z, z.ns, "secrets", "", "secrets", "get", "list", "watch")
	grant(z, z.ns, "peers", "dcp.hiro.io", "meshpeers", all...)
	grant(z, z.ns, "status", "dcp.hiro.io", "meshpeers/status", "patch")
	grant(z, z.ns, "lease", "coordination.k8s.io", "leases", "get", "create", "update")
	grant(z, z.ns, "events", "events.k8s.io", "events", "create", "patch")
	for _, ns := range namespaces {
		const role = "/apis/rbac.authorization.k8s.io/v1/"
		z.must(http.MethodPost, role+"clusterroles", rule(ns, "ClusterRole", "", "configmaps", all...))
		binding := binding(z.ns, ns, "ClusterRole")
		z.must(http.MethodPost, role+"clusterrolebindings", binding)
	}
	z.env = []string{"KUBECONFIG=" + z.server.KubeconfigFor(z.t, z.server.ServiceAccountToken(z.t, z.ns, "node"), z.ns)}
}

// grant gives the node's service account a right in a namespace.
func grant(z *kubeZone, ns, name, group, resource string, verbs ...string) {
	z.t.Helper()
	path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + ns + "/"
	z.must(http.MethodPost, path+"roles", rule(name, "Role", group, resource, verbs...))
	z.must(http.MethodPost, path+"rolebindings", binding(z.ns, name, "Role"))
}

func rule(name, kind, group, resource string, verbs ...string) any {
	return map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name},
		"rules": []any{map[string]any{"apiGroups": []string{group}, "resources": []string{resource}, "verbs": verbs}}}
}

func binding(ns, name, kind string) any {
	return map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind + "Binding", "metadata": map[string]any{"name": name},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": ns, "name": "node"}}}
}
