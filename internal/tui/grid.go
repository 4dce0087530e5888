package tui

import (
	"slices"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/readable"
)

// column is one column of a grid.
type column struct {
	title string
	least int // width at least, that of the title if that is wider
	most  int // width at most; 0: no limit
	drop  int // where there is no room, columns with the highest number go first; 0 stays
	// middle: what is too long is cut in its middle, since its end tells more than what stands there.
	middle bool
}

// spare is the lowest drop of columns that go before any other is cut short.
const spare = 6

// grid is a table of which a window is drawn. Widths follow from what is in the window, so that a table of ten
// thousand rows costs as much as one that fits.
type grid struct {
	columns []column
	cell    func(row, column int) (string, tone)
	// flags returns what stands before a row: a character and its tone; nil: nothing.
	flags func(row int) (string, tone)
}

// gridMargin is the room for the cursor and a flag.
const gridMargin = 2

// draw draws the title line and the rows from to to (exclusive) below each other. The cursor is shown on its
// row if that is not negative.
func (g *grid) draw(c *canvas, from, to, cursor int) {
	columns, widths, gap := g.widths(c.width-gridMargin, from, to)
	x := gridMargin
	for i, j := range columns {
		c.text(x, 0, min(widths[i], c.width-x), g.columns[j].title, strong)
		for row := from; row < to; row++ {
			text, t := g.cell(row, j)
			if g.columns[j].middle {
				text = shortenMiddle(text, widths[i])
			}
			c.text(x, 1+row-from, min(widths[i], c.width-x), shorten(readable.Text(text), widths[i]), t)
		}
		x += widths[i] + gap
	}
	for row := from; row < to; row++ {
		at := 0
		if row == cursor {
			c.put(0, 1+row-from, ">", strong)
			at = 1
		}
		if g.flags != nil {
			if flag, t := g.flags(row); flag != "" {
				c.put(at, 1+row-from, flag, t)
			}
		}
	}
}

// widths chooses the columns for which there is room, their widths and the gap between them: three columns, or
// two where it is narrow. Spare columns go first, then the widest gives way, then others go.
func (g *grid) widths(room, from, to int) (columns, widths []int, gap int) {
	natural := make([]int, len(g.columns))
	for i, col := range g.columns {
		columns = append(columns, i)
		natural[i] = max(col.least, len(col.title))
		for row := from; row < to; row++ {
			text, _ := g.cell(row, i)
			natural[i] = max(natural[i], ansi.StringWidth(readable.Text(text)))
		}
		if col.most > 0 {
			natural[i] = min(natural[i], max(col.most, len(col.title)))
		}
	}
	for {
		widths = widths[:0]
		sum := 0
		for _, i := range columns {
			widths = append(widths, natural[i])
			sum += natural[i]
		}
		for gap := 3; gap >= 2; gap-- {
			if sum+gap*(len(columns)-1) <= room {
				return columns, widths, gap
			}
		}
		next := -1
		for k, i := range columns {
			if d := g.columns[i].drop; d > 0 && (next < 0 || d > g.columns[columns[next]].drop) {
				next = k
			}
		}
		spared := next >= 0 && g.columns[columns[next]].drop >= spare
		if !spared && g.squeeze(columns, widths, room-2*(len(columns)-1)) || next < 0 {
			return columns, widths, 2
		}
		columns = slices.Delete(columns, next, next+1)
	}
}

// squeeze makes the widest columns narrower, none below its least width, until all fit into room; it reports
// whether they do.
func (g *grid) squeeze(columns, widths []int, room int) bool {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	for ; sum > room; sum-- {
		widest := -1
		for k, i := range columns {
			if widths[k] > max(g.columns[i].least, len(g.columns[i].title)) && (widest < 0 || widths[k] > widths[widest]) {
				widest = k
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}
