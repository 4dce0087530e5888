package config

import "strings"

// maxEdits is how far a suggestion may be from what was written.
const maxEdits = 2

// suggestKey names the key that was probably meant: a similar one of the same section, or one of that very
// name in another.
func (l *loader) suggestKey(name string, known []string) string {
	if l.full() {
		return ""
	}
	if s := closest(strings.ToLower(name), known); s != "" {
		return s
	}
	for _, k := range known { // the unit was left out: window for window_seconds
		if strings.HasPrefix(k, name+"_") {
			return k
		}
	}
	for _, k := range l.table {
		if k.HasValue() && strings.HasSuffix(k.Path, "."+name) {
			return k.Path
		}
	}
	return ""
}

// closest returns the candidate with the fewest edits, at most maxEdits and fewer than it has letters to
// lose.
func closest(word string, candidates []string) string {
	if len(word) > 128 {
		return ""
	}
	best, at := "", maxEdits+1
	for _, c := range candidates {
		if d := edits(word, c); d < at && 2*d < len(c) {
			best, at = c, d
		}
	}
	return best
}

// edits counts insertions, deletions, replacements and swaps of neighbours that make b of a, in bytes.
func edits(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j+1]+1, row[j]+1, old[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
