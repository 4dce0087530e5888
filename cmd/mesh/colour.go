package main

import (
	"io"
	"strconv"
	"time"
)

// style is what a word says by colour, always beside what it says by itself.
type style int

const (
	stylePlain style = iota
	styleOK
	styleWarn
	styleBad
	styleUnknown
	styleBold
)

// sgr returns the terminal sequence of a style in the 16 colours that every terminal has: cyan rather than
// green, because red and green are the pair most often confused.
func (s style) sgr() string {
	switch s {
	case styleOK:
		return "36"
	case styleWarn:
		return "33"
	case styleBad:
		return "1;31"
	case styleUnknown:
		return "90"
	case styleBold:
		return "1"
	}
	return ""
}

// stateStyle colours the words that stand in STATE columns and in front of checks.
func stateStyle(word string) style {
	switch word {
	case "Ready", "OK", "ok", "connected", "in_sync":
		return styleOK
	case "NotReady", "Behind", "behind", "warn", "Frozen":
		return styleWarn
	case "Unavailable", "FAIL", "fail", "Forked":
		return styleBad
	case "Unknown", "NotAdmitted", "skip":
		return styleUnknown
	}
	return stylePlain
}

// From these on a number is coloured, as in mesh tui: a round trip in milliseconds; beyond these, operations behind and
// seconds behind.
const (
	slowMillis, badMillis = 150, 400
	lateOps, badOps       = 50, 500
	lateSeconds, badLate  = 5, 30
)

// beyond is the style of a number that should be small.
func beyond(n, warn, bad float64) style {
	switch {
	case n > bad:
		return styleBad
	case n > warn:
		return styleWarn
	}
	return stylePlain
}

// rttStyle, lagStyle and delayStyle read what a cell shows: 230ms or 1.2s, operations, seconds.
func rttStyle(cell string) style {
	d, err := time.ParseDuration(cell)
	if err != nil {
		return stylePlain
	}
	return beyond(float64(d.Milliseconds()), slowMillis-1, badMillis-1)
}

func lagStyle(cell string) style {
	n, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return stylePlain
	}
	return beyond(n, lateOps, badOps)
}

func delayStyle(cell string) style {
	d, err := time.ParseDuration(cell)
	if err != nil {
		return stylePlain
	}
	return beyond(d.Seconds(), lateSeconds, badLate)
}

// paint returns s in the style's colour if w is to be coloured.
func (e *env) paint(w io.Writer, s string, st style) string {
	code := st.sgr()
	if code == "" || !e.coloured(w) {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// coloured decides whether a stream is coloured: --color beats all; then NO_COLOR turns it off and
// CLICOLOR_FORCE on; otherwise only a terminal that is not dumb is coloured.
func (e *env) coloured(w io.Writer) bool {
	switch e.flags.color {
	case "always":
		return true
	case "never":
		return false
	}
	if e.getenv("NO_COLOR") != "" {
		return false
	}
	if v := e.getenv("CLICOLOR_FORCE"); v != "" && v != "0" {
		return true
	}
	return e.isTerminal(w) && e.getenv("TERM") != "dumb"
}
