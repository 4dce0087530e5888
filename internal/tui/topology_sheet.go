package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// sheet is a canvas on which a graph is drawn: it knows which cells are free, so that lines stop at names and
// labels never cover a line. What is drawn first stays.
type sheet struct {
	c     *canvas
	taken []bool
	g     *graph
	roomy bool // there is room for spaces around names and labels
}

func newSheet(c *canvas, g *graph, roomy bool) *sheet {
	return &sheet{c: c, taken: make([]bool, c.width*c.height), g: g, roomy: roomy}
}

// take marks cells as used.
func (s *sheet) take(x, y, width int) {
	for i := max(x, 0); i < min(x+width, s.c.width) && y >= 0 && y < s.c.height; i++ {
		s.taken[y*s.c.width+i] = true
	}
}

// free reports whether cells are on the canvas and unused. A column beyond its sides counts as unused: it
// is asked for as a gap.
func (s *sheet) free(x, y, width int) bool {
	if y < 0 || y >= s.c.height {
		return false
	}
	for i := max(x, 0); i < min(x+width, s.c.width); i++ {
		if s.taken[y*s.c.width+i] {
			return false
		}
	}
	return true
}

// line draws one piece of a link where nothing is yet.
func (s *sheet) line(x, y int, solid string, k stroke) {
	if x < 0 || x >= s.c.width || !s.free(x, y, 1) {
		return
	}
	s.c.glyph(x, y, k.piece(solid), k.tone, asLink)
	s.take(x, y, 1)
}

// across draws a horizontal line from x0 to x1, both included; the gaps of a dotted one are taken too.
func (s *sheet) across(x0, x1, y int, k stroke) {
	for x := x0; x <= x1; x++ {
		if (x-x0)%k.every == 0 {
			s.line(x, y, "-", k)
		} else {
			s.take(x, y, 1)
		}
	}
}

// labelAt writes a label if it and a column on each side of it are free.
func (s *sheet) labelAt(x, y int, text string, t tone) bool {
	w := len(text)
	if text == "" || x < 0 || x+w > s.c.width || !s.free(x-1, y, w+2) {
		return false
	}
	s.c.text(x, y, w, text, t)
	s.take(x, y, w)
	return true
}

// link draws a horizontal link from x0 to x1 with its label in the middle.
func (s *sheet) link(x0, x1, y int, l link) {
	text, t := l.label(s.g.now, s.roomy)
	// An x beside a word looks like a part of it.
	if text != "" && (s.roomy || l.stroke().text == "x") {
		text = " " + text + " "
	}
	room := x1 - x0 + 1
	if room < len(text) {
		text = strings.TrimSpace(text)
	}
	if room < len(text) {
		text = ""
	}
	if at := x0 + (room-len(text))/2; text != "" {
		s.c.text(at, y, len(text), text, t)
		s.take(at, y, len(text))
	}
	s.across(x0, x1, y, l.stroke())
}

// markWidth is that of a mark with its brackets.
const markWidth = 3

// nameWidth is how many columns a node takes: its mark and its name.
func (s *sheet) nameWidth(name string) int {
	return s.markSpace() + ansi.StringWidth(readable.Text(name))
}

func (s *sheet) markSpace() int {
	if s.roomy {
		return markWidth + 1
	}
	return markWidth
}

// node draws the mark and the name of a node in at most width columns and returns how many it took.
func (s *sheet) node(x, y, width int, n node, selected string) int {
	t := plain
	if n.name == selected {
		t = strong
	}
	drawMark(s.c, x, y, n.state)
	used := s.markSpace()
	used += s.c.text(x+used, y, width-used, shorten(n.name, width-used), t)
	s.take(x, y, used)
	return used
}

// boxText is the node in the middle.
func (s *sheet) boxText(width int) string {
	name := readable.Text(s.g.center)
	if s.g.center == s.g.self {
		name = strings.ToUpper(name)
	}
	return "(" + shorten(name, width-2) + ")"
}

// box draws the node in the middle at x.
func (s *sheet) box(x, y int, text string) {
	s.c.text(x, y, ansi.StringWidth(text), text, strong)
	s.take(x, y, ansi.StringWidth(text))
}

// drawMark draws the mark of a state: [+] [!] [?] [x].
func drawMark(c *canvas, x, y int, state mesh.PeerState) {
	t := stateTone(state)
	c.put(x, y, "[", t)
	c.glyph(x+1, y, stateMark(state), t, asMark)
	c.put(x+2, y, "]", t)
}
