// Package rivaltest builds and starts what benchmarks compare this program with: the program of the module
// bench/rivals. Only benchmarks use it.
package rivaltest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a line may take on a machine that does much else.
const patience = 2 * time.Minute

// Build builds the rivals into a folder of the test and returns the program's path. The first time on a machine it
// downloads and compiles what they depend on, which takes a minute or more. It is to be called below the module's
// top folder.
func Build(t testing.TB) string {
	t.Helper()
	module, err := module()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "rivals")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the rivals: %v\n%s", err, out)
	}
	return program
}

// module finds bench/rivals above the working directory, which for a test is its package's.
func module() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		module := filepath.Join(dir, "bench", "rivals")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no bench/rivals above %s", start)
		}
	}
}

// Process is a rival that runs; it ends with its test. Send and Next belong to one goroutine.
type Process struct {
	Name string // in messages

	t      testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	errors bytes.Buffer
	ended  chan struct{} // closed when it has ended
	line   chan struct{} // capacity 1, never closed: there is another line

	mu    sync.Mutex
	lines []json.RawMessage // what it printed so far
	read  int               // of them, by Next
}

// Start starts a command and returns when it is ready. Its first line says so.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := Begin(t, name, cmd)
	p.Ready()
	return p
}

// Begin starts a command and waits for nothing.
func Begin(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Name: name, t: t, cmd: cmd, ended: make(chan struct{}), line: make(chan struct{}, 1)}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, cmd.Stderr = in, &p.errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread ends that started the process, so this one stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.collect(out)
			_ = cmd.Wait() // how it ended is told by its output
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(p.Kill)
	return p
}

// collect keeps lines until there are no more.
func (p *Process) collect(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, bytes.Clone(lines.Bytes()))
		p.mu.Unlock()
		select {
		case p.line <- struct{}{}:
		default:
		}
	}
}

// Ready waits for the line that says that the rival can be used.
func (p *Process) Ready() {
	p.t.Helper()
	var first struct{ Event string }
	if p.Next(&first); first.Event != "ready" {
		p.t.Fatalf("%s says %q, want ready", p.Name, first.Event)
	}
}

// Send writes a line of input.
func (p *Process) Send(v any) {
	p.t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.in.Write(append(b, '\n'))
	}
	if err != nil {
		p.t.Fatalf("write to %s: %v", p.Name, err)
	}
}

// Next waits for the next line.
func (p *Process) Next(into any) {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		var line json.RawMessage
		if p.read < len(p.lines) {
			line = p.lines[p.read]
			p.read++
		}
		p.mu.Unlock()
		if line != nil {
			if err := json.Unmarshal(line, into); err != nil {
				p.t.Fatalf("%s printed %s: %v", p.Name, line, err)
			}
			return
		}
		select {
		case <-p.line:
		case <-p.ended:
			p.mu.Lock()
			over := p.read == len(p.lines)
			p.mu.Unlock()
			if over {
				p.t.Fatalf("%s ended: %s", p.Name, &p.errors)
			}
		case <-late:
			p.t.Fatalf("%s printed nothing for %s", p.Name, patience)
		}
	}
}

// Lines returns all that it has printed so far, whether Next returned it or not. Safe for concurrent use.
func (p *Process) Lines() []json.RawMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)]
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends it as a crash does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error says that it ended before
	<-p.ended
}
