package kube_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// cut is a network between an adapter and its API server that breaks, and a history that is forgotten meanwhile.
type cut struct {
	traffic *traffic
	mu      sync.Mutex
	broken  bool
	gone    bool // the next watch is told that its version is too old
	told    int
}

var errCut = errors.New("the network is cut")

// newCut puts one before an adapter.
func newCut(r *rig) *cut {
	c := &cut{traffic: r.traffic}
	r.traffic.mu.Lock()
	defer r.traffic.mu.Unlock()
	r.traffic.through = c.through
	return c
}

func (c *cut) through(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	c.mu.Lock()
	broken, gone := c.broken, c.gone && req.URL.Query().Get("watch") != ""
	if gone {
		c.told++
		c.gone = false
	}
	c.mu.Unlock()
	if broken {
		return nil, errCut
	}
	if gone {
		return &http.Response{
			StatusCode: http.StatusGone, Status: "410 Gone", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,` +
				`"message":"too old resource version"}`)),
		}, nil
	}
	return next.RoundTrip(req)
}

// cut breaks the network: streams end, requests fail.
func (c *cut) cut() {
	c.mu.Lock()
	c.broken = true
	c.mu.Unlock()
	c.traffic.mu.Lock()
	defer c.traffic.mu.Unlock()
	for _, s := range c.traffic.streams {
		s.Close()
	}
}

// heal ends the break.
func (c *cut) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = false
}

// expire ends the break, and forgets the history: the next watch is too old.
func (c *cut) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken, c.gone = false, true
}

func (c *cut) expired() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

// slow is a body whose bytes arrive when the gate opens.
type slow struct {
	io.ReadCloser
	gate <-chan struct{}
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	<-s.gate
	return n, err
}
