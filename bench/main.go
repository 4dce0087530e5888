package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	got := figures{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, lines.Text()); err != nil {
			return err
		}
		got.read(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return report(out, got)
}

// figures are what the benchmarks reported, by "Benchmark unit".
type figures map[string]float64

// processors is the suffix that go test puts behind a name.
var processors = regexp.MustCompile(`-\d+$`)

// read takes in a line such as "BenchmarkAppend-2  100  250 ns/op  1.1 x-bare".
func (f figures) read(line string) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return
	}
	name := processors.ReplaceAllString(fields[0], "")
	for i := 2; i+1 < len(fields); i += 2 {
		if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
			f[name+" "+fields[i+1]] = v
		}
	}
}

// budget is what a figure has to keep to.
type budget struct {
	path   string
	figure string // a name in figures
	per    string // another one that divides it; empty: none
	limit  float64
	least  bool // the limit is the least instead of the most
	unit   string
}

func budgets() []budget {
	return []budget{
		{path: "folder to folder at rest, p50", figure: "BenchmarkFolderToFolder p50-ms", limit: 5, unit: "ms"},
		{path: "cluster to cluster, idle, p50, against the least possible", figure: "BenchmarkClusterToCluster x-floor-p50", limit: 1.3, unit: "x"},
		{path: "the same, p99", figure: "BenchmarkClusterToCluster x-floor-p99", limit: 3, unit: "x"},
		{path: "first sync of 10,000 objects, against a bare loop of applies", figure: "BenchmarkFirstSync x-bare", limit: 0.8, least: true, unit: "x"},
		{path: "requests per replicated object", figure: "BenchmarkFirstSync requests/object", limit: 1, unit: ""},
		{path: "memory for 10,000 objects of 2 KiB in a cluster", figure: "BenchmarkFirstSync MiB", limit: 60, unit: "MiB"},
		{path: "the same after a restart", figure: "BenchmarkFirstSync MiB-restarted", per: "BenchmarkFirstSync MiB", limit: 1.1, unit: "x"},
		{path: "append one at a time, against a bare bbolt commit", figure: "BenchmarkAppend x-bare", limit: 1.2, unit: "x"},
		{path: "append, batched", figure: "BenchmarkAppendBatch ops/s", limit: 20_000, least: true, unit: "ops/s"},
		{path: "sync ingest, against verifying on all cores", figure: "BenchmarkHundredThousand/Ingest x-verify", limit: 0.7, least: true, unit: "x"},
		{path: "the same with stores in memory, in one process", figure: "BenchmarkSyncIngest ops/s", per: "BenchmarkVerifyAllCores ops/s", limit: 0.7, least: true, unit: "x"},
		{path: "cold start with 100,000 objects, until ready", figure: "BenchmarkHundredThousand/ColdStart ready-s", limit: 2, unit: "s"},
		{path: "memory per object", figure: "BenchmarkHundredThousand/ColdStart B/object", limit: 1536, unit: "B"},
		{path: "idle with 10 peers, of a core", figure: "BenchmarkIdle %-core", limit: 1, unit: "%"},
		{path: "idle with 10 peers, resident memory", figure: "BenchmarkIdle MiB", limit: 64, unit: "MiB"},
		{path: "idle with 10 peers, sent by a node", figure: "BenchmarkIdle wire-B/s", limit: 2048, unit: "B/s"},
		{path: "a frame of the screen, 500 peers and 10,000 objects", figure: "BenchmarkFrame/160x48 ms/frame", limit: 16, unit: "ms"},
	}
}

func report(out io.Writer, got figures) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\nPATH\tFIGURE\tBUDGET\tRATIO\t")
	for _, b := range budgets() {
		v, measured := got[b.figure]
		if b.per != "" {
			by, also := got[b.per]
			measured = measured && also && by > 0
			v /= by
		}
		bound := "<="
		if b.least {
			bound = ">="
		}
		limit := fmt.Sprintf("%s %s %s", bound, short(b.limit), b.unit)
		if !measured {
			fmt.Fprintf(w, "%s\t-\t%s\t-\tnot measured\n", b.path, limit)
			continue
		}
		verdict := "met"
		if b.least && v < b.limit || !b.least && v > b.limit {
			verdict = "NOT MET"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\t%.2f\t%s\n", b.path, short(v), b.unit, limit, v/b.limit, verdict)
	}
	return w.Flush()
}

// short prints three digits or so.
func short(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
