package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// rotate gives a node that runs another key, and starts it anew with that.
func (z *zone) rotate() (former string) {
	z.t.Helper()
	former = z.public
	z.cli("keygen", "--rotate", "private.key")
	z.stop()
	z.start()
	s, err := z.status()
	must(z.t, err)
	if z.public = s.PublicKey; z.public == former {
		z.t.Errorf("%s goes on with the key that it had", z.name)
	}
	return former
}

// follows waits until a peer is ready under the key that it has now, after the keys that it had.
func (z *zone) follows(o *zone, former ...string) {
	z.t.Helper()
	eventually(z.t, z.name+" follows "+o.name+" to another key", func() error {
		out, err := z.try("peers", "describe", o.name)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		words := []string{o.public, fmt.Sprintf("by hand-over %d", len(former))}
		for _, k := range former {
			words = append(words, k[:12])
		}
		if !regexp.MustCompile(`(?m)^state +Ready`).MatchString(out) || strings.Count(out, "; handed over") != len(former) {
			return fmt.Errorf("it says\n%s", out)
		}
		for _, w := range words {
			if !strings.Contains(out, w) {
				return fmt.Errorf("no %q in\n%s", w, out)
			}
		}
		return nil
	})
}

// toldHandedOver waits until a node with a former key is told so.
func (z *zone) toldHandedOver(by ...*zone) {
	z.t.Helper()
	for _, o := range by {
		eventually(z.t, fmt.Sprintf("%s is told by %s that its key is a former one", z.name, o.name), func() error {
			out, err := z.try("peers", "describe", o.name)
			if err == nil && !strings.Contains(out, "the zone of the key was handed over to key") {
				err = fmt.Errorf("it says\n%s", out)
			}
			return err
		})
	}
}

// TestRotate changes keys of nodes that work. Nobody's config changes, and the former keys are nobody's.
func TestRotate(t *testing.T) {
	t.Parallel()
	all := joined(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	want := model{}
	say := func(value string) {
		t.Helper()
		for _, z := range all {
			name := "of-" + z.name
			want.set(z.name, name, value)
			z.write(name+".yaml", manifest(name, value))
		}
		equal(t, want, all...)
	}
	say("1")
	west.stop()
	old := west.backup()
	west.start()
	acquainted(t, all...)
	configs := map[*zone]string{west: read(t, west.configFile()), north: read(t, north.configFile())}

	first := west.rotate()
	for _, z := range []*zone{east, north} {
		z.follows(west, first)
	}
	acquainted(t, all...)
	say("2")
	if out := west.refused(6, []string{"MESH-6003"}, "keygen", "--rotate", "private.key"); !strings.Contains(out, "left alone") {
		t.Errorf("a second rotation says\n%s", out)
	}
	must(t, os.Remove(filepath.Join(west.dir, "private.key.handover")))
	second := west.rotate()
	for _, z := range []*zone{east, north} {
		z.follows(west, first, second)
	}
	say("3")

	// East founded the mesh: it knows the others by its own statements alone.
	was := east.rotate()
	for _, z := range []*zone{west, north} {
		z.follows(east, was)
	}
	acquainted(t, all...)
	say("4")
	for _, z := range all { // in everybody's store
		z.stop()
		z.start()
	}
	acquainted(t, all...)
	say("5")
	for z, before := range configs {
		if got := read(t, z.configFile()); got != before {
			t.Errorf("the config of %s is now\n%s", z.name, got)
		}
	}

	// A copy of west from before is nobody.
	west.stop()
	copied := west.restored(old)
	copied.public = first
	copied.start()
	copied.write("copied.yaml", manifest("copied", "1"))
	copied.toldHandedOver(north) // it knows east by a former key only
	west.start()
	acquainted(t, all...)
	say("6")
	for _, z := range all {
		z.verify()
		z.stop()
	}
}

// TestKeyLost gives the zone of a node that is gone to another one.
func TestKeyLost(t *testing.T) {
	t.Parallel()
	const soon = "MESH_MESH__PEER_TIMEOUT__PEER_UNAVAILABLE_AFTER_SECONDS=3"
	all := joined(t, "east west north", soon)
	east, west, north := all[0], all[1], all[2]
	west.write("a.yaml", manifest("a", "1"))
	west.write("b.yaml", manifest("b", "1"))
	for _, z := range []*zone{east, north} {
		z.owns("ConfigMap/default/b", "west")
	}
	east.refused(6, []string{"zone west is taken", "MESH-6401"}, "invite", "--zone", "west")
	must(t, west.kill())
	east.sees("west", mesh.Unavailable)

	again := newSite(t, "west", soon)
	again.write("a.yaml", manifest("a", "2"))
	again.write("b.yaml", manifest("b", "1"))
	out := east.cli("invite", "--zone", "west")
	if !strings.Contains(out, "takes the zone over") || !strings.Contains(out, west.public[:12]) {
		t.Errorf("an invite that takes a zone away says\n%s", out)
	}
	again.joins(regexp.MustCompile(`(?m)^mesh join .*$`).FindString(out), "--run")
	again.args = []string{"run"}
	all = []*zone{east, again, north}
	acquainted(t, all...)
	for _, z := range []*zone{east, north} {
		z.follows(again, west.public)
		eventually(t, "the zone's objects follow", func() error {
			v, err := valueOf(z.replica("west", "a"))
			if err == nil && v != "2" {
				err = fmt.Errorf("a is %q", v)
			}
			return err
		})
	}

	// Whoever found the old key has found nothing.
	west.args = []string{"run"}
	must(t, west.begin())
	eventually(t, "west answers", func() error { _, err := west.status(); return err })
	west.write("a.yaml", manifest("a", "3"))
	west.write("late.yaml", manifest("late", "1"))
	west.toldHandedOver(east)
	again.write("b.yaml", manifest("b", "2"))
	want := model{"west": {"a": "2", "b": "2"}}
	equal(t, want, east, north, again)
	for _, z := range all { // and after restarts
		z.stop()
		z.start()
	}
	acquainted(t, all...)
	again.write("c.yaml", manifest("c", "1"))
	want.set("west", "c", "1")
	equal(t, want, east, north, again)
	for _, z := range all {
		z.verify()
	}
}

// TestAnotherZone lets a member speak for a zone that is another's, also where that one cannot be asked.
func TestAnotherZone(t *testing.T) {
	t.Parallel()
	all := joined(t, "east north")
	east, north := all[0], all[1]
	west := newSite(t, "west")
	east.write("a.yaml", manifest("a", "1"))
	want := model{"east": {"a": "1"}}
	equal(t, want, east, north)
	west.cli("join", north.token("--zone", "west"))
	west.write("a.yaml", manifest("a", "of west"))
	const evil = "private_key_path: private.key\nnodes:\n- public_key: %s\n  endpoints: [127.0.0.1:%d]\n"
	must(t, os.WriteFile(filepath.Join(west.dir, "evil.yaml"), fmt.Appendf(nil, evil, north.public, north.port), 0o600))
	west.data = filepath.Join(west.dir, "evil")
	for _, away := range []bool{false, true} {
		if away {
			east.stop()
		}
		before, err := north.metric("mesh_refused_total", `"zone_mismatch"`)
		must(t, err)
		west.run("run", "-c", "evil.yaml", "--zone", "east", "--data-dir", "evil")
		eventually(t, "west is told", func() error {
			out, err := west.try("peers", "describe", north.public, "--data-dir", "evil")
			if err == nil && !strings.Contains(out, "zone_mismatch") {
				err = fmt.Errorf("it says\n%s", out)
			}
			return err
		})
		if n, err := north.metric("mesh_refused_total", `"zone_mismatch"`); err != nil || n <= before {
			t.Errorf("north counts %v refusals, %v before: %v", n, before, err)
		}
		north.logs("refused a hello", "zone_mismatch", west.public[:8])
		west.stop()
		must(t, os.RemoveAll(west.data))
	}
	west.data = filepath.Join(west.dir, ".mesh")
	east.start()
	must(t, os.Remove(filepath.Join(west.folder, "local", "a.yaml")))
	must(t, os.RemoveAll(filepath.Join(west.folder, "mesh")))
	west.run("run")
	acquainted(t, east, north, west)
	west.write("w.yaml", manifest("w", "1"))
	want.set("west", "w", "1")
	equal(t, want, east, north, west)
	for _, z := range []*zone{east, north, west} {
		z.verify()
		z.stop()
	}
}
