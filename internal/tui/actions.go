package tui

import (
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/readable"
)

// placedPanes is what is on the screen below the pages.
func (m *model) placedPanes() []placed { return arrange(m.view, m.width, m.height) }

// focus is where the keys go, seen what else is on the screen.
func (m *model) focus() (focus, seen place) {
	if n := len(m.pages); n > 0 {
		return m.pages[n-1].kind, m.pages[n-1].kind
	}
	for _, p := range m.placedPanes() {
		seen |= p.pane
	}
	if f := m.hasFocus[m.view]; f&seen != 0 {
		return f, seen
	}
	return mainPane(m.view), seen | mainPane(m.view)
}

// key does what a key says.
func (m *model) key(k tea.KeyMsg) tea.Cmd {
	m.note = ""
	m.refresh() // the screen may not have been drawn since
	if m.typing {
		return m.edit(k)
	}
	focus, seen := m.focus()
	name := k.String()
	b := bindingFor(name, focus, seen)
	if m.help {
		return m.helpKey(b)
	}
	if b == nil {
		return nil
	}
	where := focus
	if b.where&focus == 0 {
		where = b.where & seen
	}
	cmd := m.do(b.does, name, focus, where)
	m.refresh()
	return tea.Batch(cmd, m.askForOperations())
}

// helpKey moves in the help or closes it.
func (m *model) helpKey(b *binding) tea.Cmd {
	if b == nil {
		return nil
	}
	switch b.does {
	case quit, toggleHelp, goBack:
		m.help = false
	case suspend:
		return tea.Suspend
	default:
		move(&m.helpList, b.does, m.helpList.top+m.helpList.page)
		m.helpList.top = max(m.helpList.cursor, 0)
	}
	return nil
}

// do carries out an action. focus is the pane with the focus, where the one that knows the key.
func (m *model) do(a action, key string, focus, where place) tea.Cmd {
	switch a {
	case nextPane:
		m.cycle(1)
	case previousPane:
		m.cycle(-1)
	case toView:
		m.pages, m.view = nil, viewID(key[0]-'1')
	case moveDown, moveUp, pageDown, pageUp, moveTop, moveBottom:
		m.move(a, focus)
	case openSelected:
		return m.open(focus)
	case goBack:
		m.back()
	case editFilter:
		m.typing, m.typed = true, m.filter.text
	case changeSort, reverseSort:
		m.sort(where, a == reverseSort)
	case togglePause:
		m.pause()
	case toggleWide:
		m.wide = !m.wide
	case changeMap:
		m.topology = (m.topology + 1) % topologyModes
	case centerMap:
		m.centered = !m.centered
	case changeLagUnit:
		m.lagInSeconds = !m.lagInSeconds
	case runDoctor:
		return m.check(focus)
	case showEvents, showResources:
		m.about(a, focus)
	case copyID:
		return m.copyText(focus)
	case changeTheme:
		m.theme = m.theme.next()
	case reconnectNow:
		m.reconnect()
	case toggleHelp:
		m.help, m.helpList = true, list{}
	case quit:
		return tea.Quit
	case suspend:
		return tea.Suspend
	case changeNamespace:
		m.nextNamespace()
	case toggleHidden:
		if where&inPeers != 0 {
			m.strangers = !m.strangers
		} else {
			m.tombstones = !m.tombstones
		}
	case toggleFollow:
		m.follow = !m.follow
		if m.follow {
			m.events.moveTo(0)
		}
	case changeVerbosity:
		m.verbosity = (m.verbosity + 1) % len(verbosities)
	}
	return nil
}

// cycle gives the focus to the next pane, in the order in which they are placed.
func (m *model) cycle(step int) {
	panes := m.placedPanes()
	if len(panes) == 0 {
		return
	}
	focus, _ := m.focus()
	at := slices.IndexFunc(panes, func(p placed) bool { return p.pane == focus })
	m.hasFocus[m.view] = panes[(max(at, 0)+step+len(panes))%len(panes)].pane
}

// move moves the cursor of a place.
func (m *model) move(a action, focus place) {
	switch {
	case focus&onPages != 0:
		p := &m.pages[len(m.pages)-1]
		move(p.list, a, 1<<30) // its end is known when it is drawn
	case focus&peerRows != 0:
		moveTable(&m.peers, a)
	case focus == inEvents:
		moveTable(&m.events, a)
		m.follow = m.events.cursor == 0
	case focus == inResources:
		moveTable(&m.resources, a)
	case focus == inLog:
		moveTable(&m.logs, a)
	}
}

func moveTable[T any](t *table[T], a action) {
	move(&t.list, a, len(t.rows))
	t.moveTo(t.cursor)
}

// move moves a cursor among n rows.
func move(l *list, a action, n int) {
	switch a {
	case moveDown:
		l.cursor++
	case moveUp:
		l.cursor--
	case pageDown:
		l.cursor += max(l.page, 1)
	case pageUp:
		l.cursor -= max(l.page, 1)
	case moveTop:
		l.cursor = 0
	case moveBottom:
		l.cursor = n - 1
	}
	l.cursor = max(min(l.cursor, n-1), 0)
}

// open shows what is selected on a page of its own.
func (m *model) open(focus place) tea.Cmd {
	switch {
	case focus&peerRows != 0:
		if p, found := m.peers.current(); found {
			m.openPeer(p)
		}
	case focus == inLog:
		if l, found := m.logs.current(); found {
			m.openPeer(m.shown.peer(l.PublicKey))
		}
	case focus == inResources:
		if r, found := m.resources.current(); found {
			return m.openObject(r.Object)
		}
	case focus == inEvents:
		n, found := m.events.current()
		switch {
		case !found:
		case n.Object != "":
			return m.openObject(n.Object)
		default:
			m.openPeer(m.shown.peerOf(string(n.Zone)))
		}
	}
	return nil
}

func (m *model) openPeer(p *peer) {
	if p == nil {
		m.note = "this is about no peer"
		return
	}
	m.pages = append(m.pages, page{kind: onPeer, key: p.PublicKey, list: &list{}})
}

// back closes the page on top, or clears the filter.
func (m *model) back() {
	switch n := len(m.pages); {
	case n > 0:
		if m.pages[n-1].kind == onDoctor {
			m.doctor.stop()
		}
		m.pages = m.pages[:n-1]
	case m.filter.text != "":
		m.filter = filter{}
	default:
		m.view = viewOverview
	}
}

// sort changes the order of a table.
func (m *model) sort(where place, reverse bool) {
	switch {
	case where&inPeers != 0:
		turn(&m.peerOrder, &m.peerReverse, len(peerOrders), reverse)
	case where&inResources != 0:
		turn(&m.resourceOrder, &m.resourceReverse, len(resourceOrders), reverse)
	case where&inLog != 0:
		turn(&m.logOrder, &m.logReverse, len(logOrders), reverse)
	}
}

func turn(order *int, reversed *bool, n int, reverse bool) {
	if reverse {
		*reversed = !*reversed
		return
	}
	*order = (*order + 1) % n
	*reversed = false
}

// pause stops the picture; what comes meanwhile is taken in and shown later.
func (m *model) pause() {
	if m.paused() {
		m.shown = m.live
		return
	}
	if !m.live.known() {
		return
	}
	m.shown = m.live.clone()
	m.pausedAt = m.live.noticed
}

// about shows the events or the objects of what is selected, by a filter that people see and can clear.
func (m *model) about(a action, focus place) {
	zone := m.selectedZone(focus)
	if zone == "" {
		return
	}
	m.filter = parseFilter("zone=" + strings.Join(strings.Fields(zone), "_"))
	m.pages = nil
	m.view = viewEvents
	if a == showResources {
		m.view = viewResources
	}
}

// selectedZone is the zone of what is selected in a place.
func (m *model) selectedZone(focus place) string {
	switch {
	case focus == onPeer:
		if p := m.shown.peer(m.pages[len(m.pages)-1].key); p != nil {
			return zoneOf(p)
		}
	case focus&peerRows != 0:
		if p, found := m.peers.current(); found {
			return zoneOf(p)
		}
	case focus == inResources:
		if r, found := m.resources.current(); found {
			return string(r.Owner)
		}
	case focus == inLog:
		if l, found := m.logs.current(); found {
			return string(l.Zone)
		}
	case focus == inEvents:
		if n, found := m.events.current(); found {
			return string(n.Zone)
		}
	}
	return ""
}

// zoneOf is a peer's zone, or its name while the zone is not known.
func zoneOf(p *peer) string {
	if p.Zone != "" {
		return string(p.Zone)
	}
	return p.Name
}

// copyText puts what is selected into the clipboard.
func (m *model) copyText(focus place) tea.Cmd {
	var what, text string
	switch {
	case focus == onPeer:
		if p := m.shown.peer(m.pages[len(m.pages)-1].key); p != nil {
			what, text = "peer id of "+p.Name, p.PeerID
		}
	case focus == onContent:
		what, text = "name", m.pages[len(m.pages)-1].key
	case focus&peerRows != 0:
		if p, found := m.peers.current(); found {
			what, text = "peer id of "+p.Name, p.PeerID
		}
	case focus == inResources:
		if r, found := m.resources.current(); found {
			what, text = "name", r.Object
		}
	case focus == inLog:
		if l, found := m.logs.current(); found {
			what, text = "log id of "+l.Name, l.LogID
		}
	case focus == inEvents:
		if n, found := m.events.current(); found {
			what, text = "line", dateText(n.Time)+" "+string(n.Kind)+" "+string(n.Zone)+" "+noticeWords(n)
		}
	}
	if text == "" || m.copy == nil {
		return nil
	}
	m.note = "copied the " + what
	return m.guard(m.copy(readable.Text(text)))
}

// reconnect tries again at once, or plays a recording from its beginning.
func (m *model) reconnect() {
	switch m.conn.phase {
	case waiting, over:
		m.watch.reconnect()
	case connected:
		m.note = "connected to " + m.cfg.Source.Target()
	}
}

// nextNamespace shows the objects of one namespace after the other, then all again.
func (m *model) nextNamespace() {
	all := m.shown.namespaces()
	at := slices.Index(all, m.namespace) // -1: all of them are shown
	m.namespace = ""
	if at+1 < len(all) {
		m.namespace = all[at+1]
	}
}
