package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// allow sets what the entry of a node allows, in the config of z; nil: everything. A running node reads it again.
func (z *zone) allow(of *zone, rule map[string]any) {
	z.t.Helper()
	for _, n := range z.config["nodes"].([]map[string]any) {
		if n["public_key"] == of.public {
			delete(n, "allow")
			if rule != nil {
				n["allow"] = rule
			}
		}
	}
	z.save()
	if z.process != nil && z.running() {
		z.signal(syscall.SIGHUP)
	}
}

// becomes waits for the state of an object here.
func (z *zone) becomes(object, state, detail string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s is %s in %s", object, state, z.name), func() error {
		var r mesh.Resource
		if err := z.ask("resources/"+object, &r); err != nil {
			return err
		}
		if r.State != state || !strings.Contains(r.Detail, detail) {
			return fmt.Errorf("it is %s: %q", r.State, r.Detail)
		}
		return nil
	})
}

// holds waits for a replica of east with this in it; empty: for its end.
func (z *zone) holds(kind, name, text string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s has %s %q", z.name, name, text), func() error {
		b, err := os.ReadFile(filepath.Join(z.folder, "mesh", "east", "default", kind, name+".yaml"))
		switch {
		case text == "" && errors.Is(err, os.ErrNotExist):
			return nil
		case text == "" && err == nil:
			return errors.New("it is there")
		case err == nil && !strings.Contains(string(b), text):
			return fmt.Errorf("it is\n%s", b)
		}
		return err
	})
}

// TestContentRules gives all nodes one list, in which each finds itself too, and changes what the entries allow while
// the nodes run: what is not allowed is shown, and nothing is deleted for a rule.
func TestContentRules(t *testing.T) {
	t.Parallel()
	all := []*zone{newZone(t, "east"), newZone(t, "west"), newZone(t, "north")}
	east, west, north := all[0], all[1], all[2]
	for _, z := range all {
		z.knows(all...)
		list := z.config["nodes"].([]map[string]any)
		z.config["nodes"] = append(list, map[string]any{"public_key": z.public, "zone": z.name, "endpoints": []string{fmt.Sprintf("127.0.0.1:%d", z.port)}})
		z.save()
	}
	configMaps := map[string]any{"resources": []string{"ConfigMap"}, "namespaces": []string{"default"}}
	west.allow(east, configMaps)
	secret := func(value string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  value: " + value + "\n"
	}
	startAll(t, all...)

	// Before apply.
	east.write("s.yaml", secret("one"))
	east.write("a.yaml", manifest("a", "1"))
	for _, z := range []*zone{west, north} {
		z.holds("configmap", "a", `"1"`)
	}
	north.holds("secret", "s", "kind: Secret")
	west.becomes("Secret/default/s", "NotAllowed", "nodes[].allow of east (key "+east.public[:8])
	west.becomes("ConfigMap/default/a", "Live", "")
	west.holds("secret", "s", "")
	if out := west.cli("status"); !strings.Contains(out, "1 not allowed") {
		t.Errorf("west's status doesn't count it:\n%s", out)
	}
	eventually(t, "west's metrics count it", func() error { // one that is busy answers without
		n, err := west.metric("mesh_resources", `state="not_allowed"`)
		if err == nil && n != 1 {
			err = fmt.Errorf("mesh_resources counts %v not allowed", n)
		}
		return err
	})

	// Narrowed: what stands there stays, whatever its owner states. Every log is passed on whole.
	west.allow(east, map[string]any{"resources": []string{}})
	west.becomes("ConfigMap/default/a", "NotAllowed", "what stands here stays")
	east.write("a.yaml", manifest("a", "2"))
	north.holds("configmap", "a", `"2"`)
	east.remove("a.yaml")
	north.holds("configmap", "a", "")
	west.becomes("ConfigMap/default/a", "NotAllowed", "its deletion by east is not applied")
	west.holds("configmap", "a", `"1"`)
	west.stop()
	west.start()
	west.becomes("ConfigMap/default/a", "NotAllowed", "its deletion by east is not applied")

	// Widened: what was stated meanwhile counts.
	west.allow(east, nil)
	west.holds("configmap", "a", "")
	west.holds("secret", "s", "kind: Secret")
	west.becomes("Secret/default/s", "Live", "")

	// Before publish: withdrawn, and deleted nowhere.
	east.allow(east, configMaps)
	east.becomes("Secret/default/s", "NotAllowed", "this node's own entry")
	for _, z := range []*zone{west, north} {
		z.becomes("Secret/default/s", "Unmanaged", "")
	}
	if out, err := east.try("adopt", "Secret/default/s"); err == nil || !strings.Contains(out, "this node's own entry") {
		t.Errorf("adopt: %v\n%s", err, out)
	}
	east.remove("s.yaml")
	east.write("b.yaml", manifest("b", "1"))
	for _, z := range []*zone{west, north} {
		z.holds("configmap", "b", `"1"`)
		z.holds("secret", "s", "kind: Secret")
	}
	east.write("s.yaml", secret("two"))
	east.becomes("Secret/default/s", "NotAllowed", "this node's own entry")
	east.allow(east, nil)
	for _, z := range []*zone{west, north} {
		z.holds("secret", "s", "two")
		z.becomes("Secret/default/s", "Live", "")
	}
	for _, z := range all {
		z.verify()
		z.stop()
	}
}
