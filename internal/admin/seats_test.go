package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// patience is shorter than the minute for which a server keeps a connection without requests, and long for anything else.
const patience = 30 * time.Second

// open connects to a server until the test ends.
func open(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a request over a connection that stays.
func ask(t *testing.T, c net.Conn, path string) {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// answered reads the answer to a request.
func answered(t *testing.T, c net.Conn) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
}

// probe asks as a kubelet does, over a connection of its own.
func probe(t *testing.T, addr, path string) {
	t.Helper()
	c := open(t, addr)
	ask(t, c, path)
	answered(t, c)
	c.Close()
}

// seated runs a server that lets connections wait for ever. It tells when one begins to wait for its next request.
func seated(t *testing.T, ctx context.Context, most int, h http.HandlerFunc) (addr string, waits <-chan struct{}) {
	t.Helper()
	idle := make(chan struct{}, 1000)
	follow := admin.Seats(ctx, most)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ConnState: func(c net.Conn, now http.ConnState) {
		follow(c, now)
		if now == http.StateIdle {
			idle <- struct{}{}
		}
	}}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String(), idle
}

// Connections on which nothing is asked any more keep no prober waiting, and end no stream.
func TestIdleConnectionsGiveWay(t *testing.T) {
	s := serve(t, newFakeNode(t), func(c *admin.Config) { c.Proxy = true })
	at, _ := s.HTTPAddr()
	stream := frames(t, "http://"+at.String())
	until(t, stream, anyFrame)
	for range admin.MaxConnections {
		c := open(t, at.String())
		ask(t, c, "/livez")
		answered(t, c)
	}
	for range 3 {
		probe(t, at.String(), "/livez")
	}
	begun := time.Now()
	until(t, stream, func(f mesh.Frame) bool { return f.Time.After(begun) })
}

// Nor do connections on which nothing was ever said.
func TestSilentConnectionsGiveWay(t *testing.T) {
	at, _ := seated(t, t.Context(), admin.MaxConnections, func(http.ResponseWriter, *http.Request) {})
	for range 2 * admin.MaxConnections {
		open(t, at)
	}
	probe(t, at, "/")
}

// The one that has waited longest gives way, and a request counts as news of it.
func TestTheLongestIdleGivesWay(t *testing.T) {
	at, waits := seated(t, t.Context(), 2, func(http.ResponseWriter, *http.Request) {})
	first, second := open(t, at), open(t, at)
	for _, c := range []net.Conn{first, second, first} {
		ask(t, c, "/")
		answered(t, c)
		<-waits
	}
	third := open(t, at)
	ask(t, third, "/")
	answered(t, third)
	if n, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the one that waited longest: %d bytes, %v, want its end", n, err)
	}
	ask(t, first, "/")
	answered(t, first)
}

// A newcomer waits where all others have requests under way, until one of them is done.
func TestRequestsUnderWayAreNotCut(t *testing.T) {
	begun, end := make(chan struct{}, 3), make(chan struct{})
	at, _ := seated(t, t.Context(), 2, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if r.URL.Path == "/long" {
			<-end
		}
	})
	long := []net.Conn{open(t, at), open(t, at)}
	for _, c := range long {
		ask(t, c, "/long")
		<-begun
	}
	short := open(t, at)
	ask(t, short, "/short")
	select {
	case <-begun:
		t.Error("three requests at a time, want two")
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	answered(t, short)
	answered(t, long[1])
}

// A newcomer that waits for its seat doesn't keep a server from ending.
func TestNobodyWaitsForASeatAtTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) }) // after the server's end
	at, _ := seated(t, ctx, 1, func(http.ResponseWriter, *http.Request) { close(begun); <-end })
	c := open(t, at)
	ask(t, c, "/")
	<-begun
	open(t, at)
	cancel()
}
