package config_test

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/mesh"
)

func TestFlow(t *testing.T) {
	t.Parallel()
	const listed = `
mesh:
  resources:
    - {version: v1, kind: ConfigMap, namespaces: [shop, kube-public]}
    - {version: v1, group: apps, kind: Deployment, direction: publish}
    - {version: v1, kind: Service, direction: subscribe}
    - {version: v1, kind: Pod}
    - {version: v1, kind: Namespace}
  resource: {version: v1, kind: Secret, merge_strategy: anyapplication}
`
	const inCluster = `
kubernetes: incluster
mesh: {resources: [{version: v1, kind: ConfigMap}, {version: v1, kind: Secret, namespaces: [mesh-system]}, {version: v1, kind: Namespace}]}
`
	tests := []struct {
		config, object string // kind.group/namespace/name
		publish, apply bool
		reason         string
	}{
		{"", "ConfigMap/shop/a", true, true, ""},
		{"", "Anything.example.com//a", true, true, ""},
		{"", "ConfigMap/kube-system/a", false, false, "namespace kube-system belongs to the cluster"},
		{"", "ConfigMap/shop/kube-root-ca.crt", false, false, "every cluster has its own"},
		{"", "Secret/shop/sh.helm.release.v1.shop.v3", false, false, "Helm keeps"},
		{"", "Pod/shop/a", false, false, "objects of kind Pod"},
		{"", "Pod.example.com/shop/a", true, true, ""},
		{"", "Lease.coordination.k8s.io/shop/a", false, false, "objects of kind Lease"},
		{"", "MeshPeer.dcp.hiro.io/shop/a", false, false, "objects of kind MeshPeer"},
		{listed, "ConfigMap/shop/a", true, true, ""},
		{listed, "ConfigMap/blog/a", false, false, "no entry of mesh.resources covers it"},
		{listed, "ConfigMap/kube-public/a", true, true, ""},
		{listed, "ConfigMap.other.example/shop/a", false, false, "no entry"},
		{listed, "Deployment.apps/any/a", true, false, "only publishes"},
		{listed, "Deployment.apps/kube-system/a", false, false, "name it under mesh.resources"},
		{listed, "Service/any/a", false, true, "only subscribes"},
		{listed, "Namespace//shop", true, true, ""},
		{listed, "Pod/shop/a", false, false, "objects of kind Pod"},
		{inCluster, "ConfigMap/mesh-system/a", false, false, "namespace mesh-system is mesh's own; name it"},
		{inCluster, "ConfigMap/shop/a", true, true, ""},
		{inCluster, "ConfigMap/default/a", true, true, ""},
		{inCluster, "Secret/mesh-system/a", true, true, ""},
		{inCluster, "Secret/shop/a", false, false, "no entry"},
		{inCluster, "Namespace//mesh-system", false, false, "mesh runs in namespace mesh-system"},
		{inCluster, "Namespace//shop", true, true, ""},
		{"kubernetes: {external: {}}", "ConfigMap/shop/a", false, false, "no entry of mesh.resources covers it"},
		{"kubernetes: {folder: x}", "ConfigMap/shop/a", true, true, ""},
		{listed, "Secret/shop/a", false, false, `merge strategy "anyapplication" is not supported`},
	}
	for _, tt := range tests {
		c := mustLoad(t, tt.config, config.Options{})
		if tt.config == inCluster {
			c.SetOwnNamespace("mesh-system")
		}
		parts := strings.Split(tt.object, "/")
		kind, group, _ := strings.Cut(parts[0], ".")
		k := mesh.ObjectKey{Group: group, Kind: kind, Namespace: parts[1], Name: parts[2]}
		if p, a := c.Publishes(k), c.Applies(k); p != tt.publish || a != tt.apply {
			t.Errorf("%s: Publishes = %v, Applies = %v, want %v, %v", k, p, a, tt.publish, tt.apply)
		}
		if got := c.Flow(k).Reason; !strings.Contains(got, tt.reason) || (got == "") != (tt.reason == "") {
			t.Errorf("%s: reason %q, want %q", k, got, tt.reason)
		}
	}
}

// Who runs mesh in the namespace default runs it among everything else.
func TestDefaultIsNobodysOwn(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "kubernetes: {incluster: true}\nmesh: {resources: [{version: v1, kind: ConfigMap}]}", config.Options{})
	c.SetOwnNamespace("default")
	if f := c.Flow(mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "a"}); !f.Publish || !f.Apply {
		t.Errorf("Flow = %+v, want both ways", f)
	}
}

func TestChoosy(t *testing.T) {
	t.Parallel()
	const text = `
kubernetes: incluster
mesh:
  resources:
    - {version: v1, kind: ConfigMap, selector: team=a}
    - {version: v1, kind: Secret, include_controlled: true}
`
	c := mustLoad(t, text, config.Options{})
	for object, want := range map[string]string{
		"ConfigMap/shop/a": "labels that match team=a, and no controller as its owner", "Secret/shop/a": "", "Service/shop/a": "",
	} {
		k, err := mesh.ParseObjectKey(object)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Choosy(k); got != want {
			t.Errorf("%s: %q, want %q", object, got, want)
		}
	}
}
