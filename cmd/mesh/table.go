package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/readable"
)

const (
	// noValue stands in a cell that has none; JSON says null.
	noValue = "-"
	// columnGap is what kubectl puts between columns.
	columnGap = 3
	// minAddress is the shortest an address is cut to: below it nobody recognises one.
	minAddress = 12
)

// column describes one column of a table.
type column struct {
	name   string
	shrink bool                    // may be shortened in the middle on a narrow terminal: addresses only
	style  func(cell string) style // nil for plain text; states and out-of-range numbers have one
}

// table follows kubectl: one row per thing, no spaces inside a cell, NAME first, AGE last, three spaces
// between columns, "-" for no value. Piped output is never shortened or coloured.
type table struct {
	columns  []column
	rows     [][]string
	noHeader bool
	// keep holds the least widths of the columns and takes up those that were printed, so that a table that is
	// printed in parts stays aligned. Nil: every table is laid out by itself.
	keep *[]int
}

// printTable writes t to stdout. Of an empty table it prints none on stderr, such as "No peers found.", and
// nothing on stdout.
func (e *env) printTable(t table, none string) error {
	if len(t.rows) == 0 {
		e.note("%s", none)
		return nil
	}
	width := 0
	if e.isTerminal(e.stdout) {
		width = e.width(e.stdout)
	}
	text := t.layout(width, func(s string, st style) string { return e.paint(e.stdout, s, st) })
	return e.write([]byte(text))
}

// layout lays the table out for a terminal of that many columns; 0 means unlimited.
func (t table) layout(terminal int, paint func(string, style) string) string {
	cells := make([][]string, len(t.rows))
	for i, row := range t.rows {
		cells[i] = make([]string, len(t.columns))
		for j := range t.columns {
			cells[i][j] = cell(row, j)
		}
	}
	widths := t.widths(cells)
	if t.keep != nil {
		for j, w := range *t.keep {
			widths[j] = max(widths[j], w)
		}
		*t.keep = slices.Clone(widths)
	}
	if terminal > 0 {
		t.shrink(cells, widths, terminal)
	}
	var b strings.Builder
	if !t.noHeader {
		for j, c := range t.columns {
			t.writeCell(&b, j, widths, c.name, paint(c.name, styleBold))
		}
	}
	for _, row := range cells {
		for j, c := range t.columns {
			painted := row[j]
			if c.style != nil {
				painted = paint(row[j], c.style(row[j]))
			}
			t.writeCell(&b, j, widths, row[j], painted)
		}
	}
	return b.String()
}

// writeCell writes one cell; the last of a row gets a line break instead of padding.
func (t table) writeCell(b *strings.Builder, j int, widths []int, plain, painted string) {
	b.WriteString(painted)
	if j == len(t.columns)-1 {
		b.WriteByte('\n')
		return
	}
	b.WriteString(strings.Repeat(" ", widths[j]-utf8.RuneCountInString(plain)+columnGap))
}

// cell is the text of a cell that keeps the table a table: printable, without spaces, never empty.
func cell(row []string, j int) string {
	if j >= len(row) || row[j] == "" {
		return noValue
	}
	return strings.Join(strings.Fields(readable.Text(row[j])), "_")
}

func (t table) widths(cells [][]string) []int {
	widths := make([]int, len(t.columns))
	for j, c := range t.columns {
		if !t.noHeader {
			widths[j] = utf8.RuneCountInString(c.name)
		}
		for _, row := range cells {
			widths[j] = max(widths[j], utf8.RuneCountInString(row[j]))
		}
	}
	return widths
}

// shrink shortens the columns that may be shortened until the table fits, or as far as they go.
func (t table) shrink(cells [][]string, widths []int, terminal int) {
	total := columnGap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for j, c := range t.columns {
		excess := total - terminal
		if !c.shrink || excess <= 0 {
			continue
		}
		to := max(widths[j]-excess, minAddress, utf8.RuneCountInString(c.name))
		if to >= widths[j] {
			continue
		}
		for _, row := range cells {
			row[j] = cutMiddle(row[j], to)
		}
		total -= widths[j] - to
		widths[j] = to
	}
}

// cutMiddle shortens s to width characters by "..." in its middle.
func cutMiddle(s string, width int) string {
	r := []rune(s)
	const dots = "..."
	if len(r) <= width || width <= len(dots) {
		return s
	}
	keep := width - len(dots)
	tail := keep / 2
	return string(r[:keep-tail]) + dots + string(r[len(r)-tail:])
}
