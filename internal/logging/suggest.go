package logging

import "strings"

// closest returns the candidate that word begins with, or the nearest one within two edits, or nothing.
func closest(word string, candidates []string) string {
	const most = 2
	if len(word) > 64 {
		return ""
	}
	best, at := "", most+1
	for _, c := range candidates {
		if len(word) > len(c) && strings.HasPrefix(word, c) && !strings.Contains(c, ".") && word[len(c)] != '.' {
			return c
		}
		if d := edits(word, c); d < at && d < len(c) {
			best, at = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
