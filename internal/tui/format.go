package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/readable"
)

// Numbers are written as the other commands write them.

const noValue = "-"

// sinceText is the span since a time that may be missing.
func sinceText(now time.Time, t *time.Time) string {
	if t == nil {
		return noValue
	}
	return readable.Span(now.Sub(*t))
}

// rttText prints seconds as a round trip is said: 0.4ms, 18ms, 1.2s.
func rttText(seconds float64) string {
	ms := seconds * 1000
	switch {
	case math.IsNaN(ms) || ms < 0:
		return noValue
	case ms < 0.95:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0fms", ms)
	case ms < 1e7:
		return fmt.Sprintf("%.1fs", seconds)
	}
	return readable.Span(time.Duration(min(seconds, 1e9)) * time.Second)
}

// secondsText prints seconds to a tenth, and whole ones from a hundred on: 0.2s, 31s, 9m.
func secondsText(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return noValue
	case math.Abs(seconds) < 100:
		return fmt.Sprintf("%.1fs", seconds)
	}
	return readable.Span(time.Duration(min(seconds, 1e9)) * time.Second)
}

// offsetText prints how far a clock is off, with its sign: +4ms.
func offsetText(seconds *float64) string {
	if seconds == nil {
		return noValue
	}
	ms := *seconds * 1000
	if math.Abs(ms) < 1000 {
		return fmt.Sprintf("%+dms", int(math.Round(ms))) // an int, so that there is no -0
	}
	return fmt.Sprintf("%+.1fs", *seconds)
}

// sizeText prints a number of bytes: 512 B, 91 KiB, 1.2 MiB.
func sizeText(n uint64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/step, 0
	for v >= step && unit < len("KMGTPE")-1 {
		v /= step
		unit++
	}
	if v >= step-0.5 && unit < len("KMGTPE")-1 { // it would be written as 1024
		v, unit = 1, unit+1
	}
	text := fmt.Sprintf("%.1f", v)
	if v >= 9.95 {
		text = fmt.Sprintf("%.0f", v)
	}
	return text + " " + "KMGTPE"[unit:unit+1] + "iB"
}

// clockText prints a time of the day, in UTC as logs do, and the day where it isn't that of now.
func clockText(now, t time.Time) string {
	now, t = now.UTC(), t.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("01-02 15:04")
}

// unixClock is clockText of a second since 1970.
func unixClock(now time.Time, sec int64) string { return clockText(now, time.Unix(sec, 0)) }

// dateText prints a moment in UTC, to the second.
func dateText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// shorten cuts s to n columns, by two dots at its end.
func shorten(s string, n int) string {
	switch {
	case len(s) <= n || ansi.StringWidth(s) <= n:
		return s
	case n < 4:
		return ansi.Truncate(s, max(n, 0), "")
	}
	return ansi.Truncate(s, n, "..")
}

// shortenMiddle cuts s to n columns by dots in its middle: both ends of an address tell something.
func shortenMiddle(s string, n int) string {
	s = readable.Text(s)
	r := []rune(s)
	if len(s) <= n || ansi.StringWidth(s) <= n {
		return s
	}
	const dots = "..."
	if n <= len(dots)+1 || ansi.StringWidth(s) != len(r) {
		return shorten(s, n)
	}
	keep := n - len(dots)
	tail := keep / 2
	return string(r[:keep-tail]) + dots + string(r[len(r)-tail:])
}

// wrap breaks s between words into lines of at most n columns; only a word that is longer is broken itself, so
// that commands can be copied.
func wrap(s string, n int) []string {
	if ansi.StringWidth(s) <= n {
		return []string{s}
	}
	n = max(n, 2) // the widest grapheme
	var lines []string
	line, width := "", 0
	for _, word := range strings.Fields(s) {
		w := ansi.StringWidth(word)
		if line != "" && width+1+w <= n {
			line, width = line+" "+word, width+1+w
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for w > n {
			head := ansi.Truncate(word, n, "")
			if head == "" { // what cannot be measured cannot be broken
				break
			}
			lines = append(lines, head)
			word = word[len(head):]
			w = ansi.StringWidth(word)
		}
		line, width = word, w
	}
	return append(lines, line)
}

// pad fills s with spaces up to n columns, and cuts what is longer.
func pad(s string, n int) string {
	s = shorten(readable.Text(s), n)
	return s + strings.Repeat(" ", max(n-ansi.StringWidth(s), 0))
}
