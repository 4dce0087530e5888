package config_test

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
)

func TestKubernetesForms(t *testing.T) {
	t.Parallel()
	in := config.Kubernetes{InCluster: true}
	current := config.Kubernetes{External: true}
	prod := config.Kubernetes{External: true, Context: "prod"}
	context := func(name string) []config.Override {
		return []config.Override{{Key: "kubernetes.external.kube_context", Origin: "--context", Values: []string{name}}}
	}
	for _, tt := range []struct {
		text   string
		env    string
		flags  []config.Override
		want   config.Kubernetes
		origin string // of the key that names the cluster
	}{
		{"kubernetes: incluster", "", nil, in, "kubernetes.incluster file :1"},
		{"kubernetes: {incluster: true}", "", nil, in, "kubernetes.incluster file :1"},
		{"kubernetes: {incluster: false}", "", nil, config.Kubernetes{}, "kubernetes.incluster file :1"},
		{"kubernetes:\n  external: {}", "", nil, current, "kubernetes.external.kube_context file :2"},
		{"kubernetes: {external: {kube_context: \"\"}}", "", nil, current, "kubernetes.external.kube_context file :1"},
		{"kubernetes: {external: {kube_context: }}", "", nil, config.Kubernetes{}, "kubernetes.external.kube_context default"},
		{"kubernetes: {external: }", "", nil, config.Kubernetes{}, "kubernetes.external.kube_context default"},
		{"kubernetes: {external: {kube_context: prod}}", "", nil, prod, "kubernetes.external.kube_context file :1"},
		{"kubernetes: {external: {}}", "MESH_KUBERNETES__EXTERNAL__KUBE_CONTEXT=prod", nil, prod, "kubernetes.external.kube_context environment MESH_KUBERNETES__EXTERNAL__KUBE_CONTEXT"},
		{"kubernetes: {external: {kube_context: other}}", "", context("prod"), prod, "kubernetes.external.kube_context flag --context"},
		{"", "MESH_KUBERNETES__INCLUSTER=true", nil, in, "kubernetes.incluster environment MESH_KUBERNETES__INCLUSTER"},
	} {
		c := mustLoad(t, tt.text, config.Options{Environ: []string{tt.env}, Overrides: tt.flags})
		if c.Kubernetes != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.text, c.Kubernetes, tt.want)
		}
		key, origin, _ := strings.Cut(tt.origin, " ")
		if got := strings.Replace(c.Origin(key).String(), c.File, "", 1); got != origin {
			t.Errorf("%q: %s from %s, want %s", tt.text, key, got, origin)
		}
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		if again := mustLoad(t, out.String(), config.Options{}); again.Kubernetes != tt.want {
			t.Errorf("%q printed and loaded: %+v, want %+v\n%s", tt.text, again.Kubernetes, tt.want, out.String())
		}
	}
}

// One of Kubernetes without entries replicates nothing, and says so; a folder replicates everything.
func TestNoResourcesIsSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kubernetes: incluster":      "no entry of mesh.resources says what is replicated",
		"kubernetes: {external: {}}": "no entry of mesh.resources says what is replicated",
		"kubernetes: {folder: x}":    "",
		"kubernetes: incluster\nmesh: {resource: {version: v1, kind: ConfigMap}}": "",
	} {
		_, w, err := loadText(t, text, config.Options{})
		if err != nil || (want == "") != (len(w) == 0) || len(w) > 0 && !strings.Contains(string(w[0]), want) {
			t.Errorf("Load of %q = %v, warnings %q, want %q", text, err, w, want)
		}
	}
}

// Where the other cluster was named matters when it is not in the file.
func TestTwoClusters(t *testing.T) {
	t.Parallel()
	_, _, err := loadText(t, "kubernetes: {folder: x}\n", config.Options{
		Overrides: []config.Override{{Key: "kubernetes.incluster", Origin: "--incluster", Values: []string{"true"}}}})
	if want := "kubernetes.folder: kubernetes.incluster (flag --incluster) names a cluster too; a node has one"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load = %v, want %s", err, want)
	}
}

// A port-forward comes to the loopback address of a pod.
func TestAPIInsideACluster(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"kubernetes: {folder: x}": "",
		"kubernetes: incluster":   "127.0.0.1:3001",
		"kubernetes: incluster\napi: {listen: \"127.0.0.1:4001\"}":     "127.0.0.1:4001",
		"kubernetes: incluster\napi: {listen: \"unix:/run/mesh/api\"}": "unix:/run/mesh/api",
	} {
		if c := mustLoad(t, text, config.Options{}); c.API.Listen != want {
			t.Errorf("%q: api.listen = %q, want %q", text, c.API.Listen, want)
		}
	}
}

// Multicast is for networks of one's own.
func TestMDNSInsideACluster(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                         true,
		"kubernetes: {folder: x}":  true,
		"discovery: {mdns: false}": false,
		"kubernetes: incluster":    false,
		"kubernetes: incluster\ndiscovery: {mdns: true}": true,
	} {
		c := mustLoad(t, text, config.Options{})
		if c.Discovery.MDNS != want || !c.Discovery.Records {
			t.Errorf("%q: discovery = %+v, want mdns %v", text, c.Discovery, want)
		}
	}
}
