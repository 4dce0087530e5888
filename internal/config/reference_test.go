package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
)

var update = flag.Bool("update", false, "rewrite config.example.yaml and the table in docs/configuration.md")

const (
	exampleFile = "../../config.example.yaml"
	docsFile    = "../../docs/configuration.md"
)

func TestExampleIsInStep(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(exampleFile, []byte(config.Example()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != config.Example() {
		t.Errorf("config.example.yaml is not what the table of keys says; run go test ./internal/config -update")
	}
}

func TestExampleHoldsTheDefaults(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{Path: exampleFile})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("load config.example.yaml: %v, warnings %v", err, warnings)
	}
	if reload, restart := config.Changes(config.Default(), c); len(reload)+len(restart) > 0 {
		t.Errorf("config.example.yaml differs from the defaults in %v %v", reload, restart)
	}
	for _, k := range config.Keys() {
		if k.HasValue() && k.Default() != "" && c.Origin(k.Path).Layer != config.FromFile {
			t.Errorf("config.example.yaml lacks %s", k.Path)
		}
	}
}

// With its switched-off settings switched on, the example names every key and is valid too.
func TestExampleSettingsAreValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	on := regexp.MustCompile(`(?m)^( *)#(\S|  +\S)`).ReplaceAll(text, []byte("$1$2"))
	load := func(without string) (*config.Config, []config.Warning) {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, regexp.MustCompile(`(?m)^ +`+without+`: .*$`).ReplaceAll(on, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		c, warnings, err := config.Load(config.Options{Path: file, RequireZone: true})
		if err != nil {
			t.Fatal(err)
		}
		return c, warnings
	}
	// A node has one cluster.
	c, warnings := load("folder")
	if other, _ := load("kube_context"); other.Origin("kubernetes.folder").Layer != config.FromFile {
		t.Errorf("config.example.yaml lacks kubernetes.folder")
	}
	ignored := 0
	for _, k := range config.Keys() {
		if k.Ignored {
			ignored++
		}
		if k.HasValue() && k.Path != "kubernetes.folder" && c.Origin(k.Path).Layer != config.FromFile {
			t.Errorf("config.example.yaml lacks %s", k.Path)
		}
		if strings.HasPrefix(k.Path, "nodes[].") && !strings.Contains(string(on), k.Path[len("nodes[]."):]+":") {
			t.Errorf("config.example.yaml says nothing about %s", k.Path)
		}
	}
	if len(warnings) != ignored {
		t.Errorf("warnings %q, want one for each of the %d ignored keys", warnings, ignored)
	}
}

func TestDocumentedTableIsInStep(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"
	got, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(got), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("docs/configuration.md lacks the marks around the table")
	}
	want := before + begin + config.Reference() + end + after
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		got = []byte(want)
	}
	if string(got) != want {
		t.Errorf("the table in docs/configuration.md is out of step; run go test ./internal/config -update")
	}
}

func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, k := range config.Keys() {
		paths = append(paths, k.Path)
		if k.Doc == "" || !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: Doc %q is no sentence", k.Path, k.Doc)
		}
		if k.HasValue() && (k.Default() == "") == (k.Example == "") {
			t.Errorf("%s: want a default or an example, got %q and %q", k.Path, k.Default(), k.Example)
		}
	}
	slices.Sort(paths)
	if len(slices.Compact(slices.Clone(paths))) != len(paths) {
		t.Errorf("a key stands twice in the table: %v", paths)
	}
}
