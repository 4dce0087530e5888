package tui

// This file replaces what is drawn in ASCII by nicer characters of the same width, one for one.

// drawn holds the characters of each role but frames, which depend on what they touch.
var drawn = [...]map[string]string{
	asMark: {"+": "✓", "x": "×"},
	asBar:  {"_": "▁", ".": "▂", "-": "▃", "=": "▄", "+": "▅", "*": "▇", "#": "█"},
	asLink: {"-": "─", "|": "│", "/": "╱", "\\": "╲", ":": "┊", ".": "·", "~": "≈", "x": "×"},
}

// glyph returns what is printed for a cell of c.
func (th theme) glyph(c *canvas, x, y int, p cell) string {
	switch {
	case p.role == asText:
		return p.text
	case p.role == asFrame:
		return th.frame(c, x, y, p)
	case !th.unicode || int(p.role) >= len(drawn):
		return p.text
	}
	if better, found := drawn[p.role][p.text]; found {
		return better
	}
	return p.text
}

// Sides of a cell on which a frame goes on.
const (
	goesUp = 1 << iota
	goesDown
	goesLeft
	goesRight
)

// corners are the crossings of a frame by the sides on which they go on. One that touches nothing, or the end
// of a line, looks like the line.
var corners = [16]string{
	0:                                        "─",
	goesLeft:                                 "─",
	goesRight:                                "─",
	goesLeft | goesRight:                     "─",
	goesUp:                                   "│",
	goesDown:                                 "│",
	goesUp | goesDown:                        "│",
	goesDown | goesRight:                     "┌",
	goesDown | goesLeft:                      "┐",
	goesUp | goesRight:                       "└",
	goesUp | goesLeft:                        "┘",
	goesUp | goesDown | goesRight:            "├",
	goesUp | goesDown | goesLeft:             "┤",
	goesDown | goesLeft | goesRight:          "┬",
	goesUp | goesLeft | goesRight:            "┴",
	goesUp | goesDown | goesLeft | goesRight: "┼",
}

// frame returns a cell of a frame. Strong is the frame of the pane with the focus; where there are no styles its
// horizontal lines are double.
func (th theme) frame(c *canvas, x, y int, p cell) string {
	double := p.text == "=" || p.text == "-" && p.tone == strong && th.look == themeMono
	switch {
	case !th.unicode && double:
		return "="
	case !th.unicode:
		return p.text
	case double:
		return "═"
	case p.text == "-":
		return "─"
	case p.text == "|":
		return "│"
	case p.text != "+":
		return p.text
	}
	sides := 0
	if touches(c, x, y-1, "|") {
		sides |= goesUp
	}
	if touches(c, x, y+1, "|") {
		sides |= goesDown
	}
	if touches(c, x-1, y, "-") {
		sides |= goesLeft
	}
	if touches(c, x+1, y, "-") {
		sides |= goesRight
	}
	return corners[sides]
}

// touches reports whether a line of a frame in the given direction, or a crossing, is at x,y.
func touches(c *canvas, x, y int, line string) bool {
	p := c.at(x, y)
	if p == nil || p.role != asFrame {
		return false
	}
	return p.text == line || p.text == "+" || line == "-" && p.text == "="
}
