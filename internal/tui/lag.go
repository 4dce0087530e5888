package tui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/readable"
)

// leastScale is the least value of the highest bar: 16 operations or 4 seconds, so that a single operation is no
// mountain.
const leastScale, leastSecondsScale = 16, 4

// lagSpan is how far back the pane looks: ten minutes where there is room.
func lagSpan(p placed) (seconds int, words string) {
	if p.full {
		return historySeconds, "last 10 min"
	}
	return 60, "60s"
}

func (m *model) lagTitle(p placed) string {
	_, words := lagSpan(p)
	switch {
	case p.full && m.lagInSeconds:
		return "Replication lag per zone, seconds behind, " + words
	case p.full:
		return "Replication lag per zone, ops behind, " + words
	case m.lagInSeconds:
		return "Lag, seconds, " + words
	}
	return "Lag, ops, " + words
}

// drawLag draws how far each peer's zone is behind here, over time.
func (m *model) drawLag(c *canvas, p placed, focused bool) {
	s := m.shown
	if len(m.peers.rows) == 0 {
		text := "no zones to be behind"
		if len(s.peers) > 0 {
			text = "no zone matches"
		}
		drawNote(c, text)
		return
	}
	// Lines above and below the rows.
	top, foot, left, gap, value := 0, 0, 1, 1, 4
	if p.full {
		top, left, gap, value = 1, 2, 2, 7
	}
	delays := 0
	switch {
	case p.full && c.height >= 10:
		delays = min((len(m.peers.rows)+1)/2, 2)
		foot = 2 + delays + 1 + 1 // an empty line, delays, an empty line, the scale, an empty line
	case c.height >= 6:
		foot = 2
	}
	rows := m.lagRows(c.height - top - foot)
	name := 5
	for _, q := range rows {
		name = max(name, ansi.StringWidth(readable.Text(q.Name)))
	}
	name = min(name, max(c.width/4, 5))
	x := left + name + gap
	width := c.width - x - value - 1
	if p.full {
		width = c.width - x - value - 4
	}
	span, _ := lagSpan(p)
	samples := make([][]float64, len(rows))
	highest := 0.0
	for i, q := range rows {
		samples[i] = m.lagOf(q).samples(s.now, span, width)
		for _, v := range samples[i] {
			if v > highest { // false for NaN
				highest = v
			}
		}
	}
	scale := m.lagScale(highest)
	for i, q := range rows {
		y := top + i
		if focused && q.PublicKey == m.peers.selected {
			c.put(0, y, ">", strong)
		}
		c.text(left, y, name, shorten(readable.Text(q.Name), name), plain)
		now, t := m.lagNow(q)
		if now == noValue {
			text := "- no data -"
			if since := m.lagSince(q); since != "" && p.full {
				text = "- no data since " + since + " -"
			}
			c.text(x, y, width, text, dim)
		} else {
			drawSparkline(c, x, y, width, samples[i], scale, m.lagToneOf)
		}
		c.text(x+width+value-len(now), y, len(now), now, t)
		if q.growing(s.now) {
			at := x + width + value
			if p.full {
				at++
			}
			c.put(at, y, "^", t)
		}
	}
	if foot == 0 {
		return
	}
	if hidden := len(m.peers.rows) - len(rows); hidden > 0 {
		c.text(left, c.height-foot, c.width-left, more(hidden), dim)
	}
	if !p.full {
		drawScale(c, left, c.height-1, c.width-left)
		if at := left + len("low _ . - = + * # high") + 2; at+4 <= c.width {
			c.text(at, c.height-1, 4, "^ up", plain)
		}
		return
	}
	if delays > 0 {
		m.drawDelays(c.part(rect{0, c.height - foot + 1, c.width, delays}), rows)
	}
	m.drawLagScale(c, c.height-2, scale)
}

// lagRows are the peers for which there is room: all of them in their order, or else the worst, with the selected one
// among them.
func (m *model) lagRows(room int) []*peer {
	all := m.peers.rows
	room = max(room, 1)
	if len(all) <= room {
		return all
	}
	worst := slices.Clone(all)
	slices.SortStableFunc(worst, func(a, b *peer) int { return cmp.Compare(optionalInt(b.LagOperations), optionalInt(a.LagOperations)) })
	shown := worst[:room]
	if p, found := m.peers.current(); found && !slices.Contains(shown, p) {
		shown[room-1] = p
	}
	return shown
}

func (m *model) lagOf(p *peer) *series {
	if m.lagInSeconds {
		return &p.delay
	}
	return &p.lag
}

func (m *model) lagToneOf(v float64) tone {
	if m.lagInSeconds {
		return lagTone(0, v)
	}
	return lagTone(v, 0)
}

func (m *model) lagScale(highest float64) float64 {
	if m.lagInSeconds {
		return scaleFor(highest, leastSecondsScale)
	}
	return scaleFor(highest, leastScale)
}

// lagNow is the lag that is known, as a short number.
func (m *model) lagNow(p *peer) (string, tone) {
	switch {
	case p.LagOperations == nil:
		return noValue, plain
	case m.lagInSeconds:
		v := optionalZero(p.LagSeconds)
		if v < 10 {
			return fmt.Sprintf("%.1f", v), lagTone(0, v)
		}
		return shortNumber(v), lagTone(0, v)
	}
	return shortNumber(float64(*p.LagOperations)), lagTone(float64(*p.LagOperations), optionalZero(p.LagSeconds))
}

// shortNumber writes a number in at most four characters: 999, 12k, 3M.
func shortNumber(v float64) string {
	for _, unit := range []string{"", "k", "M", "G", "T"} {
		if v < 1000 {
			return fmt.Sprintf("%.0f%s", math.Floor(v), unit)
		}
		v /= 1000
	}
	return "many"
}

// lagSince is when the lag was known last, within what is remembered.
func (m *model) lagSince(p *peer) string {
	l := &p.lag
	for sec := l.newest; sec > l.newest-historySeconds && l.buckets != nil; sec-- {
		if v := l.at(sec); !math.IsNaN(v) {
			return unixClock(m.shown.now, sec+1)
		}
	}
	return ""
}

// drawDelays says how long it took until what zones wrote was applied here.
func (m *model) drawDelays(c *canvas, rows []*peer) {
	var known []string
	for _, q := range rows {
		if p50, p95, found := q.delay.percentiles(); found && q.LagSeconds != nil {
			known = append(known, fmt.Sprintf("%s %.1f/%.1fs", shorten(readable.Text(q.Name), 12), p50, p95))
		}
	}
	const title = "apply delay p50/p95   "
	if len(known) == 0 {
		return
	}
	c.text(2, 0, c.width-2, title, plain)
	for y := 0; y < c.height && len(known) > 0; y++ {
		line := known[0]
		known = known[1:]
		for len(known) > 0 && 2+len(title)+ansi.StringWidth(line)+3+ansi.StringWidth(known[0]) <= c.width-1 {
			line += "   " + known[0]
			known = known[1:]
		}
		c.text(2+len(title), y, c.width-2-len(title), line, plain)
	}
}

// drawLagScale explains the bars and says what the highest stands for.
func (m *model) drawLagScale(c *canvas, y int, scale float64) {
	x := 2 + c.text(2, y, c.width-2, "scale", plain)
	for _, bar := range bars {
		c.glyph(x+1, y, bar, plain, asBar)
		x += 2
	}
	unit := "ops"
	if m.lagInSeconds {
		unit = "s"
	}
	text := fmt.Sprintf("   auto 0..%.0f %s   l: ops / seconds", scale, unit)
	c.text(x, y, c.width-x, strings.TrimRight(text, " "), plain)
}
