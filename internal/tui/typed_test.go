package tui

import (
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

// Keys that come together do what they do one by one; pasted text does nothing but stand in the filter.
func TestKeysInOneRead(t *testing.T) {
	t.Parallel()
	s := newScreen(t, Config{}, 80, 24).play()
	s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("2/zone=south")})
	s.press("enter")
	if s.view != viewPeers || s.filter.text != "zone=south" {
		t.Errorf("view %d, filter %q", s.view, s.filter.text)
	}
	s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("1q"), Paste: true})
	if s.view != viewPeers || s.quit {
		t.Errorf("pasted text are keys: view %d, quit %t", s.view, s.quit)
	}
	s.press("/", "ctrl+u")
	s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("lag>0"), Paste: true})
	s.press("enter")
	if s.filter.text != "lag>0" {
		t.Errorf("filter %q", s.filter.text)
	}
	s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("pq")})
	if !s.quit {
		t.Error("q after another key doesn't quit")
	}
}
