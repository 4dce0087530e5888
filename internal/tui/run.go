package tui

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// Config says what is watched and how it is shown.
type Config struct {
	Source Source
	// View is the view shown first: overview (default), peers, resources, log or events.
	View string
	// Theme is auto (default), dark, light or mono. Auto is mono without Color, else what Getenv tells about the
	// background, else dark.
	Theme string
	// Color says that colours may be used; how many is told by TERM and COLORTERM.
	Color bool
	// ASCII keeps to ASCII characters.
	ASCII bool
	// Plain appends lines instead of painting a screen.
	Plain bool
	// Mouse lets the wheel scroll and a click select.
	Mouse bool
	// Refresh is how often ages are counted anew, 100 ms to 1 min, default 1 s. Above 1 s data is drawn no more
	// often either.
	Refresh time.Duration
	// Context names the cluster in the header, such as kind-east/mesh-system; empty: none.
	Context string
	// Recorded says that Source plays a recording: ages count from the recording's clock, and its end is no
	// failure.
	Recorded bool
	// Now is the clock of this machine; nil: time.Now. What is shown counts from the node's own clock, which
	// comes with the frames.
	Now func() time.Time
	// Getenv reads the environment; nil: an empty one.
	Getenv func(string) string
	// Input and Output are the terminal.
	Input  io.Reader
	Output io.Writer
	// Report writes the report about a crash and returns where; nil: none is written.
	Report func(panicked any, stack []byte) (path string, err error)
}

// Limits of Config.Refresh.
const (
	leastRefresh   = 100 * time.Millisecond
	longestRefresh = time.Minute
)

// CrashError says that the screen itself failed. The terminal is as it was before.
type CrashError struct {
	Panicked any
	Path     string // of the report; empty: there is none
}

func (e *CrashError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("the screen crashed: %v", e.Panicked)
	}
	return fmt.Sprintf("the screen crashed: %v; a report is in %s", e.Panicked, e.Path)
}

// Views names the views that Config.View takes.
func Views() []string {
	names := make([]string, viewCount)
	for v, name := range viewNames {
		names[v] = strings.ToLower(name)
	}
	return names
}

// Themes names what Config.Theme takes.
func Themes() []string { return []string{themeAuto, themeDark, themeLight, themeMono} }

// complete fills in what was left out and refuses what makes no sense.
func (cfg *Config) complete() error {
	if cfg.Refresh == 0 {
		cfg.Refresh = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Getenv == nil {
		cfg.Getenv = func(string) string { return "" }
	}
	if _, found := viewNamed(cfg.View); !found {
		return fmt.Errorf("view %q: want %s", cfg.View, strings.Join(Views(), ", "))
	}
	if cfg.Theme != "" && !slices.Contains(Themes(), cfg.Theme) {
		return fmt.Errorf("theme %q: want %s", cfg.Theme, strings.Join(Themes(), ", "))
	}
	if cfg.Refresh < leastRefresh || cfg.Refresh > longestRefresh {
		return fmt.Errorf("refresh %s: want %s to %s", cfg.Refresh, leastRefresh, longestRefresh)
	}
	return nil
}

// Run shows the node until somebody quits, ctx ends, or the terminal is gone; in each case the terminal is
// restored before it returns, and nothing it started goes on. What went wrong with the node is shown, and is no
// error; a *CrashError is a fault of the screen.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if cfg.Plain {
		return runPlain(ctx, cfg)
	}
	inner, cancel := context.WithCancel(ctx)
	w := newWatcher(cfg.Source, cfg.Recorded, cfg.Refresh)
	w.done = inner.Done()
	m := newModel(inner, cfg, w)
	out := &shared{Writer: cfg.Output}
	var program io.Writer = out
	if f, isFile := cfg.Output.(*os.File); isFile {
		program = &sharedFile{f, out}
	}
	m.copy = func(text string) tea.Cmd {
		return func() tea.Msg {
			if _, err := io.WriteString(out, ansi.SetSystemClipboard(text)); err != nil {
				return noted("cannot copy: " + err.Error())
			}
			return nil
		}
	}
	options := []tea.ProgramOption{tea.WithContext(inner), tea.WithInput(cfg.Input), tea.WithOutput(program), tea.WithAltScreen(),
		tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler()}
	if cfg.Mouse {
		options = append(options, tea.WithMouseCellMotion())
	}
	var watching sync.WaitGroup
	watching.Go(func() { w.run(inner) })
	_, err := tea.NewProgram(m, options...).Run()
	cancel()
	watching.Wait()
	m.commands.Wait()
	switch {
	case m.crash != nil:
		crash := &CrashError{Panicked: m.crash.panicked}
		if cfg.Report != nil {
			if path, err := cfg.Report(m.crash.panicked, m.crash.stack); err == nil {
				crash.Path = path
			}
		}
		return crash
	case ctx.Err() != nil:
		return nil // whoever stopped it knows
	case err != nil:
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// framesPerSecond is how often the screen is written at most.
const framesPerSecond = 10

// shared lets the screen and the clipboard write to one terminal, one at a time.
type shared struct {
	io.Writer
	mu sync.Mutex
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Writer.Write(b)
}

// sharedFile is a shared terminal of which the size can be asked.
type sharedFile struct {
	*os.File
	shared *shared
}

func (f *sharedFile) Write(b []byte) (int, error) { return f.shared.Write(b) }
