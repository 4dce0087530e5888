package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// A victim is a whole node in a process of its own: this test binary, started again. So what an attack costs in
// memory, processor time, goroutines and streams can be told from what the attacker needs for it. It is asked
// by lines of JSON on its standard input and ends with it.

// victimEnv makes the test binary a victim.
const victimEnv = "MESH_HOSTILE_VICTIM"

// victimSetup is the first line a victim reads.
type victimSetup struct {
	Zone    mesh.Zone
	Members []victimMember
	Strict  bool // an eighth of the allowance for links, so that a flood exceeds it on the slowest machine, too
}

type victimMember struct {
	Key  []byte
	Zone mesh.Zone
}

// order is any later line, gauge its answer.
type order struct {
	Do   string // begin, gauge, put, fill, log
	Name string // of an object
}

// gauge is what a victim uses and has counted. Peaks are since the last "begin".
type gauge struct {
	Port                                   int
	RSS, PeakRSS                           int64 // bytes
	CPU                                    time.Duration
	Goroutines, Conns, Streams, Files      int
	PeakGoroutines, PeakConns, PeakStreams int
	Disk, Log                              int64 // bytes committed and logged since the start
	Has                                    bool  // the object that was asked for
	Counts                                 map[string]float64
	Lines                                  string
}

// tail keeps the end of a log and counts all of it.
type tail struct {
	n  atomic.Int64
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.n.Add(int64(len(b)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b = append(t.b, b...); len(t.b) > 64<<10 {
		t.b = append([]byte(nil), t.b[len(t.b)-32<<10:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// ledgerStore counts what is committed.
type ledgerStore struct {
	*oplog.Memory
	n atomic.Int64
}

func (s *ledgerStore) Commit(b *oplog.Batch) error {
	n := 0
	for _, r := range b.Rows {
		n += r.Size()
	}
	for _, o := range b.Trust {
		n += len(o.Header) + len(o.Body)
	}
	for _, c := range b.Contacts {
		n += len(c.Record) + 100
	}
	for _, e := range b.Evidence {
		n += e.A.Size() + e.B.Size()
	}
	s.n.Add(int64(n))
	return s.Memory.Commit(b)
}

// victimMain is the process.
func victimMain() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	var setup victimSetup
	if !in.Scan() {
		return errors.New("no setup")
	}
	if err := json.Unmarshal(in.Bytes(), &setup); err != nil {
		return err
	}
	if setup.Strict {
		linkPace = allowance{rate: linkPace.rate / 8, burst: linkPace.burst / 8}
	}
	log, store, reg, objects := new(tail), &ledgerStore{Memory: oplog.NewMemory()}, prometheus.NewRegistry(), newShelf()
	cfg := DefaultConfig()
	cfg.Key, cfg.Zone, cfg.Network, cfg.Store = testKey(1), setup.Zone, testNetwork, store
	cfg.BindAddresses, cfg.Port, cfg.Cluster, cfg.Registerer = []string{"127.0.0.1"}, 0, objects, reg
	cfg.HeartbeatInterval, cfg.ProbeInterval = time.Second, time.Second // the defaults, a little faster
	cfg.Replica.SnapshotMaxLog = 1 << 20                                // a snapshot in the middle of an attack would be counted as its cost
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	for _, m := range setup.Members {
		key, err := keys.PublicFromBytes(m.Key)
		if err != nil {
			return err
		}
		cfg.Nodes = append(cfg.Nodes, Peer{Key: key, Zone: m.Zone})
	}
	n, err := New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w := &watcher{n: n}
	go w.run(ctx)
	out, filled := json.NewEncoder(os.Stdout), 0
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		switch o.Do {
		case "begin":
			debug.FreeOSMemory()
			w.reset()
		case "put":
			objects.put(victimObject(o.Name), victimPayload(o.Name))
		case "fill":
			filled++
			name := fmt.Sprint("fill", filled)
			objects.put(victimObject(name), bytes.Replace(victimPayload(name), []byte(`"v"`), fmt.Appendf(nil, "%q", strings.Repeat("x", fillSize)), 1))
		}
		g := w.gauge()
		g.Disk, g.Log, g.Has, g.Counts = store.n.Load(), log.n.Load(), objects.has(victimObject(o.Name)), counts(reg)
		if o.Do == "log" {
			g.Lines = log.String()
		}
		select {
		case err := <-done:
			return fmt.Errorf("the node ended: %w", err)
		default:
		}
		if err := out.Encode(g); err != nil {
			return err
		}
	}
	stop()
	return <-done
}

func victimObject(name string) mesh.ObjectKey {
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name}
}

func victimPayload(name string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"name":%q,"namespace":"default"}}`, name)
}

// counts lists every counter that is not 0 as name{label}.
func counts(reg *prometheus.Registry) map[string]float64 {
	out := map[string]float64{}
	families, _ := reg.Gather() // what could be gathered
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			if name == "mesh_refused_total" {
				name = m.GetLabel()[0].GetValue()
			} else {
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
			}
			v := m.GetCounter().GetValue()
			if strings.HasSuffix(f.GetName(), "_blocked_resources") { // libp2p makes a gauge of a count
				v, name = m.GetGauge().GetValue(), f.GetName()
			}
			if v > 0 {
				out[name] += v
			}
		}
	}
	return out
}

// watcher remembers the most that was in use.
type watcher struct {
	n                          *Node
	goroutines, conns, streams atomic.Int64
}

func (w *watcher) run(ctx context.Context) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.look()
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) look() (g gauge) {
	g.Goroutines = runtime.NumGoroutine()
	if w.n.Ready() {
		conns := w.n.host.Network().Conns()
		g.Conns = len(conns)
		for _, c := range conns {
			g.Streams += len(c.GetStreams())
		}
	}
	raise := func(to *atomic.Int64, v int) { to.Store(max(to.Load(), int64(v))) }
	raise(&w.goroutines, g.Goroutines)
	raise(&w.conns, g.Conns)
	raise(&w.streams, g.Streams)
	return g
}

func (w *watcher) reset() {
	w.goroutines.Store(0)
	w.conns.Store(0)
	w.streams.Store(0)
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // elsewhere the peak is that of the whole life
}

func (w *watcher) gauge() gauge {
	g := w.look()
	g.Port = w.n.Port()
	g.PeakGoroutines, g.PeakConns, g.PeakStreams = int(w.goroutines.Load()), int(w.conns.Load()), int(w.streams.Load())
	g.RSS, g.PeakRSS = memoryOf("VmRSS"), memoryOf("VmHWM")
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err == nil {
		g.CPU = time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		g.Files = len(fds)
	}
	return g
}

// memoryOf reads a line of the process's status, in bytes; 0 where there is none.
func memoryOf(what string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// victim is the test's end of one.
type victim struct {
	t    *testing.T
	port int

	mu  sync.Mutex
	in  *json.Encoder
	out *bufio.Scanner
}

// newVictim starts one that admits the members named.
func newVictim(t *testing.T, setup victimSetup) *victim {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), victimEnv+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	v.out.Buffer(nil, 4<<20)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the victim's log ends:\n%s", v.ask("log", "").Lines)
		}
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the victim ended with %v:\n%s", err, stderr.Bytes())
		}
	})
	if err := v.in.Encode(setup); err != nil {
		t.Fatal(err)
	}
	until(t, "the victim listens", func() bool { v.port = v.ask("gauge", "").Port; return v.port != 0 })
	return v
}

func (v *victim) ask(what, name string) (g gauge) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.in.Encode(order{what, name}); err != nil {
		v.t.Errorf("ask the victim: %v", err)
		return g
	}
	if !v.out.Scan() {
		v.t.Fatalf("the victim is gone: %v", v.out.Err())
	}
	if err := json.Unmarshal(v.out.Bytes(), &g); err != nil {
		v.t.Error(err)
	}
	return g
}

func (v *victim) endpoint() string { return fmt.Sprintf("127.0.0.1:%d", v.port) }
