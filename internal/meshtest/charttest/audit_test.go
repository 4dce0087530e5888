package charttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// request is a line of the audit log.
type request struct {
	Verb        string
	User        struct{ Username string }
	ObjectRef   struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	Annotations map[string]string
}

func (r request) resource() string {
	if r.ObjectRef.Subresource != "" {
		return r.ObjectRef.Resource + "/" + r.ObjectRef.Subresource
	}
	return r.ObjectRef.Resource
}

// right is what the request takes, as grants name it, in a namespace and perhaps for one name.
func (r request) right(namespace, name string) string {
	g := grants{}
	g.add(namespace, r.ObjectRef.APIGroup, r.resource(), name, r.Verb)
	return slices.Collect(maps.Keys(g))[0]
}

// requests are those for objects that the node of an installation made and that have ended: a watch when it did.
func (i *installation) requests() []request {
	i.t.Helper()
	text, err := os.ReadFile(i.server.AuditLog)
	if err != nil {
		i.t.Fatal(err)
	}
	account := "system:serviceaccount:" + i.ns + ":" + podOf(i.deployment()).str("spec", "serviceAccountName")
	var all []request
	for line := range strings.Lines(string(text)) {
		var r request
		if !strings.HasSuffix(line, "\n") || !strings.Contains(line, account) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			i.t.Fatal(err)
		}
		if r.User.Username == account && r.ObjectRef.Resource != "" {
			all = append(all, r)
		}
	}
	return all
}

// unused returns the rights of the service account that no request took. One that holds in the whole cluster is used
// by requests wherever they go: which ones have to hold there, TestRBACIsWhatTheConfigNeeds says.
func (i *installation) unused() []string {
	i.t.Helper()
	left := granted(i.t, i.all, podOf(i.deployment()).str("spec", "serviceAccountName"))
	for _, r := range i.requests() {
		if r.Annotations["authorization.k8s.io/decision"] != "allow" {
			continue
		}
		for _, ns := range []string{r.ObjectRef.Namespace, "*"} {
			delete(left, r.right(ns, ""))
			delete(left, r.right(ns, r.ObjectRef.Name))
		}
	}
	return slices.Sorted(maps.Keys(left))
}

// forbidden returns what the node asked for and was not allowed to, once each.
func (i *installation) forbidden() []string {
	i.t.Helper()
	all := map[string]bool{}
	for _, r := range i.requests() {
		if r.Annotations["authorization.k8s.io/decision"] != "allow" {
			all[r.right(r.ObjectRef.Namespace, "")] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// usesItsRights stops nothing and starts nothing: the pods have ended. Every right that the chart gives was used, and
// none was missing.
func (i *installation) usesItsRights(t *testing.T) {
	t.Helper()
	eventually(t, "every right of the chart is used", func() error {
		if left := i.unused(); len(left) > 0 {
			return fmt.Errorf("not used:\n%s", strings.Join(left, "\n"))
		}
		return nil
	})
	i.wantsNoMore(t)
}

// wantsNoMore finds no right missing but that to look at the definition of MeshPeer: by that the node learns that it is
// not to keep it.
func (i *installation) wantsNoMore(t *testing.T) {
	t.Helper()
	var want []string
	if slices.ContainsFunc(i.all, func(o object) bool { return o.kind() == "CustomResourceDefinition" }) {
		want = []string{" apiextensions.k8s.io/customresourcedefinitions get"}
	}
	if got := i.forbidden(); !slices.Equal(got, want) {
		t.Errorf("the node was refused\n%s", strings.Join(got, "\n"))
	}
}
