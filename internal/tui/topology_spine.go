package tui

import "github.com/charmbracelet/x/ansi"

// This file draws the graph of many nodes: names in two columns, and between them a line from which links branch
// off to both sides. Each label stands on its own branch.

// spine is where things are.
type spine struct {
	s           *sheet
	left, right int // columns at which names begin
	column      int // width of names
	axis        int // column of the line in the middle
	spacing     int // rows from one name to the next
	first       int // row of the first names
	selected    string
}

// minBranch is the shortest branch, if no label is longer.
const minBranch = 3

// drawSpine draws the graph, as many nodes of it as fit, or nothing and returns false if there is no room for
// two.
func drawSpine(c *canvas, g *graph, roomy bool, selected string) bool {
	p := spine{s: newSheet(c, g, roomy), left: 1, axis: c.width / 2, spacing: 1, selected: selected}
	if roomy {
		p.left = 3
	}
	g.fit(2 * (c.height - 1))
	branch := minBranch
	for _, n := range g.nodes {
		p.column = max(p.column, p.s.nameWidth(n.name))
		if l, linked := g.link(g.center, n.name); linked {
			text, _ := l.label(g.now, roomy)
			branch = max(branch, len(text))
		}
	}
	p.column = min(p.column, p.axis-p.left-1-branch)
	p.right = 2*p.axis + 1 - p.left - p.column // as far from the line as the left one
	if !roomy {
		p.right = min(p.right+1, c.width-p.column)
	}
	rows := (p.places() + 1) / 2
	if roomy && 2*rows+1 <= c.height {
		p.spacing = 2
	}
	if p.column < markWidth+3 || len(g.nodes) == 0 || rows+1 > c.height {
		return false
	}
	p.first = (c.height - (rows*p.spacing + 1)) / 2
	p.draw(rows)
	return true
}

// places is how many places are used, among them the one that says how many nodes are missing.
func (p *spine) places() int {
	if p.s.g.hidden > 0 {
		return len(p.s.g.nodes) + 1
	}
	return len(p.s.g.nodes)
}

// row is where the names of place i and its neighbour stand: half of them above the middle.
func (p *spine) row(i, rows int) int {
	i /= 2
	if i >= (rows+1)/2 {
		i++
	}
	return p.first + i*p.spacing
}

func (p *spine) draw(rows int) {
	s := p.s
	middle := p.first + (rows+1)/2*p.spacing
	text := s.boxText(min(2*p.column, 16))
	s.box(p.axis-ansi.StringWidth(text)/2, middle, text)
	for y := p.first; y <= p.row(p.places()-1, rows); y++ {
		s.line(p.axis, y, "|", stroke{solid: true, every: 1})
	}
	widths := make([]int, len(s.g.nodes))
	for i, n := range s.g.nodes {
		y := p.row(i, rows)
		l, linked := s.g.link(s.g.center, n.name)
		if i%2 == 0 {
			widths[i] = s.node(p.left, y, p.column, n, p.selected)
			if linked {
				p.branch(p.left+widths[i]+1, p.left+p.column+1, p.axis-1, y, l)
			}
		} else {
			widths[i] = s.node(p.right, y, p.column, n, p.selected)
			if linked {
				p.branch(p.axis+1, p.axis+1, p.right-2, y, l)
			}
		}
	}
	for i := range s.g.nodes {
		p.between(i, rows)
	}
	if s.g.hidden > 0 {
		x := p.left
		if (p.places()-1)%2 == 1 {
			x = p.right
		}
		s.c.text(x, p.row(p.places()-1, rows), s.c.width-x, more(s.g.hidden), dim)
	}
}

// branch draws a link from x0 to x1. Labels start from column labels on, so that they stand below each other
// however long the names are.
func (p *spine) branch(x0, labels, x1, y int, l link) {
	k := l.stroke()
	p.s.link(labels, x1, y, l)
	p.s.across(x0, labels-1, y, k)
}

// between draws the link between place i and the one below it, where there is a row between them.
func (p *spine) between(i, rows int) {
	s := p.s
	if i+2 >= len(s.g.nodes) || p.spacing < 2 || p.row(i+2, rows)-p.row(i, rows) != 2 {
		return
	}
	l, linked := s.g.link(s.g.nodes[i].name, s.g.nodes[i+2].name)
	if !linked {
		return
	}
	x, y := p.left+1, p.row(i, rows)+1
	if i%2 == 1 {
		x = p.right + 1
	}
	s.line(x, y, "|", l.stroke())
	text, t := l.label(s.g.now, false)
	s.labelAt(x+2, y, text, t)
}
