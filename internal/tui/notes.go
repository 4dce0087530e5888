package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/readable"
)

// This file draws what stands in a view that has nothing else to show.

// drawNote writes one sentence into the middle, over as many lines as it takes.
func drawNote(c *canvas, text string) { drawParagraph(c, []string{text}, dim) }

// drawProblem says what cannot be shown, why, and which command tells more.
func drawProblem(c *canvas, what string, why error, next string) {
	lines := []string{what, "cause: " + strings.ReplaceAll(why.Error(), "\n", "; ")}
	if next != "" {
		lines = append(lines, "next:  "+next)
	}
	drawParagraph(c, lines, bad)
}

// drawParagraph writes paragraphs into the middle of the canvas, the first in the tone given. Lines break
// between words.
func drawParagraph(c *canvas, paragraphs []string, first tone) {
	type line struct {
		text string
		tone tone
	}
	var lines []line
	room := c.width - 2
	if room < 3 {
		return
	}
	for i, p := range paragraphs {
		t := plain
		if i == 0 {
			t = first
		}
		for _, text := range wrap(readable.Text(p), room) {
			lines = append(lines, line{text, t})
		}
	}
	widest := 0
	for _, l := range lines {
		widest = max(widest, ansi.StringWidth(l.text))
	}
	x, y := max((c.width-widest)/2, 0), max((c.height-len(lines))/2, 0)
	for i, l := range lines {
		if y+i < c.height {
			c.text(x, y+i, c.width-x, l.text, l.tone)
		}
	}
}

// drawPosition says at the right end of a line which part of a long list is seen, where there is room.
func drawPosition(c *canvas, y int, things string, from, to, n int) {
	if to-from >= n {
		return
	}
	text := fmt.Sprintf("%s %d-%d of %d", things, from+1, to, n)
	if len(text)+1 <= c.width {
		c.text(c.width-len(text)-1, y, len(text), text, dim)
	}
}

// more says how many things are not shown.
func more(n int) string { return fmt.Sprintf("+%d more", n) }
