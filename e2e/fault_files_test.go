package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openFiles counts the file descriptors of the process.
func (z *zone) openFiles() int {
	z.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", z.process.cmd.Process.Pid))
	must(z.t, err)
	return len(entries)
}

// filesLimit tells how many file descriptors the process may have, and how many it may be given.
func (z *zone) filesLimit() (l unix.Rlimit) {
	z.t.Helper()
	must(z.t, unix.Prlimit(z.process.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &l))
	return l
}

// limitFiles sets how many file descriptors the process may have.
func (z *zone) limitFiles(n uint64) {
	z.t.Helper()
	limit := unix.Rlimit{Cur: n, Max: z.filesLimit().Max}
	must(z.t, unix.Prlimit(z.process.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil))
}

// TestFilesExhausted leaves a node no file descriptor while strangers hold connections to each of its doors: it reads no
// file and takes no connection then, says so, and takes nothing for deleted. When descriptors come back so does everything, without a restart.
func TestFilesExhausted(t *testing.T) {
	t.Parallel()
	east, west, want := pair(t)
	// Nearly none is left: it says so itself. Asking takes two; what is open for a moment while it is counted leaves too many.
	was, room := west.filesLimit().Cur, 0
	eventually(t, "doctor sees it coming", func() error {
		room = west.openFiles() + 3
		west.limitFiles(uint64(room))
		out, err := west.try("doctor", "--group", "system")
		if !strings.Contains(out, fmt.Sprintf("of at most %d files are open", room)) || !strings.Contains(out, "connections and files are about to be refused") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})

	var strangers []net.Conn
	hangUp := func() {
		for _, c := range strangers {
			c.Close()
		}
		strangers = nil
	}
	defer hangUp()
	for range 10 {
		for _, at := range [][2]string{{"tcp", fmt.Sprintf("127.0.0.1:%d", west.port)}, {"tcp", fmt.Sprintf("127.0.0.1:%d", west.http)}, {"unix", west.socket()}} {
			c, err := net.Dial(at[0], at[1]) // the kernel answers for it
			must(t, err)
			strangers = append(strangers, c)
		}
	}
	eventually(t, "none is left", func() error {
		if n := west.openFiles(); n < room {
			return fmt.Errorf("%d of %d", n, room)
		}
		return nil
	})
	// What is saved, changed and deleted meanwhile.
	want.set("west", "west-1", "meanwhile")
	west.write("west-1.yaml", manifest("west-1", "meanwhile"))
	west.remove("west-2.yaml")
	delete(want["west"], "west-2")
	west.write("west-new.yaml", manifest("west-new", "1"))
	want.set("west", "west-new", "1")
	want.set("east", "east-1", "meanwhile")
	east.write("east-1.yaml", manifest("east-1", "meanwhile"))
	east.remove("east-2.yaml")
	delete(want["east"], "east-2")
	logged := func(words string) {
		t.Helper()
		eventually(t, "its log tells", func() error {
			if out := west.printed(); !strings.Contains(out, words) {
				return fmt.Errorf("no %q in\n%s", words, out)
			}
			return nil
		})
	}
	logged("no more files may be opened")
	if !west.running() {
		t.Fatalf("it ended: %v\n%s", west.process.err, west.printed())
	}
	there, err := names(filepath.Join(east.folder, "mesh", "west"))
	if err != nil || len(there) < several-1 {
		t.Errorf("%d objects of west are left at east, %v", len(there), err)
	}

	began := time.Now()
	west.limitFiles(was)
	equal(t, want, east, west)
	t.Logf("with descriptors again all is right after %.1f s", time.Since(began).Seconds())
	logged("files can be opened again")
	hangUp()
	works(t, want, east, west)
	eventually(t, "west has no problem any more", func() error {
		s, err := west.status()
		if err == nil && len(s.Cluster.Problems) > 0 {
			err = fmt.Errorf("it has %+v", s.Cluster)
		}
		return err
	})
}
