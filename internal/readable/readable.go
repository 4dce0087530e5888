// Package readable writes what people read: spans of time, long ids, counted things, and text that came from
// elsewhere. Commands, the screen and the checks use it, so that one thing looks the same on all of them.
package readable

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Span prints a span of time in its largest unit, such as 14s, 9m, 26h or 3d; below a second 0s.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// LongSpan prints a span of time in its two largest units, such as 3d4h or 9m14s; a whole number of days alone.
func LongSpan(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes, seconds := int(d.Hours()/24), int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0 && hours > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case int(d.Hours()) > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

// Count prints a number of things: 1 peer, 2 peers. The plural of noun ends with an s.
func Count[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ShortID keeps the first 12 and the last 6 characters of a long id, enough to tell ids apart by eye, and makes it
// fit for a terminal as Text does.
func ShortID(id string) string {
	const head, tail = 12, 6
	r := []rune(Text(id))
	if len(r) <= head+tail+len("...") {
		return string(r)
	}
	return string(r[:head]) + "..." + string(r[len(r)-tail:])
}

// Text replaces what could steer a terminal or break a line in text that came from elsewhere: control characters,
// line and paragraph separators, the marks that reverse the direction of writing, and what is no UTF-8.
func Text(s string) string {
	if IsPlain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// IsPlain reports whether s is printable ASCII, which most text is.
func IsPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
