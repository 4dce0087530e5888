package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSyncFails has the kernel answer a node's writes and syncs with an input/output error, at the three places of a
// commit. Whether the pages are on disk is not known then, and trying again would be told that they are: the process
// ends with its code and the cause. Started again it has everything that it ever published.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west, want := all[0], all[1], model{}
	startAll(t, all...)
	say := func(z *zone, name, value string) {
		want.set(z.name, name, value)
		z.write(name+".yaml", manifest(name, value))
	}
	say(east, "e", "0")
	say(west, "w", "0")
	equal(t, want, all...)
	for n, fault := range []string{"fdatasync:error=EIO:when=1+", "fdatasync:error=EIO:when=2+", "pwrite64:error=EIO:when=1+"} {
		release, ok := west.inject(fault)
		if !ok {
			return
		}
		say(west, "w", fault)
		i := 0
		eventually(t, "it ends", func() error { // strace counts the calls of each thread by itself
			if !west.running() {
				return nil
			}
			i++
			say(west, fmt.Sprintf("w%d", n), fmt.Sprint(i))
			return errors.New("it runs")
		})
		if code, out := west.exit(), west.printed(); code != 1 || !strings.Contains(out, "MESH-1404") ||
			!strings.Contains(out, "commit to the store") || !strings.Contains(out, "input/output error") {
			t.Errorf("%s: it ended with %d and\n%s", fault, code, out)
		}
		release()
		west.verify()
		say(east, "e", fmt.Sprint(n+1))
		west.start()
		equal(t, want, all...)
		west.verify()
	}
}

// inject has system calls of the process fail from now on, in the words of strace -e inject=. The returned function
// waits until strace is gone, which it is after the process. Where processes can't be traced it says so and returns
// false.
func (z *zone) inject(fault string) (release func(), ok bool) {
	z.t.Helper()
	said, err := os.CreateTemp(z.dir, "strace")
	must(z.t, err)
	defer said.Close()
	words := func() string {
		b, _ := os.ReadFile(said.Name()) // what it said is for a message
		return string(b)
	}
	call, _, _ := strings.Cut(fault, ":")
	cmd := exec.Command("strace", "-f", "-q", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+fault, "-e", "signal=none",
		"-p", fmt.Sprint(z.process.cmd.Process.Pid))
	cmd.Stderr = said
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		z.t.Fatal("the test needs strace (Debian: apt-get install strace), which tools/packages.sh sees to")
	} else if err != nil {
		z.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it ends with whom it traces
	}()
	z.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	ok = true
	eventually(z.t, "every thread is traced", func() error {
		select {
		case <-ended:
			if strings.Contains(words(), "Operation not permitted") {
				z.t.Logf("NOT RUN: %s: system calls that fail need the right to trace processes: %s", z.t.Name(), words())
				ok = false
				return nil
			}
			return fmt.Errorf("%w: strace ended: %s", errOver, words())
		default:
			return z.traced()
		}
	})
	return func() { <-ended }, ok
}

// traced reports a thread of the process whose system calls nobody looks at yet.
func (z *zone) traced() error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", z.process.cmd.Process.Pid))
	if err != nil {
		return err
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return errors.New("a thread is not traced yet")
		}
	}
	return nil
}
