package charttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// grants are the rights of the node's service account, each as NAMESPACE GROUP/RESOURCE[:NAME] VERB; the namespace is
// * where it holds in the whole cluster.
type grants map[string]bool

func (g grants) add(namespace, group, resource, name string, verbs ...string) {
	for _, v := range verbs {
		right := fmt.Sprintf("%s %s/%s", namespace, group, resource)
		if name != "" {
			right += ":" + name
		}
		g[right+" "+v] = true
	}
}

// entry is one of mesh.resources, or the single mesh.resource.
type entry struct {
	Group, Kind, Namespace, Direction string
	Plural                            string
	Namespaces                        []string
	Status                            bool
	CreateNamespaces                  bool `yaml:"create_namespaces"`
}

// plurals are those that the values under ci need.
var plurals = map[string]string{
	"ConfigMap": "configmaps", "Secret": "secrets", "Deployment": "deployments", "Ingress": "ingresses", "Widget": "widgets",
	"NetworkPolicy": "networkpolicies", "CronJob": "cronjobs", "Gizmo": "gizmoes", "ClusterRole": "clusterroles",
}

// needed is what a node with these objects around it asks of the API server, worked out a second time: from what the
// node does rather than from what the templates say.
func needed(t *testing.T, all []object) grants {
	t.Helper()
	deployment := only(t, all, "Deployment", nodeName(all))
	var config struct {
		Kubernetes struct{ Namespace string }
		Mesh       struct {
			Zone      string
			Resources []entry
			Resource  *entry
		}
	}
	text := only(t, all, "ConfigMap", deployment.name()+"-config").str("data", "config.yaml")
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	own := namespace
	if config.Kubernetes.Namespace != "" {
		own = config.Kubernetes.Namespace
	}
	g := grants{}
	g.add(own, "dcp.hiro.io", "meshpeers", "", "get", "list", "watch", "create", "patch")
	g.add(own, "dcp.hiro.io", "meshpeers/status", "", "patch")
	g.add(own, "coordination.k8s.io", "leases", "", "create") // a name is no part of a request to create
	g.add(own, "coordination.k8s.io", "leases", "mesh-"+config.Mesh.Zone, "get", "update")
	if replicas, _ := deployment.at("spec", "replicas").(int); replicas > 1 {
		g.add(own, "", "pods", "", "patch")
	}
	if !slices.ContainsFunc(all, func(o object) bool { return o.kind() == "CustomResourceDefinition" }) {
		g.add("*", "apiextensions.k8s.io", "customresourcedefinitions", "", "create")
		g.add("*", "apiextensions.k8s.io", "customresourcedefinitions", "meshpeers.dcp.hiro.io", "get", "patch")
	}
	entries := config.Mesh.Resources
	if e := config.Mesh.Resource; e != nil {
		if e.Namespace != "" {
			e.Namespaces = []string{e.Namespace}
		}
		entries = append(entries, *e)
	}
	events := map[string]bool{own: true}
	for _, e := range entries {
		verbs := []string{"get", "list", "watch"}
		in := e.Direction != "publish"
		if in {
			verbs = append(verbs, "create", "patch", "delete")
		}
		places := e.Namespaces
		if len(places) == 0 || in && e.CreateNamespaces {
			places = []string{"*"}
		}
		for _, ns := range places {
			events[ns] = true
			g.add(ns, e.Group, plurals[e.Kind], "", verbs...)
			if in && e.Status {
				g.add(ns, e.Group, plurals[e.Kind]+"/status", "", "patch")
			}
		}
		if in && e.CreateNamespaces {
			g.add("*", "", "namespaces", "", "create")
		}
	}
	if events["*"] {
		events = map[string]bool{"*": true}
	}
	for ns := range events {
		g.add(ns, "events.k8s.io", "events", "", "create", "patch")
	}
	return g
}

// nodeName is that of the one Deployment.
func nodeName(all []object) string {
	i := slices.IndexFunc(all, func(o object) bool { return o.kind() == "Deployment" })
	return all[i].name()
}

// granted is what the rendered bindings give to a service account.
func granted(t *testing.T, all []object, account string) grants {
	t.Helper()
	of := only(t, all, "Deployment", nodeName(all))
	g := grants{}
	for _, b := range all {
		cluster, isBinding := strings.CutSuffix(b.kind(), "RoleBinding")
		if !isBinding {
			continue
		}
		subjects, _ := b.at("subjects").([]any)
		if len(subjects) != 1 {
			t.Errorf("%s %s has %d subjects, want 1", b.kind(), b.name(), len(subjects))
			continue
		}
		subject := object(subjects[0].(map[string]any))
		if subject.str("kind") != "ServiceAccount" || subject.str("namespace") != of.str("metadata", "namespace") {
			t.Errorf("%s %s binds %v", b.kind(), b.name(), subject)
		}
		if subject.str("name") != account {
			continue
		}
		place := b.str("metadata", "namespace")
		if cluster != "" {
			place = "*"
		}
		i := slices.IndexFunc(all, func(o object) bool {
			return o.kind() == b.str("roleRef", "kind") && o.name() == b.str("roleRef", "name") && o.str("metadata", "namespace") == b.str("metadata", "namespace")
		})
		if i < 0 {
			t.Errorf("%s %s refers to no role", b.kind(), b.name())
			continue
		}
		for _, r := range all[i].at("rules").([]any) {
			rule := object(r.(map[string]any))
			names := texts(rule.at("resourceNames"))
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range texts(rule.at("apiGroups")) {
				for _, resource := range texts(rule.at("resources")) {
					for _, name := range names {
						for _, verb := range texts(rule.at("verbs")) {
							before := len(g)
							if g.add(place, group, resource, name, verb); len(g) == before {
								t.Errorf("%s %s gives %s on %s/%s twice", all[i].kind(), all[i].name(), verb, group, resource)
							}
						}
					}
				}
			}
		}
	}
	return g
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		s, _ := e.(string)
		out = append(out, s)
	}
	return out
}

// compare names every right too many and too few.
func (want grants) compare(t *testing.T, got grants) {
	t.Helper()
	for _, right := range slices.Sorted(maps.Keys(want)) {
		if !got[right] {
			t.Errorf("missing: %s", right)
		}
	}
	for _, right := range slices.Sorted(maps.Keys(got)) {
		if !want[right] {
			t.Errorf("not needed: %s", right)
		}
		if strings.Contains(right[1:], "*") {
			t.Errorf("a wildcard: %s", right)
		}
	}
}

func TestRBACIsWhatTheConfigNeeds(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := objects(t, render(t, "-f", file))
			account := only(t, all, "Deployment", nodeName(all)).str("spec", "template", "spec", "serviceAccountName")
			want := needed(t, all)
			if account == "somebody" { // rbac.create is off
				want = grants{}
			}
			want.compare(t, granted(t, all, account))
		})
	}
}

// The Job that makes the key may look at and make that Secret, and nothing else.
func TestRBACOfTheKeygenJob(t *testing.T) {
	t.Parallel()
	all := objects(t, render(t))
	want := grants{}
	want.add(namespace, "", "secrets", "", "create")
	want.add(namespace, "", "secrets", "mesh-key", "get")
	job := only(t, all, "Job", nodeName(all)+"-keygen")
	want.compare(t, granted(t, all, job.str("spec", "template", "spec", "serviceAccountName")))
}

// What people get through the ClusterRoles view and admin.
func TestRBACOfPeople(t *testing.T) {
	t.Parallel()
	all := objects(t, render(t))
	for name, tt := range map[string]struct{ label, rules string }{
		"view":     {"aggregate-to-view", "dcp.hiro.io/meshpeers get,list,watch"},
		"operator": {"aggregate-to-admin", "dcp.hiro.io/meshpeers get,list,watch; /pods get,list; /pods/portforward get,create"},
	} {
		role := only(t, all, "ClusterRole", namespace+"-"+nodeName(all)+"-"+name)
		if role.str("metadata", "labels", "rbac.authorization.k8s.io/"+tt.label) != "true" {
			t.Errorf("%s has no label %s", role.name(), tt.label)
		}
		var rules []string
		for _, r := range role.at("rules").([]any) {
			rule := object(r.(map[string]any))
			rules = append(rules, strings.Join(texts(rule.at("apiGroups")), ",")+"/"+strings.Join(texts(rule.at("resources")), ",")+" "+strings.Join(texts(rule.at("verbs")), ","))
		}
		if got := strings.Join(rules, "; "); got != tt.rules {
			t.Errorf("%s: %s, want %s", role.name(), got, tt.rules)
		}
	}
}

// The plurals that the chart works out offline are those of the API.
func TestPlurals(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"ConfigMap": "configmaps", "Ingress": "ingresses", "NetworkPolicy": "networkpolicies", "Gateway": "gateways",
		"StorageClass": "storageclasses", "Prefix": "prefixes", "AnyApplication": "anyapplications", "Mesh": "meshes",
	} {
		all := objects(t, render(t, "--set", "mesh.resources[0].version=v1,mesh.resources[0].kind="+kind))
		if g := granted(t, all, nodeName(all)); !g["* /"+want+" list"] {
			t.Errorf("%s: no right to list %s among %v", kind, want, slices.Sorted(maps.Keys(g)))
		}
	}
}
