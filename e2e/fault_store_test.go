package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestStoreDamaged damages the store of a node that is down. The node refuses it, names the file and the way out, and
// changes nothing. The way out, typed as it is printed, ends with a node that has everything back under a later
// incarnation; nothing is lost or deleted anywhere, and what changed while it was down arrives.
func TestStoreDamaged(t *testing.T) {
	t.Parallel()
	const page = 4096
	for name, damage := range map[string]func(b []byte) []byte{
		"truncated": func(b []byte) []byte { return b[:6*page] },
		"headers": func(b []byte) []byte {
			b[16+20] ^= 1
			b[page+16+20] ^= 1
			return b
		},
		"empty": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			east, west, want := pair(t)
			first, err := west.status()
			must(t, err)
			west.stop()
			db := filepath.Join(west.data, "mesh.db")
			b, err := os.ReadFile(db)
			must(t, err)
			bad := damage(b)
			must(t, os.WriteFile(db, bad, 0o600))
			must(t, west.begin())
			code, out := west.exit(), west.printed()
			if code != 1 || !strings.Contains(out, "MESH-1301") || !strings.Contains(out, db+" is damaged") {
				t.Fatalf("it ended with %d and\n%s", code, out)
			}
			if now, err := os.ReadFile(db); err != nil || string(now) != string(bad) {
				t.Errorf("the damaged file was changed: %v", err)
			}
			// Meanwhile both go on.
			want.set("east", "east-1", "meanwhile")
			east.write("east-1.yaml", manifest("east-1", "meanwhile"))
			east.remove("east-2.yaml")
			delete(want["east"], "east-2")
			want.set("west", "west-1", "meanwhile")
			west.write("west-1.yaml", manifest("west-1", "meanwhile"))

			aside := regexp.MustCompile(`mv \S+ \S+\.damaged`).FindString(out)
			if aside == "" {
				t.Fatalf("no command moves it aside in\n%s", out)
			}
			if out, err := exec.Command("sh", "-c", aside).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", aside, err, out)
			}
			west.start()
			works(t, want, east, west)
			now, err := west.status()
			must(t, err)
			if first.Incarnation == nil || now.Incarnation == nil || !now.Incarnation.After(*first.Incarnation) {
				t.Errorf("incarnation %v after %v, want a later one", now.Incarnation, first.Incarnation)
			}
		})
	}
}

// TestDataDirUnmounted starts a node while the disk of its data directory is not mounted: it is a node that lost its
// store. When the disk is back, the store on it is an old one. Nothing is lost or deleted either time.
func TestDataDirUnmounted(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	west.stop()
	away := filepath.Join(west.dir, "disk")
	must(t, os.Rename(west.data, away))
	must(t, os.Mkdir(west.data, 0o700))
	if _, ok := mounted(t, west.data, away, "", syscall.MS_BIND, ""); !ok {
		return
	}
	west.start()
	works(t, want, east, west)
	west.stop()

	// Until it is another program, a process that another test starts has open what this one looked into.
	eventually(t, "the disk can be let go", func() error { return syscall.Unmount(west.data, 0) })
	west.start()
	west.remove("west-2.yaml")
	delete(want["west"], "west-2")
	east.remove("east-2.yaml")
	delete(want["east"], "east-2")
	works(t, want, east, west)
	west.stop()
	must(t, os.RemoveAll(west.data))
	must(t, os.Mkdir(west.data, 0o700))

	mounted(t, west.data, away, "", syscall.MS_BIND, "")
	west.start()
	works(t, want, east, west)
	west.stop()

	// Mounted read-only, as a file system is after errors: it can't be written, and nothing is pretended.
	must(t, syscall.Mount("", west.data, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	must(t, west.begin())
	if code, out := west.exit(), west.printed(); code != 1 || !strings.Contains(out, "MESH-1301") || !strings.Contains(out, "read-only file system") {
		t.Errorf("read-only: it ended with %d and\n%s", code, out)
	}
	must(t, syscall.Mount("", west.data, "", syscall.MS_BIND|syscall.MS_REMOUNT, ""))
	west.start()
	works(t, want, east, west)
	must(t, west.kill()) // so that the disk can be let go
}

// TestFolderDiskFull fills the disk of a node's folder, and not that of its store: what others have is taken and passed
// on, the writes that fail are told and tried again, and nothing counts as deleted. With room all of it is there.
func TestFolderDiskFull(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west north")
	east, west, north, want := all[0], all[1], all[2], model{}
	where := filepath.Join(west.dir, "small")
	d, ok := newDisk(t, where, 2)
	if !ok {
		return
	}
	west.folder = filepath.Join(where, "folder")
	must(t, os.MkdirAll(filepath.Join(west.folder, "local"), 0o755))
	west.config["kubernetes"] = map[string]any{"folder": west.folder}
	west.save()
	startAll(t, all...)
	say := func(z *zone, name, value string) {
		want.set(z.name, name, value)
		z.write(name+".yaml", manifest(name, value))
	}
	say(west, "w", "1")
	say(east, "small", "1")
	equal(t, want, all...)
	d.fill(0)
	say(east, "small", strings.Repeat("x", 100_000))
	for n := range 5 {
		say(east, fmt.Sprint("large", n), strings.Repeat("y", 100_000))
	}
	equal(t, want, east, north)
	west.problem("no space left on device")
	if got, err := names(filepath.Join(west.folder, "local")); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	d.clear()
	equal(t, want, all...)
	say(west, "w", "2")
	say(east, "small", "2")
	equal(t, want, all...)
	for _, z := range all {
		z.cli("status", "--wait=120s")
		z.verify()
	}
	must(t, west.kill()) // so that the disk can be let go
}
