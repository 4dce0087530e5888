package kubetest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// process is a program that runs, and dies with this one.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended; err is set before
	err    error
}

// startProcess starts a program whose output is appended to a file.
func startProcess(logFile, path string, args ...string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, exited: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) start() error {
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p.cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is ours to handle
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread ends that started the process, so this one stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	return <-started
}

// kill ends a process at once, as kill -9 does, and waits until it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it ended before
	<-p.exited
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// mark returns the length of a log so far, in bytes; 0 while there is none.
func mark(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail returns the last lines that a log got since a mark.
func tail(file string, since int64, lines int) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 64 << 10 // bytes; more than the lines that anybody reads
	if size := mark(file); size-since > most {
		since = size - most
	}
	if _, err := f.Seek(since, io.SeekStart); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err.Error()
	}
	all := strings.SplitAfter(string(bytes.TrimSpace(text)), "\n")
	if n := len(all) - lines; n > 0 {
		all = append([]string{fmt.Sprintf("... %d lines before\n", n)}, all[n:]...)
	}
	return strings.Join(all, "")
}
