package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/tui"
)

// defaultTimeout bounds every command that asks a node: long enough for a slow link, short enough that
// nobody wonders whether the command hangs.
const defaultTimeout = 10 * time.Second

// maxAnswer bounds what confirm reads from standard input.
const maxAnswer = 1 << 10

// env is the world of a command. A test replaces any of it. It serves one call of run and is not safe for
// concurrent use.
type env struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	now       func() time.Time
	rand      io.Reader // of cryptographic quality
	lookupEnv func(string) (string, bool)
	environ   func() []string // NAME=value
	dir       string          // working directory; empty means the one of the process
	tempDir   string          // for reports of internal errors
	files     fileOps

	// executable is the path of the program itself, which mesh demo starts nodes from.
	executable func() (string, error)

	// isTerminal reports whether one of the three streams is a terminal, and width how many columns it has
	// (0 when it is none).
	isTerminal func(stream any) bool
	width      func(stream any) int

	// join redeems an invitation.
	join func(context.Context, node.JoinConfig) (node.Joined, error)

	// screen shows a node on the terminal until the user leaves it or ctx ends.
	screen func(context.Context, tui.Config) error

	// beforeDemoStep is told each step of mesh demo before it is taken, for tests to break things there. It may
	// be nil.
	beforeDemoStep func(d *demo, step string)

	plugin bool // kubectl called, as kubectl mesh
	flags  globalFlags
	kube   kubeFlags
	warned map[string]bool
	opened *admin.Archive // of flags.archive, once it was read
}

// globalFlags are the flags that every command has.
type globalFlags struct {
	node    string        // address of the local API: unix:PATH or http://HOST:PORT; empty means look for it
	archive string        // a bundle that answers in place of a node; empty: none
	timeout time.Duration // positive
	color   string        // auto, always or never
	noInput bool          // never ask
	quiet   bool          // no notes
	verbose bool          // errors show the chain of their causes
}

// newEnv returns the real world.
func newEnv() *env {
	return &env{
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		now:        time.Now,
		rand:       rand.Reader,
		lookupEnv:  os.LookupEnv,
		tempDir:    os.TempDir(),
		environ:    os.Environ,
		files:      osFiles(),
		executable: os.Executable,
		isTerminal: isTerminal,
		width:      terminalWidth,
		join:       node.Join,
		screen:     showScreen,
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func terminalWidth(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// getenv returns a variable of the environment, empty when it is not set.
func (e *env) getenv(name string) string {
	v, _ := e.lookupEnv(name)
	return v
}

// path resolves a file name given by the user against the working directory.
func (e *env) path(name string) string {
	if e.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(e.dir, name)
}

// printf writes data to stdout.
func (e *env) printf(format string, args ...any) error {
	return e.write([]byte(fmt.Sprintf(format, args...)))
}

// write writes data to stdout.
func (e *env) write(b []byte) error {
	if _, err := e.stdout.Write(b); err != nil {
		return &cliError{
			Code:  "MESH-1002",
			What:  "cannot write to standard output",
			Cause: reason(err),
			Next:  []string{"the same command with its output elsewhere"},
			Err:   err,
		}
	}
	return nil
}

// note tells on stderr what happened beside the data. --quiet silences it.
func (e *env) note(format string, args ...any) {
	if !e.flags.quiet {
		fmt.Fprintln(e.stderr, e.asCalled(fmt.Sprintf(format, args...)))
	}
}

// warn prints a warning on stderr, each text once.
func (e *env) warn(format string, args ...any) {
	text := e.asCalled(oneLine(fmt.Sprintf(format, args...)))
	if e.warned[text] {
		return
	}
	if e.warned == nil {
		e.warned = map[string]bool{}
	}
	e.warned[text] = true
	fmt.Fprintf(e.stderr, "%s %s\n", e.paint(e.stderr, "warning:", styleWarn), text)
}

// confirm asks a question on stderr and reports whether the answer was yes. Where nobody can answer (with
// --no-input, or when stdin is no terminal) it is a usage error that names flag, the one that answers yes.
func (e *env) confirm(question, flag string) (bool, error) {
	if e.flags.noInput || !e.isTerminal(e.stdin) {
		cause := "standard input is no terminal"
		if e.flags.noInput {
			cause = "--no-input forbids asking"
		}
		return false, &cliError{
			Code:  "MESH-2002",
			What:  "nobody was asked: " + question,
			Cause: cause,
			Next:  []string{"the same command with " + flag},
		}
	}
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(e.stdin, maxAnswer)).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
