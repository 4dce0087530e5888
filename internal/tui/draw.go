package tui

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/readable"
)

// draw draws the whole screen.
func (m *model) draw() *canvas {
	if m.canvas == nil || m.canvas.width != max(m.width, 0) || m.canvas.height != max(m.height, 0) {
		m.canvas = newCanvas(m.width, m.height)
	}
	c := m.canvas
	c.clear()
	if c.width < leastWidth || c.height < leastHeight {
		drawTooSmall(c)
		return c
	}
	m.refresh()
	top, bottom := chromeTop, chromeBottom
	if c.width < paneWidth || c.height < paneHeight {
		top = 1
	}
	m.drawHeader(c.part(rect{0, 0, c.width, top}))
	body := rect{0, top, c.width, c.height - top - bottom}
	switch {
	case !m.shown.known():
		m.drawConnecting(c.part(body))
	case len(m.pages) > 0:
		m.drawPage(c, body)
	default:
		m.drawPanes(c)
	}
	if m.conn.phase == trying || m.conn.phase == waiting {
		c.part(body).fade()
	}
	m.drawFindings(c.part(rect{0, c.height - 2, c.width, 1}))
	m.drawFooter(c.part(rect{0, c.height - 1, c.width, 1}))
	if m.help {
		m.drawHelp(c.part(body))
	}
	c.mend()
	return c
}

// fade shows that what is drawn may not be so any more.
func (c *canvas) fade() {
	for y := range c.height {
		row := c.row(y)
		for x := range row {
			if row[x].role != asFrame {
				row[x].tone = dim
			}
		}
	}
}

func drawTooSmall(c *canvas) {
	text := fmt.Sprintf("terminal too small (%dx%d, need %dx%d)", c.width, c.height, leastWidth, leastHeight)
	lines := wrap(text, c.width)
	for i, line := range lines[:min(len(lines), c.height)] {
		c.text(0, i, c.width, line, plain)
	}
}

// drawPanes draws the panes of the view, the border of the one with the focus last: neighbours share theirs.
func (m *model) drawPanes(c *canvas) {
	focus, _ := m.focus()
	panes := m.placedPanes()
	for _, focused := range []bool{false, true} {
		for _, p := range panes {
			if (p.pane == focus) == focused {
				drawBorder(c, p, focused)
			}
		}
	}
	for _, p := range panes {
		inside := p.rect.inner()
		if p.bare {
			inside = p.rect
		}
		m.drawInside(c.part(inside), p, p.pane == focus)
		if !p.bare {
			drawTitle(c, p.rect, m.title(p), p.pane == focus)
		}
	}
}

// drawBorder draws what is around a pane, and within the short detail between its columns.
func drawBorder(c *canvas, p placed, focused bool) {
	if p.bare {
		return
	}
	drawFrame(c, p.rect, focused)
	if p.pane == inDetail && p.rect.h == detailRows+2 && p.rect.w >= twoColumns {
		drawDivider(c, p.rect, p.rect.w*3/8+1, focused)
	}
}

// drawPage draws the page on top.
func (m *model) drawPage(c *canvas, body rect) {
	p := &m.pages[len(m.pages)-1]
	inside := c.part(body)
	if body.w >= paneWidth && body.h >= paneHeight-chromeTop-chromeBottom {
		drawFrame(c, body, true)
		drawTitle(c, body, m.pageTitle(p), true)
		inside = c.part(body.inner())
	}
	switch p.kind {
	case onPeer:
		m.drawPeerPage(inside, p)
	case onContent:
		o := p.object
		o.list = p.list
		drawContent(inside, m.shown, o)
	case onDoctor:
		d := &m.doctor
		drawDoctor(inside, m.shown, doctorOptions{results: d.results, running: d.running, started: d.started, err: d.err, list: p.list})
	}
}

func (m *model) pageTitle(p *page) string {
	switch p.kind {
	case onPeer:
		name := p.key
		if q := m.shown.peer(p.key); q != nil {
			name = q.Name
		}
		return "Peer: " + name
	case onContent:
		return "Object: " + p.key
	}
	return "Doctor, run by the node"
}

// title is what stands in the border of a pane.
func (m *model) title(p placed) string {
	switch p.pane {
	case inTopology:
		if p.full {
			return "Topology: line = health, label = RTT"
		}
		return "Topology"
	case inPeers:
		return m.peersTitle(p)
	case inLag:
		return m.lagTitle(p)
	case inEvents:
		return m.eventsTitle(p)
	case inDetail:
		if q, found := m.peers.current(); found {
			return "Detail: " + q.Name
		}
		return "Detail"
	case inResources:
		return m.resourcesTitle()
	}
	return fmt.Sprintf("Logs %d", len(m.logs.rows))
}

// drawInside draws what is within the border of a pane.
func (m *model) drawInside(c *canvas, p placed, focused bool) {
	switch p.pane {
	case inTopology:
		o := topologyOptions{mode: m.topology, centered: m.centered, legend: p.full, scroll: &m.linkList}
		if q, found := m.peers.current(); found {
			o.selected = q.Name
		}
		m.linkList.cursor = m.peers.cursor
		if p.full {
			c = c.part(rect{0, 0, c.width, c.height - 1}) // air below the legend
		}
		drawTopology(c, m.shown, o)
	case inPeers:
		m.drawPeers(c, p, focused)
	case inLag:
		m.drawLag(c, p, focused)
	case inEvents:
		m.drawEvents(c, p, focused)
	case inDetail:
		m.drawDetail(c, p)
	case inResources:
		drawResources(c, m.shown, resourcesOptions{rows: m.resources.rows, list: &m.resources.list, namespace: m.namespace,
			deleted: m.tombstones, page: p.page, focused: focused})
	case inLog:
		l, _ := m.logs.current()
		o := logOptions{rows: m.logs.rows, list: &m.logs.list, focused: focused, loading: m.operations.loading}
		if l != nil {
			o.zone = l.Zone
			if m.operations.log == m.logs.id(l) {
				o.operations, o.err = m.operations.rows, m.operations.err
			}
		}
		drawLog(c, m.shown, o)
	}
}

// drawFrame draws a border. Its lower line is that of the title of the pane below, so it never shows the focus.
func drawFrame(c *canvas, r rect, focused bool) {
	t := plain
	if focused {
		t = strong
	}
	upper := t
	for _, y := range []int{r.y, r.y + r.h - 1} {
		for x := r.x + 1; x < r.x+r.w-1; x++ {
			border(c, x, y, "-", upper)
		}
		border(c, r.x, y, "+", upper)
		border(c, r.x+r.w-1, y, "+", upper)
		upper = plain
	}
	for y := r.y + 1; y < r.y+r.h-1; y++ {
		border(c, r.x, y, "|", t)
		border(c, r.x+r.w-1, y, "|", t)
	}
}

// drawTitle writes into the upper border: +- title ---+.
func drawTitle(c *canvas, r rect, title string, focused bool) {
	t := plain
	if focused {
		t = strong
	}
	room := r.w - 6
	if title = shorten(readable.Text(title), room); title != "" && room > 0 {
		used := c.text(r.x+3, r.y, room, title, t)
		c.put(r.x+2, r.y, " ", plain)
		c.put(r.x+3+used, r.y, " ", plain)
	}
}

// border draws one cell of a frame. A corner stays one when a neighbour's line ends there.
func border(c *canvas, x, y int, text string, t tone) {
	if p := c.at(x, y); p != nil && p.role == asFrame && p.text == "+" {
		text = "+"
	}
	c.glyph(x, y, text, t, asFrame)
}

// drawDivider parts a pane in two at a column.
func drawDivider(c *canvas, r rect, x int, focused bool) {
	t := plain
	if focused {
		t = strong
	}
	c.glyph(x, r.y, "+", t, asFrame)
	for y := r.y + 1; y < r.y+r.h-1; y++ {
		c.glyph(x, y, "|", t, asFrame)
	}
	c.glyph(x, r.y+r.h-1, "+", t, asFrame)
}
