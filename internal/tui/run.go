package tui

import (
	"io"
	"time"
)

// Config says what is watched and how it is shown.
type Config struct {
	Source Source
	// View is the view shown first: overview (default), peers, resources, log or events.
	View string
	// Theme is auto (default), dark, light or mono. Auto is mono without Color, else what Getenv tells about the
	// background, else dark.
	Theme string
	// Color says that colours may be used; how many is told by TERM and COLORTERM.
	Color bool
	// ASCII keeps to ASCII characters.
	ASCII bool
	// Plain appends lines instead of painting a screen.
	Plain bool
	// Mouse lets the wheel scroll and a click select.
	Mouse bool
	// Refresh is how often ages are counted anew, 100 ms to 1 min, default 1 s. Above 1 s data is drawn no more
	// often either.
	Refresh time.Duration
	// Context names the cluster in the header, such as kind-east/mesh-system; empty: none.
	Context string
	// Recorded says that Source plays a recording: ages count from the recording's clock, and its end is no
	// failure.
	Recorded bool
	// Now is the clock of this machine; nil: time.Now. What is shown counts from the node's own clock, which
	// comes with the frames.
	Now func() time.Time
	// Getenv reads the environment; nil: an empty one.
	Getenv func(string) string
	// Input and Output are the terminal.
	Input  io.Reader
	Output io.Writer
	// Report writes the report about a crash and returns where; nil: none is written.
	Report func(panicked any, stack []byte) (path string, err error)
}
