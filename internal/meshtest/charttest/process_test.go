package charttest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is far beyond what anything here takes on a machine that does much else.
	patience = 2 * time.Minute
	pollTick = 50 * time.Millisecond
)

// eventually asks again and again until what is asked holds, and fails with the last answer.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		began := time.Now()
		err := ask()
		if err == nil {
			return
		}
		if errors.Is(err, errOver) || time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(max(pollTick, time.Since(began))) // whoever is asked has other things to do
	}
}

// errOver says that asking again is of no use.
var errOver = errors.New("this cannot come true any more")

// process is a program that runs until it is told to end, or the test ends.
type process struct {
	cmd   *exec.Cmd
	log   string        // file with what it printed
	ended chan struct{} // closed when it is gone
}

// start runs a command. Its output is appended to a file, which a test that fails shows.
func start(t *testing.T, log string, cmd *exec.Cmd) *process {
	t.Helper()
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // the process has its own
	cmd.Stdout, cmd.Stderr = file, file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // also when the tests run out of time
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread ends that started the process, so this one stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its ProcessState
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error says that it ended before
		<-p.ended
		if t.Failed() {
			text := p.said(t)
			t.Logf("%s:\n%s", log, text[max(0, len(text)-(8<<10)):])
		}
	})
	return p
}

// said is everything that the process printed.
func (p *process) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends a process as the kubelet does, and wants it to end well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if !p.running() {
		t.Fatalf("it ended by itself: %s", p.cmd.ProcessState)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second): // the kubelet's patience
		t.Fatal("it did not end within 30 s of SIGTERM")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended on SIGTERM with %s, want exit code 0", p.cmd.ProcessState)
	}
}
