package main

import (
	"os"
	"path/filepath"
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

// A page keeps what was not measured again.
func TestPage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	write := func(output string) string {
		t.Helper()
		got := figures{}
		for line := range strings.Lines(output) {
			got.read(line)
		}
		if err := writePage(file, got, "a quiet machine"); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	if err := os.WriteFile(file, []byte("# Speed\n\n"+pageBegin+pageEnd+"\nend\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := write(output)
	for _, want := range []string{
		"# Speed\n\n" + pageBegin + "| path |", "\na quiet machine\n" + pageEnd + "\nend\n",
		"| append, batched | ≥ 20000 ops/s | 40000 ops/s |  | met |\n",
		"| append one at a time, against a bare bbolt commit, p50 | ≤ 1.2 × | 1.5 x | 1.2 and 0.8 ms | not met |\n",
		"| memory per object | ≤ 1536 B | - |  | not measured |\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	second := write("BenchmarkAppendBatch-2 10 250 ns/op 50000 ops/s\n")
	if want := strings.Replace(first, "40000 ops/s |  | met", "50000 ops/s |  | met", 1); second != want {
		t.Errorf("after one was measured again\n%s\nwant\n%s", second, want)
	}
}

// Every budget names a benchmark that exists where it says.
func TestSuites(t *testing.T) {
	t.Parallel()
	all, err := declared("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range budgets() {
		for _, figure := range []string{b.figure, b.per} {
			name, _, _ := strings.Cut(figure, " ")
			if name, _, _ = strings.Cut(name, "/"); name != "" && !slices.Contains(all[b.pkg], name) {
				t.Errorf("%s: no %s in %s, which has %v", b.path, name, b.pkg, all[b.pkg])
			}
		}
	}
	got, err := suites("..", "")
	if err != nil || !slices.Contains(got, suite{"./internal/node", "^(BenchmarkSyncIngest|BenchmarkVerifyAllCores|BenchmarkZones)$"}) {
		t.Errorf("those with a budget: %+v %v", got, err)
	}
	if got, err := suites("..", "Detection/10|Nothing"); err != nil || !slices.Equal(got, []suite{{"./e2e", "Detection/10|Nothing"}}) {
		t.Errorf("those of a pattern: %+v %v", got, err)
	}
	for _, pattern := range []string{"NoSuchBenchmark", "("} {
		if got, err := suites("..", pattern); err == nil {
			t.Errorf("%q chooses %+v", pattern, got)
		}
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
