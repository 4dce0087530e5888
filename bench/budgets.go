package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// budget is what a figure has to keep to.
type budget struct {
	path   string
	pkg    string // where the benchmark is
	figure string // a name in figures
	per    string // another one of the same package that divides it; empty: none
	limit  float64
	least  bool // the limit is the least instead of the most
	unit   string

	ours, theirs string // names in figures: what was compared, and with what; empty: nothing to show
	by           string // unit of these two
}

const (
	durable = "BenchmarkDurable "
	ten     = "BenchmarkDetection/10Zones "
	fifty   = "BenchmarkDetection/50Zones "
	cluster = "BenchmarkClusterToCluster "
	first   = "BenchmarkFirstSync "
	ingest  = "BenchmarkHundredThousand/Ingest "
	cold    = "BenchmarkHundredThousand/ColdStart "
	idle    = "BenchmarkIdle "
	objects = "BenchmarkObjects "
	zones   = "BenchmarkZones "
)

// linear is the exponent up to which growth counts as linear: tables that double and caches that are outgrown make
// ten times as much cost up to 1.4 times more each.
const linear = 1.15

// budgets in the order in which they are printed.
func budgets() []budget {
	return []budget{
		{path: "cluster to cluster, at rest, p50, against the least possible", pkg: "./e2e", figure: cluster + "x-floor-p50", limit: 1.3, unit: "x", ours: cluster + "p50-ms", theirs: cluster + "floor-p50-ms", by: "ms"},
		{path: "the same, p99", pkg: "./e2e", figure: cluster + "x-floor-p99", limit: 3, unit: "x", ours: cluster + "p99-ms", theirs: cluster + "floor-p99-ms", by: "ms"},
		{path: "first sync of 10,000 objects, against a bare loop of applies", pkg: "./e2e", figure: first + "x-bare", limit: 0.8, least: true, unit: "x", ours: first + "objects/s", theirs: first + "bare-objects/s", by: "objects/s"},
		{path: "requests per replicated object", pkg: "./e2e", figure: first + "requests/object", limit: 1},
		{path: "memory for 10,000 objects of 2 KiB in a cluster", pkg: "./e2e", figure: first + "MiB", limit: 60, unit: "MiB"},
		{path: "the same after a restart", pkg: "./e2e", figure: first + "MiB-restarted", per: first + "MiB", limit: 1.1, unit: "x"},
		{path: "folder to folder at rest, p50", pkg: "./e2e", figure: "BenchmarkFolderToFolder p50-ms", limit: 5, unit: "ms"},
		{path: "one durable operation, A to B, p50, against a NATS mirror: first step", pkg: "./cmd/mesh", figure: durable + "x-nats-p50", limit: 1.5, unit: "x", ours: durable + "p50-ms", theirs: durable + "nats-p50-ms", by: "ms"},
		{path: "the same: second step", pkg: "./cmd/mesh", figure: durable + "x-nats-p50", limit: 1, unit: "x", ours: durable + "p50-ms", theirs: durable + "nats-p50-ms", by: "ms"},
		{path: "append one at a time, against a bare bbolt commit, p50", pkg: "./internal/store", figure: "BenchmarkAppend x-bare", limit: 1.2, unit: "x", ours: "BenchmarkAppend p50-ms", theirs: "BenchmarkAppend bare-p50-ms", by: "ms"},
		{path: "append, batched", pkg: "./internal/store", figure: "BenchmarkAppendBatch ops/s", limit: 20_000, least: true, unit: "ops/s"},
		{path: "sync ingest, against verifying each signature on all cores: first step", pkg: "./e2e", figure: ingest + "x-verify", limit: 0.7, least: true, unit: "x", ours: ingest + "ops/s", theirs: ingest + "verify-ops/s", by: "ops/s"},
		{path: "the same: second step", pkg: "./e2e", figure: ingest + "x-verify", limit: 3, least: true, unit: "x", ours: ingest + "ops/s", theirs: ingest + "verify-ops/s", by: "ops/s"},
		{path: "the same with stores in memory, in one process: second step", pkg: "./internal/node", figure: "BenchmarkSyncIngest ops/s", per: "BenchmarkVerifyAllCores ops/s", limit: 3, least: true, unit: "x", ours: "BenchmarkSyncIngest ops/s", theirs: "BenchmarkVerifyAllCores ops/s", by: "ops/s"},
		{path: "cold start with 100,000 objects, until ready", pkg: "./e2e", figure: cold + "ready-s", limit: 2, unit: "s"},
		{path: "memory per object", pkg: "./e2e", figure: cold + "B/object", limit: 1536, unit: "B"},
		{path: "idle with 10 peers, of a core", pkg: "./e2e", figure: idle + "%-core", limit: 1, unit: "%"},
		{path: "idle with 10 peers, resident memory", pkg: "./e2e", figure: idle + "MiB", limit: 64, unit: "MiB"},
		{path: "idle with 10 peers, sent by a node", pkg: "./e2e", figure: idle + "wire-B/s", limit: 2048, unit: "B/s"},
		{path: "a killed peer, 10 zones, until all know, against serf", pkg: "./e2e", figure: ten + "x-serf", limit: 0.5, unit: "x", ours: ten + "all-s", theirs: ten + "serf-all-s", by: "s"},
		{path: "the same, false alarms more than serf", pkg: "./e2e", figure: ten + "more-alarms", limit: 0, ours: ten + "alarms", theirs: ten + "serf-alarms"},
		{path: "the same, sent by a node at rest (stated, no budget)", pkg: "./e2e", figure: ten + "B/s", unit: "B/s", ours: ten + "B/s", theirs: ten + "serf-B/s", by: "B/s"},
		{path: "a killed peer, 50 zones, until all know, against serf", pkg: "./e2e", figure: fifty + "x-serf", limit: 0.5, unit: "x", ours: fifty + "all-s", theirs: fifty + "serf-all-s", by: "s"},
		{path: "the same, false alarms more than serf", pkg: "./e2e", figure: fifty + "more-alarms", limit: 0, ours: fifty + "alarms", theirs: fifty + "serf-alarms"},
		{path: "the same, sent by a node at rest (stated, no budget)", pkg: "./e2e", figure: fifty + "B/s", unit: "B/s", ours: fifty + "B/s", theirs: fifty + "serf-B/s", by: "B/s"},
		{path: "growth with objects, 10,000 to 100,000: exponent of bytes on disk", pkg: "./internal/store", figure: objects + "e-file", limit: linear},
		{path: "of memory", pkg: "./internal/store", figure: objects + "e-heap", limit: linear},
		{path: "of the time to start", pkg: "./internal/store", figure: objects + "e-start", limit: linear},
		{path: "of the time to take them in", pkg: "./internal/store", figure: objects + "e-ingest", limit: linear},
		{path: "growth of a node at rest with zones, to 1,000: exponent of bytes sent", pkg: "./internal/node", figure: zones + "e-bytes", limit: linear},
		{path: "of processor time", pkg: "./internal/node", figure: zones + "e-cpu", limit: linear},
		{path: "a frame of the screen, 500 peers and 10,000 objects", pkg: "./internal/tui", figure: "BenchmarkFrame/160x48 ms/frame", limit: 16, unit: "ms"},
	}
}

// stated reports that there is a figure and no budget.
func (b *budget) stated() bool { return strings.HasSuffix(b.path, "(stated, no budget)") }

// judge compares a figure with its budget; ok is false when it was not measured.
func (b *budget) judge(got figures) (figure float64, met, ok bool) {
	v, ok := got[b.figure]
	if b.per != "" {
		by, also := got[b.per]
		ok = ok && also && by > 0
		v /= by
	}
	return v, b.least && v >= b.limit || !b.least && v <= b.limit, ok
}

// row is a line of the table.
type row struct{ path, figure, limit, ratio, verdict, compared string }

// row puts a budget into words; ok is false when its figure was not measured.
func (b *budget) row(got figures) (r row, ok bool) {
	v, met, ok := b.judge(got)
	r = row{path: b.path, figure: "-", limit: "-", ratio: "-", verdict: "not measured"}
	if !b.stated() {
		bound := "<="
		if b.least {
			bound = ">="
		}
		r.limit = strings.TrimSpace(fmt.Sprintf("%s %s %s", bound, short(b.limit), b.unit))
	}
	if !ok {
		return r, false
	}
	r.figure, r.compared = strings.TrimSpace(short(v)+" "+b.unit), b.compared(got)
	switch {
	case b.stated():
		r.verdict = ""
	case met:
		r.verdict = "met"
	default:
		r.verdict = "NOT MET"
	}
	if b.limit > 0 {
		r.ratio = fmt.Sprintf("%.2f", v/b.limit)
	}
	return r, true
}

// report prints the table and returns the paths that were not measured, which stand there only if all were to be.
func report(out io.Writer, got figures, all bool) (missing []string, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\nPATH\tFIGURE\tBUDGET\tRATIO\t\tMEASURED, OURS AND THE OTHER")
	for _, b := range budgets() {
		r, ok := b.row(got)
		if !ok {
			missing = append(missing, b.path)
		}
		if ok || all {
			fmt.Fprintln(w, strings.Join([]string{r.path, r.figure, r.limit, r.ratio, r.verdict, r.compared}, "\t"))
		}
	}
	return missing, w.Flush()
}

// compared prints both sides of a ratio.
func (b *budget) compared(got figures) string {
	ours, ok := got[b.ours]
	theirs, also := got[b.theirs]
	if !ok || !also {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s and %s %s", short(ours), short(theirs), b.by))
}

// short prints three digits or so.
func short(v float64) string {
	if v >= 100 || v <= -100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
