package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// zone is one node with its key, config, folder and data directory, whether it runs or not. It belongs to one
// goroutine at a time.
type zone struct {
	t       testing.TB
	program string // path of the binary
	name    string
	dir     string // all of it is in here
	folder  string
	data    string
	public  string // key
	port    int    // for peers
	http    int
	config  map[string]any // nil: nobody wrote one for it
	env     []string       // of the node, beyond the test's own
	args    []string       // what the program is started with
	machine string         // the network namespace it is in; empty: the test's own

	runs    int
	process *process // nil: not started yet
}

// process is one run of a node.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is gone
	err   error         // how, read after ended
}

// zones makes nodes that know each other and starts none. Each of settings changes every config.
func zones(t testing.TB, names string, settings ...func(map[string]any)) []*zone {
	t.Helper()
	var all []*zone
	for name := range strings.FieldsSeq(names) {
		all = append(all, newZone(t, name, settings...))
	}
	for _, z := range all {
		z.knows(all...)
		z.save()
	}
	return all
}

func newZone(t testing.TB, name string, settings ...func(map[string]any)) *zone {
	t.Helper()
	binary, err := program()
	must(t, err)
	z := &zone{t: t, program: binary, name: name, dir: t.TempDir(), port: porttest.Free(t), http: porttest.Free(t)}
	z.folder, z.data = filepath.Join(z.dir, "folder"), filepath.Join(z.dir, "data")
	out := z.cli("keygen", "-q", filepath.Join(z.dir, "private.key"))
	if z.public = regexp.MustCompile(`[0-9a-f]{64}`).FindString(out); z.public == "" {
		z.public = regexp.MustCompile(`[0-9a-f]{64}`).FindString(z.cli("keygen", "--public", filepath.Join(z.dir, "private.key")))
	}
	must(t, os.MkdirAll(filepath.Join(z.folder, "local"), 0o755))
	z.config = map[string]any{
		"bind_port": z.port, "http_bind_port": z.http,
		"bind_address": []string{"127.0.0.1"}, "http_bind_address": "127.0.0.1",
		"network_id":                 "e2e",
		"private_key_path":           filepath.Join(z.dir, "private.key"),
		"data_dir":                   z.data,
		"heartbeat_interval_seconds": 1,
		"kubernetes":                 map[string]any{"folder": z.folder},
		"mesh":                       map[string]any{"zone": name},
		"nodes":                      []map[string]any{},
	}
	z.args = []string{"run", "-c", z.configFile(), "--strict-port"}
	for _, set := range settings {
		set(z.config)
	}
	z.save()
	t.Cleanup(z.cleanup)
	return z
}

// setMesh returns a setting of a key below mesh.
func setMesh(key string, value any) func(map[string]any) {
	return func(config map[string]any) { config["mesh"].(map[string]any)[key] = value }
}

// set returns a setting of a key of the first level.
func set(key string, value any) func(map[string]any) {
	return func(config map[string]any) { config[key] = value }
}

// knows lists other nodes in the config. It takes effect with save and a start or reload.
func (z *zone) knows(others ...*zone) {
	nodes := z.config["nodes"].([]map[string]any)
	for _, o := range others {
		if o != z {
			nodes = append(nodes, map[string]any{"public_key": o.public, "zone": o.name, "endpoints": []string{fmt.Sprintf("127.0.0.1:%d", o.port)}})
		}
	}
	z.config["nodes"] = nodes
}

func (z *zone) save() {
	z.t.Helper()
	b, err := yaml.Marshal(z.config)
	must(z.t, err)
	must(z.t, os.WriteFile(z.configFile(), b, 0o600))
}

func (z *zone) configFile() string { return filepath.Join(z.dir, "config.yaml") }

// begin starts the process and waits for nothing.
func (z *zone) begin() error {
	if z.running() {
		return fmt.Errorf("%s runs already", z.name)
	}
	z.runs++
	log, err := os.Create(z.logFile(z.runs))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	p := &process{cmd: z.command(z.args...), ended: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, z.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the tests run out of time
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread ends that started the process, so this one stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	z.process = p
	return nil
}

// command prepares the program to run where the node is: in its directory, on its machine.
func (z *zone) command(args ...string) *exec.Cmd {
	cmd := exec.Command(z.program, args...)
	if z.machine != "" {
		cmd = exec.Command("ip", append([]string{"netns", "exec", z.machine, z.program}, args...)...)
	}
	cmd.Dir = z.dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "HOME="+z.dir)
	return cmd
}

func (z *zone) logFile(run int) string { return filepath.Join(z.dir, fmt.Sprintf("log.%d", run)) }

// start starts the process and waits until it is ready.
func (z *zone) start() {
	z.t.Helper()
	must(z.t, z.begin())
	eventually(z.t, z.name+" is ready", func() error {
		if !z.running() {
			return fmt.Errorf("%w: %s ended: %v", errOver, z.name, z.process.err)
		}
		s, err := z.status()
		if err == nil && !s.Ready {
			err = errors.New("not yet")
		}
		return err
	})
}

// startAll starts nodes at the same time, so that none waits for another that is not there yet.
func startAll(t testing.TB, all ...*zone) {
	t.Helper()
	for _, z := range all {
		must(t, z.begin())
	}
	for _, z := range all {
		z.cli("status", "--wait=120s")
	}
}

func (z *zone) running() bool {
	if z.process == nil {
		return false
	}
	select {
	case <-z.process.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal to a process that has to run.
func (z *zone) signal(s syscall.Signal) {
	z.t.Helper()
	if !z.running() {
		z.t.Fatalf("%s does not run any more: %v", z.name, z.process.err)
	}
	must(z.t, z.process.cmd.Process.Signal(s))
}

// exit waits for the end of the process and returns its exit code.
func (z *zone) exit() int {
	z.t.Helper()
	select {
	case <-z.process.ended:
	case <-time.After(patience):
		z.t.Fatalf("%s did not end within %s", z.name, patience)
	}
	return z.process.cmd.ProcessState.ExitCode()
}

// stop ends the process in an orderly way and looks for what it left behind.
func (z *zone) stop() {
	z.t.Helper()
	z.signal(syscall.SIGTERM)
	if code := z.exit(); code != 0 {
		z.t.Errorf("%s ended with %d on SIGTERM, want 0", z.name, code)
	}
	if _, err := os.Lstat(z.socket()); err == nil {
		z.t.Errorf("%s left its socket behind", z.name)
	}
	if !z.unlocked() {
		z.t.Errorf("%s left its store locked", z.name)
	}
}

// unlocked reports whether the store can be locked.
func (z *zone) unlocked() bool {
	f, err := os.Open(filepath.Join(z.data, "mesh.db"))
	must(z.t, err)
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// kill ends the process as a crash does. It is an error if there was none.
func (z *zone) kill() error {
	if !z.running() {
		return fmt.Errorf("%s ended by itself: %v", z.name, z.process.err)
	}
	if err := z.process.cmd.Process.Kill(); err != nil {
		return err
	}
	<-z.process.ended
	return nil
}

func (z *zone) cleanup() {
	if z.t.Failed() {
		z.dump()
	}
	if z.running() {
		if err := z.kill(); err != nil {
			z.t.Error(err)
		}
	}
}

// dump prints what helps to understand a failure.
func (z *zone) dump() {
	if z.running() {
		out, err := z.try("status")
		z.t.Logf("%s: status: %v\n%s", z.name, err, out)
		out, err = z.try("log", "ls")
		z.t.Logf("%s: log ls: %v\n%s", z.name, err, out)
	}
	const tail = 8 << 10
	for run := max(1, z.runs-1); run <= z.runs; run++ {
		b, err := os.ReadFile(z.logFile(run))
		z.t.Logf("%s: run %d logged: %v\n%s", z.name, run, err, b[max(0, len(b)-tail):])
	}
}

// try runs a command of the program against this node.
func (z *zone) try(args ...string) (string, error) {
	cmd := z.command(args...) // finds the config there
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// cli runs a command that has to succeed.
func (z *zone) cli(args ...string) string {
	z.t.Helper()
	out, err := z.try(args...)
	if err != nil {
		z.t.Fatalf("%s: mesh %s: %v\n%s", z.name, strings.Join(args, " "), err, out)
	}
	return out
}

func (z *zone) socket() string { return filepath.Join(z.data, "api.sock") }

// status asks the node over its socket.
func (z *zone) status() (mesh.Status, error) {
	var s mesh.Status
	return s, z.ask("status", &s)
}

// peer returns what the node says about another.
func (z *zone) peer(name string) (mesh.Peer, error) {
	var list struct{ Items []mesh.Peer }
	if err := z.ask("peers", &list); err != nil {
		return mesh.Peer{}, err
	}
	for _, p := range list.Items {
		if p.Name == name {
			return p, nil
		}
	}
	return mesh.Peer{}, fmt.Errorf("%s knows no %s", z.name, name)
}

func (z *zone) ask(what string, into any) error {
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", z.socket())
		},
	}}
	resp, err := client.Get("http://mesh/api/v1/" + what)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", z.name, resp.Status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// metric sums the series of a metric whose labels hold a text.
func (z *zone) metric(name, label string) (sum float64, err error) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", z.http))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, labels, _ := strings.Cut(series, "{"); !ok || base != name || !strings.Contains(labels, label) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// memory returns the resident memory of the process in bytes: now, or its peak (VmRSS, VmHWM).
func (z *zone) memory(field string) int {
	z.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", z.process.cmd.Process.Pid))
	must(z.t, err)
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		z.t.Fatalf("/proc knows no %s", field)
	}
	n, err := strconv.Atoi(string(m[1]))
	must(z.t, err)
	return n << 10
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
