package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const several = 30 // objects: more than twice as many as are always deleted without the brake

// pair starts two nodes with objects of both.
func pair(t *testing.T) (east, west *zone, want model) {
	t.Helper()
	all := zones(t, "east west")
	east, west, want = all[0], all[1], model{}
	startAll(t, all...)
	for n := range several {
		for _, z := range all {
			name := fmt.Sprintf("%s-%d", z.name, n)
			want.set(z.name, name, "1")
			z.write(name+".yaml", manifest(name, "1"))
		}
	}
	equal(t, want, all...)
	return east, west, want
}

// works shows that changes still go both ways.
func works(t *testing.T, want model, east, west *zone) {
	t.Helper()
	for _, z := range []*zone{east, west} {
		name := z.name + "-0"
		want.set(z.name, name, "again")
		z.write(name+".yaml", manifest(name, "again"))
	}
	equal(t, want, east, west)
	for _, z := range []*zone{east, west} {
		z.verify()
	}
}

// TestStoreLost removes a node's store and keeps its folder: it gets its own log back, under a new incarnation,
// and deletes nothing anywhere.
func TestStoreLost(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	first, err := east.status()
	must(t, err)
	east.stop()
	must(t, os.RemoveAll(east.data))
	east.remove("east-3.yaml") // nobody can tell this from a file that was never there until the log is back
	delete(want["east"], "east-3")
	east.start()
	works(t, want, east, west)
	now, err := east.status()
	must(t, err)
	if first.Incarnation == nil || now.Incarnation == nil || !now.Incarnation.After(*first.Incarnation) {
		t.Errorf("incarnation %v after %v, want a later one", now.Incarnation, first.Incarnation)
	}
}

// TestFolderEmptied removes every manifest while the folder proves to be the same: the brake holds the deletions
// until somebody confirms them.
func TestFolderEmptied(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	for n := range several {
		east.remove(fmt.Sprintf("east-%d.yaml", n))
	}
	const held = several - several/2 // half of them go
	eventually(t, "the brake holds the other half", func() error {
		s, err := east.status()
		if err != nil {
			return err
		}
		there, err := names(filepath.Join(west.folder, "mesh", "east"))
		if err == nil && (len(there) != held || s.Resources.DeletesHeld != held) {
			err = fmt.Errorf("west has %d, east holds %d, want %d", len(there), s.Resources.DeletesHeld, held)
		}
		return err
	})
	if out := east.cli("status"); !strings.Contains(out, "held") {
		t.Errorf("status says nothing of what is held:\n%s", out)
	}
	east.cli("peers", "accept-deletes", "east", "-y")
	want["east"] = map[string]string{}
	// West has its own brake for what east deletes.
	eventually(t, "the deletions are carried out", func() error {
		if s, err := west.status(); err != nil {
			return err
		} else if s.Resources.DeletesHeld > 0 {
			if out, err := west.try("peers", "accept-deletes", "east", "-y"); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
		}
		return west.differs(want)
	})
	east.write("east-0.yaml", manifest("east-0", "back"))
	want.set("east", "east-0", "back")
	works(t, want, east, west)
}

// TestFolderReplaced puts an empty folder in place of a node's, as a wrong mount does: nothing is deleted, and
// status tells.
func TestFolderReplaced(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("running=", running), func(t *testing.T) {
			t.Parallel()
			east, west, want := pair(t)
			if !running {
				east.stop()
			}
			must(t, os.Rename(east.folder, east.folder+".aside"))
			must(t, os.MkdirAll(filepath.Join(east.folder, "local"), 0o755))
			if !running {
				east.start()
			}
			eventually(t, "status tells of another folder", func() error { // at first it may tell that there is none
				out, err := east.try("status")
				if err == nil && !strings.Contains(out, "replaced or restored") {
					err = errors.New(out)
				}
				return err
			})
			// What west does meanwhile arrives at east's log: then east has had its time to err.
			west.write("west-1.yaml", manifest("west-1", "meanwhile"))
			want.set("west", "west-1", "meanwhile")
			west.cli("status", "--wait=120s")
			must(t, west.differs(want))
			if running {
				must(t, os.RemoveAll(east.folder))
				must(t, os.Rename(east.folder+".aside", east.folder))
				works(t, want, east, west)
				return
			}
			east.stop()
			must(t, os.RemoveAll(east.folder))
			must(t, os.Rename(east.folder+".aside", east.folder))
			east.start()
			works(t, want, east, west)
		})
	}
}

// TestFolderUnmounted takes the folder away while the node runs.
func TestFolderUnmounted(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	must(t, os.Rename(east.folder, east.folder+".aside"))
	eventually(t, "status tells that the folder is gone", func() error {
		s, err := east.status()
		if err == nil && s.Cluster.Connected {
			err = errors.New("it is connected")
		}
		return err
	})
	west.write("west-1.yaml", manifest("west-1", "meanwhile"))
	want.set("west", "west-1", "meanwhile")
	equal(t, want, west)
	if _, err := os.Stat(east.folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made in place of the folder: %v", err)
	}
	must(t, os.Rename(east.folder+".aside", east.folder))
	works(t, want, east, west)
}

// TestAway changes manifests while their own node is down, then while the other one is: each deletion is made up
// for, and what was deleted does not come back from the folder or the store of whoever was away.
func TestAway(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	east.stop()
	east.remove("east-1.yaml")
	delete(want["east"], "east-1")
	east.write("new.yaml", manifest("new", "1"))
	want.set("east", "new", "1")
	east.start()
	equal(t, want, east, west)

	west.stop()
	east.remove("east-2.yaml")
	delete(want["east"], "east-2")
	east.write("east-3.yaml", manifest("east-3", "2"))
	want.set("east", "east-3", "2")
	eventually(t, "east has signed the deletion", func() error {
		s, err := east.status()
		if err == nil && s.Resources.Live != 2*several-1 {
			err = fmt.Errorf("%d objects", s.Resources.Live)
		}
		return err
	})
	west.start()
	equal(t, want, east, west)
	works(t, want, east, west)
}
