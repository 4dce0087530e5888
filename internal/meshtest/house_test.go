package meshtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// This file holds the rules of the house that no linter knows.
//
// Imports point down. A core package imports core on lower floors, the standard library without I/O, and the
// few pure libraries named here. An adapter imports core, never another adapter. Only the command joins
// adapters. Only tests import the test scaffolding, which itself imports core. A test file obeys the rule of
// its package, and may import the scaffolding on top.

const module = "dcp.hiro.io/mesh"

// floors lists the core from the ground up. A package imports lower floors only, never its own.
var floors = [][]string{
	{"keys", "readable", "typo"},
	{"mesh"},
	{"operation/cbor"},
	{"object", "operation"},
	{"event"},
	{"oplog", "merge", "membership", "trust", "token"},
	{"replica"},
}

// adapters do all the I/O.
var adapters = []string{"store", "node", "folder", "admin", "config", "logging", "forward", "kube", "tui", "doctor"}

// pure lists the libraries that core may use, and which package of it.
var pure = map[string][]string{
	"filippo.io/edwards25519":      {"keys"},
	"github.com/fxamacker/cbor/v2": {"operation", "event", "token"},
	"github.com/mr-tron/base58":    {"keys"},
	"go.yaml.in/yaml/v3":           {"object"},
	"lukechampine.com/blake3":      {"mesh", "operation", "event"},
}

// only lists the libraries that belong to one place, the first entry that covers an import decides. They cover
// what is below them too.
var only = []struct {
	lib    string
	owners []string
}{
	{"github.com/fsnotify/fsnotify", []string{"internal/folder"}},
	{"github.com/libp2p/go-libp2p/gologshim", []string{"internal/logging", "internal/node"}},
	{"github.com/libp2p", []string{"internal/node"}},
	{"github.com/multiformats", []string{"internal/node"}},
	{"github.com/spf13", []string{"cmd/mesh"}},
	{"github.com/charmbracelet/x/ansi", []string{"internal/tui"}},
	{"github.com/charmbracelet", []string{"internal/tui"}},
	{"k8s.io/cli-runtime", []string{"internal/kube", "cmd/mesh"}},
	{"k8s.io/apimachinery/pkg/labels", []string{"internal/kube", "internal/config"}}, // reads label selectors
	{"k8s.io/apimachinery", []string{"internal/kube", "cmd/mesh", "e2e"}},
	{"k8s.io/cri-streaming", []string{"internal/meshtest/kubetest"}}, // the kubelet's half of a port-forward
	{"k8s.io", []string{"internal/kube", "e2e"}},
	{"go.etcd.io/bbolt", []string{"internal/store", "e2e"}}, // e2e counts the rows of a store, whatever they mean
}

// impure lists the standard packages that do I/O, know the time or the machine, or start things.
var impure = regexp.MustCompile(`^(os|net|syscall|runtime|plugin|log|context|embed|database|testing|crypto/rand|crypto/tls|` +
	`io/fs|io/ioutil|path/filepath|time/tzdata|math/rand|unsafe|C)(/.*)?$`)

// impureButFine lists exceptions below those.
var impureButFine = map[string]string{
	"log/slog":     "only for LogValuer, see slogWords",
	"math/rand/v2": "only seeded sources, see randWords",
	"net/netip":    "parses addresses",
	"net/url":      "parses URLs",
}

// Words that core may use of packages that also have impure ones, and words it may not.
var (
	slogWords = regexp.MustCompile(`^(LogValuer|Value|.*Value|Attr|String|Int|Int64|Uint64|Bool|Duration|Time|Any)$`)
	randWords = regexp.MustCompile(`^(New|NewPCG|NewChaCha8|NewZipf|Rand|Source|PCG|ChaCha8|Zipf)$`)
	timeWords = regexp.MustCompile(`^(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker|Local|LoadLocation)$`)
	fmtWords  = regexp.MustCompile(`^(Print|Printf|Println|Scan|Scanf|Scanln)$`)
)

// badNames say nothing about what a package does.
var badNames = []string{"common", "helper", "helpers", "manager", "misc", "types", "util", "utils"}

// floorOf returns the floor of a core package; a package below one of core stands on its floor unless it
// has one of its own.
func floorOf(pkg string) (floor int, core bool) {
	name, ok := strings.CutPrefix(pkg, "internal/")
	if !ok {
		return 0, false
	}
	for ; name != "."; name = path.Dir(name) {
		for i, f := range floors {
			if slices.Contains(f, name) {
				return i, true
			}
		}
	}
	return 0, false
}

func adapterOf(pkg string) string {
	name, ok := strings.CutPrefix(pkg, "internal/")
	name, _, _ = strings.Cut(name, "/")
	if ok && slices.Contains(adapters, name) {
		return name
	}
	return ""
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// judge says what is wrong with an import of pkg, a path below the module; "" if nothing. test: the
// importing file is a test.
func judge(pkg, imp string, test bool) string {
	own, ours := strings.CutPrefix(imp, module+"/")
	floor, core := floorOf(pkg)
	if !ours {
		return judgeLibrary(pkg, imp, core && !test)
	}
	target, targetCore := floorOf(own)
	switch {
	case own == pkg:
		return ""
	case within(own, "internal/meshtest"):
		if test || within(pkg, "internal/meshtest") {
			return ""
		}
		return "only tests import the scaffolding"
	case targetCore && core:
		if target < floor || test && target <= floor {
			return ""
		}
		return "imports point down"
	case targetCore:
		return ""
	case core:
		return "core imports core only"
	case within(own, "cmd"):
		return "nothing imports a command"
	case pkg == "cmd/mesh":
		return ""
	case pkg == "e2e" && own == "internal/forward":
		return "" // a network that can be cut, for whole nodes
	case adapterOf(own) == "":
		return "this package has no place in the house"
	case adapterOf(own) == adapterOf(pkg):
		return ""
	case adapterOf(pkg) != "":
		return "an adapter imports core, never another adapter"
	}
	return "only cmd/mesh joins adapters"
}

func judgeLibrary(pkg, imp string, core bool) string {
	for _, o := range only {
		if !within(imp, o.lib) {
			continue
		}
		if slices.ContainsFunc(o.owners, func(owner string) bool { return within(pkg, owner) }) {
			return ""
		}
		return "only " + strings.Join(o.owners, " and ") + " may import it"
	}
	if !core {
		return ""
	}
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") { // standard library
		if impure.MatchString(imp) && impureButFine[imp] == "" {
			return "core does no I/O and knows no time, machine or context"
		}
		return ""
	}
	for _, user := range pure[imp] {
		if within(pkg, "internal/"+user) {
			return ""
		}
	}
	return "not among the pure libraries of core"
}

// judgeSource finds what core may not do although its imports are fine.
func judgeSource(fset *token.FileSet, f *ast.File) []string {
	imports := map[string]string{} // local name -> path
	for _, im := range f.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		name := path.Base(p)
		if name == "v2" {
			name = path.Base(path.Dir(p))
		}
		if im.Name != nil {
			name = im.Name.Name
		}
		imports[name] = p
	}
	var bad []string
	report := func(n ast.Node, what string) {
		bad = append(bad, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "go statement: core starts no goroutine")
		case *ast.SelectStmt:
			report(n, "select statement: core waits for nothing")
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			word, call := n.Sel.Name, x.Name+"."+n.Sel.Name
			switch imports[x.Name] {
			case "time":
				if timeWords.MatchString(word) {
					report(n, call+": time arrives as an argument")
				}
			case "log/slog":
				if !slogWords.MatchString(word) {
					report(n, call+": core doesn't log, it only implements LogValuer")
				}
			case "math/rand/v2":
				if !randWords.MatchString(word) {
					report(n, call+": randomness arrives as a seeded source")
				}
			case "fmt":
				if fmtWords.MatchString(word) {
					report(n, call+": core prints nothing")
				}
			}
		}
		return true
	})
	return bad
}

// TestHouse reads every package of the module, whatever its build tags, and names each arrow and line that
// breaks a rule.
func TestHouse(t *testing.T) {
	root := moduleRoot(t)
	for _, p := range packages(t, root) {
		pkg := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		_, core := floorOf(pkg)
		if within(pkg, "internal") && !core && adapterOf(pkg) == "" && !within(pkg, "internal/meshtest") {
			t.Errorf("%s has no place in the house: put it on a floor or among the adapters in house_test.go", pkg)
		}
		if slices.Contains(badNames, path.Base(pkg)) || slices.Contains(badNames, p.Name) {
			t.Errorf("%s: the name %s doesn't say what the package does", pkg, p.Name)
		}
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", pkg)
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue // an editor's
			}
			if err != nil {
				t.Fatal(err)
			}
			fset := token.NewFileSet()
			rel, _ := filepath.Rel(root, file)
			f, err := parser.ParseFile(fset, rel, src, 0)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			test := strings.HasSuffix(file, "_test.go")
			for _, im := range f.Imports {
				imp, _ := strconv.Unquote(im.Path.Value)
				if why := judge(pkg, imp, test); why != "" {
					t.Errorf("%s -> %s (%s): %s", pkg, strings.TrimPrefix(imp, module+"/"), rel, why)
				}
			}
			if core && !test {
				for _, why := range judgeSource(fset, f) {
					t.Error(why)
				}
			}
		}
	}
}

// TestRaceDetector keeps the tests of adapters and commands under the race detector.
func TestRaceDetector(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(moduleRoot(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(makefile), "\nNORACE ?= ")
	without, _, ends := strings.Cut(strings.ReplaceAll(rest, "\\\n", " "), "\n")
	if !found || !ends {
		t.Fatal("the Makefile doesn't say what is tested without the race detector")
	}
	words := strings.FieldsFunc(without, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, name := range append([]string{"cmd"}, adapters...) {
		if slices.Contains(words, name) {
			t.Errorf("%s is tested without the race detector", name)
		}
	}
}

// goPackage is what `go list -json` says that we need.
type goPackage struct {
	Dir, ImportPath, Name, Doc string
	GoFiles                    []string
}

// packages lists the packages of this module. A package that doesn't compile is listed too: other tests say so.
func packages(t *testing.T, root string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Name,Doc,GoFiles", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list names no package")
	}
	return all
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}

// reminder matches the words by which people postpone work, put together here so that this file isn't found.
var reminder = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|XX" + "X" + `)\b`)

// TestNothingPostponed looks for reminders in every text file. What is left to do is an issue.
func TestNothingPostponed(t *testing.T) {
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "target", "node_modules"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || slices.Contains([]string{"go.sum", "Cargo.lock"}, d.Name()) {
			return nil
		}
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if reminder.Match(line) {
				rel, _ := filepath.Rel(root, file)
				t.Errorf("%s:%d: %s", rel, i+1, bytes.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestJudge shows the rules on arrows that must fail, and that the test would find them.
func TestJudge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pkg, imp string
		test     bool
		ok       bool
	}{
		{"internal/mesh", module + "/internal/keys", false, true},
		{"internal/keys", module + "/internal/mesh", false, false},
		{"internal/oplog", module + "/internal/merge", false, false},
		{"internal/operation", module + "/internal/operation/cbor", false, true},
		{"internal/operation/cbor", module + "/internal/operation", false, false},
		{"internal/replica", module + "/internal/store", false, false},
		{"internal/replica", module + "/internal/store", true, false},
		{"internal/replica", module + "/internal/meshtest", false, false},
		{"internal/replica", module + "/internal/meshtest", true, true},
		{"internal/replica", "os", false, false},
		{"internal/replica", "os", true, true},
		{"internal/replica", "net/http", false, false},
		{"internal/replica", "math/rand", false, false},
		{"internal/replica", "example.org/lib", false, false},
		{"internal/node", module + "/internal/replica", false, true},
		{"internal/node", module + "/internal/store", false, false},
		{"internal/node", "github.com/libp2p/go-libp2p-pubsub", false, true},
		{"internal/admin", "github.com/libp2p/go-libp2p", false, false},
		{"internal/logging", "github.com/libp2p/go-libp2p/gologshim", false, true},
		{"internal/logging", "github.com/libp2p/go-libp2p", false, false},
		{"internal/store", "go.etcd.io/bbolt/errors", false, true},
		{"internal/folder", "go.etcd.io/bbolt", true, false},
		{"internal/meshtest", module + "/internal/node", false, false},
		{"internal/meshtest/sim", module + "/internal/replica", false, true},
		{"internal/node", module + "/cmd/mesh", false, false},
		{"cmd/mesh", module + "/internal/store", false, true},
		{"cmd/other", module + "/internal/store", false, false},
	}
	for _, tt := range tests {
		if why := judge(tt.pkg, tt.imp, tt.test); (why == "") != tt.ok {
			t.Errorf("judge(%s -> %s, test %t) = %q, want fine: %t", tt.pkg, tt.imp, tt.test, why, tt.ok)
		}
	}

	const src = `package p
import ("time"; "log/slog"; "fmt"; "math/rand/v2")
func f(time0 int) {
	go f(1)
	_ = time.Now()
	slog.Info("x")
	fmt.Println(rand.Int())
	select {}
}
func g(l *slog.Logger) { _ = time.Second; _ = fmt.Sprint(slog.StringValue("x"), rand.New(nil)) }
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if bad := judgeSource(fset, f); len(bad) != 7 {
		t.Errorf("judgeSource finds %d lines, want 7:\n%s", len(bad), strings.Join(bad, "\n"))
	}
}
