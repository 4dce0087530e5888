package tui

import (
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// drawTopology draws the links of the mesh in the mode that is asked for; a graph for which there is no room
// is drawn as a list.
func drawTopology(c *canvas, s *state, o topologyOptions) {
	if s.topology == nil {
		drawNote(c, "waiting for the links")
		return
	}
	center := ""
	if o.centered {
		center = o.selected
	}
	g := newGraph(s.topology, center, s.now)
	drawGraph(c, &g, o)
}

// legendRows is how many lines explain the graph.
const legendRows = 3

func drawGraph(c *canvas, g *graph, o topologyOptions) {
	if c.width < 12 {
		drawNote(c, "too narrow")
		return
	}
	if len(g.nodes) == 0 {
		drawNote(c, "no links: this node knows no others")
		return
	}
	room := c
	if o.legend && c.height >= legendRows+8 && c.width >= 58 {
		drawLegend(c.part(rect{0, c.height - legendRows, c.width, legendRows}), g)
		room = c.part(rect{0, 0, c.width, c.height - legendRows})
	}
	switch o.mode {
	case asMatrix:
		drawMatrix(room, g, o)
	case asList:
		drawLinks(room, g, o)
	default:
		roomy := room.width >= 44 && room.height >= 12
		if drawRing(room, g, roomy, o.selected) || roomy && drawRing(room, g, false, o.selected) {
			return
		}
		if !drawSpine(room, g, roomy, o.selected) {
			drawLinks(room, g, o)
		}
	}
}

// drawLegend explains the lines and sums them up.
func drawLegend(c *canvas, g *graph) {
	x := 2
	for _, kind := range []struct {
		link link
		name string
	}{
		{link{state: mesh.Ready}, "Ready"}, {link{state: mesh.NotReady}, "NotReady"},
		{link{state: mesh.Ready, relayed: true}, "relayed"}, {link{state: mesh.Unavailable}, "Unavailable"},
	} {
		k := kind.link.stroke()
		for i := 0; i < 3; i += k.every {
			c.glyph(x+i, 0, k.piece("-"), k.tone, asLink)
		}
		x += 4
		x += c.text(x, 0, c.width-x, kind.name, plain) + 3
	}
	sum := g.sum()
	if len(sum) > c.width-3 {
		sum = strings.ReplaceAll(sum, "   ", "  ")
	}
	c.text(2, 1, c.width-2, sum, plain)
	c.text(2, 2, c.width-2, "m: graph / matrix / list     c: center on selection", dim)
}

// sum is the graph in one line.
func (g *graph) sum() string {
	up, all := 0, 0
	worst := ""
	var longest *float64
	for p, l := range g.links {
		if p.a != g.self && p.b != g.self {
			continue
		}
		all++
		if l.state == mesh.Ready || l.state == mesh.NotReady {
			up++
		}
		other := p.a
		if other == g.self {
			other = p.b
		}
		if by := compareRTT(l.rtt, longest); l.rtt != nil && (by < 0 || by == 0 && other < worst) {
			worst, longest = other, l.rtt
		}
	}
	text := fmt.Sprintf("zones %d   links up from here %d/%d", g.zones, up, all)
	if longest != nil {
		text += fmt.Sprintf("   worst RTT %s %s", shorten(readable.Text(worst), 16), rttText(*longest))
	}
	return text
}
