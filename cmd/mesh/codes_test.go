package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	anyCode     = regexp.MustCompile(`MESH-[0-9]{4}`)
	explainCode = regexp.MustCompile(`\{\s*"(MESH-[0-9]{4})",`) // an entry of the table
)

// sources returns the text of every Go file that is no test, of this package and of the one whose refusals
// commands pass on.
func sources(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := filepath.Glob("../../internal/admin/*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range append(names, admin...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

func TestCodesAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range errorCodes() {
		if !regexp.MustCompile(`^MESH-[1-6][0-9]{3}$`).MatchString(c.Code) {
			t.Errorf("%s: the first digit is the exit code, 1 to 6, and three more follow", c.Code)
		}
		if seen[c.Code] {
			t.Errorf("%s is explained twice", c.Code)
		}
		seen[c.Code] = true
		if c.Title == "" || strings.HasSuffix(c.Title, ".") || len(c.Title) > 60 {
			t.Errorf("%s: the title %q is half a line without a full stop", c.Code, c.Title)
		}
		if !strings.HasSuffix(c.Text, ".") {
			t.Errorf("%s: the text is whole sentences", c.Code)
		}
	}
}

// Every code that can be printed is explained, and nothing else is.
func TestCodesAndTheirUses(t *testing.T) {
	t.Parallel()
	used := map[string]string{}
	for name, text := range sources(t) {
		for _, code := range anyCode.FindAllString(explainCode.ReplaceAllString(text, ""), -1) {
			used[code] = name
		}
	}
	explained := map[string]bool{}
	for _, c := range errorCodes() {
		explained[c.Code] = true
		if used[c.Code] == "" {
			t.Errorf("%s is explained but never used", c.Code)
		}
	}
	for code, name := range used {
		if !explained[code] {
			t.Errorf("%s in %s is not explained; add it to the table in codes.go", code, name)
		}
	}
}

// docs/errors.md is printed from the table; run this test with -update to write it.
func TestErrorsPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/errors.md"
	want := errorsPage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table of codes says; run: go test ./cmd/mesh -run TestErrorsPage -update", page)
	}
}

func errorsPage() string {
	var b strings.Builder
	b.WriteString("# Error codes\n\n" +
		"<!-- Written by go test ./cmd/mesh -run TestErrorsPage -update. Do not edit. -->\n\n" +
		"Every error of `mesh` ends with a code. Its first digit is the exit code of the command. `mesh help MESH-6001`\n" +
		"prints the same text without a network.\n\n" +
		"| exit code | meaning |\n|---|---|\n")
	for _, x := range exitCodes() {
		fmt.Fprintf(&b, "| %s | %s |\n", x.name, x.meaning)
	}
	for _, c := range errorCodes() {
		fmt.Fprintf(&b, "\n<a id=%q></a>\n\n## %s\n\n*%s*\n\n%s\n", c.Code, c.Code, c.Title, wrap(c.Text, 110))
	}
	return b.String()
}
