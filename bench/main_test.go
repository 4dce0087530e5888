package main

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const output = `goos: linux
BenchmarkAppend-2         	    4406	    250 ns/op	       0.8 bare-p50-ms	1.2 p50-ms	         1.500 x-bare
BenchmarkAppendBatch-2    	      10	    250 ns/op	     40000 ops/s
BenchmarkSyncIngest-16    	      10	    250 ns/op	     30000 ops/s
BenchmarkVerifyAllCores-16	      10	    250 ns/op	     40000 ops/s	0 B/op
BenchmarkDetection/10Zones-2	  1	 250 ns/op	 1841 B/s	 0 more-alarms	 0.48 x-serf	267 serf-B/s
ok  	somewhere	1.0s
`

func TestReport(t *testing.T) {
	t.Parallel()
	var passed, out strings.Builder
	got := figures{}
	if err := got.readAll(strings.NewReader(output), &passed); err != nil {
		t.Fatal(err)
	}
	if passed.String() != output {
		t.Errorf("the output is not passed on:\n%s", passed.String())
	}
	missing, err := report(&out, got, true)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, want := range []string{
		"append one at a time, against a bare bbolt commit, p50 1.5 x <= 1.2 x 1.25 NOT MET 1.2 and 0.8 ms\n",
		"append, batched 40000 ops/s >= 20000 ops/s 2.00 met \n",
		"the same with stores in memory, in one process: second step 0.75 x >= 3 x 0.25 NOT MET 30000 and 40000 ops/s\n",
		"the same, false alarms more than serf 0 <= 0 - met \n",
		"the same, sent by a node at rest (stated, no budget) 1841 B/s - - 1841 and 267 B/s\n",
		"memory per object - <= 1536 B - not measured \n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	var some strings.Builder
	if _, err := report(&some, got, false); err != nil || strings.Contains(some.String(), "memory per object") || !strings.Contains(some.String(), "append, batched") {
		t.Errorf("of some that were chosen: %v\n%s", err, some.String())
	}
	if !slices.Contains(missing, "memory per object") || slices.Contains(missing, "append, batched") {
		t.Errorf("missing: %q", missing)
	}
}

// Every budget names a benchmark that exists where it says.
func TestBudgetsHaveBenchmarks(t *testing.T) {
	t.Parallel()
	dirs := map[string]map[string]bool{}
	for _, s := range suites("") {
		out, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func Benchmark[A-Za-z0-9]+", "."+s.packages).Output()
		if err != nil {
			t.Fatalf("%s: %v", s.packages, err)
		}
		dirs[s.packages] = map[string]bool{}
		for line := range strings.Lines(string(out)) {
			dirs[s.packages][strings.TrimPrefix(strings.TrimSpace(line), "func ")] = true
		}
	}
	for _, b := range budgets() {
		if !dirs[b.pkg][b.benchmark()] {
			t.Errorf("%s: no %s in %s, which has %v", b.path, b.benchmark(), b.pkg, slices.Sorted(maps.Keys(dirs[b.pkg])))
		}
		if b.per != "" {
			if per, _, _ := strings.Cut(b.per, " "); !dirs[b.pkg][strings.Split(per, "/")[0]] {
				t.Errorf("%s: no %s in %s", b.path, per, b.pkg)
			}
		}
	}
	if got := suites("Idle"); len(got) != 1 || got[0] != (suite{"./...", "Idle"}) {
		t.Errorf("suites of a pattern: %+v", got)
	}
}

func TestLoaded(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/stat"); err == nil {
		if m := look(); m.busy <= 0 || m.load == "" {
			t.Errorf("the kernel tells %+v", m)
		}
	}
	began := moment{at: time.Unix(0, 0), load: "0.1 0.2 0.3"}
	// Of many processor seconds none were the benchmarks'.
	if text := began.until(moment{at: time.Unix(1, 0), load: "9 9 9", busy: 1e6}); !strings.Contains(text, "LOADED") || !strings.Contains(text, "0.1 0.2 0.3; after: 9 9 9") {
		t.Error(text)
	}
	if text := began.until(moment{at: time.Unix(1, 0), load: "9 9 9", busy: 1e6, ours: 1e6}); strings.Contains(text, "LOADED") {
		t.Error(text)
	}
}
