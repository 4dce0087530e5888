package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// A soak compares soakFigures of quiet times that were alike: what then still rises from one to the next is a leak. Noise
// goes up and down, so that one window says nothing; a leak lifts all the later ones.
//
//	windows  | warm-up |  early third  |  middle  |  late third  |
//	                     upper quartile             lower quartile
//	                     = first                    = last         flat: last <= first * (1 + share) + more
//
// With two or three windows in a third the quartiles are the largest early and the smallest late one.

// soakFigure is something that has to stay flat.
type soakFigure struct {
	name  string
	unit  string  // what it counts; bytes are printed in KiB
	share float64 // of the first value by which it may rise
	more  float64 // by which it may rise beside that, in its unit
}

// The allowances are for what a process that leaks nothing does: the heap of a Go program breathes, by as much as it holds
// where the last collection was in the midst of trouble, so that only a long soak tells of memory alone; a kept connection is
// served by one goroutine more or less, threads are never given back, pages of a store are split and its file grows in
// steps. A leak adds up over the windows and goes beyond any of them.
var soakFigures = []soakFigure{
	{"own memory", "bytes", 0.15, 16 << 20},              // RssAnon: without pages of files, which the kernel takes back
	{"heap after a collection", "bytes", 0.15, 10 << 20}, // of the last one, near enough: half of the next one's goal
	{"goroutines", "", 0, 10},
	{"file descriptors", "", 0, 6},
	{"threads", "", 0, 8},
	{"store file", "bytes", 0.5, 1 << 20},
	{"store in use", "bytes", 0.05, 256 << 10}, // pages with something in them; where it is stopped
	{"bytes of logs", "bytes", 0.05, 32 << 10},
	{"operations", "", 0, 30}, // snapshots are made anew every few operations
	{"live objects", "", 0, 0},
	{"addresses", "", 0, 2},
	{"traffic per second", "bytes", 0.5, 4 << 10},
}

// warmUp is how many windows of n come before those that are compared.
func warmUp(n int) int { return max(2, n/10) }

// minWindows are needed for thirds of two after the warm-up.
const minWindows = 8

// quartile returns the value below which a share of them is, the next lower or higher one that there is.
func quartile(values []float64, share float64, round func(float64) float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(round(share*float64(len(sorted)-1)))]
}

// verdict is what became of a figure of one node.
type verdict struct {
	first, last, largest, limit float64
	flat                        bool
}

// judge compares the early with the late windows; there have to be minWindows at least.
func (f soakFigure) judge(windows []float64) verdict {
	judged := windows[warmUp(len(windows)):]
	third := len(judged) / 3
	v := verdict{
		first:   quartile(judged[:third], 0.75, math.Ceil),
		last:    quartile(judged[len(judged)-third:], 0.25, math.Floor),
		largest: slices.Max(windows),
	}
	v.limit = v.first*(1+f.share) + f.more
	v.flat = v.last <= v.limit
	return v
}

func (f soakFigure) text(v float64) string {
	if f.unit == "bytes" {
		return fmt.Sprintf("%.1f KiB", v/1024)
	}
	return fmt.Sprintf("%.0f", v)
}

// soakRecord holds the value of each window, by node and figure.
type soakRecord map[string]map[string][]float64

func (r soakRecord) add(node, figure string, value float64) {
	if r[node] == nil {
		r[node] = map[string][]float64{}
	}
	r[node][figure] = append(r[node][figure], value)
}

// table prints all soakFigures and returns what is not flat.
func (r soakRecord) table(w io.Writer) (rising []string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "node\tfigure\tfirst\tlast\tlargest\tlimit\t")
	for _, node := range slices.Sorted(maps.Keys(r)) {
		known := soakFigures
		for _, name := range slices.Sorted(maps.Keys(r[node])) { // rows of buckets, whichever there are
			if !slices.ContainsFunc(soakFigures, func(f soakFigure) bool { return f.name == name }) {
				known = append(slices.Clip(known), rowsOf(name))
			}
		}
		for _, f := range known {
			windows := r[node][f.name]
			if len(windows) == 0 {
				continue
			}
			v, says := f.judge(windows), "flat"
			if !v.flat {
				says = "RISES"
				rising = append(rising, fmt.Sprintf("%s of %s: %s, then %s, at most %s would be flat; by window: %v",
					f.name, node, f.text(v.first), f.text(v.last), f.text(v.limit), windows))
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", node, f.name, f.text(v.first), f.text(v.last), f.text(v.largest), f.text(v.limit), says)
		}
	}
	t.Flush()
	return rising
}

// rowsOf is the figure of a bucket's rows in a store.
func rowsOf(name string) soakFigure {
	f := soakFigure{name: name}
	if name == "rows: rows" {
		f.more = 30 // as with the operations above
	}
	return f
}

// TestSoakJudge shows what is found and what is let pass.
func TestSoakJudge(t *testing.T) {
	f := soakFigure{name: "x", share: 0.05, more: 4}
	rise := func(n int, step float64) (windows []float64) {
		for i := range n {
			windows = append(windows, 100+step*float64(i))
		}
		return windows
	}
	for _, c := range []struct {
		name    string
		windows []float64
		flat    bool
	}{
		{"steady", rise(8, 0), true},
		{"noise", []float64{100, 130, 90, 112, 95, 118, 99, 113}, true},
		{"one late spike", []float64{100, 100, 100, 100, 100, 100, 100, 1000}, true},
		{"a plateau after the warm-up", []float64{10, 60, 100, 100, 100, 100, 100, 100}, true},
		{"a leak of four in each cycle, in the shortest soak", rise(8, 4), false},
		{"a leak of one in ten cycles, in a long one", rise(400, 0.1), false},
		{"a leak beneath noise", []float64{100, 100, 104, 120, 115, 121, 135, 131}, false},
		{"it falls", rise(9, -5), true},
	} {
		if v := f.judge(c.windows); v.flat != c.flat {
			t.Errorf("%s: flat %v, want %v: %+v", c.name, v.flat, c.flat, v)
		}
	}
	r := soakRecord{}
	for _, v := range rise(8, 10) {
		r.add("east", "goroutines", v)
		r.add("east", "threads", 7)
	}
	var out strings.Builder
	rising := r.table(&out)
	if len(rising) != 1 || !strings.HasPrefix(rising[0], "goroutines of east: 130, then 160, at most 140 ") {
		t.Errorf("it says %q, want the goroutines of east and nothing else", rising)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 || !strings.Contains(out.String(), "RISES") {
		t.Errorf("it prints\n%s", out.String())
	}
}
