package main

import (
	"fmt"
	"os"
	"strings"
)

// What stands between these two lines of a page is the newest table.
const (
	pageBegin = "<!-- figures: go run ./bench -write docs/benchmarks.md -->\n"
	pageEnd   = "<!-- end of figures -->\n"
)

// writePage puts the table and how busy the machine was into a page. Lines whose figure was not measured now keep what
// the page says of them.
func writePage(file string, got figures, load string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, found := strings.Cut(string(page), pageBegin)
	old, tail, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	table := pageTable(got, old)
	if load != "" {
		table += "\n" + strings.TrimSpace(load) + "\n"
	}
	return os.WriteFile(file, []byte(head+pageBegin+table+pageEnd+tail), 0o644)
}

// pageTable is the table in Markdown. A row is known by its first cell and how often that came before, since some paths
// begin with "the same".
func pageTable(got figures, old string) string {
	const title = "| path | budget | measured | ours and the other | |\n|---|---|---|---|---|\n"
	var kept []string
	for line := range strings.Lines(old) {
		if strings.HasPrefix(line, "| ") {
			kept = append(kept, line)
		}
	}
	var out strings.Builder
	out.WriteString(title)
	for i, b := range budgets() {
		r, ok := b.row(got)
		if !ok && len(kept) == len(budgets())+1 && strings.HasPrefix(kept[i+1], "| "+b.path+" |") {
			out.WriteString(kept[i+1])
			continue
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", r.path, symbols.Replace(r.limit), r.figure, r.compared, strings.ToLower(r.verdict))
	}
	return out.String()
}

var symbols = strings.NewReplacer("<=", "≤", ">=", "≥", " x", " ×")
