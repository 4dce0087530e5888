package tui

import (
	"io"
	"strconv"
	"strings"

	"github.com/muesli/termenv"
)

// environment lets termenv read an environment that is passed in.
type environment func(string) string

func (environment) Environ() []string          { return nil }
func (e environment) Getenv(key string) string { return e(key) }

// colours returns how many colours a terminal has that is known to have some, by TERM and COLORTERM. Of a
// terminal that is not known the 16 basic ones are expected: they are harmless where they are missing.
func colours(getenv func(string) string) termenv.Profile {
	if getenv("TERM") == "dumb" {
		return termenv.Ascii
	}
	// WithTTY: that it is a terminal was found out before. WithProfile: nothing is asked of the output itself.
	out := termenv.NewOutput(io.Discard, termenv.WithTTY(true), termenv.WithEnvironment(environment(getenv)),
		termenv.WithProfile(termenv.Ascii))
	return min(out.ColorProfile(), termenv.ANSI)
}

// lightBackground reads COLORFGBG, such as 0;15 or 0;default;15: the last number is the background, one of the
// 16 colours. Of those white, light grey and the bright colours other than dark grey are light.
func lightBackground(colorfgbg string) bool {
	fields := strings.Split(colorfgbg, ";")
	if len(fields) < 2 {
		return false
	}
	n, err := strconv.Atoi(fields[len(fields)-1])
	return err == nil && (n == 7 || n >= 9 && n <= 15)
}
