package kube

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// FuzzDiscovery reads what an API server may say of its types. What is found is of the kind that was asked for, can be
// named in a path, and is not being removed; all else is "not served", never a panic.
func FuzzDiscovery(f *testing.F) {
	for _, s := range []string{
		`{"groupVersion":"v1","resources":[{"name":"secrets","kind":"Secret","namespaced":true,"verbs":["create","delete"]},{"name":"secrets/status","kind":"Secret"}]}`,
		`{"resources":[{"name":"secrets","kind":"Secret","verbs":["delete","get"]}]}`,
		`{"resources":[{"name":"","kind":"Secret"},{"name":"/","kind":"Secret"},{"name":"../pods","kind":"Secret"}]}`,
		`{"resources":null}`,
	} {
		f.Add([]byte(s))
	}
	gv := schema.GroupVersion{Version: "v1"}
	f.Fuzz(func(t *testing.T, b []byte) {
		list := &metav1.APIResourceList{}
		if utiljson.Unmarshal(b, list) != nil {
			return
		}
		for _, e := range []*entry{{Entry: Entry{Version: "v1", Kind: "Secret"}}, {Entry: Entry{Version: "v1", Kind: "Secret", Plural: "secrets"}}} {
			s, err := find(list, e, gv)
			if err != nil {
				if !errors.Is(err, errNotServed) {
					t.Errorf("find = %v", err)
				}
				continue
			}
			if s.gvr.Resource == "" || strings.Contains(s.gvr.Resource, "/") || e.Plural != "" && s.gvr.Resource != e.Plural {
				t.Errorf("the type is %+v", s)
			}
		}
	})
}

// FuzzKubeconfig reads kubeconfigs. What is accepted names a context that stands in it, and a cluster to talk to; no
// request is sent, no program is run, and no error quotes a token.
func FuzzKubeconfig(f *testing.F) {
	for _, s := range []string{
		"apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: SECRETTOKEN}}]\n" +
			"contexts: [{name: x, context: {cluster: c, user: u, namespace: n}}]\ncurrent-context: x\n",
		`{"clusters":[{"name":"c","cluster":{"server":"::","insecure-skip-tls-verify":true}}],"contexts":[{"name":"x","context":{"cluster":"c"}}]}`,
		"contexts: [{name: x, context: {cluster: none, user: none}}]\ncurrent-context: x\n",
		"users: [{name: u, user: {exec: {command: /bin/false, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}}}]\n",
		"clusters: 7\n", "", "kind: Config\n",
	} {
		f.Add([]byte(s), "x")
	}
	dir := f.TempDir()
	f.Setenv("HOME", dir)
	file := filepath.Join(dir, "kubeconfig")
	f.Setenv("KUBECONFIG", file)
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", name} {
			c, err := Connect(Access{Context: name, Wrap: func(http.RoundTripper) http.RoundTripper { return nobody{t} }})
			if err != nil {
				if strings.Contains(err.Error(), "SECRETTOKEN") {
					t.Errorf("the error quotes the token: %v", err)
				}
				continue
			}
			if c.Config.Host == "" || c.Namespace == "" || c.Location == "" || c.InCluster {
				t.Errorf("connected to %q at %q, namespace %q", c.Config.Host, c.Location, c.Namespace)
			}
		}
	})
}

// nobody is a network that must not be used.
type nobody struct{ t *testing.T }

func (n nobody) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("it asks for %s", r.URL)
	return nil, context.Canceled
}
