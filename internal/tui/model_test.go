package tui

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// sampleEnd is when the last frame of the recorded sample was made.
var sampleEnd = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

// fakeSource answers at once.
type fakeSource struct {
	content    mesh.Content
	operations []mesh.LogOperation
	results    []mesh.CheckResult
	err        error
}

func (fakeSource) Target() string { return "unix:/run/mesh/api.sock" }

func (fakeSource) Watch(ctx context.Context, _ func(mesh.Frame)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (f fakeSource) Content(context.Context, string) (mesh.Content, error) { return f.content, f.err }

func (f fakeSource) Operations(context.Context, mesh.Zone, int) ([]mesh.LogOperation, error) {
	return f.operations, f.err
}

func (f fakeSource) Doctor(_ context.Context, sink func(mesh.CheckResult)) error {
	for _, r := range f.results {
		sink(r)
	}
	return f.err
}

// screen is a model under test: its clock is moved by hand, and commands run at once.
type screen struct {
	*model
	t      testing.TB
	now    time.Time
	copied []string
	quit   bool
}

// newScreen makes a screen of a size in ASCII without colours, connected to nothing.
func newScreen(t testing.TB, cfg Config, width, height int) *screen {
	t.Helper()
	s := &screen{t: t, now: sampleEnd}
	if cfg.Source == nil {
		cfg.Source = fakeSource{}
	}
	cfg.Now = func() time.Time { return s.now }
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(cfg.Source, cfg.Recorded, cfg.Refresh)
	s.model = newModel(t.Context(), cfg, w)
	s.model.copy = func(text string) tea.Cmd {
		return func() tea.Msg { s.copied = append(s.copied, text); return nil }
	}
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// send hands over a message and carries out the commands that follow, but for the clock and the watch.
func (s *screen) send(msg tea.Msg) {
	s.t.Helper()
	_, cmd := s.Update(msg)
	switch msg.(type) {
	case ticked, connecting, lost, ended, arrived:
		return // what follows waits for the clock or the source
	}
	s.carryOut(cmd)
}

func (s *screen) carryOut(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			if c != nil {
				s.carryOut(c)
			}
		}
	case tea.QuitMsg:
		s.quit = true
	default:
		_, next := s.Update(msg)
		s.carryOut(next)
	}
}

// press types keys, named as bubbletea names them.
func (s *screen) press(keys ...string) {
	s.t.Helper()
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "up": tea.KeyUp,
		"down": tea.KeyDown, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace, "ctrl+c": tea.KeyCtrlC,
		"ctrl+u": tea.KeyCtrlU, "ctrl+w": tea.KeyCtrlW, "ctrl+z": tea.KeyCtrlZ, "home": tea.KeyHome, "end": tea.KeyEnd, " ": tea.KeySpace}
	for _, k := range keys {
		if kind, found := named[k]; found {
			m := tea.KeyMsg{Type: kind}
			if k == " " {
				m.Runes = []rune{' '}
			}
			s.send(m)
			continue
		}
		for _, r := range k {
			s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
		}
	}
}

// play shows the recorded sample up to its end.
func (s *screen) play() *screen {
	s.t.Helper()
	f, err := os.Open("testdata/overview.sse")
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	err = ReadRecording(f, func(f mesh.Frame) error { s.send(arrived{[]mesh.Frame{f}}); return nil })
	if err != nil && !errors.Is(err, io.EOF) {
		s.t.Fatal(err)
	}
	return s
}

// ascii is the screen in ASCII without styles, the focus not marked.
func (s *screen) ascii() string {
	s.View()
	return strings.Join(s.canvas.lines(), "\n") + "\n"
}

// A run of the checks that was not begun any more, because the screen was closed in between, holds nobody up.
func TestChecksThatNeverBegan(t *testing.T) {
	s := newScreen(t, Config{}, 80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	s.model.ctx = ctx
	both, ok := s.check(inPeers)().(tea.BatchMsg)
	if !ok || len(both) != 2 {
		t.Fatalf("%d commands, want the run and the first result", len(both))
	}
	waited := make(chan tea.Msg, 1)
	go func() { waited <- both[1]() }()
	cancel()
	select {
	case msg := <-waited:
		if end, ok := msg.(checksEnded); !ok || !errors.Is(end.err, context.Canceled) {
			t.Errorf("%+v, want that it ended", msg)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for results of a run that nobody began")
	}
}
