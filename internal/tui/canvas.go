package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/rivo/uniseg"
)

// tone is what a cell says by its style, beside what it says by itself. The theme decides how it looks.
type tone uint8

const (
	plain tone = iota
	ok
	warn
	bad
	unknown
	strong // headers, focus
	dim    // stale, secondary
)

// cell is one column of one line. The second column of a wide character holds an empty text.
type cell struct {
	text string // one grapheme; empty: covered by the wide one before it
	tone tone
}

// canvas is a screen of cells. Everything is drawn in ASCII; a theme with Unicode replaces lines, marks and
// bars cell for cell when it is printed, so that both look alike. Drawing outside is cut off.
type canvas struct {
	width, height int
	cells         []cell
}

func newCanvas(width, height int) *canvas {
	c := &canvas{width: max(width, 0), height: max(height, 0)}
	c.cells = make([]cell, c.width*c.height)
	for i := range c.cells {
		c.cells[i].text = " "
	}
	return c
}

// at returns a cell to draw into, nil outside.
func (c *canvas) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= c.width || y >= c.height {
		return nil
	}
	return &c.cells[y*c.width+x]
}

// put draws one grapheme of width 1.
func (c *canvas) put(x, y int, text string, t tone) {
	if p := c.at(x, y); p != nil {
		*p = cell{text, t}
	}
}

// text draws s from x on, cut off at limit columns, and returns how many it took. Control characters and
// what could steer a terminal become a question mark: text comes from other nodes.
func (c *canvas) text(x, y, limit int, s string, t tone) int {
	used := 0
	g := uniseg.NewGraphemes(s)
	for g.Next() {
		cluster := visible(g.Str())
		w := ansi.StringWidth(cluster)
		if w == 0 {
			continue
		}
		if used+w > limit {
			break
		}
		c.put(x+used, y, cluster, t)
		if w == 2 {
			c.put(x+used+1, y, "", t)
		}
		used += w
	}
	return used
}

// lines returns the text of the canvas without tones, trailing spaces kept: every line has the full width.
func (c *canvas) lines() []string {
	out := make([]string, c.height)
	var b strings.Builder
	for y := range out {
		b.Reset()
		for x := range c.width {
			b.WriteString(c.cells[y*c.width+x].text)
		}
		out[y] = b.String()
	}
	return out
}
