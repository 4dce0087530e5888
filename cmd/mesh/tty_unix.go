//go:build linux || darwin

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// singleKeys makes a terminal hand over every key at once and show none of them, and returns what undoes it. Ctrl-C
// and Ctrl-Z keep their meaning. It does nothing where the terminal is another process's at the moment: who is in
// the background would be stopped for trying.
func singleKeys(stream any) (restore func()) {
	nothing := func() {}
	f, ok := stream.(*os.File)
	if !ok {
		return nothing
	}
	fd := int(f.Fd())
	if front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || front != unix.Getpgrp() {
		return nothing
	}
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nothing
	}
	single := *before
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(fd, setTermios, &single) != nil {
		return nothing
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, before) } // a terminal that is gone needs nothing
}
