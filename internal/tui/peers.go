package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// peerColumn is one column of the table of peers.
type peerColumn struct {
	title string
	least int // width
	drop  int // the highest goes first where there is no room; 0 stays
	roomy bool
	text  func(m *model, p *peer) (string, tone)
}

var peerColumns = map[string]peerColumn{
	"NAME":      {least: 5, roomy: true, text: func(_ *model, p *peer) (string, tone) { return p.Name, plain }},
	"STATE":     {least: len("Unavailable"), text: func(_ *model, p *peer) (string, tone) { return string(p.State), stateTone(p.State) }},
	"ADDRESS":   {least: 18, drop: 5, roomy: true, text: func(_ *model, p *peer) (string, tone) { return p.address(), plain }},
	"RTT":       {least: 5, drop: 2, text: peerRTT},
	"LAG":       {least: 3, drop: 1, text: func(m *model, p *peer) (string, tone) { return peerLag(m.shown, p) }},
	"DELAY":     {least: 5, drop: 7, text: peerDelay},
	"SEEN":      {least: 4, drop: 3, text: func(m *model, p *peer) (string, tone) { return sinceText(m.shown.now, p.LastSeen), plain }},
	"VERSION":   {least: 7, drop: 6, text: func(_ *model, p *peer) (string, tone) { return valueOrDash(p.Version), plain }},
	"KEY":       {least: 8, drop: 12, text: func(_ *model, p *peer) (string, tone) { return p.PublicKey[:min(len(p.PublicKey), 8)], plain }},
	"TRANSPORT": {least: 9, drop: 8, text: func(_ *model, p *peer) (string, tone) { return valueOrDash(p.Transport), plain }},
	"CLOCK":     {least: 5, drop: 11, text: func(_ *model, p *peer) (string, tone) { return offsetText(p.ClockOffsetSeconds), plain }},
	"TX":        {least: 7, drop: 10, text: func(_ *model, p *peer) (string, tone) { return sizeText(p.TxBytes), plain }},
	"RX":        {least: 7, drop: 9, text: func(_ *model, p *peer) (string, tone) { return sizeText(p.RxBytes), plain }},
	"AGE":       {least: 3, drop: 4, text: func(m *model, p *peer) (string, tone) { return sinceText(m.shown.now, p.FirstSeen), plain }},
}

func peerRTT(_ *model, p *peer) (string, tone) {
	if p.RTTSeconds == nil {
		return noValue, plain
	}
	return rttText(*p.RTTSeconds), rttTone(*p.RTTSeconds)
}

// peerLag is how many operations a peer's zone is behind here; ^: more than half a minute ago.
func peerLag(s *state, p *peer) (string, tone) {
	if p.LagOperations == nil {
		return noValue, plain
	}
	text := strconv.FormatUint(*p.LagOperations, 10)
	if p.growing(s.now) {
		text += "^"
	}
	return text, lagTone(float64(*p.LagOperations), optionalZero(p.LagSeconds))
}

func peerDelay(_ *model, p *peer) (string, tone) {
	if p.LagSeconds == nil {
		return noValue, plain
	}
	return secondsText(*p.LagSeconds), lagTone(0, *p.LagSeconds)
}

func optionalZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func valueOrDash(s *string) string {
	if s == nil || *s == "" {
		return noValue
	}
	return *s
}

// peerColumnsFor names the columns for a screen.
func (m *model) peerColumnsFor() []string {
	names := []string{"NAME", "STATE", "ADDRESS", "RTT", "LAG", "DELAY", "SEEN", "VERSION", "AGE"}
	if m.width < moreColumns {
		names = []string{"NAME", "STATE", "RTT", "LAG", "SEEN", "AGE"}
	}
	if m.wide {
		names = append(names[:len(names)-1], "KEY", "TRANSPORT", "CLOCK", "TX", "RX", "AGE")
	}
	return names
}

// peersTitle counts the peers and says what is wrong with how many.
func (m *model) peersTitle(p placed) string {
	count := map[mesh.PeerState]int{}
	for _, q := range m.peers.rows {
		count[q.State]++
	}
	title := fmt.Sprintf("Peers %d", len(m.peers.rows))
	var parts []string
	for _, s := range []struct {
		state mesh.PeerState
		word  string
	}{{mesh.NotReady, "not ready"}, {mesh.Unknown, "unknown"}, {mesh.Unavailable, "unavailable"}, {mesh.NotAdmitted, "not admitted"}} {
		if n := count[s.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.word))
		}
	}
	if p.rect.w >= 60 && len(parts) > 0 {
		title += " (" + strings.Join(parts, ", ") + ")"
	}
	if l := m.peers.list; l.page > 0 && l.page < len(m.peers.rows) && !p.full {
		title += fmt.Sprintf(", rows %d-%d", l.top+1, min(l.top+l.page, len(m.peers.rows)))
	}
	return title
}

// peersFoot is how many lines explain the table, with an empty one above.
const peersFoot = 3

// drawPeers draws the table, or without a frame one line per peer.
func (m *model) drawPeers(c *canvas, p placed, focused bool) {
	if len(m.peers.rows) == 0 {
		m.drawNoPeers(c)
		return
	}
	if p.bare {
		m.drawPeerLines(c)
		return
	}
	foot := 0
	if p.full && c.height >= 3+peersFoot+1 {
		foot = peersFoot
	}
	from, to := m.peers.fit(len(m.peers.rows), c.height-1-foot)
	m.drawPeerTable(c, from, to)
	if foot > 0 {
		m.drawPeersFoot(c, from, to)
	}
}

// drawPeersFoot says where in the table the cursor is, and what can be done.
func (m *model) drawPeersFoot(c *canvas, from, to int) {
	line := fmt.Sprintf("rows %d-%d of %d", from+1, to, len(m.peers.rows))
	wide := "w: wide (KEY, TRANSPORT, CLOCK, TX, RX)"
	if m.wide {
		wide = "w: fewer columns"
	}
	c.text(2, c.height-2, c.width-2, line+"    s: sort    "+wide, dim)
	if p, found := m.peers.current(); found {
		c.text(2, c.height-1, c.width-2, shorten("selected: "+shorten(readable.Text(p.Name), 24)+"   y: copy peer id   Enter: open", c.width-2), dim)
	}
}

// drawPeerTable draws the titles and the rows from to to (exclusive).
func (m *model) drawPeerTable(c *canvas, from, to int) {
	rows := m.peers.rows[from:to]
	var columns []peerColumn
	for _, name := range m.peerColumnsFor() {
		col := peerColumns[name]
		col.title = name
		columns = append(columns, col)
	}
	type content struct {
		text string
		tone tone
	}
	cells := make([][]content, len(columns))
	widths := make([]int, len(columns))
	for i, col := range columns {
		widths[i] = max(col.least, len(col.title))
		for _, p := range rows {
			text, t := col.text(m, p)
			text = readable.Text(text)
			cells[i] = append(cells[i], content{text, t})
			widths[i] = max(widths[i], ansi.StringWidth(text))
		}
	}
	for i, p := range m.peers.rows { // the name keeps its width while the rows scroll
		if i >= 200 {
			break
		}
		widths[0] = max(widths[0], ansi.StringWidth(readable.Text(p.Name)))
	}
	widths[0] = min(widths[0], max(24, c.width/4))
	gaps := fitColumns(columns, widths, c.width-2)
	x := 2
	for i, col := range columns {
		if widths[i] == 0 {
			continue
		}
		c.text(x, 0, min(widths[i], c.width-x), col.title, strong)
		for y, it := range cells[i] {
			text := shorten(it.text, widths[i])
			if col.title == "ADDRESS" {
				text = shortenMiddle(it.text, widths[i])
			}
			c.text(x, 1+y, min(widths[i], c.width-x), text, it.tone)
		}
		x += widths[i] + gaps[i]
	}
	if at := m.peers.cursor - from; at >= 0 && at < len(rows) {
		c.put(0, 1+at, ">", strong)
	}
}

// fitColumns makes columns fit into so many: gaps of three become two, from the left, then the address and the
// name get shorter, then columns go, which leaves them without width. It returns the gap behind each.
func fitColumns(columns []peerColumn, widths []int, room int) []int {
	const gap, leastGap = 3, 2
	for {
		gaps := make([]int, len(widths))
		sum, last := 0, -1
		for i, w := range widths {
			if w > 0 {
				gaps[i], last = gap, i
				sum += w + gap
			}
		}
		if last >= 0 {
			gaps[last] = 0
			sum -= gap
		}
		for i := range columns { // more room where texts vary
			if columns[i].roomy && widths[i] > 0 && i != last && sum+2 <= room {
				gaps[i]++
				sum++
			}
		}
		shrink := func(title string, least int) {
			i := slices.IndexFunc(columns, func(c peerColumn) bool { return c.title == title })
			if i >= 0 && widths[i] > least && sum > room {
				by := min(widths[i]-least, sum-room)
				widths[i] -= by
				sum -= by
			}
		}
		shrink("ADDRESS", 21)
		for i := range gaps {
			if sum > room && gaps[i] > leastGap {
				gaps[i]--
				sum--
			}
		}
		shrink("ADDRESS", 18)
		shrink("NAME", 10)
		if sum <= room {
			return gaps
		}
		worst := -1
		for i, c := range columns {
			if c.drop > 0 && widths[i] > 0 && (worst < 0 || c.drop > columns[worst].drop) {
				worst = i
			}
		}
		if worst < 0 {
			return gaps
		}
		widths[worst] = 0
	}
}

// drawPeerLines draws one line per peer, for a screen without room for a table.
func (m *model) drawPeerLines(c *canvas) {
	from, to := m.peers.fit(len(m.peers.rows), c.height)
	name := 5
	for _, p := range m.peers.rows[from:to] {
		name = max(name, ansi.StringWidth(readable.Text(p.Name)))
	}
	name = min(name, max(c.width-22, 6))
	for i, p := range m.peers.rows[from:to] {
		if from+i == m.peers.cursor {
			c.put(0, i, ">", strong)
		}
		drawBracket(c, 1, i, stateMark(p.State), stateTone(p.State))
		c.text(5, i, name, shorten(readable.Text(p.Name), name), plain)
		x := 5 + name + 1
		rtt, rttT := peerRTT(m, p)
		lag, lagT := peerLag(m.shown, p)
		for _, part := range []struct {
			text  string
			tone  tone
			width int
		}{{rtt, rttT, 5}, {lag, lagT, 4}, {sinceText(m.shown.now, p.LastSeen), plain, 4}, {string(p.State), stateTone(p.State), 11}} {
			if x+part.width > c.width {
				break
			}
			c.text(x, i, c.width-x, part.text, part.tone)
			x += max(part.width, len(part.text)) + 1
		}
	}
}

// drawNoPeers says why the table is empty.
func (m *model) drawNoPeers(c *canvas) {
	s := m.shown
	switch {
	case m.activeFilter().text != "" && len(s.peers) > 0:
		drawNote(c, "no peer matches: Esc clears the filter")
		return
	case len(s.peers) > 0:
		drawNote(c, readable.Count(len(s.peers), "node")+" on the local network, not admitted: x shows them")
		return
	}
	listen := ""
	if l := s.status.Listen; len(l) > 0 {
		listen, _, _ = strings.Cut(l[0], " ")
		listen = " on " + listen
	}
	drawParagraph(c, []string{"No peers yet.", fmt.Sprintf("This is zone %s%s.", s.zone(), listen), "Invite one: mesh invite --zone NAME"}, strong)
}
