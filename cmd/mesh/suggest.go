package main

import "strings"

// maxDistance is how many single-letter edits a typo may be away to be suggested; more brings names that
// have nothing in common with what was typed.
const maxDistance = 2

// closest returns the candidate that word most likely meant: the one it begins, or one within maxDistance
// edits. It returns "" when none is near. Of equally near ones the first listed wins.
func closest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", maxDistance+1
	for _, c := range candidates {
		d := editDistance(word, strings.ToLower(c))
		if len(word) >= 2 && strings.HasPrefix(strings.ToLower(c), word) {
			d = min(d, 1)
		}
		if d < bestDistance && d < len(word) { // "xy" is not a typo of "ls"
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that lead from a to b.
// Long inputs are told apart by their length alone: nothing here is that long on purpose.
func editDistance(a, b string) int {
	const maxLen = 64
	if len(a) > maxLen || len(b) > maxLen {
		return maxLen
	}
	// prev2, prev and cur are three rows of the usual table; prev2 serves the swaps.
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
