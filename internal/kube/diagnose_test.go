package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// account makes a service account with a role of the given rules, each GROUP RESOURCE VERBS, in a namespace, and connects
// as it, when the rights count.
func account(t *testing.T, s *kubetest.Server, ns, name string, rules ...string) *kube.Connection {
	t.Helper()
	post := func(path string, body any) {
		t.Helper()
		if status, answer := s.Do(t, http.MethodPost, path, body); status != http.StatusCreated {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
	}
	type object = map[string]any
	post("/api/v1/namespaces/"+ns+"/serviceaccounts", object{"metadata": object{"name": name}})
	var list []any
	for _, r := range rules {
		part := strings.Split(r, " ")
		list = append(list, object{"apiGroups": []string{part[0]}, "resources": []string{part[1]}, "verbs": strings.Split(part[2], ",")})
	}
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + ns
	post(rbac+"/roles", object{"metadata": object{"name": name}, "rules": list})
	post(rbac+"/rolebindings", object{"metadata": object{"name": name}, "roleRef": object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
		"subjects": []any{object{"kind": "ServiceAccount", "namespace": ns, "name": name}}})
	c := &kube.Connection{Namespace: ns, Location: s.Name, Config: &rest.Config{
		Host: s.URL, BearerToken: s.ServiceAccountToken(t, ns, name), QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: s.CAData}}}
	var err error
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		t.Fatal(err)
	}
	if c.Discovery, err = discovery.NewDiscoveryClientForConfig(c.Config); err != nil {
		t.Fatal(err)
	}
	if len(rules) == 0 {
		return c
	}
	part := strings.Split(rules[0], " ")
	verb, _, _ := strings.Cut(part[2], ",")
	first := []kube.Right{{Verb: verb, Group: part[0], Resource: part[1], Namespace: ns}}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // the API server learns of a role in its own time
		missing, _, err := c.Missing(t.Context(), first)
		if err == nil && len(missing) == 0 {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("the role of %s doesn't count within %s: %v, %v", name, patience, missing, err)
		}
	}
}

// The API server is asked about every verb, and what is missing is named.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	rules := []string{
		" configmaps get,list,watch,create,patch,delete",
		"apps deployments get,list,watch",
		"dcp.hiro.io meshpeers get,list,watch,create,patch", "dcp.hiro.io meshpeers/status patch",
		"coordination.k8s.io leases create,get,update", "events.k8s.io events create,patch",
	}
	full := account(t, s, ns, "full", rules...)
	lacks := account(t, s, ns, "lacks", append([]string{" configmaps get,list,watch,create,delete"}, rules[1:]...)...)
	if v, err := full.Version(t.Context()); err != nil || !strings.HasPrefix(v, "v1.") {
		t.Errorf("Version = %q, %v", v, err)
	}
	if who, err := full.Account(t.Context()); err != nil || who != "system:serviceaccount:"+ns+":full" {
		t.Errorf("Account = %q, %v", who, err)
	}
	entries := []kube.Entry{
		{Version: "v1", Kind: "ConfigMap", Namespaces: []string{ns}, Publish: true, Apply: true},
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespaces: []string{ns}, Publish: true},
	}
	needed := func(c *kube.Connection) []kube.Right {
		out := kube.OwnRights(ns, "mesh-east", false)
		for _, e := range entries {
			typ, err := c.Offered(t.Context(), e)
			if err != nil || !typ.Namespaced {
				t.Fatalf("Offered(%s) = %+v, %v", e.Kind, typ, err)
			}
			out = append(out, e.Rights(typ)...)
		}
		return out
	}
	if missing, asked, err := full.Missing(t.Context(), needed(full)); err != nil || len(missing) > 0 || asked < 20 {
		t.Errorf("with all rights: %v of %d missing, %v", missing, asked, err)
	}
	missing, _, err := lacks.Missing(t.Context(), needed(lacks))
	if err != nil || len(missing) != 1 || missing[0] != (kube.Right{Verb: "patch", Resource: "configmaps", Namespace: ns}) {
		t.Errorf("without one: %+v, %v", missing, err)
	}
	if r := missing[0]; r.What() != "configmaps" || r.Where() != "in namespace "+ns {
		t.Errorf("%s %s", r.What(), r.Where())
	}
	// Nothing was done by asking.
	if status, answer := s.Do(t, http.MethodGet, "/api/v1/namespaces/"+ns+"/configmaps", nil); status != 200 || !strings.Contains(string(answer), `"items":[]`) {
		t.Errorf("%d %s", status, answer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := full.Missing(ctx, needed(full)); err == nil || !kube.Unanswered(err) {
		t.Errorf("stopped: %v, want an error that is no answer", err)
	}
}

// Types are resolved as the adapter resolves them.
func TestOffered(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	c := account(t, s, s.Namespace(t), "anyone")
	for _, tt := range []struct {
		e    kube.Entry
		want string
	}{
		{kube.Entry{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}, "{networkpolicies true} <nil>"},
		{kube.Entry{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}, "{clusterroles false} <nil>"},
		{kube.Entry{Group: "example.org", Version: "v1", Kind: "Widget"}, "{ false} Widget.example.org in version v1 is not served by this API server"},
		{kube.Entry{Version: "v2", Kind: "ConfigMap"}, "{ false} ConfigMap in version v2 is not served by this API server"},
		{kube.Entry{Version: "v1", Kind: "ConfigMap", Status: true}, "{ false} ConfigMap has no status subresource, and the entry replicates it"},
	} {
		typ, err := c.Offered(t.Context(), tt.e)
		if got := fmt.Sprint(typ, " ", err); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.e.Kind, got, tt.want)
		}
		if strings.Contains(tt.want, "is not served") != errors.Is(err, kube.ErrNotServed) {
			t.Errorf("%s: %v is the wrong error", tt.e.Kind, err)
		}
	}
}

// The rights of an entry are those that the adapter uses, and no more.
func TestRightsOfEntries(t *testing.T) {
	t.Parallel()
	maps := kube.Type{Plural: "configmaps", Namespaced: true}
	all := func(rs []kube.Right) string {
		var out []string
		for _, r := range rs {
			s := r.Verb + " " + r.What()
			if r.Name != "" {
				s += ":" + r.Name
			}
			out = append(out, s+" "+r.Where())
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	const events = "\ncreate events.events.k8s.io in namespace shop"
	for name, tt := range map[string]struct {
		rights []kube.Right
		want   string
	}{
		"publish": {kube.Entry{Version: "v1", Kind: "ConfigMap", Namespaces: []string{"shop"}, Publish: true}.Rights(maps),
			"create events.events.k8s.io in namespace shop\nget configmaps in namespace shop\nlist configmaps in namespace shop\n" +
				"patch events.events.k8s.io in namespace shop\nwatch configmaps in namespace shop"},
		"subscribe": {kube.Entry{Version: "v1", Kind: "ConfigMap", Namespaces: []string{"shop"}, Apply: true, Status: true}.Rights(maps),
			"create configmaps in namespace shop" + events + "\ndelete configmaps in namespace shop\nget configmaps in namespace shop\nlist configmaps in namespace shop\n" +
				"patch configmaps in namespace shop\npatch configmaps/status in namespace shop\npatch events.events.k8s.io in namespace shop\nwatch configmaps in namespace shop"},
		"makes namespaces": {kube.Entry{Group: "apps", Version: "v1", Kind: "Deployment", Namespaces: []string{"shop"}, Apply: true, CreateNamespaces: true}.Rights(kube.Type{Plural: "deployments", Namespaced: true}),
			"create deployments.apps in the whole cluster\ncreate events.events.k8s.io in the whole cluster\ncreate namespaces in the whole cluster\n" +
				"delete deployments.apps in the whole cluster\nget deployments.apps in the whole cluster\nlist deployments.apps in the whole cluster\n" +
				"patch deployments.apps in the whole cluster\npatch events.events.k8s.io in the whole cluster\nwatch deployments.apps in the whole cluster"},
		"own": {kube.OwnRights("mesh", "mesh-east", true),
			"create events.events.k8s.io in namespace mesh\ncreate leases.coordination.k8s.io in namespace mesh\ncreate meshpeers.dcp.hiro.io in namespace mesh\n" +
				"get leases.coordination.k8s.io:mesh-east in namespace mesh\nget meshpeers.dcp.hiro.io in namespace mesh\nlist meshpeers.dcp.hiro.io in namespace mesh\n" +
				"patch events.events.k8s.io in namespace mesh\npatch meshpeers.dcp.hiro.io in namespace mesh\npatch meshpeers.dcp.hiro.io/status in namespace mesh\n" +
				"patch pods in namespace mesh\nupdate leases.coordination.k8s.io:mesh-east in namespace mesh\nwatch meshpeers.dcp.hiro.io in namespace mesh"},
	} {
		if got := all(tt.rights); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}
