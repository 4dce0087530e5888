package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Pauses of the watcher.
const (
	// shownEvery is the least time between two batches of frames: at most ten a second are drawn.
	shownEvery = 100 * time.Millisecond
	// maxBatch is how many frames are handed over at once. While more wait the source is not read, so a node that
	// tells faster than it can be drawn fills no memory here.
	maxBatch = 256
)

// Messages of the watcher.
type (
	// connecting: an attempt begins, counted from 1 since the last success.
	connecting struct{ attempt int }
	// arrived: frames came, in order.
	arrived struct{ frames []mesh.Frame }
	// lost: the connection ended, or could not be made; the next attempt follows after the pause.
	lost struct {
		err   error
		pause time.Duration
	}
	// ended: a recording is over.
	ended struct{ err error }
	// crashed: something panicked. The screen goes away before anything is said.
	crashed struct {
		panicked any
		stack    []byte
	}
)

// watcher reads a source in a goroutine of its own and hands what comes to the model, batch by batch.
type watcher struct {
	source   Source
	recorded bool
	every    time.Duration   // least time between batches
	news     chan tea.Msg    // of the goroutine; 1 message waits, then the source does
	again    chan struct{}   // capacity 1: connect now; a second wish is the same wish
	done     <-chan struct{} // of the whole screen
	kept     tea.Msg         // what came while a batch was collected and is no frame
	last     time.Time       // when a batch was handed over
}

// frameNews is one frame on its way from the goroutine.
type frameNews struct{ frame mesh.Frame }

func newWatcher(source Source, recorded bool, refresh time.Duration) *watcher {
	w := &watcher{source: source, recorded: recorded, every: shownEvery, news: make(chan tea.Msg, 1), again: make(chan struct{}, 1)}
	if refresh > time.Second {
		w.every = refresh
	}
	return w
}

// run connects and reads until ctx ends. It owns news and never closes it.
func (w *watcher) run(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			w.send(ctx, crashed{p, debug.Stack()})
		}
	}()
	pause := firstRetry
	for attempt := 1; ctx.Err() == nil; attempt++ {
		w.send(ctx, connecting{attempt})
		told := false
		err := w.source.Watch(ctx, func(f mesh.Frame) {
			told = true
			w.send(ctx, frameNews{f})
		})
		if told {
			attempt, pause = 0, firstRetry
		}
		if w.recorded {
			w.send(ctx, ended{err})
			select {
			case <-ctx.Done():
			case <-w.again:
			}
			continue
		}
		if err == nil {
			err = fmt.Errorf("the node closed the connection")
		}
		w.send(ctx, lost{err, pause})
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-w.again:
			attempt, pause = 0, firstRetry/2
		}
		timer.Stop()
		pause = min(2*pause, lastRetry)
	}
}

func (w *watcher) send(ctx context.Context, m tea.Msg) {
	select {
	case <-ctx.Done():
	case w.news <- m:
	}
}

// reconnect asks for the next attempt now. It never blocks.
func (w *watcher) reconnect() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// next waits for what comes and returns it, frames in batches. It returns nil when the screen is closed. One
// call at a time.
func (w *watcher) next() tea.Msg {
	if m := w.kept; m != nil {
		w.kept = nil
		return m
	}
	var first tea.Msg
	select {
	case <-w.done:
		return nil
	case first = <-w.news:
	}
	f, isFrame := first.(frameNews)
	if !isFrame {
		return first
	}
	batch := arrived{[]mesh.Frame{f.frame}}
	timer := time.NewTimer(max(w.every-time.Since(w.last), 0))
	defer timer.Stop()
	defer func() { w.last = time.Now() }()
	for len(batch.frames) < maxBatch {
		select {
		case <-w.done:
			return nil
		case <-timer.C:
			return batch
		case m := <-w.news:
			f, isFrame := m.(frameNews)
			if !isFrame {
				w.kept = m
				return batch
			}
			batch.frames = append(batch.frames, f.frame)
		}
	}
	return batch
}
