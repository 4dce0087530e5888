package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// maxPause is the longest time that nothing moves while a recording plays. A node tells something every second,
// so a longer pause is a hole in the recording, which nobody wants to sit through.
const maxPause = 5 * time.Second

// ErrNotRecorded is what a recording answers when it is asked for what no stream of frames holds.
var ErrNotRecorded = errors.New("a recording holds no objects, operations or checks; ask the node itself")

// Replay is a Source that plays a recording. Its methods are safe for concurrent use.
type Replay struct {
	name string
	open func() (io.ReadCloser, error)
	pace func(ctx context.Context, d time.Duration) error // nil: no pauses
	wall func() time.Time

	mu    sync.Mutex
	at    time.Time // of the last frame played; zero before the first
	next  time.Time // of the one to come; at when there is none or it is not known
	since time.Time // when at was played, by wall
}

// NewReplay makes a Source of the recording that open reads from its beginning; it is opened by each Watch. name is
// what people call it. It plays as fast as it was recorded, but for pauses of more than 5 s, which are cut short.
func NewReplay(name string, open func() (io.ReadCloser, error)) *Replay {
	return &Replay{name: name, open: open, pace: pause, wall: time.Now}
}

// NewEnd makes a Source that is at the end of a recording at once: what a node looked like when it was
// recorded last.
func NewEnd(name string, open func() (io.ReadCloser, error)) *Replay {
	return &Replay{name: name, open: open, wall: time.Now}
}

// Target names the recording.
func (p *Replay) Target() string { return p.name }

// Now is the time in the recording: that of the last frame, and what has passed since it was played, but never
// later than the frame to come. It stands still at the end. Before the first frame it is the zero time.
func (p *Replay) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.next.After(p.at) {
		return p.at
	}
	now := p.at.Add(max(p.wall().Sub(p.since), 0))
	if now.After(p.next) {
		return p.next
	}
	return now
}

// Watch plays the recording from its beginning. It returns io.EOF at its end, and an error that names the line
// where it is damaged.
func (p *Replay) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	r, err := p.open()
	if err != nil {
		return err
	}
	defer r.Close()
	var last time.Time
	err = ReadRecording(r, func(f mesh.Frame) error {
		if err := p.wait(ctx, last, f.Time); err != nil {
			return err
		}
		last = f.Time
		sink(f)
		return nil
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%s: %w", p.name, err)
	case last.IsZero():
		return fmt.Errorf("%s: it holds no frames", p.name)
	}
	return io.EOF
}

// wait lets as much time pass as did between two frames, and then moves the clock of the recording to the second.
func (p *Replay) wait(ctx context.Context, last, next time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if gap := next.Sub(last); p.pace != nil && !last.IsZero() && gap > 0 {
		p.mu.Lock()
		p.next = next
		p.mu.Unlock()
		if err := p.pace(ctx, min(gap, maxPause)); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.next, p.since = next, next, p.wall()
	return nil
}

// Content answers ErrNotRecorded.
func (p *Replay) Content(context.Context, string) (mesh.Content, error) {
	return mesh.Content{}, ErrNotRecorded
}

// Operations answers ErrNotRecorded.
func (p *Replay) Operations(context.Context, mesh.Zone, int) ([]mesh.LogOperation, error) {
	return nil, ErrNotRecorded
}

// Doctor answers ErrNotRecorded.
func (p *Replay) Doctor(context.Context, func(mesh.CheckResult)) error { return ErrNotRecorded }

// pause waits for d or the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
