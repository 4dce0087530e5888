package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// node is the live node of one namespace: whichever pod is it now, and the door to it.
type node struct {
	c         *Cluster
	namespace string

	mu     sync.Mutex // held while a door is opened: who else wants in waits for the same
	door   door
	err    error     // why there was none at the last attempt
	failed time.Time // when that was
}

// door is a way into one pod.
type door interface {
	http.RoundTripper
	broken() bool // it leads nowhere any more
	close()
}

// freshness says whether a refusal of a moment ago will do.
type freshness bool

const (
	fresh  freshness = true
	recent freshness = false
)

// again is how long a refusal is believed by those who can do without the node, such as a table that is asked for
// every second.
const again = 10 * time.Second

// roundTrip sends a request to the live node. A connection that broke is replaced, once, if the request only reads.
func (n *node) roundTrip(req *http.Request, f freshness) (*http.Response, error) {
	for first := true; ; first = false {
		d, err := n.open(req.Context(), f)
		if err != nil {
			return nil, err
		}
		resp, err := d.RoundTrip(req)
		if err == nil {
			return n.watched(req, d, resp), nil
		}
		var refused refusedError
		nobody := errors.As(err, &refused)
		reads := req.Method == http.MethodGet
		switch {
		case errors.Is(req.Context().Err(), context.Canceled):
			return nil, err
		case req.Context().Err() != nil:
			n.drop(d, err) // the way may be dead; the next request finds another
			return nil, err
		case first && reads && !nobody:
			n.drop(d, err)
			f = fresh
		case reads && nobody && n.instead(d):
			resp, second := n.through(req)
			if second != nil {
				err = &notLive{err, second}
				n.drop(nil, err)
				return nil, err
			}
			return resp, nil
		default:
			n.drop(d, err)
			return nil, err
		}
	}
}

// open returns the door, which may be there already.
func (n *node) open(ctx context.Context, f freshness) (door, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.door != nil && !n.door.broken() {
		return n.door, nil
	}
	n.forget()
	if n.err != nil && f == recent && time.Since(n.failed) < again {
		return nil, n.err
	}
	ctx, cancel := part(ctx)
	defer cancel()
	n.door, n.err = n.c.open(ctx, n.namespace)
	n.failed = time.Now()
	return n.door, n.err
}

// open finds the pod and a way into it.
func (c *Cluster) open(ctx context.Context, namespace string) (door, error) {
	if c.cfg.Via == None {
		return nil, ErrViaNone
	}
	p, err := c.findPod(ctx, namespace)
	if err != nil {
		return nil, err
	}
	if c.cfg.Via == Proxy {
		return &proxy{c: c, pod: p}, nil
	}
	f, err := c.forwardTo(ctx, p)
	switch {
	case err == nil:
		return f, nil
	case c.cfg.Via == PortForward:
		return nil, err
	}
	return &proxy{c: c, pod: p, instead: err}, nil
}

// instead puts pods/proxy in the place of a port-forward at whose end nothing answered, if that is allowed.
func (n *node) instead(d door) bool {
	f, ok := d.(*forward)
	if !ok || n.c.cfg.Via != Auto {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.door == d {
		n.door = &proxy{c: n.c, pod: f.pod}
	}
	f.close()
	return true
}

// through is roundTrip without another attempt.
func (n *node) through(req *http.Request) (*http.Response, error) {
	d, err := n.open(req.Context(), fresh)
	if err != nil {
		return nil, err
	}
	return d.RoundTrip(req)
}

// drop lets the next request look for the pod again, because d failed.
func (n *node) drop(d door, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d == nil || n.door == d {
		n.forget()
	}
	n.err, n.failed = why, time.Now()
}

// forget closes the door. The caller holds mu.
func (n *node) forget() {
	if n.door != nil {
		n.door.close()
		n.door = nil
	}
}

func (n *node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget()
}

// silence is how long a stream of events may say nothing: the node says something every second.
const silence = 15 * time.Second

// watched ends a stream of events that fell silent: nothing else would notice that the way of it died.
func (n *node) watched(req *http.Request, d door, resp *http.Response) *http.Response {
	if req.URL.Path != "/api/v1/events" || resp.StatusCode != http.StatusOK {
		return resp
	}
	body := resp.Body
	timer := time.AfterFunc(silence, func() {
		n.drop(d, errors.New("the stream of events fell silent"))
		_ = body.Close() // the reader is told by its next Read
	})
	resp.Body = &watchedBody{body, timer}
	return resp
}

type watchedBody struct {
	io.ReadCloser
	timer *time.Timer
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.timer.Reset(silence)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}
