package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	eventsPath = "/api/v1/events"
	// silence is how long a stream may be without a word, when one is due every second. It covers a busy node and a
	// slow way to it.
	silence = 15 * time.Second
	// maxParts is the most members and elements of one frame that a client reads, ten times what a node sends: a few
	// bytes of JSON may become a few hundred in memory.
	maxParts = 500_000
)

// events streams what the node tells until the reader goes away, is too slow, or the node stops.
func (a *api) events(w http.ResponseWriter, r *http.Request) {
	if a.inspector() == nil {
		writeError(w, errStarting())
		return
	}
	s, err := newStream(w)
	if err != nil {
		a.log.Debug("stream not begun", "err", err)
		return
	}
	sub := a.hub.join()
	defer a.hub.leave(sub)
	for {
		select {
		case batch := <-sub.queue:
			sub.took(batch)
			if err := s.write(batch.messages...); err != nil {
				a.log.Debug("a watcher is gone", "err", err)
				return
			}
		case <-sub.dropped:
			a.log.Debug("a watcher reads too slowly and is dropped")
			return
		case <-r.Context().Done():
			return
		case <-a.ending:
			return
		}
	}
}

// Frames watches a node and hands every frame to sink, in order, until ctx ends or the stream does; it returns
// why. The first frame is whole. The client's own deadline doesn't count, but a node that says nothing for 15
// seconds is given up.
func (c *Client) Frames(ctx context.Context, sink func(mesh.Frame)) error {
	return c.stream(ctx, eventsPath, func(data []byte) error {
		if bytes.Count(data, []byte(",")) > maxParts {
			return fmt.Errorf("its stream holds a frame of more than %d parts", maxParts)
		}
		var f mesh.Frame
		if err := json.Unmarshal(data, &f); err != nil {
			return fmt.Errorf("its stream holds something that is no frame: %w", err)
		}
		if f.Time.IsZero() {
			return errors.New("its stream holds a frame without a time")
		}
		sink(f)
		return nil
	})
}

var (
	errSilent = fmt.Errorf("it said nothing for %s", silence)
	errEnded  = errors.New("it ended the stream")
)

// stream reads the messages of a path until ctx ends or the stream does. It never returns nil.
func (c *Client) stream(ctx context.Context, path string, each func(data []byte) error) error {
	watch, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(silence, func() { stop(errSilent) })
	defer timer.Stop()
	endless := *c
	endless.http.Timeout = 0
	err := endless.open(watch, http.MethodGet, path, nil, nil, func(r io.Reader) error {
		ms := newMessages(r, func() { timer.Reset(silence) })
		for {
			data, err := ms.next()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errEnded
			}
			if err != nil {
				return err
			}
			if err := each(data); err != nil {
				return err
			}
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(context.Cause(watch), errSilent) {
		return &UnreachableError{c.addr, errSilent}
	}
	return err
}
