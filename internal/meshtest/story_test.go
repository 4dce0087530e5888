package meshtest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what is printed now")

// TestStories runs every story: each shows the interleaving in which one rule saves the data.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := meshtest.Tell(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s has changed; run with -update and review the diff\n%s", file, firstDifference(string(want), got))
			}
		})
	}
}

// firstDifference prints where two transcripts part, and the command that led there.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	cmd := ""
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return cmd + "\n  want " + a + "\n  got  " + b
		}
		if strings.HasPrefix(a, "> ") {
			cmd = a
		}
	}
	return ""
}
