package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestThreeNodes tells what the program is for: manifests that are saved in one folder appear, change and
// disappear in the others. Gossip only makes it faster.
func TestThreeNodes(t *testing.T) {
	for _, gossip := range []bool{true, false} {
		t.Run(fmt.Sprint("gossip=", gossip), func(t *testing.T) {
			t.Parallel()
			all := zones(t, "east west north", set("gossip", gossip))
			east, west, north := all[0], all[1], all[2]
			startAll(t, all...)
			want := model{}

			// Create, update, delete.
			east.write("a.yaml", manifest("a", "1"))
			want.set("east", "a", "1")
			west.write("b.yaml", manifest("b", "1"))
			want.set("west", "b", "1")
			equal(t, want, all...)
			east.write("a.yaml", manifest("a", "2"))
			want.set("east", "a", "2")
			equal(t, want, all...)
			east.remove("a.yaml")
			delete(want["east"], "a")
			equal(t, want, all...)

			severalDocuments(t, all)
			conflict(t, all)

			// A replica that is edited, and one that is removed, by hand are put back.
			before := read(t, north.replica("west", "b"))
			must(t, os.WriteFile(north.replica("west", "b"), []byte(manifest("b", "by hand")), 0o644))
			restored(t, north, before)
			must(t, os.Remove(north.replica("west", "b")))
			restored(t, north, before)

			// A file that does not parse is named with its line; every other file goes on.
			east.write("bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [oops\n")
			east.problem("bad.yaml:")
			east.write("good.yaml", manifest("good", "1"))
			eventually(t, "a good file beside a bad one arrives", func() error {
				_, err := os.Stat(north.replica("east", "good"))
				return err
			})
			for _, z := range all {
				z.cli("status", "--wait=120s")
				z.verify()
				z.stop()
				z.verify()
			}
		})
	}
}

func read(t *testing.T, p string) string {
	t.Helper()
	b, err := os.ReadFile(p)
	must(t, err)
	return string(b)
}

func restored(t *testing.T, z *zone, want string) {
	t.Helper()
	eventually(t, "a replica is put back", func() error {
		b, err := os.ReadFile(z.replica("west", "b"))
		if err == nil && string(b) != want {
			err = fmt.Errorf("it is\n%s", b)
		}
		return err
	})
}

// severalDocuments saves two objects in one file, takes one out, puts it elsewhere.
func severalDocuments(t *testing.T, all []*zone) {
	east, west := all[0], all[1]
	exist := func(names string) {
		t.Helper()
		eventually(t, "exactly "+names, func() error {
			got, err := filepath.Glob(west.replica("east", "*"))
			for i := range got {
				got[i] = strings.TrimSuffix(filepath.Base(got[i]), ".yaml")
			}
			if s := strings.Join(got, " "); err == nil && s != names {
				err = fmt.Errorf("got %q", s)
			}
			return err
		})
	}
	east.write("two.yaml", manifest("one", "1")+"---\n"+manifest("two", "2"))
	exist("one two")
	east.write("two.yaml", manifest("two", "2"))
	exist("two")
	east.write("three.yaml", manifest("two", "2")) // two files, then only the other one
	east.remove("two.yaml")
	east.write("four.yaml", manifest("four", "4"))
	exist("four two")
	east.remove("three.yaml")
	east.remove("four.yaml")
	exist("")
}

// conflict lets two zones create one object: each keeps its own, until one adopts it.
func conflict(t *testing.T, all []*zone) {
	east, west, north := all[0], all[1], all[2]
	east.write("c.yaml", manifest("c", "of east"))
	west.write("c.yaml", manifest("c", "of west"))
	for _, z := range []*zone{east, west} {
		eventually(t, "the conflict shows at "+z.name, func() error {
			s, err := z.status()
			if err == nil && s.Resources.Contested != 1 {
				err = fmt.Errorf("%d contested", s.Resources.Contested)
			}
			return err
		})
		if got := read(t, filepath.Join(z.folder, "local", "c.yaml")); got != manifest("c", "of "+z.name) {
			t.Errorf("%s lost its own copy: %s", z.name, got)
		}
	}
	if out := west.cli("adopt", "ConfigMap/default/c", "-y", "--timeout=120s"); !strings.Contains(out, "adopted") {
		t.Errorf("adopt says %q", out)
	}
	eventually(t, "the adopted object is everywhere", func() error {
		for _, z := range []*zone{east, north} {
			b, err := os.ReadFile(z.replica("west", "c"))
			if err != nil {
				return err
			}
			if !strings.Contains(string(b), "of west") {
				return fmt.Errorf("%s has\n%s", z.name, b)
			}
		}
		if _, err := os.Stat(filepath.Join(east.folder, "local", "c.yaml")); err == nil {
			return fmt.Errorf("east still has it in local/")
		}
		return nil
	})
	if out := east.cli("log", "show", "--lost"); !strings.Contains(out, "ConfigMap/default/c") {
		t.Errorf("what east lost is not kept:\n%s", out)
	}
	west.remove("c.yaml")
	eventually(t, "the adopted object is deleted", func() error {
		if _, err := os.Stat(east.replica("west", "c")); err == nil {
			return fmt.Errorf("it still exists")
		}
		return nil
	})
}
