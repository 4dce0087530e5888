package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// TestAllow reads rules and asks them about objects.
func TestAllow(t *testing.T) {
	t.Parallel()
	key := func(s string) mesh.ObjectKey {
		parts := strings.Split(s, "/")
		kind, group, _ := strings.Cut(parts[0], ".")
		return mesh.ObjectKey{Group: group, Kind: kind, Namespace: parts[1], Name: parts[2]}
	}
	for _, tt := range []struct{ rule, allowed, refused string }{
		{"", "ConfigMap/shop/a Anything.example.com//a", ""},
		{"allow:", "ConfigMap/shop/a", ""},
		{"allow: {}", "ConfigMap/shop/a Anything.example.com//a", ""},
		{"allow: {resources: [ConfigMap, Deployment.apps, ConfigMap]}", "ConfigMap/shop/a Deployment.apps/any/b ConfigMap//a", "Deployment/any/b ConfigMap.apps/shop/a Secret/shop/a"},
		{"allow: {namespaces: [shop, blog]}", "ConfigMap/shop/a Secret/blog/a", "ConfigMap/other/a ClusterRole.rbac.authorization.k8s.io//a"},
		{"allow: {resources: [ConfigMap], namespaces: [shop]}", "ConfigMap/shop/a", "ConfigMap/blog/a Secret/shop/a"},
		{"allow: {resources: []}", "", "ConfigMap/shop/a"},
		{"allow: {namespaces: []}", "", "ConfigMap/shop/a Namespace//a"},
		{"allow: {resources: , namespaces: [shop]}", "Secret/shop/a", "Secret/blog/a"},
	} {
		text := "nodes:\n  - public_key: " + key1 + "\n    " + tt.rule + "\n"
		c := mustLoad(t, text, config.Options{})
		for _, s := range strings.Fields(tt.allowed) {
			if !c.Nodes[0].Allow.Allows(key(s)) {
				t.Errorf("%q refuses %s", tt.rule, s)
			}
		}
		for _, s := range strings.Fields(tt.refused) {
			if c.Nodes[0].Allow.Allows(key(s)) {
				t.Errorf("%q allows %s", tt.rule, s)
			}
		}
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		if again := mustLoad(t, out.String(), config.Options{}); !again.Nodes[0].Allow.Equal(c.Nodes[0].Allow) {
			t.Errorf("%q is printed as\n%s", tt.rule, out.String())
		}
	}
}

// A changed rule is a change of nodes, which needs no restart.
func TestAllowIsReloaded(t *testing.T) {
	t.Parallel()
	load := func(rule string) *config.Config {
		return mustLoad(t, "nodes: [{public_key: "+key1+rule+"}]\n", config.Options{})
	}
	reload, restart := config.Changes(load(", allow: {namespaces: [a]}"), load(", allow: {namespaces: [b]}"))
	if fmt.Sprint(reload, restart) != "[nodes] []" {
		t.Errorf("Changes = %v, %v, want only nodes", reload, restart)
	}
}

// One list may serve all nodes, but no node calls itself by another zone, or another one by its own.
func TestOwnEntry(t *testing.T) {
	t.Parallel()
	own, err := keys.ParsePublic(key2)
	if err != nil {
		t.Fatal(err)
	}
	const one = "mesh: {zone: east}\nnodes:\n  - {public_key: " + key1 + ", zone: %s}\n  - {public_key: " + key2 + ", zone: %s, allow: {resources: [Secret]}}\n"
	for _, tt := range []struct{ first, second, want string }{
		{"west", "east", ""},
		{"west", "north", `nodes[1].zone: this is the entry of this node itself, whose zone is "east" (mesh.zone)`},
		{"east", "north", `nodes[0].zone: "east" is the zone of this node itself (mesh.zone)`},
	} {
		err := mustLoad(t, fmt.Sprintf(one, tt.first, tt.second), config.Options{}).CheckOwnKey(own)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("zones %s and %s: %v, want %q", tt.first, tt.second, err, tt.want)
		}
	}
	c := mustLoad(t, fmt.Sprintf(one, "west", "east"), config.Options{})
	var ce *config.Error
	if err := c.CheckOwnKey(keys.Public{}); !errors.As(err, &ce) || ce.Problems[0].Line != 4 {
		t.Errorf("without a key of its own: %v, want the line that names its zone", err)
	}
}
