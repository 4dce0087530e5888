package tui

import tea "github.com/charmbracelet/bubbletea"

// keys takes in what was typed. Keys that arrive in one read, because somebody types fast, holds one down or sits at
// a slow line, come as one message. What was pasted is text, never keys.
func (m *model) keys(k tea.KeyMsg) tea.Cmd {
	if k.Type != tea.KeyRunes || len(k.Runes) < 2 || k.Paste {
		return m.key(k)
	}
	var all []tea.Cmd
	for _, r := range k.Runes {
		all = append(all, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt}))
	}
	return tea.Batch(all...)
}
