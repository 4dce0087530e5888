package doctor

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/checks.md")

// docs/checks.md is made of the table: go test ./internal/doctor -run TestChecksPage -update
func TestChecksPage(t *testing.T) {
	t.Parallel()
	const file = "../../docs/checks.md"
	if *update {
		if err := os.WriteFile(file, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Markdown() {
		t.Errorf("%s is out of step with the table; rewrite it with -update", file)
	}
}
