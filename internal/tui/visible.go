package tui

import (
	"strings"
	"unicode"
)

// visible replaces what could steer a terminal: control characters, separators of lines, and the marks that
// reverse the direction of writing.
func visible(s string) string {
	if isPrintableASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
