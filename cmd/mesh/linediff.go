package main

import (
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/readable"
)

const (
	// diffContext is how many unchanged lines are shown around a change.
	diffContext = 2
	// maxDiffCells bounds the work of a comparison: two files of 2,000 lines. Beyond it all is shown as changed
	// between the first and the last line that differ.
	maxDiffCells = 4_000_000
)

// lineDiff shows what changes from one text to another: lines that go with -, those that come with +, and some around
// them.
func lineDiff(name, from, to string) string {
	a, b := splitText(from), splitText(to)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []string
	for _, l := range a[:head] {
		all = append(all, "  "+l)
	}
	all = append(all, compareLines(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		all = append(all, "  "+l)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s:", name)
	skipped := false
	for i, l := range all {
		if !nearChange(all, i) {
			skipped = true
			continue
		}
		if skipped {
			out.WriteString("\n  ...")
		}
		skipped = false
		out.WriteString("\n" + strings.TrimRight(readable.Text(l), " "))
	}
	if skipped {
		out.WriteString("\n  ...")
	}
	return out.String()
}

// splitText cuts a text into lines without their ends.
func splitText(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

func nearChange(all []string, i int) bool {
	for k := max(0, i-diffContext); k <= min(len(all)-1, i+diffContext); k++ {
		if all[k][0] != ' ' {
			return true
		}
	}
	return false
}

// compareLines finds the longest lines in common and marks the others.
func compareLines(a, b []string) []string {
	var out []string
	if len(a)*len(b) > maxDiffCells {
		for _, l := range a {
			out = append(out, "- "+l)
		}
		for _, l := range b {
			out = append(out, "+ "+l)
		}
		return out
	}
	common := make([][]int, len(a)+1) // of a[i:] and b[k:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for k := len(b) - 1; k >= 0; k-- {
			if a[i] == b[k] {
				common[i][k] = common[i+1][k+1] + 1
			} else {
				common[i][k] = max(common[i+1][k], common[i][k+1])
			}
		}
	}
	i, k := 0, 0
	for i < len(a) || k < len(b) {
		switch {
		case i < len(a) && k < len(b) && a[i] == b[k]:
			out = append(out, "  "+a[i])
			i, k = i+1, k+1
		case k == len(b) || i < len(a) && common[i+1][k] >= common[i][k+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[k])
			k++
		}
	}
	return out
}
