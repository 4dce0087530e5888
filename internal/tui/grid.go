package tui

import "github.com/charmbracelet/x/ansi"

// column is one column of a grid.
type column struct {
	title string
	least int // width at least, that of the title if that is wider
	most  int // width at most; 0: no limit
	drop  int // where there is no room, columns with the highest number go first; 0 stays
}

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
			c.text(x, 1+row-from, min(widths[i], c.width-x), shorten(visible(text), widths[i]), t)
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
// two where it is narrow. The widest column gives way before one goes.
func (g *grid) widths(room, from, to int) (columns, widths []int, gap int) {
	for i := range g.columns {
		columns = append(columns, i)
	}
	natural := make([]int, len(g.columns))
	for i, col := range g.columns {
		natural[i] = max(col.least, len(col.title))
		for row := from; row < to; row++ {
			text, _ := g.cell(row, i)
			natural[i] = max(natural[i], ansi.StringWidth(visible(text)))
		}
		if col.most > 0 {
			natural[i] = min(natural[i], max(col.most, len(col.title)))
		}
	}
	for {
		for gap = 3; gap >= 2; gap-- {
			widths = widths[:0]
			sum := gap * (len(columns) - 1)
			for _, i := range columns {
				widths = append(widths, natural[i])
				sum += natural[i]
			}
			if sum <= room {
				return columns, widths, gap
			}
			if gap > 2 {
				continue
			}
			// Shorten the widest to no less than its least width.
			for sum > room {
				widest := 0
				for k := range widths {
					if widths[k] > widths[widest] {
						widest = k
					}
				}
				i := columns[widest]
				if widths[widest] <= max(g.columns[i].least, len(g.columns[i].title)) {
					break
				}
				widths[widest]--
				sum--
			}
			if sum <= room {
				return columns, widths, gap
			}
		}
		worst := -1
		for k, i := range columns {
			if d := g.columns[i].drop; d > 0 && (worst < 0 || d > g.columns[columns[worst]].drop) {
				worst = k
			}
		}
		if worst < 0 {
			return columns, widths, 2
		}
		columns = append(columns[:worst], columns[worst+1:]...)
	}
}
