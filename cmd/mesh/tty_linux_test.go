package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal opens a pair of pseudo terminals: what a program sees, and who sits before it.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// On a real terminal one q, without Enter, ends a watch, and the terminal is afterwards as it was before.
func TestQOnATerminal(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, newFakeNode(t))
	person, program := openTerminal(t)
	before, err := unix.IoctlGetTermios(int(program.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mesh", "peers", "-w", "--data-dir", dir)
	cmd.Dir = t.TempDir()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	key := "q"
	read := make([]byte, 4096)
	timeout := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timeout.Stop()
	ended := make(chan error, 1)
	for {
		n, err := person.Read(read)
		seen.Write(read[:n])
		if err != nil && err != io.EOF {
			t.Fatalf("%v after %q", err, seen.String())
		}
		if strings.Contains(seen.String(), "lab") && key != "" {
			if _, err := person.WriteString(key); err != nil {
				t.Fatal(err)
			}
			key = ""
			go func() { ended <- cmd.Wait() }()
			break
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("mesh peers -w = %v after q", err)
	}
	after, err := unix.IoctlGetTermios(int(program.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	if before.Lflag != after.Lflag || before.Cc != after.Cc {
		t.Errorf("the terminal had %+v and has %+v", before, after)
	}
}
