package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/porttest"
	"dcp.hiro.io/mesh/internal/meshtest/rivaltest"
)

// BenchmarkDetection kills nodes that have nothing to do, one after the other, and takes the time until the first and
// until all others say so; before, it watches them for a while for who is said to be gone and isn't. Then the same with as
// many agents of hashicorp/serf with its defaults for a LAN. Either are processes of their own, on the loopback
// interface of a network namespace of their own, so that each byte on it is theirs; where such can't be made it is the
// machine's, and what others send counts too. Nodes have the intervals of the defaults.
//
// One that is killed leaves sockets that the kernel closes, and answers for. One that is frozen (SIGSTOP) says nothing at
// all any more, as a machine that lost its power.
func BenchmarkDetection(b *testing.B) {
	for _, run := range []struct{ zones, killed, frozen int }{{10, 3, 2}, {50, 2, 1}} {
		b.Run(fmt.Sprintf("%dZones", run.zones), func(b *testing.B) {
			var theirs, ours detection
			for b.Loop() {
				theirs = observe(b, newAgents(b, run.zones), run.killed, run.frozen)
				ours = observe(b, newNodes(b, run.zones), run.killed, run.frozen)
			}
			theirs.report(b, "serf-")
			ours.report(b, "")
			b.ReportMetric(ours.all/theirs.all, "x-serf")
			b.ReportMetric(ours.frozenAll/theirs.frozenAll, "x-serf-frozen")
			b.ReportMetric(float64(ours.alarms-theirs.alarms), "more-alarms")
		})
	}
}

const (
	// settling is how long members that all see each other are left alone: fifty that start on two cores wait for their
	// answers for seconds, and nodes remember that for a minute.
	settling = time.Minute
	// quietWindow is how long members are watched then before the first is killed.
	quietWindow = 20 * time.Second
)

// detection is what was observed, means over the nodes that were killed or frozen.
type detection struct {
	first, all             float64 // seconds until the first and until all others said that a killed one is gone
	frozenFirst, frozenAll float64 // the same of a frozen one
	alarms                 int     // how often a living one was said to be gone
	bytes                  float64 // a second that a node sent while nothing happened
	cpu                    float64 // percent of a core that it took then
}

func (d detection) report(b *testing.B, prefix string) {
	b.ReportMetric(d.first, prefix+"first-s")
	b.ReportMetric(d.all, prefix+"all-s")
	b.ReportMetric(d.frozenFirst, prefix+"frozen-first-s")
	b.ReportMetric(d.frozenAll, prefix+"frozen-all-s")
	b.ReportMetric(float64(d.alarms), prefix+"alarms")
	b.ReportMetric(d.bytes, prefix+"B/s")
	b.ReportMetric(d.cpu, prefix+"%-core")
}

// word is what a member said about another.
type word struct {
	at    time.Time
	about int
	up    bool
}

// gang is members of one sort, all running. They are numbered from 0.
type gang interface {
	size() int
	pid(i int) int
	kill(i int) // waits for its end
	// words returns what a member has said since it was asked last.
	words(i int) []word
}

// watcher remembers what all members of a gang said.
type watcher struct {
	gang
	b    *testing.B
	said [][]word          // by member
	gone map[int]time.Time // from when on it is right to say so
}

func observe(b *testing.B, g gang, killed, frozen int) (d detection) {
	w := &watcher{gang: g, b: b, said: make([][]word, g.size()), gone: map[int]time.Time{}}
	w.until("everybody sees everybody", func() error { return w.allUp() })
	time.Sleep(settling)
	began := time.Now()
	bytes, cpu := w.spent()
	time.Sleep(quietWindow)
	bytesAfter, cpuAfter := w.spent()
	seconds, nodes := time.Since(began).Seconds(), float64(g.size())
	d.bytes, d.cpu = (bytesAfter-bytes)/seconds/nodes, 100*(cpuAfter-cpu)/seconds/nodes

	next := g.size() - 1 // the first one is where the agents joined
	for range killed {
		first, all := w.ends(next, g.kill)
		d.first, d.all = d.first+first/float64(killed), d.all+all/float64(killed)
		next--
	}
	for range frozen {
		first, all := w.ends(next, func(i int) { must(b, syscall.Kill(g.pid(i), syscall.SIGSTOP)) })
		g.kill(next)
		d.frozenFirst, d.frozenAll = d.frozenFirst+first/float64(frozen), d.frozenAll+all/float64(frozen)
		next--
	}
	for i, words := range w.said {
		for _, x := range words {
			if since, gone := w.gone[x.about]; !x.up && x.at.After(began) && (!gone || x.at.Before(since)) {
				b.Logf("false alarm: at %s %d says that %d is gone", x.at.Format(time.TimeOnly), i, x.about)
				d.alarms++
			}
		}
	}
	for i := range g.size() {
		if _, gone := w.gone[i]; !gone {
			g.kill(i) // the others that are compared with have the machine for themselves
		}
	}
	return d
}

// until listens until cond holds.
func (w *watcher) until(what string, cond func() error) {
	w.b.Helper()
	err := wait(5*patience, func() error { // fifty nodes on two cores take their time to come together
		for i := range w.said {
			if _, gone := w.gone[i]; !gone {
				w.said[i] = append(w.said[i], w.words(i)...)
			}
		}
		if err := cond(); err != nil {
			time.Sleep(200 * time.Millisecond) // times are those that stand with what was said
			return err
		}
		return nil
	})
	if err != nil {
		w.b.Fatalf("%s: %v", what, err)
	}
}

// allUp returns an error while some member has not said of every other that it is there.
func (w *watcher) allUp() error {
	missing := 0
	for _, words := range w.said {
		up := map[int]bool{}
		for _, x := range words {
			up[x.about] = x.up
		}
		here := 0
		for _, is := range up {
			if is {
				here++
			}
		}
		missing += max(0, w.size()-1-here)
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d are missing", missing, w.size()*(w.size()-1))
	}
	return nil
}

// ends ends a member in some way and returns the seconds until the first and until all others say so.
func (w *watcher) ends(victim int, how func(int)) (first, all float64) {
	w.b.Helper()
	began := time.Now()
	how(victim)
	w.gone[victim] = began
	began = began.Truncate(time.Millisecond) // as what is said
	w.until(fmt.Sprintf("everybody says that %d is gone", victim), func() error {
		first, all = 0, 0
		for i, words := range w.said {
			if _, gone := w.gone[i]; gone {
				continue
			}
			after := -1.0
			for _, x := range words {
				if x.about == victim && !x.up && !x.at.Before(began) {
					after = x.at.Sub(began).Seconds()
					break
				}
			}
			if after < 0 {
				return fmt.Errorf("%d does not", i)
			}
			if first == 0 || after < first {
				first = after
			}
			all = max(all, after)
		}
		return nil
	})
	return first, all
}

// spent returns the bytes that were sent on the members' loopback interface and the processor seconds they took so far.
func (w *watcher) spent() (sent, cpu float64) {
	for i := range w.size() {
		cpu += processorSeconds(w.b, w.pid(i))
	}
	return sentOnLoopback(w.b, w.pid(0)), cpu
}

var quietPlaces atomic.Int32

// quietPlace makes a network namespace in which there is a loopback interface and nothing else. Where that can't be done
// it is "", the test's own.
func quietPlace(b *testing.B) string {
	b.Helper()
	name := fmt.Sprintf("mesh-bench-%d-%d", os.Getpid(), quietPlaces.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		b.Logf("no network namespace of its own, bytes are those of the machine: %v %s", err, out)
		return ""
	}
	b.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			b.Errorf("remove a network namespace: %v %s", err, out)
		}
	})
	out, err := exec.Command("ip", "-n", name, "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		b.Fatalf("ip link set lo up: %v %s", err, out)
	}
	return name
}

// nodes are our own.
type nodes struct {
	all   []*zone
	taken []int // bytes of each log
}

func newNodes(b *testing.B, n int) *nodes {
	b.Helper()
	place := quietPlace(b)
	all := zones(b, numbered(n), set("heartbeat_interval_seconds", 5))
	for _, z := range all {
		z.machine = place
		z.start() // one by one: fifty that start at once have two cores do nothing else for minutes
	}
	return &nodes{all, make([]int, n)}
}

// numbered returns the names of n zones.
func numbered(n int) string {
	var names []string
	for i := range n {
		names = append(names, "n"+strconv.Itoa(i))
	}
	return strings.Join(names, " ")
}

func (g *nodes) size() int     { return len(g.all) }
func (g *nodes) pid(i int) int { return g.all[i].process.cmd.Process.Pid }
func (g *nodes) kill(i int)    { must(g.all[i].t, g.all[i].kill()) }

func (g *nodes) words(i int) (out []word) {
	z := g.all[i]
	if !z.running() {
		z.t.Fatalf("%s ended: %v", z.name, z.process.err)
	}
	log, err := os.ReadFile(z.logFile(z.runs))
	must(z.t, err)
	whole := bytes.LastIndexByte(log, '\n') + 1
	for line := range bytes.Lines(log[g.taken[i]:whole]) {
		var said struct {
			Time          time.Time
			Message, Zone string
		}
		if !bytes.Contains(line, []byte("peer is ")) || json.Unmarshal(line, &said) != nil {
			continue
		}
		about, err := strconv.Atoi(strings.TrimPrefix(said.Zone, "n"))
		must(z.t, err)
		out = append(out, word{said.Time, about, said.Message == "peer is ready"})
	}
	g.taken[i] = whole
	return out
}

// agents are those of serf.
type agents struct {
	all   []*rivaltest.Process
	taken []int // lines of each
}

func newAgents(b *testing.B, n int) *agents {
	b.Helper()
	program, place := rivaltest.Build(b), quietPlace(b)
	g := &agents{taken: make([]int, n)}
	first := ""
	for name := range strings.FieldsSeq(numbered(n)) {
		port := porttest.Free(b)
		args := []string{"serf", "-name", name, "-port", strconv.Itoa(port), "-join", first}
		cmd := exec.Command(program, args...)
		if place != "" {
			cmd = exec.Command("ip", append([]string{"netns", "exec", place, program}, args...)...)
		}
		g.all = append(g.all, rivaltest.Begin(b, name, cmd))
		if first == "" {
			g.all[0].Ready()
			first = fmt.Sprintf("127.0.0.1:%d", port)
		}
	}
	for _, p := range g.all[1:] {
		p.Ready()
	}
	return g
}

func (g *agents) size() int     { return len(g.all) }
func (g *agents) pid(i int) int { return g.all[i].PID() }
func (g *agents) kill(i int)    { g.all[i].Kill() }

func (g *agents) words(i int) (out []word) {
	lines := g.all[i].Lines()
	for _, line := range lines[g.taken[i]:] {
		var said struct {
			Event, Member string
			At            int64
		}
		if json.Unmarshal(line, &said) != nil || said.Event != "join" && said.Event != "failed" {
			continue
		}
		if about, err := strconv.Atoi(strings.TrimPrefix(said.Member, "n")); err == nil && about != i {
			out = append(out, word{time.Unix(0, said.At), about, said.Event == "join"})
		}
	}
	g.taken[i] = len(lines)
	return out
}
