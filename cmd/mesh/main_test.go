package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites golden files and the expected output inside scripts: go test ./cmd/mesh -update
var update = flag.Bool("update", false, "rewrite golden files")

// TestMain puts the program on the PATH, as "mesh" and "mesh-controller", beside programs that only tests need.
func TestMain(m *testing.M) {
	testscript.Main(withProgram{m}, map[string]func(){
		"stubborn":  stubborn,
		"panicking": panicking,
		"showing":   showing,
	})
}

// program is the path of the program that was built for the tests. They call it some hundred times: were it
// the test binary itself, each call would cost a second with the race detector.
var program string

// withProgram are the tests, for which the program is built first.
type withProgram struct{ tests *testing.M }

func (w withProgram) Run() int {
	if slices.Contains(os.Args, "-test.fuzzworker") {
		return w.tests.Run() // a process that fuzzes beside others calls nothing
	}
	if slices.Equal(os.Args[1:], []string{restoreCommand}) {
		return restoreTerminal(os.Stdin, os.Stdout) // a program that only tests need has its terminal guarded by itself
	}
	completeTimeout = time.Minute
	dir, err := os.MkdirTemp("", "mesh-cmd-")
	if err == nil {
		program = filepath.Join(dir, "mesh")
		err = errors.Join(
			os.Symlink(program, filepath.Join(dir, "mesh-controller")),
			os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")))
	}
	if err == nil {
		var out []byte
		if out, err = exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("build the program: %w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return w.tests.Run()
}

// TestScript runs every script under testdata/script. Beside testscript's own commands a script has
//
//	exitcode N COMMAND [ARG...]
//
// which runs a command like exec and demands that exit code, and
//
//	valid KIND [stdout|stderr]
//
// which demands that what the last command printed are documents of that kind, valid by docs/schema, and
//
//	interrupted SIGNAL COMMAND [ARG...]
//
// which runs a command that waits, sends it that signal and demands that it says so and ends with 130.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":    exitcode,
			"valid":       valid,
			"interrupted": interrupted,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			return nil
		},
	})
}

func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", args[1], got, want)
	}
}

// interrupted gives the command a second until the signal comes. One that had not begun by then, on a busy machine, is
// ended by the system and says nothing: it is run again and given more time.
func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupted SIGNAL COMMAND [ARG...]")
	}
	for seconds := 1; seconds <= 16; seconds *= 2 {
		err := ts.Exec("timeout", append([]string{"--preserve-status", "-s", args[0], strconv.Itoa(seconds)}, args[1:]...)...)
		said := ts.ReadFile("stderr")
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == exitInterrupted && said == "interrupted\n" {
			return
		}
		if said != "" {
			ts.Fatalf("%s: %v, and it said %q, want exit code %d and interrupted", args[1], err, said, exitInterrupted)
		}
	}
	ts.Fatalf("%s says nothing when it gets SIG%s", args[1], args[0])
}

// testEnv is a world of its own: a temporary working directory, a fixed clock, an empty environment, no
// terminal.
type testEnv struct {
	*env
	stdout, stderr bytes.Buffer
	vars           map[string]string
}

func newTestEnv(t *testing.T) *testEnv {
	t.Helper()
	te := &testEnv{env: newEnv(), vars: map[string]string{}}
	te.env.stdin = strings.NewReader("")
	te.env.stdout = &te.stdout
	te.env.stderr = &te.stderr
	te.env.dir = t.TempDir()
	te.env.tempDir = t.TempDir()
	te.env.now = func() time.Time { return time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC) }
	te.env.lookupEnv = func(name string) (string, bool) {
		v, ok := te.vars[name]
		return v, ok
	}
	te.env.executable = func() (string, error) { return program, nil }
	te.env.isTerminal = func(any) bool { return false }
	te.env.width = func(any) int { return 0 }
	return te
}

// mesh runs one command line and returns its exit code; the streams hold its output alone.
func (te *testEnv) mesh(t *testing.T, args ...string) int {
	t.Helper()
	te.stdout.Reset()
	te.stderr.Reset()
	return run(t.Context(), append([]string{"mesh"}, args...), te.env)
}

func TestImpliedCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"mesh", ""},
		{"mesh status", "status"},
		{"mesh -c config.yaml", "-c config.yaml"},
		{"mesh-controller", "run"},
		{"mesh-controller -c config.yaml -k private-key.hex", "run -c config.yaml -k private-key.hex"},
		{"/usr/bin/mesh-controller --incluster", "run --incluster"},
		{"mesh-controller.exe -c config.yaml", "run -c config.yaml"},
		{"mesh-controller status", "status"},
		{"mesh-controllers -c config.yaml", "-c config.yaml"},
	} {
		if got := strings.Join(impliedCommand(strings.Fields(tt.in)), " "); got != tt.want {
			t.Errorf("impliedCommand(%s) = %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := impliedCommand(nil); len(got) != 0 {
		t.Errorf("impliedCommand(nil) = %q", got)
	}
}

func TestWantsJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want bool
	}{
		{"mesh version", false},
		{"mesh version -o json", true},
		{"mesh version -ojson", true},
		{"mesh version -o=json", true},
		{"mesh --bogus --output=json", true},
		{"mesh version --output json", true},
		{"mesh version -o yaml", false},
		{"mesh version -o", false},
		{"mesh keygen -- -o json", false},
	} {
		if got := wantsJSON(strings.Fields(tt.in)); got != tt.want {
			t.Errorf("wantsJSON(%s) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// A panic is reported like any other internal error: words on stderr, the stack in a file.
func TestPanicIsReported(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.env.now = func() time.Time { return time.Time{} }
	te.env.files.openFile = nil
	if code := te.mesh(t, "keygen", "new.key"); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if !strings.HasPrefix(te.stderr.String(), "error: mesh met an internal error\n") {
		t.Errorf("stderr is %s", te.stderr.String())
	}
	if strings.Contains(te.stderr.String(), "goroutine") {
		t.Error("the stack reached the user")
	}
	report := onlyFile(t, te.tempDir)
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"panic: runtime error", "createKeyFile", "mesh dev"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report does not say %q:\n%s", want, b)
		}
	}
	if !strings.Contains(te.stderr.String(), report) {
		t.Errorf("stderr does not name the report %s", report)
	}
	if info, err := os.Stat(report); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report has mode %v, %v", info.Mode(), err)
	}
}

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s holds %v, %v, want one file", dir, names, err)
	}
	return names[0]
}

func TestClassify(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	root := newRootCmd(te.env)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	plain := errors.New("disk on fire")
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		err     error
		started bool
		code    string
	}{
		{"a cliError stays", t.Context(), &cliError{Code: "MESH-6001"}, true, "MESH-6001"},
		{"cobra's complaints are usage", t.Context(), plain, false, "MESH-2002"},
		{"the deadline", t.Context(), context.DeadlineExceeded, true, "MESH-5001"},
		{"anything else is internal", t.Context(), plain, true, "MESH-1001"},
		{"cancelled by nobody is internal", t.Context(), context.Canceled, true, "MESH-1001"},
		{"interrupted", ended, context.Canceled, true, ""},
	} {
		err := classify(tt.ctx, te.env, root, tt.err, tt.started)
		var c *cliError
		if errors.As(err, &c) {
			if c.Code != tt.code {
				t.Errorf("%s: code %s, want %s", tt.name, c.Code, tt.code)
			}
			continue
		}
		if tt.code != "" || !errors.Is(err, errInterrupted) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if got := te.fail(errInterrupted, false); got != 130 {
		t.Errorf("interrupted exits with %d", got)
	}
}
