package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	pattern := flag.String("bench", "", "benchmarks to run, as for go test; empty: those with a budget")
	benchtime := flag.String("benchtime", "1s", "how long to run each, as for go test")
	page := flag.String("write", "", "page whose table of figures is to be replaced as well")
	flag.Parse()
	if err := run(os.Stdout, *pattern, *benchtime, *page); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the benchmarks, one package at a time, and reports. Packages that are left go on after one that failed.
func run(out io.Writer, pattern, benchtime, page string) error {
	got := figures{}
	before := look()
	all, err := suites(".", pattern)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range all {
		if err := s.run(out, benchtime, got); err != nil {
			errs = append(errs, err)
		}
	}
	missing, err := report(out, got, pattern == "")
	errs = append(errs, err)
	load := before.until(look())
	fmt.Fprintf(out, "\n%s\n", load)
	if page != "" {
		errs = append(errs, writePage(page, got, load))
	}
	if pattern == "" && len(missing) > 0 {
		errs = append(errs, fmt.Errorf("not measured: %s", strings.Join(missing, "; ")))
	}
	return errors.Join(errs...)
}

// suite is what one call of go test runs.
type suite struct{ pkg, pattern string }

// suites are the benchmarks below a folder that match a pattern, or without one those with a budget.
func suites(root, pattern string) (out []suite, err error) {
	wanted := map[string]bool{}
	for _, b := range budgets() {
		for _, figure := range []string{b.figure, b.per} {
			name, _, _ := strings.Cut(figure, " ")
			name, _, _ = strings.Cut(name, "/")
			wanted[b.pkg+" "+name] = true
		}
	}
	name, _, _ := strings.Cut(pattern, "/") // what follows is about parts of a benchmark
	matches, err := regexp.Compile(name)
	if err != nil {
		return nil, err
	}
	all, err := declared(root)
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		var chosen []string
		for _, name := range all[pkg] {
			if pattern == "" && wanted[pkg+" "+name] || pattern != "" && matches.MatchString(name) {
				chosen = append(chosen, name)
			}
		}
		switch {
		case chosen == nil:
		case pattern == "":
			out = append(out, suite{pkg, "^(" + strings.Join(chosen, "|") + ")$"})
		default:
			out = append(out, suite{pkg, pattern})
		}
	}
	if out == nil && err == nil {
		err = fmt.Errorf("no benchmark matches %q", pattern)
	}
	return out, err
}

var benchmark = regexp.MustCompile(`(?m)^func (Benchmark\w+)\(`)

// declared finds the benchmarks of each package of the module below a folder. To ask go test would build all tests.
func declared(root string) (map[string][]string, error) {
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if _, other := os.Stat(filepath.Join(file, "go.mod")); d.IsDir() && file != root && (other == nil || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir // another module, or no code
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		for _, m := range benchmark.FindAllSubmatch(text, -1) {
			pkg := "./" + filepath.ToSlash(dir)
			out[pkg] = append(out[pkg], string(m[1]))
		}
		return err
	})
	return out, err
}

// run passes on what go test prints and keeps the figures.
func (s suite) run(out io.Writer, benchtime string, got figures) error {
	cmd := exec.Command("go", "test", "-vet=off", "-run", "^$", "-bench", s.pattern, "-benchtime", benchtime, "-timeout", "60m", s.pkg)
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
		return fmt.Errorf("go test -bench '%s' %s: %w", s.pattern, s.pkg, err)
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
