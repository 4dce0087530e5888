package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func noticeID(n *mesh.Notice) string { return fmt.Sprintf("%d/%d", n.ID, n.Time.UnixNano()) }

// levelMark stands beside the kind of an event.
func levelMark(level string) (string, tone) {
	switch level {
	case mesh.LevelWarn:
		return "!", warn
	case mesh.LevelBad:
		return "x", bad
	}
	return " ", plain
}

func (m *model) eventsTitle(p placed) string {
	if !p.full {
		if p.page {
			return fmt.Sprintf("Events %d", len(m.events.rows))
		}
		return "Events"
	}
	return fmt.Sprintf("Events (%s, %d/min)", m.liveWord(), m.eventsPerMinute())
}

func (m *model) liveWord() string {
	switch {
	case m.paused():
		return "paused"
	case m.conn.phase == connected:
		return "live"
	case m.conn.phase == over:
		return "recorded"
	}
	return "stale"
}

// eventsPerMinute counts the events of the last minute.
func (m *model) eventsPerMinute() int {
	n := 0
	for i := len(m.shown.notices) - 1; i >= 0; i-- {
		if m.shown.now.Sub(m.shown.notices[i].Time) > time.Minute {
			break
		}
		n++
	}
	return n
}

// drawEvents draws what happened, the newest first.
func (m *model) drawEvents(c *canvas, p placed, focused bool) {
	foot := 0
	if p.full && c.height >= 6 {
		foot = 1
		if len(m.events.rows) > c.height-2 || p.page {
			foot = 2
		}
	}
	if len(m.events.rows) == 0 {
		text := "nothing happened yet"
		if len(m.shown.notices) > 0 {
			text = "no event matches: Esc clears the filter, v shows more kinds"
		}
		drawNote(c.part(rect{0, 0, c.width, c.height - foot}), text)
	}
	// What the cursor is on is never under the lines below.
	from, to := m.events.fit(len(m.events.rows), c.height-foot)
	rows := m.events.rows[from:to]
	zone := 5
	for _, n := range rows {
		zone = max(zone, ansi.StringWidth(readable.Text(string(n.Zone))))
	}
	zone = min(zone, max(c.width/5, 5))
	for y, n := range rows {
		drawNotice(c, y, n, zone, m.shown.now, p.full)
		if focused && from+y == m.events.cursor {
			c.put(0, y, ">", strong)
		}
	}
	if foot > 0 {
		follow := "off"
		if m.follow {
			follow = "on"
		}
		words := fmt.Sprintf("F: follow %s    v: verbosity %s    / filter: zone=south kind=peer", follow, verbosities[m.verbosity])
		c.text(2, c.height-1, c.width-2, shorten(words, c.width-2), dim)
	}
}

// drawNotice draws one event: time, kind, level, zone, text.
func drawNotice(c *canvas, y int, n *mesh.Notice, zone int, now time.Time, roomy bool) {
	x, gap, zoneGap := 1, 1, 1
	if roomy {
		x, gap, zoneGap = 2, 2, 3
	}
	when := clockText(now, n.Time)
	c.text(x, y, c.width-x, when, plain)
	x += max(len(when), 8) + gap
	mark, t := levelMark(n.Level)
	c.text(x, y, c.width-x, pad(string(n.Kind), 5), plain)
	x += 5
	if roomy {
		x++
	}
	c.put(x, y, mark, t)
	x += 1 + gap
	c.text(x, y, zone, shorten(readable.Text(string(n.Zone)), zone), plain)
	x += zone + zoneGap
	c.text(x, y, c.width-x, noticeText(n, c.width-x), plain)
}

// noticeWords is what happened, and to which object.
func noticeWords(n *mesh.Notice) string {
	if n.Object == "" {
		return readable.Text(n.Text)
	}
	name := n.Object
	if key, err := mesh.ParseObjectKey(n.Object); err == nil {
		key.Group = "" // it makes the line long and tells hardly anybody more
		name = key.String()
	}
	if strings.Contains(n.Text, name) {
		return readable.Text(n.Text)
	}
	return readable.Text(name + " " + n.Text)
}

// noticeText makes an event fit: words that are long get short, what explains goes first.
func noticeText(n *mesh.Notice, room int) string {
	text := noticeWords(n)
	key := keyOf(readable.Text(n.Object))
	for _, shorter := range [][2]string{{" operations ", " ops "}, {" version ", " v"},
		{key.Kind + "/" + key.Namespace + "/" + key.Name, key.Kind + "/" + key.Name}, {key.Kind + "/" + key.Name, key.Name}} {
		if ansi.StringWidth(text) <= room {
			return text
		}
		if n.Object != "" || !strings.Contains(shorter[0], "/") {
			text = strings.Replace(text, shorter[0], shorter[1], 1)
		}
	}
	if ansi.StringWidth(text) <= room {
		return text
	}
	for _, sep := range []string{": ", ", "} {
		if at := strings.LastIndex(text, sep); at > 0 && at >= room/2 {
			if head := text[:at]; ansi.StringWidth(head) <= room {
				return head
			}
		}
	}
	return shorten(text, room)
}
