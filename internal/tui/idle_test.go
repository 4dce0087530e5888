package tui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// counted is an output that counts.
type counted struct {
	mu            sync.Mutex
	writes, bytes int
	last          string
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.bytes += len(b)
	c.last = string(b)
	return len(b), nil
}

func (c *counted) now() (writes, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes, c.bytes
}

// paint runs the screen as Run does, with a clock of its own and a terminal of 80x24 that counts what it gets,
// while look happens.
func paint(t *testing.T, cfg Config, look func(out *counted, keys io.Writer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if err := cfg.complete(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w := newWatcher(cfg.Source, cfg.Recorded, cfg.Refresh)
		w.done = ctx.Done()
		m := newModel(ctx, cfg, w)
		in, keys := io.Pipe()
		out := &counted{}
		p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler())
		var work sync.WaitGroup
		work.Go(func() { w.run(ctx) })
		work.Go(func() { _, _ = p.Run() }) // it ends with ctx
		p.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
		look(out, keys)
		cancel()
		keys.Close()
		work.Wait()
		m.commands.Wait()
	})
}

// While nothing that is visible changes, not a byte is sent to the terminal: a recording that is over is a picture.
func TestIdleScreenIsSilent(t *testing.T) {
	t.Parallel()
	f := overview(t)
	cfg := Config{Source: NewReplay("x.sse", opens(recorded(0, 1, 2))), Recorded: true, ASCII: true, Refresh: 100 * time.Millisecond}
	for name, source := range map[string]Source{
		"a short one":  cfg.Source,
		"the overview": told{frames: f, end: io.EOF},
	} {
		cfg.Source = source
		paint(t, cfg, func(out *counted, keys io.Writer) {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			before, size := out.now()
			if before == 0 {
				t.Fatalf("%s: nothing was painted", name)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if after, more := out.now(); after != before || more != size {
				t.Errorf("%s: %d writes and %d bytes in a minute without news; the last is %q", name, after-before, more-size, out.last)
			}
			if _, err := io.WriteString(keys, "5"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if after, _ := out.now(); after != before+1 {
				t.Errorf("%s: %d writes after a key, want one", name, after-before)
			}
		})
	}
}

// told is a recording that is told at once.
type told struct {
	fakeSource
	frames []mesh.Frame
	end    error
}

func (s told) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	for _, f := range s.frames {
		sink(f)
	}
	if s.end != nil {
		return s.end
	}
	<-ctx.Done()
	return ctx.Err()
}

// restless is a node on which something changes all the time.
type restless struct{ fakeSource }

func (restless) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	for i := 0; ctx.Err() == nil; i++ {
		f := mesh.Frame{Time: sampleEnd.Add(time.Duration(i) * time.Millisecond), Whole: i == 0}
		if i == 0 {
			f.Status = emptyStatus()
		}
		f.Notices = []mesh.Notice{{ID: uint64(i + 1), Time: f.Time, Kind: mesh.NoticeApply, Level: mesh.LevelInfo, Zone: "west", Text: fmt.Sprintf("version %d applied", i)}}
		sink(f)
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

// A node on which a thousand things happen in a second is drawn ten times in it, and only the lines that changed.
func TestAtMostTenFrames(t *testing.T) {
	t.Parallel()
	paint(t, Config{Source: restless{}, ASCII: true}, func(out *counted, _ io.Writer) {
		time.Sleep(time.Second)
		synctest.Wait()
		before, size := out.now()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		after, more := out.now()
		if n := after - before; n < 25 || n > 5*10+1 {
			t.Errorf("%d writes in 5 s, want at most ten a second", n)
		}
		if per := (more - size) / (after - before); per > 24*80 {
			t.Errorf("%d bytes a frame", per)
		}
	})
}

// What is not on the screen is not drawn: a node that is quiet costs one line a second, where the time is shown.
func TestQuietNodeCostsLittle(t *testing.T) {
	t.Parallel()
	frames := overview(t)
	paint(t, Config{Source: told{frames: frames[:1]}, ASCII: true, Now: time.Now}, func(out *counted, _ io.Writer) {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before, size := out.now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if after, more := out.now(); after-before > 61 || more-size > 60*24*80 {
			t.Errorf("%d writes and %d bytes in a minute", after-before, more-size)
		}
		if !strings.Contains(out.last, "\x1b[") {
			t.Errorf("lines that did not change are painted again: %q", out.last)
		}
	})
}
