package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// write makes a file and returns its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return p
}

// works asks the API server for something that only who is known may read.
func works(t *testing.T, c *kube.Connection) {
	t.Helper()
	if _, err := c.Dynamic.Resource(namespaces).Get(context.Background(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// Credentials may come from a program that the kubeconfig names, as those of cloud providers do.
func TestExecPlugin(t *testing.T) {
	s := kubetest.Shared(t)
	plugin := write(t, "credentials", fmt.Sprintf(`#!/bin/sh
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'
`, s.Token), 0o700)
	ca := write(t, "ca.crt", string(s.CAData), 0o600)
	t.Setenv("KUBECONFIG", write(t, "kubeconfig", fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, s.URL, ca, plugin), 0o600))
	c, err := kube.Connect(kube.Access{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Location != "x" || c.Namespace != "default" {
		t.Errorf("location %q, namespace %q", c.Location, c.Namespace)
	}
	works(t, c)
}

// The context may stand in any of the files that KUBECONFIG names. One that stands in none is no other.
func TestContexts(t *testing.T) {
	s := kubetest.Shared(t)
	empty := write(t, "other", "apiVersion: v1\nkind: Config\ncontexts: [{name: elsewhere, context: {cluster: none, user: none}}]\ncurrent-context: elsewhere\n", 0o600)
	t.Setenv("KUBECONFIG", empty+string(filepath.ListSeparator)+s.Kubeconfig(t))
	c, err := kube.Connect(kube.Access{Context: s.Name, Namespace: "mesh"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Location != s.Name || c.Namespace != "mesh" {
		t.Errorf("location %q, namespace %q", c.Location, c.Namespace)
	}
	works(t, c)
	if _, err := kube.Connect(kube.Access{Context: "nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("an unknown context: %v", err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "missing"))
	t.Setenv("HOME", t.TempDir())
	if _, err := kube.Connect(kube.Access{}); !errors.Is(err, kube.ErrNoKubeconfig) {
		t.Errorf("no kubeconfig: %v", err)
	}
	if _, err := kube.Connect(kube.Access{InCluster: true}); !errors.Is(err, kube.ErrNotInPod) {
		t.Errorf("not in a pod: %v", err)
	}
}
