package tui

import "github.com/charmbracelet/x/ansi"

// This file draws the graph as a ring: nodes above and below the one in the middle, their links running towards
// it downwards or upwards one column a row, and then along its row. Parallel lines never cross.

// maxRing is how many nodes a ring has at most: more names than four don't fit beside each other.
const maxRing = 8

// ring is where things are.
type ring struct {
	s             *sheet
	top, mid, end int // rows: the upper nodes, the middle, the lower nodes
	left, right   int // columns at which the outermost names begin
	boxAt, boxEnd int // columns of the middle, boxEnd excluded
	gap           int // columns between the middle and the lines that reach it
	text          string
	selected      string
}

// ringNode is a node in its place.
type ringNode struct {
	node
	x, width int
	anchor   int // the column in which its link to the middle begins
	link     link
	linked   bool
}

// drawRing draws the graph, or nothing and returns false if it doesn't fit.
func drawRing(c *canvas, g *graph, roomy bool, selected string) bool {
	if len(g.nodes) > maxRing || g.hidden > 0 || len(g.nodes) == 0 {
		return false
	}
	s := newSheet(c, g, roomy)
	half := max((len(g.nodes)+1)/2, min(2, len(g.nodes))) // two stand beside each other
	upper, lower := g.nodes[:half], g.nodes[half:]
	r, fits := newRing(s)
	if !fits {
		return false
	}
	r.selected = selected
	top, fitsTop := r.place(upper)
	bottom, fitsBottom := r.place(lower)
	if !fitsTop || !fitsBottom {
		return false
	}
	if roomy && len(top) == 2 {
		// The line from the upper left reaches further to the right, away from the one that goes down there.
		const outwards = 3
		if _, linked := g.link(top[0].name, top[1].name); linked && top[1].x+top[1].width+outwards <= c.width {
			top[1].x += outwards
		}
	}
	s.box(r.boxAt, r.mid, r.text)
	r.drawNodes(top, r.top)
	r.drawNodes(bottom, r.end)
	for _, n := range top {
		r.drawPath(n, r.top, 1)
	}
	for _, n := range bottom {
		r.drawPath(n, r.end, -1)
	}
	r.drawSides(top, bottom)
	for _, n := range top {
		r.labelPath(n, r.top, 1)
	}
	for _, n := range bottom {
		r.labelPath(n, r.end, -1)
	}
	if g.center == g.self && roomy {
		s.labelAt(r.boxAt+(ansi.StringWidth(r.text)-len("you"))/2, r.mid+1, "you", dim)
	}
	return true
}

// newRing finds rows and columns, and whether there are enough of them.
func newRing(s *sheet) (r ring, fits bool) {
	c := s.c
	r.s = s
	column := 0
	for _, n := range s.g.nodes {
		column = max(column, s.nameWidth(n.name))
	}
	r.left, r.right = 2, c.width-2-column
	r.top, r.end = (c.height-1)%2, c.height-1 // an even number of rows apart
	if s.roomy {
		// Right of the right column there is room for labels of the link between its nodes.
		r.left, r.right, r.gap = 5, c.width-10-column, 1
		r.top, r.end = 1, c.height-2
		r.end -= (r.end - r.top) % 2
	}
	r.text = s.boxText(min(column+4, 16))
	width := ansi.StringWidth(r.text)
	axis := r.left + (r.right+column-r.left)/2
	r.boxAt = axis - width/2
	r.boxEnd = r.boxAt + width
	// The lines fall one column a row; where the row of the middle is further away than the middle itself, the
	// nodes come closer.
	reach := (r.end - r.top) / 2
	if most := r.boxAt - 1 - r.gap - (r.left + markWidth); most > 1 && reach > most {
		r.top += reach - most
		r.end -= reach - most
		reach = most
	}
	r.mid = r.top + reach
	// Between a name and the middle there must be a line, and between two names one with a label.
	return r, reach >= 2 && r.boxAt-r.gap-1 > r.left+column-2 && r.right-(r.left+column) >= 8
}

// place spreads nodes over one row.
func (r *ring) place(nodes []node) (placed []ringNode, fits bool) {
	free := 0 // the first column in which a name may begin
	for i, n := range nodes {
		p := ringNode{node: n, width: r.s.nameWidth(n.name), x: r.left}
		if i > 0 {
			p.x = r.left + (r.right-r.left)*i/(len(nodes)-1)
		}
		if p.x < free || p.x+p.width > r.s.c.width {
			return nil, false
		}
		free = p.x + p.width + 4
		switch {
		case p.x+p.width <= r.boxAt:
			p.anchor = p.x + p.width - 2
		case p.x >= r.boxEnd:
			p.anchor = p.x + 1
		default:
			p.anchor = min(max(p.x+p.width/2, r.boxAt), r.boxEnd-1)
		}
		p.link, p.linked = r.s.g.link(r.s.g.center, n.name)
		placed = append(placed, p)
	}
	return placed, true
}

// drawNodes draws one row of names and the links between neighbours on it.
func (r *ring) drawNodes(nodes []ringNode, y int) {
	for _, n := range nodes {
		r.s.node(n.x, y, n.width, n.node, r.selected)
	}
	for i := 1; i < len(nodes); i++ {
		before, n := nodes[i-1], nodes[i]
		if l, linked := r.s.g.link(before.name, n.name); linked {
			r.s.link(before.x+before.width+1, n.x-2, y, l)
		}
	}
}

// step returns the next column of a path towards the middle, and the character that leads there.
func (r *ring) step(x, down int) (next int, solid string) {
	slopes := map[int]string{1: "\\", -1: "/"}
	switch {
	case x < r.boxAt:
		return x + 1, slopes[down]
	case x >= r.boxEnd:
		return x - 1, slopes[-down]
	}
	return x, "|"
}

// drawPath draws the link from a node on row y to the middle.
func (r *ring) drawPath(n ringNode, y, down int) {
	if !n.linked {
		return
	}
	k, x := n.link.stroke(), n.anchor
	for y += down; y != r.mid; y += down {
		next, solid := r.step(x, down)
		r.s.line(x, y, solid, k)
		x = next
	}
	if x < r.boxAt {
		r.s.across(x, r.boxAt-1-r.gap, r.mid, k)
	}
	if x >= r.boxEnd {
		r.s.across(r.boxEnd+r.gap, x, r.mid, k)
	}
}

// labelPath writes the label of the link from a node on row y to the middle beside its line: on the inside if it
// can, as near to half way as it can.
func (r *ring) labelPath(n ringNode, y, down int) {
	if !n.linked {
		return
	}
	text, t := n.link.label(r.s.g.now, r.s.roomy)
	gap := 2
	if !n.link.stroke().solid && n.link.stroke().text == "x" {
		gap++ // an x beside a word looks like a part of it
		if r.s.roomy {
			gap++
		}
	}
	var columns []int
	x := n.anchor
	for at := y + down; at != r.mid; at += down {
		columns = append(columns, x)
		x, _ = r.step(x, down)
	}
	half := (len(columns) - 1) / 2
	for away := range len(columns) {
		for _, i := range []int{half - away, half + away} {
			if i < 0 || i >= len(columns) {
				continue
			}
			inside, outside := columns[i]+gap, columns[i]-gap+1-len(text)
			if n.anchor >= r.boxEnd {
				inside, outside = outside, inside
			}
			row := y + down*(i+1)
			if r.s.labelAt(inside, row, text, t) || away == len(columns)-1 && r.s.labelAt(outside, row, text, t) {
				return
			}
		}
	}
}

// drawSides draws the links between the outermost nodes above and below each other.
func (r *ring) drawSides(top, bottom []ringNode) {
	if len(bottom) == 0 {
		return
	}
	r.drawSide(top[0], bottom[0], r.left+1)
	if len(top) > 1 && len(bottom) > 1 {
		a, b := top[len(top)-1], bottom[len(bottom)-1]
		r.drawSide(a, b, min(a.x+a.width, b.x+b.width)-1)
	}
}

func (r *ring) drawSide(a, b ringNode, x int) {
	l, linked := r.s.g.link(a.name, b.name)
	if !linked {
		return
	}
	for y := r.top + 1; y < r.end; y++ {
		if !r.s.free(x, y, 1) {
			return // another line is in the way
		}
	}
	for y := r.top + 1; y < r.end; y++ {
		r.s.line(x, y, "|", l.stroke())
	}
	text, t := l.label(r.s.g.now, false)
	r.s.labelAt(x+2, r.mid, text, t)
}
