package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
)

// BenchmarkFolderToFolder saves one manifest at a time in one node's folder, at rest, and waits for it in the other's.
// Beside it stands what one file costs that is written and synced, in the same folder in the same run.
func BenchmarkFolderToFolder(b *testing.B) {
	all := zones(b, "east west")
	east, west := all[0], all[1]
	startAll(b, all...)
	east.write("a.yaml", manifest("a", "begin"))
	equal(b, model{"east": {"a": "begin"}}, west)
	replica := west.replica("east", "a")
	appears := watch(b, filepath.Dir(replica))
	var took, synced []time.Duration
	save := func() {
		time.Sleep(10 * time.Millisecond) // at rest: what follows a change is over
		value := fmt.Sprintf("value %d.", len(took))
		began := time.Now()
		east.write("a.yaml", manifest("a", value))
		for got := ""; got != value; {
			appears()
			var err error
			got, err = valueOf(replica)
			must(b, err)
		}
		took = append(took, time.Since(began))

		began = time.Now()
		f, err := os.Create(filepath.Join(west.dir, "synced"))
		must(b, err)
		_, err = f.WriteString(manifest("a", value))
		must(b, errors.Join(err, f.Sync(), f.Close()))
		synced = append(synced, time.Since(began))
	}
	for b.Loop() {
		for range 100 { // enough for a p99 in the shortest run
			save()
		}
	}
	b.ReportMetric(quantile(took, 0.5), "p50-ms")
	b.ReportMetric(quantile(took, 0.99), "p99-ms")
	b.ReportMetric(quantile(synced, 0.5), "p50-synced-file-ms")
}

// watch returns a function that waits until a file is renamed into a folder. To look again and again would take
// the processor from those that are measured.
func watch(b *testing.B, dir string) func() {
	b.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	must(b, err)
	events := os.NewFile(uintptr(fd), "inotify")
	b.Cleanup(func() { events.Close() })
	_, err = syscall.InotifyAddWatch(fd, dir, syscall.IN_MOVED_TO)
	must(b, err)
	must(b, events.SetReadDeadline(time.Now().Add(10*patience)))
	some := make([]byte, 4096)
	return func() {
		_, err := events.Read(some)
		must(b, err)
	}
}

// quantile returns a quantile in milliseconds.
func quantile(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[int(float64(len(d)-1)*q)].Microseconds()) / 1000
}

// BenchmarkHundredThousand takes a node with 100,000 objects, one operation each, as it starts anew and as another
// node gets its log.
func BenchmarkHundredThousand(b *testing.B) {
	const files, perFile = 200, 500
	const count = files * perFile
	all := zones(b, "east west", setMesh("snapshot", map[string]any{"snapshot_max_log": 1_000_000, "snapshot_interval_seconds": 86_400}))
	east, west := all[0], all[1]
	// The receiver takes the log; writing files is not what is measured.
	west.config["kubernetes"] = map[string]any{}
	west.save()
	startAll(b, all...)
	empty := east.memory("VmRSS")
	began := time.Now()
	for f := range files {
		var text strings.Builder
		for n := range perFile {
			text.WriteString("---\n" + manifest(fmt.Sprintf("object-%d", f*perFile+n), strings.Repeat("v", 200)))
		}
		east.write(fmt.Sprintf("%d.yaml", f), text.String())
	}
	eventually(b, "all is published and synced", func() error {
		s, err := west.status()
		if err == nil && s.Resources.Live != count {
			err = fmt.Errorf("%d objects", s.Resources.Live)
		}
		return err
	})
	b.Logf("published and synced live: %.0f operations/s", count/time.Since(began).Seconds())
	west.halt()
	east.halt()

	// From here on without the folder: reading its files again is not what is measured.
	east.config["kubernetes"] = map[string]any{}
	east.save()

	b.Run("ColdStart", func(b *testing.B) {
		var seconds float64
		var memory int
		n := 0
		for b.Loop() {
			east.start()
			seconds += east.readyAfter()
			memory += east.memory("VmRSS")
			n++
			east.halt()
		}
		b.ReportMetric(seconds/float64(n), "ready-s")
		b.ReportMetric(float64(memory/n-empty)/count, "B/object")
	})
	b.Run("Ingest", func(b *testing.B) {
		east.start()
		verifying := verifyAll(b, count) // before and after: other things run here too
		var took time.Duration
		n := 0
		for b.Loop() {
			must(b, os.RemoveAll(west.data))
			west.start()
			began := time.Now()
			eventually(b, "all is ingested", func() error {
				time.Sleep(50 * time.Millisecond) // asking costs the node, too
				s, err := west.status()
				if err == nil && s.Resources.Live != count {
					err = fmt.Errorf("%d objects", s.Resources.Live)
				}
				return err
			})
			took += time.Since(began)
			n++
			west.halt()
		}
		took /= time.Duration(n)
		verifying = (verifying + verifyAll(b, count)) / 2
		b.ReportMetric(count/took.Seconds(), "ops/s")
		b.ReportMetric(count/verifying.Seconds(), "verify-ops/s")
		b.ReportMetric(verifying.Seconds()/took.Seconds(), "x-verify")
		east.halt()
	})
}

// halt stops a node without looking at what it leaves.
func (z *zone) halt() {
	z.t.Helper()
	must(z.t, z.process.cmd.Process.Signal(os.Interrupt))
	z.exit()
}

// readyAfter returns what the node says it took to be ready, in seconds.
func (z *zone) readyAfter() float64 {
	z.t.Helper()
	b, err := os.ReadFile(z.logFile(z.runs))
	must(z.t, err)
	m := regexp.MustCompile(`"message":"ready".*"seconds":([0-9.]+)`).FindSubmatch(b)
	if m == nil {
		z.t.Fatalf("%s does not say when it was ready:\n%s", z.name, b)
	}
	s, err := strconv.ParseFloat(string(m[1]), 64)
	must(z.t, err)
	return s
}

// verifyAll verifies as many signatures on all cores.
func verifyAll(b *testing.B, count int) time.Duration {
	b.Helper()
	key := keys.FromSeed([keys.SeedSize]byte{1})
	message := make([]byte, 250) // about a header
	signature := key.Sign(message)
	began := time.Now()
	var cores sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for range count / runtime.GOMAXPROCS(0) {
				if !keys.Verify(key.Public(), message, signature) {
					b.Error("a signature does not verify")
				}
			}
		})
	}
	cores.Wait()
	return time.Since(began)
}

// BenchmarkIdle runs eleven nodes that all know each other and have nothing to do, with the intervals of the
// defaults, and takes the mean of them. They share a loopback interface on which nobody else is, where that can be made.
func BenchmarkIdle(b *testing.B) {
	place := quietPlace(b)
	all := zones(b, "n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 n10", set("heartbeat_interval_seconds", 5))
	for _, z := range all {
		z.machine = place
	}
	startAll(b, all...)
	all[0].write("a.yaml", manifest("a", "1"))
	equal(b, model{"n0": {"a": "1"}}, all...)
	const window = 30 * time.Second // six heartbeats
	var cpu, wire, seconds float64
	for b.Loop() {
		time.Sleep(window / 3) // what the start left is over
		began := time.Now()
		cpu0, wire0 := spent(b, all)
		time.Sleep(window)
		cpu1, wire1 := spent(b, all)
		cpu, wire, seconds = cpu+cpu1-cpu0, wire+wire1-wire0, seconds+time.Since(began).Seconds()
	}
	memory, own := 0, 0
	for _, z := range all {
		memory += z.memory("VmRSS")
		own += z.memory("RssAnon") // without the program itself, which the kernel has once for all of them
	}
	nodes := float64(len(all))
	b.ReportMetric(100*cpu/seconds/nodes, "%-core")
	b.ReportMetric(wire/seconds/nodes, "wire-B/s")
	b.ReportMetric(float64(memory)/nodes/(1<<20), "MiB")
	b.ReportMetric(float64(own)/nodes/(1<<20), "own-MiB")
}

// spent returns the processor seconds that nodes took so far, and the bytes that were sent on their loopback interface.
func spent(b *testing.B, all []*zone) (cpu, bytes float64) {
	b.Helper()
	for _, z := range all {
		cpu += processorSeconds(b, z.process.cmd.Process.Pid)
	}
	return cpu, sentOnLoopback(b, all[0].process.cmd.Process.Pid)
}

// sentOnLoopback returns the bytes that were sent so far on the loopback interface that a process has, by whomever: with
// IP, QUIC and what else runs.
func sentOnLoopback(b *testing.B, pid int) float64 {
	b.Helper()
	dev, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	must(b, err)
	m := regexp.MustCompile(`(?m)^ *lo: *(\d+)`).FindSubmatch(dev)
	if m == nil {
		b.Fatal("there is no loopback interface")
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	must(b, err)
	return n
}

// processorSeconds is what a process took so far.
func processorSeconds(b *testing.B, pid int) (sum float64) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	// After the name in parentheses the 12th and 13th fields are user and system time in ticks of 10 ms.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseFloat(f, 64)
		must(b, err)
		sum += ticks / 100
	}
	return sum
}
