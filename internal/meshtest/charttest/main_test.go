// Package charttest tests the Helm chart: what it renders, refuses and says, and that a real API server takes it.
package charttest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// update rewrites golden files: go test ./internal/meshtest/charttest -update
var update = flag.Bool("update", false, "rewrite golden files")

const (
	chart     = "../../../charts/mesh-controller"
	release   = "mesh"
	namespace = "mesh-system"
	// kubeVersion is that of the API server of the tests; helm template asks none.
	kubeVersion = "1.37.2"
)

// builds is where the program under test goes; empty until it is built.
var builds string

func TestMain(m *testing.M) {
	code := kubetest.Run(m)
	if builds != "" {
		os.RemoveAll(builds)
	}
	os.Exit(code)
}

// program builds mesh, once, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	err := consult("../../../cmd", "../../../internal", "../../../go.mod")
	if err != nil {
		return "", err
	}
	if builds, err = os.MkdirTemp("", "mesh-charttest-"); err != nil {
		return "", err
	}
	path := filepath.Join(builds, "mesh")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "dcp.hiro.io/mesh/cmd/mesh")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mesh: %w\n%s", err, out)
	}
	return path, nil
})

// consult looks at all files below some paths but tests: go test reuses an earlier result while nothing changed that
// the tests themselves looked at, and it does not see what the compiler and helm read.
func consult(roots ...string) error {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") || strings.Contains(p, "testdata") {
				return err
			}
			_, err = os.Stat(p)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// consulted is the chart, looked at once.
var consulted = sync.OnceValue(func() error { return consult(chart) })

func mesh(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// helm runs helm without a cluster, unless the arguments name one.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if err := consulted(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kubetest.Tool(t, "helm"), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "KUBECONFIG=/dev/null", "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// render returns what the chart gives for these arguments of helm template.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := helm(t, templateArgs(args)...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	return out
}

func templateArgs(args []string) []string {
	return append([]string{"template", release, chart, "-n", namespace, "--kube-version", kubeVersion}, args...)
}

// values returns every file of values under ci, by the name of the case.
func values(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values under %s/ci: %v", chart, err)
	}
	sets := map[string]string{}
	for _, f := range files {
		sets[strings.TrimSuffix(filepath.Base(f), "-values.yaml")] = f
	}
	return sets
}

// object is one rendered object.
type object map[string]any

func (o object) kind() string { s, _ := o["kind"].(string); return s }

// str is the text at a path, empty where there is none.
func (o object) str(path ...string) string { s, _ := o.at(path...).(string); return s }

// at is the value at a path, nil where there is none.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (o object) name() string { return o.str("metadata", "name") }

// objects reads a stream of YAML documents.
func objects(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o map[string]any // not object: maps within would become objects too
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("the chart renders what is no YAML: %v", err)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

// only returns the one object of a kind and name.
func only(t *testing.T, all []object, kind, name string) object {
	t.Helper()
	var found object
	for _, o := range all {
		if o.kind() == kind && o.name() == name {
			if found != nil {
				t.Fatalf("%s %s is rendered twice", kind, name)
			}
			found = o
		}
	}
	if found == nil {
		t.Fatalf("%s %s is not rendered", kind, name)
	}
	return found
}

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at the diff of: go test ./internal/meshtest/charttest -update\n%s", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			line := "(end)"
			if i < len(g) {
				line = g[i]
			}
			return fmt.Sprintf("line %d: got  %s\n         want %s", i+1, line, w[i])
		}
	}
	return fmt.Sprintf("%d more lines", len(g)-len(w))
}
