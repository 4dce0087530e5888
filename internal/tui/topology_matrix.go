package tui

import (
	"slices"
	"strconv"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Widths of columns of round trips: a mark and three digits, or more where there is room.
const (
	minCell = 4
	maxCell = 10
)

// drawMatrix draws a table of round trips in milliseconds: a row for each node, a column for whom it sees. A number
// alone is a Ready link.
func drawMatrix(c *canvas, g *graph, o topologyOptions) {
	const margin = 2
	names := 0
	for _, n := range append([]node{{name: g.center}}, g.nodes...) {
		names = max(names, ansi.StringWidth(readable.Text(n.name)))
	}
	names = min(names, max(c.width/3-margin, 4))
	g.fit((c.width-margin-names)/minCell - 1)
	if len(g.nodes) == 0 || c.height < 2 {
		drawNote(c, "too narrow for a matrix")
		return
	}
	zones := []node{{g.center, mesh.Ready}}
	for _, n := range g.nodes {
		if n.name == g.self { // it comes first where it isn't the middle
			zones = append([]node{zones[0], n}, zones[1:]...)
			continue
		}
		zones = append(zones, n)
	}
	cell := min((c.width-margin-names)/len(zones), maxCell)
	c.text(margin, 0, names, "ms", strong)
	for i, z := range zones {
		name := shorten(readable.Text(z.name), cell-1)
		if cell < 7 { // every letter counts
			name = ansi.Truncate(readable.Text(z.name), cell-1, "")
		}
		drawRight(c, margin+names+i*cell, 0, cell, name, strong)
	}
	rows := len(zones)
	if g.hidden > 0 {
		rows++
	}
	from, to := 0, min(rows, c.height-1)
	cursor := -1
	if o.scroll != nil {
		if at := slices.IndexFunc(zones, func(n node) bool { return n.name == o.selected }); at >= 0 {
			o.scroll.cursor = at
		}
		from, to = o.scroll.fit(rows, c.height-1)
		cursor = o.scroll.cursor
	}
	for i := from; i < to; i++ {
		y := 1 + i - from
		if i == cursor {
			c.put(0, y, ">", strong)
		}
		if i == len(zones) {
			c.text(margin, y, c.width-margin, more(g.hidden), dim)
			continue
		}
		t := plain
		if zones[i].name == o.selected {
			t = strong
		}
		c.text(margin, y, names, shorten(readable.Text(zones[i].name), names), t)
		for j, z := range zones {
			drawCell(c, margin+names+j*cell, y, cell, g, direction{zones[i].name, z.name})
		}
	}
}

// drawCell draws how one node sees another.
func drawCell(c *canvas, x, y, width int, g *graph, d direction) {
	l, told := g.told[d]
	switch {
	case d.from == d.to:
		drawRight(c, x, y, width, noValue, dim)
	case !told:
		drawRight(c, x, y, width, ".", dim) // nobody says
	case l.rtt == nil || l.state == mesh.Unavailable:
		c.glyph(x+width-1, y, stateMark(l.state), stateTone(l.state), asMark)
	default:
		text := milliseconds(*l.rtt)
		at := x + width - len(text)
		c.text(at, y, len(text), text, rttTone(*l.rtt))
		if l.state != mesh.Ready {
			c.glyph(at-1, y, stateMark(l.state), stateTone(l.state), asMark)
		}
	}
}

// milliseconds writes a round trip in at most three characters: milliseconds without unit, from a second on
// seconds with it.
func milliseconds(seconds float64) string {
	switch ms := seconds * 1000; {
	case ms < 999.5:
		return strconv.Itoa(int(max(ms, 0) + 0.5))
	case seconds < 99.5:
		return strconv.Itoa(int(seconds+0.5)) + "s"
	}
	return ">1m"
}

// drawRight writes text so that it ends at the end of width columns.
func drawRight(c *canvas, x, y, width int, text string, t tone) {
	w := min(ansi.StringWidth(text), width)
	c.text(x+width-w, y, w, text, t)
}
