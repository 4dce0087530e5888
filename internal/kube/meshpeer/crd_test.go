package meshpeer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
)

const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// The definition is made, upgraded from that of earlier releases, repaired, and never downgraded.
func TestInstall(t *testing.T) {
	t.Parallel()
	s := own(t)
	conn := connect(t, s, s.Token, "default")
	run := func(token string) (bool, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return meshpeer.Install(ctx, connect(t, s, token, "default"))
	}
	want := func(changed bool) {
		t.Helper()
		if got, err := run(s.Token); err != nil || got != changed {
			t.Fatalf("Install = %t, %v; want %t", got, err, changed)
		}
	}
	limited := s.UserToken(t, "limited")
	if err := meshpeer.Served(t.Context(), conn); !errors.Is(err, meshpeer.ErrNotServed) {
		t.Errorf("Served before: %v", err)
	}
	if _, err := run(limited); !errors.Is(err, meshpeer.ErrForbidden) {
		t.Errorf("Install without rights: %v", err)
	}

	// The definition of earlier releases, as a chart of somebody else installed it, with an object.
	status, body := s.Do(t, "POST", crdPath, `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
		"metadata":{"name":"meshpeers.dcp.hiro.io","labels":{"app.kubernetes.io/managed-by":"Helm"},
			"annotations":{"meta.helm.sh/release-name":"mesh"}},
		"spec":{"group":"dcp.hiro.io","scope":"Namespaced","names":{"kind":"MeshPeer","plural":"meshpeers","singular":"meshpeer","shortNames":["meshpeer"]},
			"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
				"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`)
	if status != 201 {
		t.Fatalf("create the old definition: %d %s", status, body)
	}
	f := &fixture{t: t, s: s, ns: "default"}
	eventually(t, func() string {
		if status, body := s.Do(t, "POST", path("default"), original(key("west").String())); status != 201 {
			return string(body)
		}
		return ""
	})
	want(true)
	want(false)
	meta := func() (m struct{ Labels, Annotations map[string]string }) {
		t.Helper()
		var crd struct {
			Metadata struct{ Labels, Annotations map[string]string }
		}
		f.get(crdPath+"/meshpeers.dcp.hiro.io", &crd)
		m.Labels, m.Annotations = crd.Metadata.Labels, crd.Metadata.Annotations
		return m
	}
	if m := meta(); m.Labels["app.kubernetes.io/managed-by"] != "Helm" || m.Annotations["meta.helm.sh/release-name"] != "mesh" ||
		m.Annotations["dcp.hiro.io/crd-version"] == "" {
		t.Errorf("after the upgrade: %+v", m)
	}
	eventually(t, func() string { // an API server that takes a new definition in may not answer for a moment
		if n := len(f.list()); n != 1 {
			return fmt.Sprintf("%d objects after the upgrade, want 1", n)
		}
		return ""
	})

	alter := func(patch string) {
		t.Helper()
		if status, body := s.Do(t, "PATCH", crdPath+"/meshpeers.dcp.hiro.io", patch); status != 200 {
			t.Fatalf("alter: %d %s", status, body)
		}
	}
	alter(`{"spec":{"names":{"categories":["all"]}}}`)
	want(true)
	alter(`{"metadata":{"annotations":{"dcp.hiro.io/crd-version":"99"}},"spec":{"names":{"categories":["all"]}}}`)
	want(false)
	if v := meta().Annotations["dcp.hiro.io/crd-version"]; v != "99" {
		t.Errorf("a newer definition was downgraded to %s", v)
	}
	if _, err := run(limited); !errors.Is(err, meshpeer.ErrForbidden) {
		t.Errorf("Install without rights: %v", err)
	}
	if err := meshpeer.Served(t.Context(), connect(t, s, limited, "default")); err != nil {
		t.Errorf("Served: %v", err)
	}
}

// The file is what a chart can ship: the API server takes it as it is.
func TestCRD(t *testing.T) {
	t.Parallel()
	b := meshpeer.CRD()
	if !strings.HasPrefix(string(b), "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n") {
		t.Errorf("CRD begins with %.80q", b)
	}
	b[0] = 'x'
	if meshpeer.CRD()[0] == 'x' {
		t.Error("CRD hands out its own bytes")
	}
}

// One verb less ends in a problem that says so; everything else goes on.
func TestVerbsMissing(t *testing.T) {
	t.Parallel()
	s := server(t)
	all := map[string][]string{"meshpeers": {"get", "list", "watch", "create", "patch"}, "meshpeers/status": {"patch"}}
	grant := func(t *testing.T, ns, resource, verb string) {
		t.Helper()
		var rules []any
		for r, verbs := range all {
			var left []string
			for _, v := range verbs {
				if r != resource || v != verb {
					left = append(left, v)
				}
			}
			if len(left) == 0 {
				continue
			}
			rules = append(rules, map[string]any{"apiGroups": []string{"dcp.hiro.io"}, "resources": []string{r}, "verbs": left})
		}
		const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/"
		for kind, body := range map[string]any{
			"roles": map[string]any{"metadata": map[string]any{"name": "mesh"}, "rules": rules},
			"rolebindings": map[string]any{"metadata": map[string]any{"name": "mesh"},
				"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mesh"},
				"subjects": []any{map[string]any{"kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}}},
		} {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := s.Do(t, "POST", rbac+ns+"/"+kind, text); status != 201 {
				t.Fatalf("create %s: %d %s", kind, status, answer)
			}
		}
	}
	west := key("west")
	for _, tt := range []struct{ resource, verb string }{
		{"", ""}, {"meshpeers", "list"}, {"meshpeers", "watch"}, {"meshpeers", "create"}, {"meshpeers/status", "patch"},
	} {
		t.Run(strings.ReplaceAll(fmt.Sprint("no ", tt.verb, " ", tt.resource), "/", "-"), func(t *testing.T) {
			t.Parallel()
			ns := s.Namespace(t)
			grant(t, ns, tt.resource, tt.verb)
			f := &fixture{t: t, s: s, ns: ns}
			f.create(manifest("my-west", west, `"admitted":true,`))
			eventually(t, func() string { // RBAC takes a moment to be known
				last := "/namespaces/" + ns + "/meshpeers/my-west"
				if status, body := s.As(s.UserToken(t, "limited")).Do(t, "GET", "/apis/dcp.hiro.io/v1"+last, nil); status != 200 {
					return string(body)
				}
				return ""
			})
			f = start(t, s, ns, s.UserToken(t, "limited"))
			if tt.verb != "" {
				f.problem("Forbidden")
			}
			if tt.verb != "list" {
				f.admits(west)
			}
			if tt.verb == "" || tt.verb == "watch" {
				f.wants(west, "Unknown", "Unknown/NotHeardYet")
			}
			if _, _, _, err := f.keeper.ReadWitness(t.Context()); (err == nil) != (tt.verb != "list" && tt.verb != "create") {
				t.Errorf("ReadWitness: %v", err)
			}
		})
	}
}
