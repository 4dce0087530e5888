package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"go.uber.org/goleak"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

// flaky is a source whose connections end as told: each attempt tells some frames and fails.
type flaky struct {
	fakeSource
	mu       sync.Mutex
	attempts []int // frames to tell in each; after the last it stays
}

func (f *flaky) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	f.mu.Lock()
	if len(f.attempts) == 0 {
		f.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	n := f.attempts[0]
	f.attempts = f.attempts[1:]
	f.mu.Unlock()
	for i := range n {
		sink(mesh.Frame{Time: sampleEnd.Add(time.Duration(i) * time.Second), Whole: i == 0})
	}
	return errRefused
}

// watchFor collects what a watcher says within a span of the bubble's time.
func watchFor(t *testing.T, source Source, recorded bool, span time.Duration, each func(*watcher, tea.Msg)) []string {
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	w := newWatcher(source, recorded, time.Second)
	w.done = ctx.Done()
	var done sync.WaitGroup
	done.Go(func() { w.run(ctx) })
	start := time.Now()
	var said []string
	for {
		m := w.next()
		if m == nil {
			break
		}
		word := fmt.Sprintf("%T", m)
		switch m := m.(type) {
		case connecting:
			word = fmt.Sprintf("attempt %d", m.attempt)
		case lost:
			word = fmt.Sprintf("lost, again in %s", m.pause)
		case arrived:
			word = fmt.Sprintf("%d frames", len(m.frames))
		case ended:
			word = "end"
		}
		said = append(said, fmt.Sprintf("%s %s", time.Since(start).Round(10*time.Millisecond), word))
		if each != nil {
			each(w, m)
		}
	}
	done.Wait()
	return said
}

// A node that cannot be reached is tried again after 1, 2, 4, 8 and then every 15 seconds; after a success from 1
// again.
func TestBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := watchFor(t, &flaky{attempts: []int{0, 0, 0, 0, 0, 0, 1, 0}}, false, 2*time.Minute, nil)
		want := []string{"0s attempt 1", "0s lost, again in 1s", "1s attempt 2", "1s lost, again in 2s", "3s attempt 3", "3s lost, again in 4s", "7s attempt 4",
			"7s lost, again in 8s", "15s attempt 5", "15s lost, again in 15s", "30s attempt 6", "30s lost, again in 15s", "45s attempt 7", "45s 1 frames", "45s lost, again in 1s",
			"46s attempt 1", "46s lost, again in 2s", "48s attempt 2"}
		if !slices.Equal(got, want) {
			t.Errorf("the watcher says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// r doesn't wait for the pause to be over.
func TestReconnectNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := watchFor(t, &flaky{attempts: []int{0, 0, 0, 0}}, false, 9*time.Second, func(w *watcher, m tea.Msg) {
			if l, is := m.(lost); is && l.pause == 4*time.Second {
				w.reconnect()
				w.reconnect() // the same wish
			}
		})
		if !slices.Contains(got, "3s attempt 1") {
			t.Errorf("the watcher says\n%s\nwant a first attempt after 3s", strings.Join(got, "\n"))
		}
	})
}

// However fast frames come, they are handed over ten times a second, none of them lost.
func TestFramesAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		batches, frames := 0, 0
		watchFor(t, &steady{every: 5 * time.Millisecond, count: 1000}, true, 10*time.Second, func(_ *watcher, m tea.Msg) {
			if a, is := m.(arrived); is {
				batches, frames = batches+1, frames+len(a.frames)
			}
		})
		if frames != 1000 || batches > 52 || batches < 45 {
			t.Errorf("1000 frames in 5 s came as %d in %d batches, want at most ten a second", frames, batches)
		}
	})
}

// A source that tells more than can be shown is read no faster.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		most := 0
		watchFor(t, &steady{count: 100_000}, true, 10*time.Second, func(_ *watcher, m tea.Msg) {
			if a, is := m.(arrived); is {
				most = max(most, len(a.frames))
			}
		})
		if most > maxBatch {
			t.Errorf("%d frames came at once, want at most %d", most, maxBatch)
		}
	})
}

// steady tells a number of frames at a pace, and ends like a recording.
type steady struct {
	fakeSource
	every time.Duration
	count int
}

func (s *steady) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	for i := range s.count {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		sink(mesh.Frame{Time: sampleEnd.Add(time.Duration(i) * time.Second)})
		time.Sleep(s.every) // of the bubble's clock
	}
	return io.EOF
}

// panicky panics in the given method.
type panicky struct {
	fakeSource
	where string
}

func (p panicky) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	sink(mesh.Frame{Time: sampleEnd, Whole: true, Status: emptyStatus()})
	if p.where == "watch" {
		panic("a fault in watch")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (p panicky) Doctor(context.Context, func(mesh.CheckResult)) error { panic("a fault in doctor") }

// locked is an output that two goroutines may use.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// typed is an input on which keys are pressed.
func typed(t *testing.T) (io.Reader, func(string)) {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r, func(keys string) {
		if _, err := io.WriteString(w, keys); err != nil {
			t.Error(err)
		}
	}
}

// leaves the alternate screen: the terminal shows again what it did before.
const leavesScreen = "\x1b[?1049l"

// Run ends by a key, by its context, and by a panic wherever it happens; the terminal is left each time, and nothing
// goes on.
func TestRunEnds(t *testing.T) {
	defer leaktest.None(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("io.(*pipe).read"))
	for name, test := range map[string]struct {
		source Source
		press  string
		cancel bool
		crash  string
	}{
		"by q":               {source: panicky{}, press: "q"},
		"by its context":     {source: panicky{}, cancel: true},
		"by a panic":         {source: panicky{where: "watch"}, crash: "a fault in watch"},
		"by a check's panic": {source: panicky{}, press: "d", crash: "a fault in doctor"},
	} {
		t.Run(name, func(t *testing.T) {
			in, press := typed(t)
			var out locked
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			result := make(chan error, 1)
			go func() {
				result <- Run(ctx, Config{Source: test.source, Input: in, Output: &out,
					Report: func(panicked any, stack []byte) (string, error) {
						if !strings.Contains(string(stack), "run_test.go") {
							t.Errorf("the stack says nothing about where it happened:\n%s", stack)
						}
						if !strings.Contains(out.String(), leavesScreen) {
							t.Error("the report is written before the terminal is left")
						}
						return "/tmp/report", nil
					}})
			}()
			if test.press != "" {
				press(test.press)
			}
			if test.cancel {
				cancel()
			}
			err := <-result
			var crash *CrashError
			switch {
			case test.crash == "" && err != nil:
				t.Errorf("Run says %v", err)
			case test.crash != "" && (!errors.As(err, &crash) || crash.Panicked != test.crash || crash.Path != "/tmp/report"):
				t.Errorf("Run says %v, want a crash by %q", err, test.crash)
			}
			if !strings.Contains(out.String(), leavesScreen) {
				t.Errorf("the terminal was not left: %q", out.String())
			}
		})
	}
}

// What makes no sense is refused before anything is painted.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{View: "nothing"}, {Theme: "pink"}, {Refresh: time.Millisecond}, {Refresh: time.Hour}} {
		var out bytes.Buffer
		cfg.Source, cfg.Output, cfg.Input = fakeSource{}, &out, strings.NewReader("")
		if err := Run(t.Context(), cfg); err == nil || out.Len() > 0 {
			t.Errorf("Run of %+v says %v and paints %q", cfg, err, out.String())
		}
	}
	for _, v := range Views() {
		if _, found := viewNamed(v); !found {
			t.Errorf("the view %q is not known", v)
		}
	}
}
