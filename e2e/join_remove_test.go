package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// knowsNot waits until a node lists no peer with this key.
func (z *zone) knowsNot(key string) {
	z.t.Helper()
	eventually(z.t, z.name+" has let "+key[:8]+" go", func() error {
		var list struct{ Items []mesh.Peer }
		if err := z.ask("peers", &list); err != nil {
			return err
		}
		for _, p := range list.Items {
			if p.PublicKey == key {
				return fmt.Errorf("it is %s", p.State)
			}
		}
		return nil
	})
}

// toldRemoved waits until a node says that it was removed from the mesh.
func (z *zone) toldRemoved(by ...*zone) {
	z.t.Helper()
	for _, o := range by {
		eventually(z.t, fmt.Sprintf("%s is told by %s that it was removed", z.name, o.name), func() error {
			out, err := z.try("peers", "describe", o.public)
			if err == nil && !strings.Contains(out, "the key was removed from the mesh") {
				err = fmt.Errorf("it says\n%s", out)
			}
			return err
		})
	}
}

// lacks checks that a node has no object of another zone by these names.
func (z *zone) lacks(owner string, objects ...string) {
	z.t.Helper()
	for _, name := range objects {
		if _, err := os.Stat(z.replica(owner, name)); !errors.Is(err, os.ErrNotExist) {
			z.t.Errorf("%s has %s of %s: %v", z.name, name, owner, err)
		}
	}
}

// owns waits until a zone owns an object in the eyes of this node.
func (z *zone) owns(object string, owner mesh.Zone) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s belongs to %s for %s", object, owner, z.name), func() error {
		var r mesh.Resource
		err := z.ask("resources/"+object, &r)
		if err == nil && (r.Owner != owner || r.State != "Live") {
			err = fmt.Errorf("it is %s and %s's: %s", r.State, r.Owner, r.Detail)
		}
		return err
	})
}

// backup copies what a stopped node consists of.
func (z *zone) backup() (dir string) {
	z.t.Helper()
	dir = filepath.Join(z.t.TempDir(), "backup")
	if out, err := exec.Command("cp", "-a", z.dir, dir).CombinedOutput(); err != nil {
		z.t.Fatalf("copy: %v\n%s", err, out)
	}
	return dir
}

// restored is another node that is started with what a copy holds.
func (z *zone) restored(dir string) *zone {
	z.t.Helper()
	o := newSite(z.t, z.name)
	o.dir, o.folder, o.data, o.public, o.args = dir, filepath.Join(dir, "folder"), filepath.Join(dir, ".mesh"), z.public, z.args
	return o
}

// TestRemove expels a node while it works: at once, everywhere and for good, with whatever it comes back. What it owned
// stays, and its zone comes back under another key.
func TestRemove(t *testing.T) {
	t.Parallel()
	all := joined(t, "east west north south")
	east, west, north, south := all[0], all[1], all[2], all[3]
	for n := range several {
		west.write(fmt.Sprintf("w-%d.yaml", n), manifest(fmt.Sprintf("w-%d", n), "1"))
	}
	for _, z := range []*zone{east, north, south} {
		eventually(t, z.name+" has what west owns", func() error {
			if got, err := names(filepath.Join(z.folder, "mesh", "west")); err != nil || len(got) != several {
				return fmt.Errorf("it has %d objects, %v", len(got), err)
			}
			return nil
		})
	}
	west.stop()
	old := west.backup()
	west.start()
	acquainted(t, all...)
	south.stop() // does not hear of it

	over := make(chan struct{})
	var users sync.WaitGroup
	users.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			default:
			}
			time.Sleep(10 * time.Millisecond) // a user's pace
			if err := west.replace("busy.yaml", manifest("busy", fmt.Sprint(n))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if out := east.cli("peers", "remove", "west", "-y", "--timeout", "60s"); !strings.Contains(out, "removed west: its key is expelled") {
		t.Errorf("peers remove says\n%s", out)
	}
	for _, z := range []*zone{east, north} {
		z.knowsNot(west.public)
	}
	west.toldRemoved(east, north)
	close(over)
	users.Wait()
	for _, z := range []*zone{east, north} {
		if p, err := west.peer(z.name); err != nil || p.State == mesh.Ready || p.Address != nil {
			t.Errorf("west sees %s as %+v, %v", z.name, p, err)
		}
		z.logs("key_removed", west.public[:8], "by "+east.public[:8])
	}
	if out := west.cli("status"); !strings.Contains(out, "removed from the mesh") {
		t.Errorf("west's status says\n%s", out)
	}
	north.finds("nodes.removed", west.public[:8]) // its config still names it
	if out := east.cli("peers", "remove", west.public, "-y"); !strings.Contains(out, "was removed already") {
		t.Errorf("a second time it says\n%s", out)
	}
	for _, z := range []*zone{east, north} {
		out := z.refuseInvite(west.public)
		if !strings.Contains(out, "MESH-6403") {
			t.Errorf("%s invites a removed key: %s", z.name, out)
		}
	}

	// What it owned stays, without an owner, and can be adopted.
	for _, z := range []*zone{east, north} {
		if got, err := names(filepath.Join(z.folder, "mesh", "west")); err != nil || len(got) < several {
			t.Errorf("%s has %d objects of west left, %v", z.name, len(got), err)
		}
	}
	north.cli("adopt", "ConfigMap/default/w-1", "-y", "--timeout=120s")
	for _, z := range []*zone{east, north} {
		z.owns("ConfigMap/default/w-1", "north")
	}

	// It comes back with all it had, and with a copy from before it knew.
	west.write("late.yaml", manifest("late", "1"))
	west.stop()
	counted := func(z *zone) float64 {
		t.Helper()
		n, err := z.metric("mesh_refused_total", `reason="not_admitted"`)
		must(t, err)
		return n
	}
	before := counted(east)
	west.start()
	west.toldRemoved(east, north)
	if n := counted(east); n <= before {
		t.Errorf("east counts %v refusals, %v before", n, before)
	}
	west.stop()
	was := west.restored(old)
	was.start()
	was.toldRemoved(east, north)
	was.write("later.yaml", manifest("later", "1"))

	// Who has not heard of the removal still believes it. What it takes goes nowhere.
	east.stop()
	north.stop()
	south.start()
	eventually(t, "south takes what west writes", func() error {
		_, err := os.Stat(south.replica("west", "later"))
		return err
	})
	east.start()
	north.start()
	acquainted(t, east, north, south)
	south.knowsNot(west.public)
	was.toldRemoved(south)
	south.write("s.yaml", manifest("s", "1"))
	for _, z := range []*zone{east, north} {
		eventually(t, "what south writes arrives", func() error { _, err := os.Stat(z.replica("south", "s")); return err })
		z.lacks("west", "late", "later")
	}
	was.stop()

	// The zone comes back under a new key, and with it what its folder holds.
	again := newSite(t, "west")
	must(t, os.RemoveAll(again.folder))
	must(t, os.Rename(filepath.Join(west.dir, "folder"), again.folder))
	must(t, os.RemoveAll(filepath.Join(again.folder, "mesh")))
	for _, name := range []string{"w-1", "late"} { // north has the one, and the other was never said to anybody
		must(t, os.Remove(filepath.Join(again.folder, "local", name+".yaml")))
	}
	entries, err := os.ReadDir(again.folder)
	must(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // what the former node kept there of its own
			must(t, os.RemoveAll(filepath.Join(again.folder, e.Name())))
		}
	}
	again.run("join", east.token("--zone", "west"), "--run")
	acquainted(t, east, north, south, again)
	again.write("w-2.yaml", manifest("w-2", "of the new key"))
	for _, z := range []*zone{east, north, south} {
		eventually(t, "the zone is taken over for "+z.name, func() error {
			if v, err := valueOf(z.replica("west", "w-2")); err != nil || v != "of the new key" {
				return fmt.Errorf("w-2 is %q, %v", v, err)
			}
			return nil
		})
		z.owns("ConfigMap/default/w-1", "north")
		z.owns("ConfigMap/default/w-3", "west")
		if out := z.cli("peers", "describe", "west"); !strings.Contains(out, "; removed ") || !strings.Contains(out, again.public[:12]) {
			t.Errorf("%s tells of west\n%s", z.name, out)
		}
	}
	for _, z := range []*zone{east, north} {
		z.cli("status", "--wait=120s")
		z.lacks("west", "late", "later")
	}
	for _, z := range []*zone{east, north, south, again} {
		z.verify()
		z.stop()
	}
}

// TestRemoveWhileAway removes a node that is away, as is another one. When both are back they only have each other: what
// the one says then, the other one believes until it hears of the removal, and nobody else ever does. What was said in
// time arrives everywhere.
func TestRemoveWhileAway(t *testing.T) {
	t.Parallel()
	all := joined(t, "east west north south")
	east, west, north, south := all[0], all[1], all[2], all[3]
	south.stop()
	west.write("early.yaml", manifest("early", "1"))
	for _, z := range []*zone{east, north} {
		z.owns("ConfigMap/default/early", "west")
	}
	must(t, west.kill())
	east.cli("peers", "remove", "west", "-y", "--timeout", "60s")
	for _, z := range []*zone{east, north} {
		z.knowsNot(west.public)
		z.stop()
	}
	south.start()
	west.start()
	acquainted(t, south, west)
	west.write("early.yaml", manifest("early", "2"))
	west.write("late.yaml", manifest("late", "1"))
	south.owns("ConfigMap/default/late", "west")
	eventually(t, "south takes what west says", func() error {
		v, err := valueOf(south.replica("west", "early"))
		if err == nil && v != "2" {
			err = fmt.Errorf("it has %q", v)
		}
		return err
	})
	for _, z := range []*zone{east, north} {
		z.start()
	}
	acquainted(t, east, north, south)
	south.knowsNot(west.public)
	west.toldRemoved(east, north, south)
	for _, z := range []*zone{east, north, south} {
		z.write("of-"+z.name+".yaml", manifest("of-"+z.name, "1"))
	}
	for _, z := range []*zone{east, north, south} {
		for _, o := range []string{"east", "north", "south"} {
			z.owns("ConfigMap/default/of-"+o, mesh.Zone(o))
		}
		eventually(t, z.name+" has what west said in time", func() error {
			v, err := valueOf(z.replica("west", "early"))
			if err == nil && v != "1" {
				err = fmt.Errorf("it is %q", v)
			}
			return err
		})
		z.verify()
	}
	for _, z := range []*zone{east, north} {
		z.cli("status", "--wait=120s")
		z.lacks("west", "late")
	}
	if _, err := os.Stat(south.replica("west", "late")); err != nil { // a void claim deletes nothing
		t.Errorf("south had it: %v", err)
	}
}

// refuseInvite tries to invite a key.
func (z *zone) refuseInvite(key string) string {
	z.t.Helper()
	return z.refused(6, nil, "invite", "--for", key)
}

// TestRemoveWithoutMajority asks for a removal while most other nodes don't answer: until they do it is a proposal, which
// counts for the node that was asked alone.
func TestRemoveWithoutMajority(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west north south lab")
	east, west, north, south, lab := all[0], all[1], all[2], all[3], all[4]
	startAll(t, all...)
	acquainted(t, all...)
	away := []*zone{south, lab}
	for _, z := range away {
		z.signal(syscall.SIGSTOP)
	}
	for _, z := range away {
		eventually(t, "east sees that "+z.name+" is away", func() error {
			p, err := east.peer(z.name)
			if err == nil && p.State == mesh.Ready {
				err = errors.New("it is ready")
			}
			return err
		})
	}
	out := east.cli("peers", "remove", "west", "-y", "--timeout", "8s")
	if !strings.Contains(out, "proposed to remove west") || !regexp.MustCompile(`mesh peers remove [0-9a-f]{64}`).MatchString(out) {
		t.Errorf("peers remove says\n%s", out)
	}
	for _, z := range []*zone{east, north} {
		z.finds("peers.removal", "west")
	}
	if out := east.cli("peers", "remove", west.public, "-y", "--timeout", "5s"); !strings.Contains(out, "proposed") {
		t.Errorf("asked again it says\n%s", out)
	}

	// Its author takes nothing of it any more; who has not agreed does.
	west.write("a.yaml", manifest("a", "1"))
	eventually(t, "north takes what west writes", func() error { _, err := os.Stat(north.replica("west", "a")); return err })
	north.write("b.yaml", manifest("b", "1"))
	eventually(t, "east takes what north writes", func() error { _, err := os.Stat(east.replica("north", "b")); return err })
	east.lacks("west", "a")

	for _, z := range away {
		z.signal(syscall.SIGCONT)
	}
	for _, z := range []*zone{east, north, south, lab} {
		z.knowsNot(west.public)
		z.finds("nodes.removed", west.public[:8])
	}
	west.toldRemoved(east, north, south, lab)
	if out := east.cli("peers", "remove", west.public, "-y"); !strings.Contains(out, "was removed already") {
		t.Errorf("afterwards it says\n%s", out)
	}
	west.write("c.yaml", manifest("c", "1"))
	want := map[string]string{}
	for _, z := range []*zone{east, north, south, lab} {
		want[z.name] = z.name
		z.write("of-"+z.name+".yaml", manifest("of-"+z.name, "1"))
	}
	for _, z := range []*zone{east, north, south, lab} {
		for owner := range want {
			if owner != z.name {
				eventually(t, z.name+" has what "+owner+" writes", func() error { _, err := os.Stat(z.replica(owner, "of-"+owner)); return err })
			}
		}
		z.lacks("west", "c")
	}
	for _, z := range all {
		z.stop()
	}
}
