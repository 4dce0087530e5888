package tui

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// This file draws what is there instead of data.

// canIAsker is an error about a missing permission, which names the command that asks for it.
type canIAsker interface{ CanI() string }

// drawConnecting draws where the screen tries to connect to, and why that didn't work yet.
func (m *model) drawConnecting(c *canvas) {
	target := m.cfg.Source.Target()
	lines := []string{"Connecting to " + target}
	t := strong
	switch {
	case m.conn.phase == over:
		lines = []string{"The recording " + target + " holds nothing to show."}
		if m.conn.err != nil {
			lines = []string{"The recording " + target + " cannot be played.", "cause: " + oneLine(m.conn.err)}
			t = bad
		}
	case m.conn.phase == connected:
		lines = append(lines, "connected, waiting for the first data")
	default:
		lines = append(lines, m.attempt())
		if m.conn.err == nil {
			break
		}
		lines = append(lines, "cause: "+oneLine(m.conn.err))
		var forbidden canIAsker
		if errors.As(m.conn.err, &forbidden) {
			lines[0] = "Forbidden: " + target
			lines = append(lines, "next:  "+forbidden.CanI())
			t = bad
		} else {
			lines = append(lines, "next:  r: now    q: quit, then: mesh status")
		}
	}
	drawParagraph(c, lines, t)
}

// uptime is how long the node runs, also since it said so.
func (m *model) uptime() time.Duration {
	st := m.shown.status
	up := time.Duration(min(st.UptimeSeconds, 1e9) * float64(time.Second))
	return up + m.shown.now.Sub(m.shown.statusAt)
}

// resourcesTitle counts the objects and names their kind if there is but one.
func (m *model) resourcesTitle() string {
	title := fmt.Sprintf("Resources %d", len(m.resources.rows))
	if len(m.shown.objects.kinds) == 1 {
		for kind := range m.shown.objects.kinds {
			title += ": " + kind
		}
	}
	if m.namespace != "" {
		title += " in " + m.namespace
	}
	if m.shown.unseen > 0 {
		title += fmt.Sprintf(", %d more are not shown", m.shown.unseen)
	}
	if m.resourceReverse || m.resourceOrder > 0 {
		title += ", by " + resourceOrders[m.resourceOrder].name
	}
	return title
}

// helpWidth is how wide the help is where there is room.
const helpWidth = 80

// legend explains marks and lines.
var legend = []struct {
	mark string
	tone func() tone
	line string
	text string
}{
	{"+", func() tone { return ok }, "---", "Ready"},
	{"!", func() tone { return warn }, ": :", "NotReady, slow"},
	{"?", func() tone { return unknown }, "...", "Unknown"},
	{"x", func() tone { return bad }, "x x", "Unavailable"},
	{"", nil, "~~~", "through a relay"},
	{"", nil, "12^", "lag is growing"},
	{"", nil, ">", "cursor"},
	{"", nil, "dimmed", "stale, last known"},
}

// drawHelp draws the keys over the middle of a view.
func (m *model) drawHelp(c *canvas) {
	focus, _ := m.focus()
	own, everywhere := helpFor(focus)
	const last = "filter: zone= state= kind= version= lag>N rtt>MS, plain text, ! negates"
	width := min(helpWidth, c.width)
	var rows int
	var draw func(c *canvas)
	if width == helpWidth {
		left, middle := helpLines(own), helpLines(everywhere)
		rows = 1 + max(len(left), len(middle), len(legend)) + 1
		draw = func(c *canvas) {
			c.text(1, 0, 24, "THIS PANE: "+placeNames[focus], strong)
			c.text(25, 0, 24, "EVERYWHERE", strong)
			c.text(51, 0, 24, "LEGEND", strong)
			for y, l := range left {
				c.text(1, 1+y, 23, l, plain)
			}
			for y, l := range middle {
				c.text(25, 1+y, 25, l, plain)
			}
			drawLegendLines(c.part(rect{51, 1, c.width - 51, len(legend)}))
			c.text(1, c.height-1, c.width-2, last, dim)
		}
	} else {
		var lines []fact
		add := func(title string, keys []keyHelp) {
			lines = append(lines, fact{name: title, tone: strong})
			for _, l := range helpLines(keys) {
				lines = append(lines, fact{name: l})
			}
		}
		add("THIS PANE: "+placeNames[focus], own)
		add("EVERYWHERE", everywhere)
		at := len(lines)
		lines = append(lines, fact{name: "LEGEND", tone: strong})
		rows = len(lines) + len(legend) + 1
		draw = func(c *canvas) {
			for y, l := range lines {
				c.text(1, y, c.width-2, shorten(l.name, c.width-2), l.tone)
			}
			drawLegendLines(c.part(rect{1, at + 1, c.width - 1, len(legend)}))
			c.text(1, c.height-1, c.width-2, shorten("filter: zone= state= kind= lag>N rtt>MS", c.width-2), dim)
		}
	}
	whole := newCanvas(width-2, rows)
	draw(whole)
	height := min(rows+2, c.height)
	r := rect{(c.width - width) / 2, (c.height - height) / 2, width, height}
	c.part(r).clear()
	drawFrame(c, r, true)
	drawHelpTitle(c, r)
	inside := c.part(r.inner())
	l := &m.helpList
	l.page = max(inside.height, 1)
	l.top = max(min(l.top, rows-inside.height), 0)
	l.cursor = l.top
	for y := range inside.height {
		copy(inside.row(y), whole.row(l.top+y))
	}
	if rows > inside.height && inside.height > 0 {
		more := fmt.Sprintf(" %d-%d of %d, j/k ", l.top+1, l.top+inside.height, rows)
		c.text(r.x+r.w-2-len(more), r.y+r.h-1, len(more), more, strong)
	}
}

// drawHelpTitle draws what the help is called and what closes it.
func drawHelpTitle(c *canvas, r rect) {
	c.text(r.x+2, r.y, r.w-4, " Help ", strong)
	const close = " ? Esc q: close "
	if r.w > len(close)+12 {
		c.text(r.x+r.w-2-len(close), r.y, len(close), close, strong)
	}
}

// helpLines writes keys and what they do; a text of two lines takes two.
func helpLines(keys []keyHelp) []string {
	var lines []string
	for _, k := range keys {
		name := k.keys
		for _, line := range strings.Split(k.text, "\n") {
			lines = append(lines, pad(name, 7)+line)
			name = ""
		}
	}
	return lines
}

// drawLegendLines draws the legend, a line each.
func drawLegendLines(c *canvas) {
	for y, l := range legend {
		t := plain
		if l.tone != nil {
			t = l.tone()
		}
		x := 0
		if l.mark != "" {
			drawBracket(c, 0, y, l.mark, t)
			x = 4
			for i, r := range l.line {
				if r != ' ' {
					c.glyph(x+i, y, string(r), t, asLink)
				}
			}
		} else if l.line == "~~~" {
			for i := range l.line {
				c.glyph(4+i, y, "~", plain, asLink)
			}
		} else {
			tt := plain
			if l.line == "dimmed" {
				tt = dim
			}
			c.text(0, y, 7, l.line, tt)
		}
		c.text(9, y, c.width-9, l.text, plain)
	}
}
