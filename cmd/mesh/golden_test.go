package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares what was printed with testdata/golden/NAME.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; rewrite it with -update and look at the diff. Got:\n%s", file, got)
	}
}

// tell writes what a command line printed: its data, the exit code if it failed, and standard error behind marks. The folder that it ran in is called FOLDER.
func (te *testEnv) tell(b *strings.Builder, line string, code int) {
	hide := strings.NewReplacer(te.dir, "FOLDER")
	out := hide.Replace(te.stdout.String())
	fmt.Fprintf(b, "$ %s\n%s", line, out)
	if out != "" && !strings.HasSuffix(out, "\n") {
		b.WriteString("\n\\ no line break at the end\n")
	}
	if code != 0 {
		fmt.Fprintf(b, "exit %d\n", code)
	}
	for l := range strings.Lines(hide.Replace(te.stderr.String())) {
		fmt.Fprintf(b, "! %s", l)
	}
}
