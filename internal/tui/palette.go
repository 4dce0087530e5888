package tui

import "github.com/charmbracelet/lipgloss"

// palette holds the colours of states. Everything else is neutral text, so that colour always means something;
// and it never means something alone: a mark or a word beside it says the same.
//
// The colours can be told apart by people who don't see red, green or blue, and read on black (dark) or white
// (light); a test measures both. The 16 colours are the terminal's own and can't be measured.
type palette struct {
	name                   string
	ok, warn, bad, unknown lipgloss.CompleteColor
}

var (
	darkPalette = palette{
		name:    "dark",
		ok:      lipgloss.CompleteColor{TrueColor: "#56B4E9", ANSI256: "74", ANSI: "6"},
		warn:    lipgloss.CompleteColor{TrueColor: "#F0E442", ANSI256: "227", ANSI: "3"},
		bad:     lipgloss.CompleteColor{TrueColor: "#D55E00", ANSI256: "166", ANSI: "1"},
		unknown: lipgloss.CompleteColor{TrueColor: "#999999", ANSI256: "246", ANSI: "8"},
	}
	lightPalette = palette{
		name:    "light",
		ok:      lipgloss.CompleteColor{TrueColor: "#0050C8", ANSI256: "26", ANSI: "4"},
		warn:    lipgloss.CompleteColor{TrueColor: "#8F6B00", ANSI256: "94", ANSI: "3"},
		bad:     lipgloss.CompleteColor{TrueColor: "#7A0019", ANSI256: "88", ANSI: "1"},
		unknown: lipgloss.CompleteColor{TrueColor: "#757575", ANSI256: "243", ANSI: "8"},
	}
)
