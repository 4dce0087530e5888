package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	pattern := flag.String("bench", "", "benchmarks to run, as for go test; empty: those with a budget")
	benchtime := flag.String("benchtime", "1s", "how long to run each, as for go test")
	flag.Parse()
	if err := run(os.Stdout, *pattern, *benchtime); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the benchmarks, one package at a time, and reports. Packages that are left go on after one that failed.
func run(out io.Writer, pattern, benchtime string) error {
	got := figures{}
	before := look()
	var errs []error
	for _, s := range suites(pattern) {
		if err := s.run(out, benchtime, got); err != nil {
			errs = append(errs, err)
		}
	}
	missing, err := report(out, got, pattern == "")
	errs = append(errs, err)
	fmt.Fprintln(out, before.until(look()))
	if pattern == "" && len(missing) > 0 {
		errs = append(errs, fmt.Errorf("not measured: %s", strings.Join(missing, "; ")))
	}
	return errors.Join(errs...)
}

// suite is what one call of go test runs.
type suite struct {
	packages string
	pattern  string
}

// suites are the benchmarks that match a pattern wherever they are, or without one those with a budget.
func suites(pattern string) []suite {
	if pattern != "" {
		return []suite{{"./...", pattern}}
	}
	var out []suite
	names := map[string][]string{}
	for _, b := range budgets() {
		if names[b.pkg] == nil {
			out = append(out, suite{packages: b.pkg})
		}
		if name := b.benchmark(); !slices.Contains(names[b.pkg], name) {
			names[b.pkg] = append(names[b.pkg], name)
		}
		if per, _, _ := strings.Cut(b.per, " "); per != "" && !slices.Contains(names[b.pkg], per) {
			names[b.pkg] = append(names[b.pkg], per)
		}
	}
	for i := range out {
		out[i].pattern = "^(" + strings.Join(names[out[i].packages], "|") + ")$"
	}
	return out
}

// run passes on what go test prints and keeps the figures.
func (s suite) run(out io.Writer, benchtime string, got figures) error {
	cmd := exec.Command("go", "test", "-vet=off", "-run", "^$", "-bench", s.pattern, "-benchtime", benchtime, "-timeout", "60m", s.packages)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := got.readAll(pipe, out)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return fmt.Errorf("go test -bench '%s' %s: %w", s.pattern, s.packages, err)
	}
	return nil
}

// figures are what the benchmarks reported, by "Benchmark unit".
type figures map[string]float64

// readAll takes in all lines and passes them on.
func (f figures) readAll(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, lines.Text()); err != nil {
			return err
		}
		f.read(lines.Text())
	}
	return lines.Err()
}

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
