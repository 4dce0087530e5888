package tui

import (
	"fmt"
	"strconv"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

var logColumns = []column{
	{title: "NAME", least: 6, most: 24}, {title: "HEIGHT"}, {title: "APPLIED"}, {title: "LAG"}, {title: "SNAPSHOT", drop: 3},
	{title: "OPS", drop: 5}, {title: "SIZE", drop: 4}, {title: "STATE"}, {title: "UPDATED", drop: 1}, {title: "AGE", drop: 2},
}

// operationColumns are those of `mesh log show`.
var operationColumns = []column{
	{title: "SEQ"}, {title: "TIME"}, {title: "TYPE"}, {title: "OBJECT", least: 12, middle: true}, {title: "VERSION", drop: 2}, {title: "HASH", drop: 1},
}

// drawLog draws the logs, and below them the newest operations of the one that is selected.
func drawLog(c *canvas, s *state, o logOptions) {
	switch {
	case !s.known():
		drawNote(c, "waiting for the logs")
		return
	case c.width < 20 || c.height < 2:
		drawNote(c, "too narrow")
		return
	case len(o.rows) == 0 && len(s.logs) > 0:
		drawNote(c, "no log matches: Esc clears the filter")
		return
	case len(o.rows) == 0:
		drawNote(c, "no logs yet: nobody has written an operation")
		return
	}
	upper := c.height
	if c.height >= 8 {
		upper = min(len(o.rows)+1, c.height/2) // one line more than rows, for the titles
	}
	from, to := o.list.fit(len(o.rows), upper-1)
	g := grid{columns: logColumns, cell: func(row, col int) (string, tone) { return logCell(s, o.rows[row], col) }}
	cursor := -1
	if o.focused {
		cursor = o.list.cursor
	}
	g.draw(c.part(rect{0, 0, c.width, upper}), from, to, cursor)
	if c.height-upper >= 3 {
		drawOperations(c.part(rect{0, upper + 1, c.width, c.height - upper - 1}), s, o)
	}
}

func logCell(s *state, l *mesh.LogStatus, col int) (string, tone) {
	switch logColumns[col].title {
	case "NAME":
		return l.Name, plain
	case "HEIGHT":
		return orNone(l.Height), plain
	case "APPLIED":
		return orNone(l.Applied), plain
	case "LAG":
		return strconv.FormatUint(l.Lag, 10), lagTone(float64(l.Lag), 0)
	case "SNAPSHOT":
		return orNone(l.Snapshot), plain
	case "OPS":
		return strconv.FormatUint(l.Operations, 10), plain
	case "SIZE":
		// Without a space and the B, as `mesh log ls` writes it.
		return strings.TrimSuffix(strings.ReplaceAll(sizeText(l.Bytes), " ", ""), "B"), plain
	case "STATE":
		return l.State, logTone(l.State)
	case "UPDATED":
		return sinceText(s.now, l.Updated), plain
	}
	if l.Incarnation.IsZero() {
		return noValue, plain
	}
	return readable.Span(s.now.Sub(l.Incarnation)), plain
}

// logTone is how the word of a log's state looks.
func logTone(state string) tone {
	switch state {
	case "OK", "Covered":
		return ok
	case "Frozen":
		return bad
	}
	return warn
}

func orNone(n *uint32) string {
	if n == nil {
		return noValue
	}
	return strconv.FormatUint(uint64(*n), 10)
}

// drawOperations draws the newest operations of a log, as many as fit, the newest last.
func drawOperations(c *canvas, s *state, o logOptions) {
	title := "newest operations of " + string(o.zone)
	c.text(2, 0, c.width-2, shorten(readable.Text(title), c.width-2), strong)
	room := c.part(rect{0, 1, c.width, c.height - 1})
	switch {
	case o.err != nil:
		drawProblem(room, "the operations cannot be read", o.err, "mesh log show "+string(o.zone))
		return
	case len(o.operations) == 0 && o.loading:
		drawNote(room, "asking for operations")
		return
	case len(o.operations) == 0:
		drawNote(room, "this log is empty")
		return
	}
	ops := o.operations[max(len(o.operations)-(room.height-1), 0):]
	g := grid{columns: operationColumns, cell: func(row, col int) (string, tone) { return operationCell(s, &ops[row], col) }}
	g.draw(room, 0, len(ops), -1)
}

func operationCell(s *state, op *mesh.LogOperation, col int) (string, tone) {
	switch operationColumns[col].title {
	case "SEQ":
		return strconv.FormatUint(uint64(op.Seq), 10), plain
	case "TIME":
		return clockText(s.now, op.Time), plain
	case "TYPE":
		return op.Type, plain
	case "OBJECT":
		if op.Object == "" && op.Entries > 0 {
			return fmt.Sprintf("%d entries", op.Entries), dim
		}
		return orDash(op.Object), plain
	case "VERSION":
		if op.Version == 0 {
			return noValue, plain
		}
		return fmt.Sprint(op.Version), plain
	}
	return orDash(op.Hash[:min(len(op.Hash), 8)]), dim
}
