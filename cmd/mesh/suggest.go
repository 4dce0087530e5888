package main

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/typo"
)

// didYouMean ends a sentence that quotes an unknown word: with the nearest name there is, or not at all.
func didYouMean(word string, names []string) string {
	near := typo.Closest(word, names)
	if near == "" || near == word {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}
