//go:build linux || darwin

package main

import (
	layout "encoding/binary" // binary is a unit here
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// restoreCommand is the one argument by which the program is called to guard a terminal. It is nothing for people.
const restoreCommand = "restore-terminal"

// restoreSequences undo what a program that fills the screen does to a terminal: reports of the mouse, of the focus
// and of what is pasted, colours, a hidden cursor, and the second screen.
const restoreSequences = "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l"

// guardTerminal starts a process that does nothing but wait for this one to be killed, by somebody or for want of
// memory: it then puts the terminal right, which this one can't do any more. end stops it. Without it nothing else
// is different, so nobody is told when it can't be started.
func guardTerminal(stream any) (end func()) {
	nothing := func() {}
	terminal, ok := stream.(*os.File)
	if !ok {
		return nothing
	}
	modes, err := unix.IoctlGetTermios(int(terminal.Fd()), getTermios)
	if err != nil {
		return nothing
	}
	exe, err := os.Executable()
	if err != nil {
		return nothing
	}
	hears, alive, err := os.Pipe() // the other end is closed when this process is no more
	if err != nil {
		return nothing
	}
	defer hears.Close()
	cmd := exec.Command(exe, restoreCommand)
	cmd.Args[0] = "mesh"
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.Stdin, cmd.Stdout = hears, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // keys that send signals are not for it
	if cmd.Start() != nil {
		alive.Close()
		return nothing
	}
	// It fits the pipe, so it doesn't block, whatever becomes of who reads it.
	_ = layout.Write(alive, layout.NativeEndian, modes)
	return func() {
		_ = cmd.Process.Kill() // it holds nothing
		_ = cmd.Wait()
		alive.Close()
	}
}

// restoreTerminal is the other process. It reads the modes that a terminal shall have and, when there is nobody
// any more at the other end, restores it. It returns its exit code, which nobody looks at.
func restoreTerminal(hears io.Reader, terminal *os.File) int {
	// It is in the background, and may write and set modes there only where it doesn't mind being told off.
	signal.Ignore(unix.SIGTTOU, unix.SIGTTIN, unix.SIGHUP)
	var modes unix.Termios
	if err := layout.Read(hears, layout.NativeEndian, &modes); err != nil {
		return exitFailed // it ended before it could draw anything
	}
	if _, err := io.Copy(io.Discard, hears); err != nil {
		return exitFailed
	}
	// A shell may have taken the terminal back already, with modes of its own. Those have output processed.
	now, err := unix.IoctlGetTermios(int(terminal.Fd()), getTermios)
	if err != nil {
		return exitFailed
	}
	if now.Oflag&unix.OPOST == 0 {
		_ = unix.IoctlSetTermios(int(terminal.Fd()), setTermios, &modes) // the screen is still worth restoring
	}
	if _, err := terminal.WriteString(restoreSequences); err != nil {
		return exitFailed
	}
	return exitOK
}
