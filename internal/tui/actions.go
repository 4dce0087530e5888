package tui

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

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

// openObject asks for an object and shows it.
func (m *model) openObject(object string) tea.Cmd {
	m.pages = append(m.pages, page{kind: onContent, key: object, list: &list{}, object: contentOptions{object: object, loading: true}})
	return m.guard(func() tea.Msg {
		content, err := m.cfg.Source.Content(m.ctx, object)
		return contentCame{object, content, err}
	})
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
			what, text = "line", dateText(n.Time)+" "+string(n.Kind)+" "+string(n.Zone)+" "+n.Text
		}
	}
	if text == "" || m.copy == nil {
		return nil
	}
	m.note = "copied the " + what
	return m.guard(m.copy(visible(text)))
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

// check shows the page of the checks and runs them, unless they run.
func (m *model) check(focus place) tea.Cmd {
	if focus != onDoctor {
		m.pages = append(m.pages, page{kind: onDoctor, list: &list{}})
	}
	if m.doctor.running {
		return nil
	}
	ctx, cancel := context.WithCancel(m.ctx)
	number := m.doctor.number + 1
	m.doctor = doctorRun{number: number, running: true, started: m.cfg.Now(), cancel: cancel}
	results := make(chan mesh.CheckResult, 16) // closed by the run; while it is full the run waits
	var next tea.Cmd
	var failure error // written before results is closed
	next = func() tea.Msg {
		select {
		case <-ctx.Done():
			return checksEnded{number, ctx.Err()}
		case r, open := <-results:
			if open {
				return checksCame{number, r, next}
			}
			return checksEnded{number, failure}
		}
	}
	run := m.guard(func() tea.Msg {
		defer close(results)
		failure = m.cfg.Source.Doctor(ctx, func(r mesh.CheckResult) {
			select {
			case <-ctx.Done():
			case results <- r:
			}
		})
		return nil
	})
	return tea.Batch(run, m.guard(next))
}

// stop ends a run of the checks that nobody looks at.
func (d *doctorRun) stop() {
	if d.running {
		d.cancel()
	}
}

// askForOperations asks for the newest operations of the selected log while the view of the logs is on the screen,
// unless they are there; one question at a time.
func (m *model) askForOperations() tea.Cmd {
	l, found := m.logs.current()
	if m.view != viewLog || m.operations.loading || !found {
		return nil
	}
	want := made{only: m.logs.id(l), filter: orNone(l.Height), order: orNone(l.Applied)}
	if m.operations.asked == want {
		return nil
	}
	if m.operations.log != want.only {
		m.operations.rows, m.operations.err = nil, nil
	}
	m.operations.asked, m.operations.log, m.operations.loading = want, want.only, true
	zone := l.Zone
	return m.guard(func() tea.Msg {
		operations, err := m.cfg.Source.Operations(m.ctx, zone, operationsShown)
		return operationsCame{want.only, operations, err}
	})
}

// edit types into the filter.
func (m *model) edit(k tea.KeyMsg) tea.Cmd {
	switch k.Type {
	case tea.KeyEnter:
		m.typing, m.filter = false, parseFilter(m.typed)
	case tea.KeyEsc:
		m.typing, m.filter = false, filter{}
	case tea.KeyCtrlC:
		return tea.Quit
	case tea.KeyCtrlZ:
		return tea.Suspend
	case tea.KeyCtrlU:
		m.typed = ""
	case tea.KeyCtrlW:
		m.typed = m.typed[:strings.LastIndexByte(strings.TrimRight(m.typed, " "), ' ')+1]
	case tea.KeyBackspace:
		_, size := utf8.DecodeLastRuneInString(m.typed)
		m.typed = m.typed[:len(m.typed)-size]
	case tea.KeyRunes, tea.KeySpace:
		if !k.Alt && len(m.typed)+len(string(k.Runes)) <= maxFilter {
			m.typed += visible(string(k.Runes))
		}
	}
	m.refresh()
	return m.askForOperations()
}

// activeFilter is what is typed, while it is being typed.
func (m *model) activeFilter() filter {
	if m.typing {
		return parseFilter(m.typed)
	}
	return m.filter
}

// mouse scrolls what is under the pointer and selects what is clicked on.
func (m *model) mouse(e tea.MouseMsg) tea.Cmd {
	if m.help || m.typing {
		return nil
	}
	focus, _ := m.focus()
	over := focus
	var at placed
	if len(m.pages) == 0 {
		for _, p := range m.placedPanes() {
			if e.X >= p.rect.x && e.X < p.rect.x+p.rect.w && e.Y >= p.rect.y && e.Y < p.rect.y+p.rect.h {
				over, at = p.pane, p
			}
		}
	}
	const notch = 3
	switch {
	case e.Button == tea.MouseButtonWheelDown:
		for range notch {
			m.move(moveDown, over)
		}
	case e.Button == tea.MouseButtonWheelUp:
		for range notch {
			m.move(moveUp, over)
		}
	case e.Button == tea.MouseButtonLeft && e.Action == tea.MouseActionPress && at.pane != 0:
		m.hasFocus[m.view] = at.pane
		row := e.Y - at.rect.y - 1
		if at.bare {
			row++
		}
		switch at.pane {
		case inPeers:
			if !at.bare {
				row-- // the titles
			}
			m.click(&m.peers.list, row, func(i int) { m.peers.moveTo(i) })
		case inResources:
			m.click(&m.resources.list, row-1, func(i int) { m.resources.moveTo(i) })
		case inLog:
			m.click(&m.logs.list, row-1, func(i int) { m.logs.moveTo(i) })
		case inEvents:
			m.click(&m.events.list, row, func(i int) { m.events.moveTo(i) })
			m.follow = m.events.cursor == 0
		}
	}
	return m.askForOperations()
}

// click selects a row that is seen.
func (m *model) click(l *list, row int, moveTo func(int)) {
	if row >= 0 && row < l.page {
		moveTo(l.top + row)
	}
}
