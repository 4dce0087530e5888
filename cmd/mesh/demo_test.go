package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
)

// The whole story, where there is no terminal: every step succeeds, its time is told, and nothing is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.vars["NO_COLOR"] = "1"
	var seen *demo
	te.beforeDemoStep = func(d *demo, _ string) { seen = d }
	if code := te.mesh(t, "demo"); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, te.stdout.String(), te.stderr.String())
	}
	if te.stderr.Len() > 0 {
		t.Errorf("stderr is %s", te.stderr.String())
	}
	const ms = `[0-9.]+ ms`
	for _, want := range []string{
		`mesh demo: three zones on this machine`,
		`  Everything is in .+/mesh-demo-\d+`,
		`1  Three nodes start`,
		`  ok    east, north and west are up +` + ms,
		`  ok    each sees the others, in sync +` + ms,
		`        NAME    STATE   ADDRESS .* AGE`,
		`        north   Ready   127\.0\.0\.1:\d+ .*`,
		`2  A manifest in the folder of east appears in the others`,
		`  ok    saved as local/hello\.yaml +north ` + ms + `  west ` + ms,
		`  ok    changed +north ` + ms + `  west ` + ms,
		`  ok    deleted +north ` + ms + `  west ` + ms,
		`  ok    north saves 50 at once +east ` + ms + `  west ` + ms,
		`3  west is killed, misses something, and comes back`,
		`        west    NotReady +127\.0\.0\.1:\d+ .*`,
		`  ok    west starts, and has it all +west ` + ms,
		`4  The network is cut: .*`,
		`  ok    both save one called shared +east ` + ms + `  west ` + ms,
		`  ok    nothing got through`,
		`  ok    healed; all have both +east ` + ms + `  north ` + ms + `  west ` + ms,
		`5  Two zones have created the same object`,
		`  ok    each keeps its own copy +east ` + ms + `  west ` + ms,
		`  ok    mesh adopt in west settles it +east ` + ms + `  north ` + ms,
		`6  What is left`,
		`  ok    claims and folders are equal +53 live, 2 deleted`,
		`  ok    every log verifies everywhere +\d+ operations`,
		`  told in [0-9.]+ s`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(te.stdout.String()) {
			t.Errorf("no line is %s", want)
		}
	}
	if t.Failed() {
		t.Logf("the story was\n%s", te.stdout.String())
	}
	for line := range strings.Lines(te.stdout.String()) {
		measured := strings.Contains(line, " ms") || strings.Contains(line, seen.dir) // as long as it is
		if strings.HasSuffix(line, " \n") || len(line) > demoWidth+1 && !measured {
			t.Errorf("a line is too long or ends with a space: %q", line)
		}
	}
	nothingLeft(t, te, seen)
}

// nothingLeft checks that the demo removed its folder and that its processes have ended.
func nothingLeft(t *testing.T, te *testEnv, d *demo) {
	t.Helper()
	if names, err := os.ReadDir(te.tempDir); err != nil || len(names) > 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", names, err)
	}
	allEnded(t, d)
}

func allEnded(t *testing.T, d *demo) {
	t.Helper()
	for _, n := range d.nodes {
		if !n.hasEnded() {
			t.Errorf("the node of %s goes on", n.zone)
		}
	}
	for ends, f := range d.wires.byTo {
		if c, err := net.Dial("tcp", f.Addr().String()); err == nil {
			c.Close()
			t.Errorf("the forwarder from %s to %s goes on", ends[0], ends[1])
		}
	}
}

// A step that fails ends the demo with the reason, and the folder is kept to be looked at.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		at    string
		harm  func(*demo)
		cause string
	}{
		{"a node dies", "changed", func(d *demo) { _ = d.node("north").cmd.Process.Kill() },
			`the node of north has ended: signal: killed`},
		{"nothing arrives", "changed", func(d *demo) { d.wires.cut("north"); d.limit = 300 * time.Millisecond },
			`not within 300ms: north: \S+/north/manifests/mesh/east/default/configmap/hello\.yaml says the-second`},
		{"a node cannot start", "east, north and west are up", func(d *demo) {
			if err := os.WriteFile(filepath.Join(d.node("west").dir, configName), []byte("no: config\n"), 0o600); err != nil {
				panic(err)
			}
		}, `the node of west has ended: exit status 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			te := newTestEnv(t)
			var seen *demo
			te.beforeDemoStep = func(d *demo, step string) {
				if seen == nil {
					d.limit = 5 * time.Minute // nothing before the harm is to fail, however busy the machine is
				}
				if seen = d; step == tt.at {
					tt.harm(d)
				}
			}
			if code := te.mesh(t, "demo"); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(te.stdout.String(), "\n  FAIL  "+tt.at+"\n") {
				t.Errorf("the story is\n%s", te.stdout.String())
			}
			for _, want := range []string{
				`kept ` + regexp.QuoteMeta(seen.dir),
				`error: the demo failed at this step: ` + tt.at,
				`  west, the end of \S+/west/node\.log:`,
				`  cause: ` + tt.cause,
				`  next:  ls -R .*`,
				`  docs:  mesh help MESH-1502`,
			} {
				if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(te.stderr.String()) {
					t.Errorf("no line is %s in\n%s", want, te.stderr.String())
				}
			}
			if _, err := os.Stat(filepath.Join(seen.dir, "east", "node.log")); err != nil {
				t.Errorf("the folder was not kept: %v", err)
			}
			allEnded(t, seen)
		})
	}
}

func TestDemoWithoutTemporaryFolder(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.tempDir = te.path("missing")
	if code := te.mesh(t, "demo"); code != exitFailed || !strings.Contains(te.stderr.String(), "MESH-1501") {
		t.Errorf("exit code %d\n%s", code, te.stderr.String())
	}
}

// demoProcess starts mesh demo as a process of its own whose temporary folder is dir.
func demoProcess(t *testing.T, dir string, out *lockedBuffer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "the nodes run", func() bool { return strings.Contains(out.String(), "2  A manifest") })
	return cmd
}

// Ctrl-C in the middle of the story ends everything.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "hangup": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, out := t.TempDir(), &lockedBuffer{}
			cmd := demoProcess(t, dir, out)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
				t.Errorf("ended with %v, want exit code %d\n%s", err, exitInterrupted, out.String())
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
				t.Errorf("left behind: %v, %v", names, err)
			}
			if left := processesOf(t, dir); len(left) > 0 {
				t.Errorf("processes go on: %q", left)
			}
		})
	}
}

func TestDemoKeep(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), &lockedBuffer{}
	cmd := demoProcess(t, dir, out, "--keep")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // as above
	kept, err := filepath.Glob(filepath.Join(dir, "mesh-demo-*", "east", configName))
	if err != nil || len(kept) != 1 || !strings.Contains(out.String(), "\nkept "+dir) {
		t.Errorf("kept %v, %v\n%s", kept, err, out.String())
	}
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes go on: %q", left)
	}
}

// demoTerminal opens a terminal in which mesh demo runs, with a folder for temporary files of its own.
func demoTerminal(t *testing.T, width, height int, environ, args string) (term *terminaltest.Terminal, bin, dir string) {
	t.Helper()
	dir, bin = t.TempDir(), program
	term = terminaltest.Start(t, terminaltest.Options{Width: width, Height: height})
	term.Run(fmt.Sprintf("clear; TMPDIR=%s %s %s demo %s; echo EXIT $?", shellQuote(dir), environ, shellQuote(bin), args))
	return term, bin, dir
}

// demoFolder is where the demo below dir keeps everything.
func demoFolder(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "mesh-demo-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the folder of the demo: %q, %v", found, err)
	}
	return found[0]
}

func leftNothing(t *testing.T, dir string) {
	t.Helper()
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes go on: %q", left)
	}
}

// On a terminal the screen shows a node while the story happens, and the story among its events. The nodes go on
// after it, and can be asked, until q; then the story is printed.
func TestDemoOnTerminal(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	term, bin, dir := demoTerminal(t, 160, 48, "", "")
	term.AwaitText("MESH east", "1:Overview", "demo")
	term.Type("/kind=demo") // other events push the lines of the story out
	term.Press("Enter")
	term.AwaitText("1:Overview", "the nodes go on until you press q", "status --node unix:west/", "north", "west")
	term.Type("5")
	screen := term.AwaitText("1  Three nodes start", "2  A manifest in the folder of east appears in the others", "the nodes go on until you press q")
	if strings.Contains(screen, "FAIL") {
		t.Errorf("the screen shows\n%s", screen)
	}
	readyOfTwo(t, demoFolder(t, dir), bin, "status", "--node", "unix:west/data/api.sock")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s", code)
	}
	screen = term.Screen()
	for _, want := range []string{
		`  ok    healed; all have both +east [0-9.]+ ms  north [0-9.]+ ms  west [0-9.]+ ms`,
		`5  Two zones have created the same object`,
		`  ok    every log verifies everywhere +\d+ operations`,
		`  told in [0-9.]+ s`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(screen) {
			t.Errorf("no line is %s in\n%s", want, screen)
		}
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
	leftNothing(t, dir)
}

// readyOfTwo waits until mesh status, called in dir, says that both other nodes are ready: on a busy machine a heartbeat
// is missed now and then.
func readyOfTwo(t *testing.T, dir, bin string, args ...string) {
	t.Helper()
	eventually(t, "mesh status says 2/2 ready", func() bool {
		cmd := exec.Command(bin, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return err == nil && bytes.Contains(out, []byte("2/2 ready"))
	})
}

// Who leaves in the middle of the story is told what was told so far.
func TestDemoLeft(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	term, _, dir := demoTerminal(t, 100, 40, "", "--keep")
	term.AwaitText("MESH east", "LIVE")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s", code)
	}
	term.AwaitText("1  Three nodes start", "left before the end", "kept "+demoFolder(t, dir))
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes go on: %q", left)
	}
}

// A step that fails ends the screen, too, with the reason.
func TestDemoFailsOnTerminal(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	term, _, dir := demoTerminal(t, 160, 60, "", "")
	var pid int
	eventually(t, "the screen is there and north runs", func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "mesh-demo-*", "north"))
		if err == nil && len(found) == 1 {
			pid = processOf(t, found[0])
		}
		return pid != 0 && term.Value("#{alternate_on}") == "1"
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := term.AwaitExit(); code != "1" {
		t.Errorf("exit code %s", code)
	}
	term.AwaitText("FAIL", "error: the demo failed at this step", "the node of north has ended: signal: killed", "kept "+demoFolder(t, dir))
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes go on: %q", left)
	}
}

// Where the screen can't be filled, the story is told line by line, and the nodes go on after it until Ctrl-C.
func TestDemoOnDumbTerminal(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	term, bin, dir := demoTerminal(t, 100, 80, "TERM=dumb", "")
	screen := term.AwaitText("Ctrl-C ends the nodes and removes the folder.")
	if strings.Contains(screen, "  ..  ") || strings.Contains(screen, "FAIL") || !strings.Contains(screen, "\n  ok    nothing got through\n") {
		t.Errorf("the screen shows\n%s", screen)
	}
	cd := regexp.MustCompile(`(?m)^  cd (\S+)$`).FindStringSubmatch(screen)
	try := regexp.MustCompile(`(?m)^  \S+ (status --node \S+)$`).FindStringSubmatch(screen)
	if cd == nil || try == nil {
		t.Fatalf("the screen shows\n%s", screen)
	}
	readyOfTwo(t, cd[1], bin, strings.Fields(try[1])...)
	term.Press("C-c")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s", code)
	}
	leftNothing(t, dir)
}

// lockedBuffer takes the output of a process while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until cond holds, for longer than a busy machine takes.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// processOf is the process whose command line names dir; 0: there is none.
func processOf(t *testing.T, dir string) (pid int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(dir+string(filepath.Separator))) {
			if pid, err = strconv.Atoi(filepath.Base(filepath.Dir(f))); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// processesOf lists the command lines of running processes that name dir. Where there is no /proc it finds none.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && bytes.Contains(b, []byte(dir+string(filepath.Separator))) {
			found = append(found, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}
