// Package typo finds the name that somebody probably meant who wrote another one: a command, a flag, a key of the
// configuration, a log target, a zone. It suggests; nothing is ever done on a guess.
package typo

import "strings"

const (
	// maxEdits is how many single-letter edits a typo may be away; more brings names that have nothing in common
	// with what was written.
	maxEdits = 2
	// maxLen is the longest word, in bytes, that is compared: no name here is longer on purpose, and the time that
	// comparing takes grows with the product of both lengths.
	maxLen = 128
)

// Closest returns the candidate that word most likely meant: one that it begins, one within two edits that keeps more
// than half of its letters, or one of three words or more, by - or _, of which another is in place of one. Case does
// not count. It returns "" when none is near. Of equally near ones the first listed wins.
func Closest(word string, candidates []string) string {
	if len(word) > maxLen {
		return ""
	}
	word = strings.ToLower(word)
	best, at := "", maxEdits+2
	for _, c := range candidates {
		lower := strings.ToLower(c)
		d := Edits(word, lower)
		if len(word) >= 2 && strings.HasPrefix(lower, word) {
			d = min(d, 1)
		}
		if d > maxEdits {
			if !oneWordElse(word, lower) {
				continue
			}
			d = maxEdits + 1 // what is spelt nearly so comes first
		}
		if d < at && d < len(word) && 2*d < len(c) { // "xy" is not a typo of "ls", nor "host" one of "port"
			best, at = c, d
		}
	}
	return best
}

// oneWordElse reports whether all but one of the words of two names are the same, and these are two at the least.
func oneWordElse(a, b string) bool {
	separator := func(r rune) bool { return r == '-' || r == '_' }
	as, bs := strings.FieldsFunc(a, separator), strings.FieldsFunc(b, separator)
	if len(as) != len(bs) || len(as) < 3 {
		return false
	}
	other := 0
	for i := range as {
		if as[i] != bs[i] {
			other++
		}
	}
	return other == 1
}

// Edits counts the insertions, deletions, replacements and swaps of neighbours, in bytes, that lead from a to b.
// Of a word that is too long to be a name it says only that it is far away.
func Edits(a, b string) int {
	if len(a) > maxLen || len(b) > maxLen {
		return maxLen
	}
	// older, old and row are three rows of the usual table; older serves the swaps.
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
