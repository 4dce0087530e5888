package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// disk is a file system of its own in a folder, so small that a test can fill it.
type disk struct {
	t   testing.TB
	dir string
}

// newDisk mounts one of so many MiB on a folder. Where nobody may mount it says so and returns false.
func newDisk(t testing.TB, dir string, size int) (*disk, bool) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	return mounted(t, dir, "tmpfs", "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", size))
}

// mounted mounts something on a folder until the test ends.
func mounted(t testing.TB, dir, source, kind string, flags uintptr, options string) (*disk, bool) {
	t.Helper()
	err := syscall.Mount(source, dir, kind, flags, options)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS) {
		t.Logf("NOT RUN: %s: a disk of its own needs root with CAP_SYS_ADMIN: %v", t.Name(), err)
		return nil, false
	}
	must(t, err)
	d := &disk{t, dir}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // a test may have done so already
	return d, true
}

// free is how many bytes there are left.
func (d *disk) free() int64 {
	d.t.Helper()
	var st syscall.Statfs_t
	must(d.t, syscall.Statfs(d.dir, &st))
	return int64(st.Bavail) * st.Bsize
}

// fill takes all but so many bytes, in addition to what it took before.
func (d *disk) fill(left int64) {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(d.t, err)
	defer f.Close()
	for buf := make([]byte, 64<<10); ; {
		more := d.free() - left // asked once: a node beside takes and gives back
		if more <= 0 {
			return
		}
		if _, err := f.Write(buf[:min(int64(len(buf)), more)]); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// clear gives back what fill took.
func (d *disk) clear() {
	d.t.Helper()
	must(d.t, os.Remove(d.filler()))
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// printed is what the newest run printed so far.
func (z *zone) printed() string {
	z.t.Helper()
	b, err := os.ReadFile(z.logFile(z.runs))
	must(z.t, err)
	return string(b)
}

// readyz asks as the kubelet does, and returns code and answer.
func (z *zone) readyz() (int, string, error) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz?verbose", z.http))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// saysDisk reports in which of the places where an operator may look a disk that is nearly full shows otherwise than it
// should.
func (z *zone) saysDisk(low bool) error {
	var bad []error
	expect := func(where, text, word string) {
		if strings.Contains(text, word) != low {
			bad = append(bad, fmt.Errorf("%s, nearly full %v: %s", where, low, text))
		}
	}
	out, err := z.try("status", "-o", "json")
	expect("status", out, "the disk is nearly full")
	code, answer, rerr := z.readyz()
	expect("/readyz", answer, "[!]disk: nearly full")
	if code != http.StatusOK {
		bad = append(bad, fmt.Errorf("/readyz answers %d: it serves what it has", code))
	}
	gauge, merr := z.metric("mesh_disk_low", "")
	if (gauge == 1) != low {
		bad = append(bad, fmt.Errorf("mesh_disk_low is %v", gauge))
	}
	found, _ := z.try("doctor", "--group", "system") // it ends with 4 when it found something
	expect("doctor", found, "operations of other zones are refused")
	return errors.Join(append(bad, err, rerr, merr)...)
}

// TestDiskFills fills the disk of a node: below a tenth of it nothing of other zones is taken, which is told wherever an
// operator may look; its own changes go on and reach the others. With room again everything arrives.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west, want := all[0], all[1], model{}
	d, ok := newDisk(t, west.data, 192)
	if !ok {
		return
	}
	startAll(t, all...)
	say := func(z *zone, name, value string) {
		want.set(z.name, name, value)
		z.write(name+".yaml", manifest(name, value))
	}
	say(east, "before", "1")
	say(west, "ours", "1")
	equal(t, want, all...)

	d.fill(16 << 20)
	eventually(t, "west tells that its disk is nearly full", func() error { return west.saysDisk(true) })
	arrived := model{"east": {"before": "1"}, "west": want["west"]}
	say(east, "before", "2")
	say(east, "meanwhile", "1")
	eventually(t, "west refuses what east says", func() error {
		n, err := west.metric("mesh_refused_total", `reason="disk_low"`)
		if err == nil && n == 0 {
			err = errors.New("nothing was refused")
		}
		return err
	})
	say(west, "ours", "2")
	say(west, "more", "1")
	equal(t, want, east)
	equal(t, arrived, west)
	must(t, west.kill()) // what it took and signed meanwhile is safe
	west.start()
	say(west, "more", "2")
	equal(t, want, east)
	equal(t, arrived, west)
	if !strings.Contains(west.printed(), "the disk is nearly full") {
		t.Errorf("the log says nothing of it:\n%s", west.printed())
	}

	d.clear()
	equal(t, want, all...)
	eventually(t, "west tells that there is room", func() error { return west.saysDisk(false) })
	for _, z := range all {
		z.cli("status", "--wait=120s")
		z.verify()
	}
}

// TestDiskFull leaves no room at all: the node ends with an error that names the disk, and gives its ballast back. With
// that it runs again; without any room it ends again, as often as it is started, and has everything when there is.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west, want := all[0], all[1], model{}
	d, ok := newDisk(t, west.data, 160)
	if !ok {
		return
	}
	startAll(t, all...)
	n := 0
	// more saves a few objects that don't fit. Their folder is elsewhere, and has room.
	more := func() {
		t.Helper()
		for range 3 {
			name, value := fmt.Sprintf("o%d", n), strings.Repeat(string(rune('a'+n%26)), 1_400_000)
			want.set("west", name, value)
			west.write(name+".yaml", manifest(name, value))
			n++
		}
	}
	full := func() {
		t.Helper()
		code, out := west.exit(), west.printed()
		if code != 1 || !strings.Contains(out, "MESH-1402") || !strings.Contains(out, "is full") || !strings.Contains(out, "df -h "+west.data) {
			t.Errorf("it ended with %d and\n%s", code, out)
		}
	}
	d.fill(0)
	more()
	full()
	ballast := filepath.Join(west.data, "mesh.ballast")
	if _, err := os.Stat(ballast); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast is still there: %v", err)
	}

	west.start() // with the room of the ballast
	want.set("east", "e", "1")
	east.write("e.yaml", manifest("e", "1"))
	equal(t, want, all...)
	d.fill(0)
	more()
	full()
	must(t, west.begin()) // there is none left
	full()
	west.verify()

	d.clear()
	west.start()
	equal(t, want, all...)
	if info, err := os.Stat(ballast); err != nil || info.Size() != 64<<20 {
		t.Errorf("the ballast with room again: %v, %v", info, err)
	}
	for _, z := range all {
		z.verify()
	}
}
