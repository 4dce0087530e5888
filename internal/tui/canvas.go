package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/rivo/uniseg"

	"dcp.hiro.io/mesh/internal/readable"
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

// role is what a drawn cell stands for, so that a theme knows what it may draw more nicely: a minus in a name
// stays one.
type role uint8

const (
	asText  role = iota
	asFrame      // the borders of panes: + - | and = alone. In the tone strong it frames the pane with the focus
	asMark       // a state within brackets: + ! ? x =
	asBar        // a sparkline: _ . - = + * #
	asLink       // the lines of a topology: - : ~ x . / \ |
)

// cell is one column of one line. The second column of a wide character holds an empty text.
type cell struct {
	text string // one grapheme; empty: covered by the wide one before it
	tone tone
	role role
}

// canvas is a screen of cells. Everything is drawn in ASCII; a theme with Unicode replaces lines, marks and
// bars cell for cell when it is printed, so that both look alike. Drawing outside is cut off.
type canvas struct {
	width, height int
	stride        int // columns of the whole screen, of which this may be a part
	cells         []cell
}

// rect is a part of a canvas.
type rect struct{ x, y, w, h int }

// inner is what a border of one cell leaves.
func (r rect) inner() rect { return rect{r.x + 1, r.y + 1, max(r.w-2, 0), max(r.h-2, 0)} }

func newCanvas(width, height int) *canvas {
	c := &canvas{width: max(width, 0), height: max(height, 0)}
	c.stride = c.width
	c.cells = make([]cell, c.width*c.height)
	c.clear()
	return c
}

// part returns the canvas of a rectangle, clipped to c. What is drawn there is drawn on c; its upper left
// corner is 0,0.
func (c *canvas) part(r rect) *canvas {
	x0, y0 := min(max(r.x, 0), c.width), min(max(r.y, 0), c.height)
	x1, y1 := min(max(r.x+r.w, x0), c.width), min(max(r.y+r.h, y0), c.height)
	if x0 == x1 || y0 == y1 {
		return &canvas{}
	}
	return &canvas{width: x1 - x0, height: y1 - y0, stride: c.stride, cells: c.cells[y0*c.stride+x0 : (y1-1)*c.stride+x1]}
}

// clear makes every cell a space.
func (c *canvas) clear() {
	for y := range c.height {
		row := c.row(y)
		for x := range row {
			row[x] = cell{text: " "}
		}
	}
}

// row returns the cells of one line.
func (c *canvas) row(y int) []cell { return c.cells[y*c.stride : y*c.stride+c.width] }

// at returns a cell to draw into, nil outside.
func (c *canvas) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= c.width || y >= c.height {
		return nil
	}
	return &c.cells[y*c.stride+x]
}

// put draws one grapheme of width 1.
func (c *canvas) put(x, y int, text string, t tone) { c.glyph(x, y, text, t, asText) }

// glyph draws one ASCII character that stands for more than itself.
func (c *canvas) glyph(x, y int, text string, t tone, r role) {
	if p := c.at(x, y); p != nil {
		*p = cell{text, t, r}
	}
}

// mend makes spaces of halves of wide characters, which are left where something was drawn over the other half.
func (c *canvas) mend() {
	for y := range c.height {
		row := c.row(y)
		for x := 0; x < len(row); {
			switch text := row[x].text; {
			case text == "":
				row[x].text = " "
				x++
			case len(text) == 1:
				x++
			default:
				w := max(ansi.StringWidth(text), 1)
				for covered := 1; covered < w; covered++ {
					if x+covered >= len(row) || row[x+covered].text != "" {
						row[x].text = " "
						w = 1
					}
				}
				x += w
			}
		}
	}
}

// text draws s from x on, cut off at limit columns, and returns how many it took. Control characters and
// what could steer a terminal become a question mark: text comes from other nodes.
func (c *canvas) text(x, y, limit int, s string, t tone) int {
	if readable.IsPlain(s) { // most of all that is drawn
		n := max(min(len(s), limit), 0)
		for i := range n {
			c.put(x+i, y, s[i:i+1], t)
		}
		return n
	}
	used := 0
	g := uniseg.NewGraphemes(readable.Text(s))
	for g.Next() {
		cluster := g.Str()
		w := ansi.StringWidth(cluster)
		if w == 0 {
			continue
		}
		if used+w > limit || x+used+w > c.width {
			break
		}
		c.put(x+used, y, cluster, t)
		for covered := 1; covered < w; covered++ {
			*c.at(x+used+covered, y) = cell{"", t, asText}
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
		for _, p := range c.row(y) {
			b.WriteString(p.text)
		}
		out[y] = b.String()
	}
	return out
}
