package tui

import (
	"strings"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/readable"
)

// This file takes what is typed into the filter, and the mouse.

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
			m.typed += readable.Text(string(k.Runes))
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
