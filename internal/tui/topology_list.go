package tui

import (
	"cmp"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// listed is one line of the list of links.
type listed struct {
	name string
	far  string // the end that may be selected; empty: neither end is in the middle
	link link
}

// listLinks returns the links of the node in the middle, the worst last, and then those between others.
func (g *graph) listLinks() []listed {
	rows := make([]listed, 0, len(g.links))
	for p, l := range g.links {
		row := listed{name: readable.Text(p.a) + " - " + readable.Text(p.b), link: l}
		if p.a == g.center || p.b == g.center {
			row.far = p.a
			if p.a == g.center {
				row.far = p.b
			}
			row.name = readable.Text(row.far)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b listed) int {
		if own := a.far != ""; own != (b.far != "") {
			if own {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(stateOrder(a.link.state), stateOrder(b.link.state)), strings.Compare(a.name, b.name))
	})
	return rows
}

// drawLinks draws one line per link: its state, its ends, how it is drawn in the graph, its round trip, over what
// it runs and for how long.
func drawLinks(c *canvas, g *graph, o topologyOptions) {
	rows := g.listLinks()
	from, to, cursor := 0, min(len(rows), c.height), -1
	if o.scroll != nil {
		if at := slices.IndexFunc(rows, func(r listed) bool { return r.far != "" && r.far == o.selected }); at >= 0 {
			o.scroll.cursor = at
		}
		from, to = o.scroll.fit(len(rows), c.height)
		cursor = o.scroll.cursor
	}
	// What does not fit is left out from the right: the time first, the name never.
	const fixed = 2 + markWidth + 1
	const stroked, rtt, via, since = 2 + 3, 2 + 5, 2 + 5, 2 + 4
	names := 5
	for _, row := range rows[from:to] {
		names = max(names, ansi.StringWidth(row.name))
	}
	room := c.width - fixed
	names = min(names, max(room-stroked-rtt, 5))
	for y, row := range rows[from:to] {
		t := plain
		if row.far != "" && row.far == o.selected {
			t = strong
		}
		if from+y == cursor {
			c.put(0, y, ">", strong)
		}
		drawMark(c, 2, y, row.link.state)
		c.text(fixed, y, min(names, room), shorten(row.name, names), t)
		x := fixed + names
		if x+stroked > c.width {
			continue
		}
		k := row.link.stroke()
		for i := 0; i < 3; i += k.every {
			c.glyph(x+2+i, y, k.piece("-"), k.tone, asLink)
		}
		x += stroked
		if x+rtt > c.width {
			continue
		}
		text, lt := "-", dim
		if row.link.rtt != nil && row.link.state != mesh.Unavailable {
			text, lt = rttText(*row.link.rtt), rttTone(*row.link.rtt)
		}
		drawRight(c, x+2, y, rtt-2, text, lt)
		x += rtt
		if x+via > c.width {
			continue
		}
		transport := "-"
		if by := row.link.said.Transport; by != nil {
			transport = readable.Text(*by)
		}
		c.text(x+2, y, via-2, transport, plain)
		x += via
		if x+since > c.width || row.link.since.IsZero() {
			continue
		}
		c.text(x+2, y, since-2, readable.Span(g.now.Sub(row.link.since)), plain)
	}
}
