package charttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// without returns a change of what is rendered that takes one verb on a resource (GROUP/RESOURCE) away, in the roles of
// one namespace, or with * in the ClusterRole. taken counts how often it did.
func without(namespace, resource, verb string, taken *int) func(object) {
	return func(o object) {
		place := o.str("metadata", "namespace")
		if o.kind() == "ClusterRole" {
			place = "*"
		}
		if !strings.HasSuffix(o.kind(), "Role") || place != namespace || o.str("metadata", "labels", "app.kubernetes.io/component") != "" {
			return
		}
		o["rules"] = slices.DeleteFunc(o.at("rules").([]any), func(r any) bool {
			rule := r.(map[string]any)
			if resource != texts(rule["apiGroups"])[0]+"/"+texts(rule["resources"])[0] {
				return false
			}
			verbs := texts(rule["verbs"])
			n := slices.Index(verbs, verb)
			if n < 0 {
				return false
			}
			*taken++
			rule["verbs"] = slices.Delete(verbs, n, n+1)
			return len(verbs) == 1 // one that allows nothing is invalid
		})
	}
}

// lacks waits until the node was refused a request.
func (i *installation) lacks(right string) {
	i.t.Helper()
	eventually(i.t, "the node is refused "+right, func() error {
		if got := i.forbidden(); !slices.Contains(got, right) {
			return fmt.Errorf("it was refused only %q", got)
		}
		return nil
	})
}

// A release that lacks one verb in each of its namespaces says which, and goes on with everything that it may.
func TestWithoutARightOnObjects(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	verbs := []string{"get", "list", "watch", "create", "patch", "delete"}
	ns := places(t, east, west, append([]string{"all", "events-create", "events-patch"}, verbs...)...)
	var uses []use
	var entries []string
	var alter []func(object)
	taken := 0
	for _, verb := range append([]string{"all", "events-create", "events-patch"}, verbs...) {
		place := ns + "-" + verb
		uses = append(uses, use{kind: configMapKind, ns: place})
		entries = append(entries, "{version: v1, kind: ConfigMap, namespaces: ["+place+"]}")
		if event, ok := strings.CutPrefix(verb, "events-"); ok {
			alter = append(alter, without(place, "events.k8s.io/events", event, &taken))
		} else if verb != "all" {
			alter = append(alter, without(place, "/configmaps", verb, &taken))
		}
	}
	o := newOther(t, west, ns, bothWays(uses))
	i, ok := install(t, east, ns, fmt.Sprintf("mesh: {zone: east, nodes: [%s], resources: [%s]}", encode(t, o.entry()), strings.Join(entries, ", ")), alter...)
	if !ok {
		return
	}
	if taken != len(alter) {
		t.Fatalf("%d rights were taken away, want %d", taken, len(alter))
	}
	o.knows(i)
	for _, u := range uses {
		u.create(t, west, u.ns, "stays", "1")
		u.create(t, west, u.ns, "goes", "1")
		u.create(t, east, u.ns, "ours", "1")
	}
	at := func(verb string) string { return ns + "-" + verb }
	const bystanders = 60 // or so many deletions, each of them counted whenever it is tried, would be held by the brake
	for n := range bystanders {
		configMapKind.create(t, west, at("all"), fmt.Sprint("bystander-", n), "1")
	}
	o.start()
	i.startPod("one")
	complains := func(verb string) {
		i.shows("one", "Forbidden", at(verb))
		i.lacks(at(verb) + " /configmaps " + verb)
	}
	complains("list")
	complains("watch")
	complains("create")
	for _, place := range []string{"all", "get", "patch", "delete", "events-create", "events-patch"} {
		configMapKind.comes(t, east, at(place), "stays", "1")
		configMapKind.comes(t, east, at(place), "goes", "1")
		configMapKind.comes(t, west, at(place), "ours", "1")
	}
	for n := range bystanders {
		configMapKind.comes(t, east, at("all"), fmt.Sprint("bystander-", n), "1")
	}
	// Only then is there something to change and to delete.
	for _, u := range uses {
		u.set(t, west, u.ns, "stays", "2")
		u.remove(t, west, u.ns, "goes")
		u.remove(t, east, u.ns, "ours")
	}
	complains("patch")
	complains("delete")
	complains("get") // whether it is gone can't be told
	for _, place := range []string{"all", "events-create", "events-patch"} {
		configMapKind.comes(t, east, at(place), "stays", "2")
		configMapKind.comes(t, east, at(place), "goes", "")
		configMapKind.comes(t, west, at(place), "ours", "")
	}
	configMapKind.comes(t, east, at("create"), "ours", "") // it was deleted by whoever made it
	configMapKind.comes(t, west, at("create"), "ours", "")
	if err := configMapKind.has(t, west, at("get"), "ours", "1"); err != nil {
		t.Errorf("a deletion that is not proven went out: %v", err)
	}
	for _, event := range []string{"create", "patch"} {
		for range 2 {
			configMapKind.set(t, west, at("events-"+event), "stays", "refused")
			i.shows("one", at("events-"+event), "ApplyRejected")
			configMapKind.set(t, west, at("events-"+event), "stays", "good")
			configMapKind.comes(t, east, at("events-"+event), "stays", "good")
			i.showsNoMore("one", at("events-"+event), "ApplyRejected") // or the next refusal might seem to be there
			if event == "create" {
				break
			}
		}
		i.lacks(at("events-"+event) + " events.k8s.io/events " + event)
	}
	if !strings.Contains(i.pods["one"].said(t), "this account may not write Kubernetes Events") {
		t.Error("that Events are forbidden is not in the log")
	}
	configMapKind.set(t, west, at("all"), "stays", "3") // and all the rest goes on
	configMapKind.comes(t, east, at("all"), "stays", "3")
}

// What the node needs for itself: without any one verb it complains, and shows which.
func TestWithoutARightOfItsOwn(t *testing.T) {
	t.Parallel()
	east, _ := clusters(t)
	const peers, leases, pods = "dcp.hiro.io/meshpeers", "coordination.k8s.io/leases", "/pods"
	for _, tt := range []struct {
		resource, verb string
		words          []string // of one complaint in mesh status
		logged         string   // where it is only logged
	}{
		{resource: peers, verb: "list", words: []string{"Forbidden", "cannot list"}},
		{resource: peers, verb: "watch", words: []string{"Forbidden", "cannot watch"}},
		{resource: peers, verb: "create", words: []string{"Forbidden", "cannot create"}},
		{resource: peers, verb: "get", words: []string{"Forbidden", "cannot get"}},
		{resource: peers, verb: "patch", words: []string{"cannot patch"}},
		{resource: peers + "/status", verb: "patch", words: []string{"Forbidden", "cannot patch"}},
		{resource: leases, verb: "create", words: []string{"cluster.lease", "cannot create"}},
		{resource: leases, verb: "get", words: []string{"cluster.lease", "cannot get"}},
		{resource: leases, verb: "update", words: []string{"cluster.lease", "cannot update"}},
		{resource: pods, verb: "patch", logged: "the pod is not marked"},
		{resource: "events.k8s.io/events", verb: "create", logged: "this account may not write Kubernetes Events"},
	} {
		t.Run(strings.ReplaceAll(strings.Trim(tt.resource, "/"), "/", "-")+"-"+tt.verb, func(t *testing.T) {
			t.Parallel()
			ns := east.Namespace(t)
			taken := 0
			replicas := 1
			if tt.resource == pods {
				replicas = 2
			}
			i, ok := install(t, east, ns, fmt.Sprintf(`{mesh: {zone: east, nodes: [{public_key: %s, zone: west}]}, replicaCount: %d, persistence: {enabled: %t},
				privateKey: {value: %s}}`, somePeer, replicas, replicas == 1, someKey), without(ns, tt.resource, tt.verb, &taken))
			if !ok {
				return
			}
			if taken != 1 {
				t.Fatalf("%d rights were taken away, want 1", taken)
			}
			right := ns + " " + tt.resource + " " + tt.verb
			makePods(i, "one")
			switch {
			case tt.resource == leases && tt.verb == "update": // somebody led before
				i.apply([]string{`{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"mesh-east","namespace":"` + ns + `"},"spec":{"holderIdentity":""}}`})
			case tt.resource == peers && tt.verb == "patch": // the node was here before
				i.startPod("before")
				eventually(t, "it has a MeshPeer", func() error {
					if out := i.server.Kubectl(t, "-n", ns, "get", "meshpeers", "-o", "name"); !strings.Contains(out, "/peer-"+i.public[:8]) {
						return errors.New(out)
					}
					return nil
				})
				i.pods["before"].stop(t)
			}
			i.startPod("one")
			if tt.resource == peers && tt.verb == "get" {
				admit(i, "third", otherPeer)
				eventually(t, "it is admitted", func() error { return knows(i, "one", otherPeer) })
				i.server.Kubectl(t, "-n", ns, "delete", "meshpeer", "third")
			}
			i.lacks(right)
			if len(tt.words) > 0 {
				i.shows("one", tt.words...)
			} else {
				eventually(t, "it is logged", func() error {
					if text := i.pods["one"].said(t); !strings.Contains(text, tt.logged) {
						return errors.New("it is not")
					}
					return nil
				})
			}
		})
	}
}

// withoutClusterRights is part of a test that has a cluster for itself: the installation works, and is stopped. Without
// the rights to make the definition of MeshPeer and a namespace the node complains, and with them goes on.
func withoutClusterRights(t *testing.T, i *installation, o *other, newNamespace string) {
	t.Helper()
	const definitions = "apiextensions.k8s.io/customresourcedefinitions"
	all := i.all
	role := func() object {
		return only(t, objects(t, encode(t, only(t, all, "ClusterRole", i.ns+"-"+nodeName(all)))), "ClusterRole", i.ns+"-"+nodeName(all))
	}
	for _, lacking := range []string{"get", "create"} {
		taken := 0
		fewer := role()
		without("*", definitions, lacking, &taken)(fewer)
		without("*", "/namespaces", "create", &taken)(fewer)
		if taken != 2 {
			t.Fatalf("%d rights were taken away, want 2", taken)
		}
		i.apply([]string{encode(t, fewer)})
		i.server.Kubectl(t, "delete", "crd", "meshpeers.dcp.hiro.io", "--ignore-not-found")
		pod := "without-" + lacking
		i.startPod(pod)
		i.lacks(" " + definitions + " " + lacking)
		i.shows(pod, "MeshPeersNotServed", "cannot "+lacking)
		if lacking == "get" {
			i.pods[pod].stop(t)
			continue
		}
		configMapKind.create(t, o.server, newNamespace, "new", "1")
		i.shows(pod, "Forbidden", "create namespace "+newNamespace)
		i.apply([]string{encode(t, role())})
		configMapKind.comes(t, i.server, newNamespace, "new", "1")
		eventually(t, "MeshPeers are served again", func() error { // with all that they held gone, which the node says
			_, errs, err := i.server.TryKubectl(t, "-n", i.ns, "get", "meshpeers", "peer-"+i.public[:8])
			if err != nil {
				return errors.New(errs)
			}
			return nil
		})
		i.pods[pod].stop(t)
	}
}

// Public keys of nodes that are never there.
const (
	somePeer  = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	otherPeer = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
)
