package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// configName is the name of each node's configuration in its folder.
	configName = "config.yaml"
	// stopLimit is how long the nodes of a demo may take to end in order before they are killed. Nobody needs
	// what they would still write.
	stopLimit = 2 * time.Second
	// logTail is how many lines of a node's log an error shows, and logTailBytes how much is read for them.
	logTail      = 5
	logTailBytes = 8 << 10
)

// demoNode is one zone of the demo: its files, and the process that runs on them.
type demoNode struct {
	zone mesh.Zone
	key  keys.Private
	dir  string // holds config.yaml, private.key, manifests, data and node.log
	port uint16 // for peers

	cmd   *exec.Cmd     // nil before the first start
	ended chan struct{} // closed when the process has ended
	how   error         // it did; set before ended is closed
	down  bool          // it is meant to be
}

func (n *demoNode) local(name string) string {
	return filepath.Join(n.dir, "manifests", "local", name+".yaml")
}

// replica is where a ConfigMap of another zone appears.
func (n *demoNode) replica(owner mesh.Zone, name string) string {
	return filepath.Join(n.dir, "manifests", "mesh", string(owner), "default", "configmap", name+".yaml")
}

func (n *demoNode) data() string    { return filepath.Join(n.dir, "data") }
func (n *demoNode) logFile() string { return filepath.Join(n.dir, "node.log") }
func (n *demoNode) pid() int        { return n.cmd.Process.Pid }

// api is the address of the node's local API, and relAPI the same as seen from the folder of the demo.
func (n *demoNode) api() string { return "unix:" + admin.SocketPath(n.data()) }

func (n *demoNode) relAPI() string {
	rel, err := filepath.Rel(filepath.Dir(n.dir), admin.SocketPath(n.data()))
	if err != nil || strings.HasPrefix(rel, "..") {
		return n.api()
	}
	return "unix:" + rel
}

// start runs the node as a process that ends with this one.
func (n *demoNode) start(exe string, environ []string) error {
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(exe, "run", "--config", filepath.Join(n.dir, configName))
	cmd.Args[0] = "mesh"
	cmd.Dir, cmd.Env = n.dir, environ
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the node of %s: %w", n.zone, err)
	}
	ended := make(chan struct{})
	n.cmd, n.ended, n.down = cmd, ended, false
	go func() {
		n.how = cmd.Wait()
		close(ended)
	}()
	return nil
}

// hasEnded reports whether the process is gone.
func (n *demoNode) hasEnded() bool {
	if n.cmd == nil {
		return true
	}
	select {
	case <-n.ended:
		return true
	default:
		return false
	}
}

// fate is how the process ended, which it has.
func (n *demoNode) fate() string {
	if n.how == nil {
		return "exit status 0"
	}
	return n.how.Error()
}

// kill ends the process as a power cut would, and waits until it is gone.
func (n *demoNode) kill() {
	if n.cmd == nil {
		return
	}
	n.down = true
	_ = n.cmd.Process.Kill() // it may be gone already
	<-n.ended
	n.sweep()
}

// sweep removes the API socket that a killed node left outside its folder, where long paths have it.
func (n *demoNode) sweep() {
	socket := admin.SocketPath(n.data())
	if dir := filepath.Dir(socket); dir != n.data() {
		_ = os.Remove(socket)
		_ = os.Remove(dir)
	}
}

// stopAll ends every node, in order if they manage to.
func (d *demo) stopAll() {
	late := time.NewTimer(stopLimit)
	defer late.Stop()
	for _, n := range d.nodes {
		if !n.hasEnded() {
			_ = n.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, n := range d.nodes {
		if n.hasEnded() {
			continue
		}
		select {
		case <-n.ended:
		case <-late.C:
			late.Reset(0) // the others had as long
		}
		n.kill()
	}
}

// childEnvironment is the environment without what would change the nodes' configuration.
func childEnvironment(environ []string) []string {
	var kept []string
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); name != "PRIVATE_KEY" && !strings.HasPrefix(name, "MESH_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// lastLines returns the end of a node's log, empty when there is none.
func (n *demoNode) lastLines() []string {
	f, err := os.Open(n.logFile())
	if err != nil {
		return nil
	}
	defer f.Close()
	if _, err := f.Seek(-logTailBytes, io.SeekEnd); err != nil {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, logTailBytes))
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[max(0, len(lines)-logTail):]
}

// readOrNothing returns a file's content; one that is missing, or cannot be read just now, is empty.
func readOrNothing(name string) (content []byte, exists bool) {
	b, err := os.ReadFile(name)
	return b, !errors.Is(err, os.ErrNotExist)
}
