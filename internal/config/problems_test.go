package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/config"
)

// Each file in testdata/refused is refused with the text beside it; -update rewrites the texts.
func TestRefusals(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/refused/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = loadText(t, string(text), config.Options{RequireZone: strings.HasSuffix(file, "types.yaml")})
		if err == nil {
			t.Errorf("%s was accepted", file)
			continue
		}
		got := err.Error() + "\n"
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is refused with\n%s\nwant\n%s", file, got, want)
		}
		if strings.Contains(got, "4ccd089b") || strings.Contains(got, "BCIEIEzN") || strings.ContainsAny(got, "\x1b\r\u202e") {
			t.Errorf("%s: a secret or a control character was printed:\n%s", file, got)
		}
	}
}

func TestProblemFields(t *testing.T) {
	t.Parallel()
	_, _, err := loadText(t, "bind_port: 1\nmesh:\n  zonee: east\n", config.Options{})
	var ce *config.Error
	if !errors.As(err, &ce) || len(ce.Problems) != 1 {
		t.Fatalf("Load = %v, want one problem", err)
	}
	p := ce.Problems[0]
	if p.Line != 3 || p.Column != 3 || p.Width != 5 || p.Path != "mesh" || p.Suggestion != "zone" || p.SourceLine != "  zonee: east" {
		t.Errorf("problem %+v", p)
	}
	if want := `mesh: unknown key "zonee"; did you mean "zone"?`; p.Message() != want {
		t.Errorf("Message() = %s, want %s", p.Message(), want)
	}
}

func TestProblemsOfOtherLayers(t *testing.T) {
	t.Parallel()
	_, _, err := loadText(t, "bind_port: x\n", config.Options{
		RequireZone: true,
		Environ:     []string{"MESH_NODES=[{zone: a}, *x", "MESH_ADVERTISE=a", "MESH_GOSSIP=on", "MESH_BIND_ADDRESS=&a [*a]"},
		Overrides: []config.Override{
			{Key: "log_format", Origin: "--log-format", Values: []string{"txt"}},
			{Key: "log_level", Origin: "--log-level", Values: []string{"LOUD"}},
			{Key: "data_dir", Origin: "--data-dir", Values: []string{""}},
		},
		Peers:         []string{"west.example:9102", key1 + "@a:b", key1[:63] + "@a"},
		CheckLogLevel: func(s string) error { return errors.New(`log filter: "` + s + `" is no level`) },
	})
	want := `config.yaml has 12 problems
  config.yaml:1:12  bind_port: want a whole number from 0 to 65535, got "x"
     1 | bind_port: x
       |            ^
  MESH_ADVERTISE    advertise: want a list, got "a"
  MESH_BIND_ADDRESS anchors and aliases are not possible here; write the value out
  MESH_GOSSIP       gossip: want true or false, got "on"
  MESH_NODES        nodes: want YAML such as [a, b]; no valid YAML: unknown anchor 'x' referenced
  --log-format      log_format: want auto, text or json, got "txt"; did you mean "text"?
  --log-level       log_level: "LOUD" is no level
  --data-dir        data_dir: want a path, got nothing
  --peer            nodes: "west.example:9102": want KEY@HOST:PORT
  --peer            nodes: port "b": want a number from 1 to 65535
  --peer            nodes: 63 hex digits, want 64
  config.yaml       mesh.zone: missing; a node needs the name of its zone
`
	if err == nil || err.Error()+"\n" != want {
		t.Errorf("Load = %v\nwant\n%s", err, want)
	}
	_, _, err = config.Load(config.Options{Path: os.DevNull})
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a device: %v", err)
	}
}

// What a file lacks can't be said of one that couldn't be read.
func TestAnUnreadFileLacksNothing(t *testing.T) {
	for _, text := range []string{"mesh: {zone: east\n", "a: &x b\nmesh: {zone: east}\n", "mesh: {zone: east}\n---\n]"} {
		_, _, err := loadText(t, text, config.Options{RequireZone: true})
		if err == nil || strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "1 problem") {
			t.Errorf("Load of %q = %v, want the one problem that keeps it from being read", text, err)
		}
	}
}

// Files made to cost memory or time are refused quickly, and little is kept of what is wrong with them. The bound is
// generous: it takes seconds under the race detector on a busy machine, and far more than the bound when neither the
// entries of a list nor the problems have a cap.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	const size = 1<<20 - 100
	for name, text := range map[string]string{
		"aliases":  bomb,
		"brackets": strings.Repeat("[", size),
		"nested":   strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"maps":     strings.Repeat("{a: ", size/4),
		"comments": strings.Repeat("# x\n", size/4) + "a: b\n",
		"keys":     strings.Repeat("x: y\n", size/5),
		"one line": "nodes: [" + strings.Repeat("{a: b}, ", size/8) + "]",
		"marks":    "nodes: [" + strings.Repeat("{public_key: "+key1+"}, ", 4000) + "]",
		"name":     strings.Repeat("x", size) + ": y",
		"indents":  indents(),
	} {
		begin := time.Now()
		_, _, err := loadText(t, text, config.Options{})
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if ce, ok := errors.AsType[*config.Error](err); ok && len(ce.Problems) > 100 {
			t.Errorf("%s: %d problems are kept", name, len(ce.Problems))
		} else if n := len(err.Error()); n > 20_000 {
			t.Errorf("%s: an error of %d bytes", name, n)
		}
		if d := time.Since(begin); d > 2*time.Minute {
			t.Errorf("%s: refused after %v", name, d)
		}
	}
}

func indents() string {
	var b strings.Builder
	for i := range 1000 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// Whatever is loaded, nothing panics, problems point into the file, and what is accepted prints as YAML that
// loads as the same.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/refused/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, exampleFile) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "")
	}
	f.Add("mesh: {zone: \"\\u2028\"}\u2028network_id: \"\\u2029\\ufeff\"", "[{kind: Secret, version: v1}]")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, env string) {
		file := filepath.Join(dir, "config.yaml")
		load := func(text string, env ...string) (*config.Config, error) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, _, err := config.Load(config.Options{Path: file, Environ: env})
			return c, err
		}
		c, err := load(text, "MESH_MESH__RESOURCES="+env, "MESH_NETWORK_ID="+env)
		if err != nil {
			checkProblems(t, text, err)
			return
		}
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		again, err := load(out.String())
		if err != nil {
			t.Fatalf("what Print wrote is refused: %v\n%s", err, out.String())
		}
		if a, b := config.Changes(c, again); len(a)+len(b) > 0 {
			t.Fatalf("%v %v differ after printing and loading\n%s", a, b, out.String())
		}
	})
}

func checkProblems(t *testing.T, text string, err error) {
	t.Helper()
	var ce *config.Error
	if !errors.As(err, &ce) {
		t.Fatalf("an error without problems: %v", err)
	}
	lines := 1 + strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text), "\n")
	for _, p := range ce.Problems {
		if p.Line < 0 || p.Line > lines || p.Text == "" {
			t.Fatalf("problem %+v in a text of %d lines", p, lines)
		}
	}
	for _, r := range err.Error() {
		if r < ' ' && r != '\n' || r == 0x7f {
			t.Fatalf("control character %q in %q", r, err)
		}
	}
}
