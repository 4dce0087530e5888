package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

// Of the protocol portforward.k8s.io: a connection to a port is two streams, that of the data and one on which the far
// end says what went wrong.
const (
	protocol      = "portforward.k8s.io"
	headerType    = "streamType"
	headerPort    = "port"
	headerRequest = "requestID"
	typeData      = "data"
	typeError     = "error"
)

const (
	// pingEvery finds out that the way is dead where nothing else is sent.
	pingEvery = 10 * time.Second
	// verdictTime is how long the reason for an end may come after it; the far end sends it before.
	verdictTime = time.Second
	// idleTime is how long a connection waits for its next request: some polls, far below the server's own limit.
	idleTime = 30 * time.Second
)

// forward is a port-forward into a pod: one upgraded request to the API server that carries connections to the API of
// the node.
type forward struct {
	pod      pod
	conn     httpstream.Connection
	requests atomic.Int64
	http     *http.Transport
}

// forwardTo opens one. ctx bounds the opening only.
func (c *Cluster) forwardTo(ctx context.Context, p pod) (*forward, error) {
	cfg := rest.CopyConfig(c.rest)
	cfg.Timeout = 0
	where, err := c.podURL(p, "portforward")
	if err != nil {
		return nil, err
	}
	conn, err := upgrade(ctx, cfg, where)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = explain(err, c.host(), "create", "pods/portforward", p.namespace)
		var refused *ForbiddenError
		var unknown *UnauthenticatedError
		if errors.As(err, &refused) || errors.As(err, &unknown) {
			return nil, err
		}
		return nil, &PodError{p.namespace, p.name, PortForward, err}
	}
	f := &forward{pod: p, conn: conn}
	f.http = &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return f.dial(ctx) },
		DisableCompression: true,
		MaxIdleConns:       2,
		IdleConnTimeout:    idleTime,
		// A proxy from the environment must never see these requests: Proxy stays nil.
	}
	return f, nil
}

// podURL is the address of a subresource of a pod.
func (c *Cluster) podURL(p pod, sub string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(c.rest)
	if err != nil {
		return nil, plainError{err}
	}
	return base.JoinPath("/api/v1/namespaces", p.namespace, "pods", p.name, sub), nil
}

// upgrade asks for the connection by WebSocket and, where a server or something on the way to it doesn't take that, by
// SPDY. What was wrong with the first is told if both fail.
func upgrade(ctx context.Context, cfg *rest.Config, where *url.URL) (httpstream.Connection, error) {
	conn, err := overWebSocket(ctx, cfg, where)
	if err == nil || !httpstream.IsUpgradeFailure(err) && !httpstream.IsHTTPSProxyError(err) {
		return conn, err
	}
	conn, second := overSPDY(ctx, cfg, where)
	if second == nil {
		return conn, nil
	}
	var failed *httpstream.UpgradeFailureError
	if errors.As(err, &failed) {
		err = failed.Cause
	}
	return nil, err
}

func overWebSocket(ctx context.Context, cfg *rest.Config, where *url.URL) (httpstream.Connection, error) {
	rt, holder, err := websocket.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	ws, err := websocket.Negotiate(rt, holder, req, "SPDY/3.1+"+protocol)
	if err != nil {
		return nil, err
	}
	return streamspdy.NewClientConnectionWithPings(portforward.NewTunnelingConnection("mesh", ws), pingEvery)
}

func overSPDY(ctx context.Context, cfg *rest.Config, where *url.URL) (httpstream.Connection, error) {
	rt, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, _, err := spdy.NegotiateStreaming(upgrader, &http.Client{Transport: rt}, req, protocol)
	return conn, err
}

// RoundTrip sends a request to the node. It names the loopback address: the node serves no other name there.
func (f *forward) RoundTrip(req *http.Request) (*http.Response, error) {
	to := req.Clone(req.Context())
	to.URL.Scheme, to.URL.Host = "http", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.pod.api))
	to.Host = to.URL.Host
	resp, err := f.http.RoundTrip(to)
	switch {
	case err == nil:
		return resp, nil
	case req.Context().Err() != nil:
		return nil, req.Context().Err()
	}
	return nil, &PodError{f.pod.namespace, f.pod.name, PortForward, plainError{err}}
}

func (f *forward) broken() bool {
	select {
	case <-f.conn.CloseChan():
		return true
	default:
		return false
	}
}

func (f *forward) close() {
	f.http.CloseIdleConnections()
	_ = f.conn.Close() // what is still under way ends with an error of its own
}

// dial opens one connection to the port of the API.
func (f *forward) dial(ctx context.Context) (net.Conn, error) {
	h := http.Header{}
	h.Set(headerType, typeError)
	h.Set(headerPort, strconv.Itoa(f.pod.api))
	h.Set(headerRequest, strconv.FormatInt(f.requests.Add(1), 10))
	failing, err := f.makeStream(ctx, h)
	if err != nil {
		return nil, err
	}
	_ = failing.Close() // our half of it: nothing is ever said there
	h = h.Clone()
	h.Set(headerType, typeData)
	data, err := f.makeStream(ctx, h)
	if err != nil {
		f.remove(failing)
		return nil, err
	}
	s := &stream{f: f, data: data, failing: failing, verdict: make(chan struct{})}
	go s.listen()
	return s, nil
}

// errBroken says that the port-forward itself has ended.
var errBroken = errors.New("the port-forward was closed")

// makeStream asks the far end for a stream. The library waits 30 s for an answer even when the connection is gone and
// knows no context, so that is left to a goroutine, which ends then at the latest.
func (f *forward) makeStream(ctx context.Context, h http.Header) (httpstream.Stream, error) {
	type made struct {
		stream httpstream.Stream
		err    error
	}
	done := make(chan made) // unbuffered: who waits no longer doesn't get the stream
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		s, err := f.conn.CreateStream(h)
		select {
		case done <- made{s, err}:
		case <-gone:
			if err == nil {
				f.remove(s)
			}
		}
	}()
	select {
	case m := <-done:
		return m.stream, m.err
	case <-f.conn.CloseChan():
		return nil, errBroken
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// remove forgets streams and ends them, whatever is still on its way. On a connection that is gone there is nothing
// left to say, so errors are of no interest.
func (f *forward) remove(streams ...httpstream.Stream) {
	f.conn.RemoveStreams(streams...)
	for _, s := range streams {
		_ = s.Reset()
	}
}

// stream is one connection through a port-forward. Deadlines are not supported: http.Transport, which alone uses it,
// sets none and closes it instead.
type stream struct {
	f             *forward
	data, failing httpstream.Stream
	closing       sync.Once

	verdict chan struct{} // closed when the far end has said what went wrong, or will not any more
	err     error         // what it said; read after verdict
}

// refusedError is what the far end says went wrong: it has no connection to the port.
type refusedError string

func (e refusedError) Error() string { return string(e) }

// maxVerdict bounds what the far end says went wrong, in bytes.
const maxVerdict = 4 << 10

// listen waits for what the far end has to say. It ends with the stream.
func (s *stream) listen() {
	defer close(s.verdict)
	text, _ := io.ReadAll(io.LimitReader(s.failing, maxVerdict)) // an error ends it as a silence does
	if len(text) > 0 {
		s.err = refusedError(line(string(text)))
	}
}

// Read returns what the far end said went wrong in place of a mere end.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.data.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	return 0, s.reason(err)
}

// Write does the same: the far end may have ended the stream before anything was said.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.data.Write(p)
	if err != nil {
		err = s.reason(err)
	}
	return n, err
}

// reason is what the far end said, which may come a little after the end that it explains, or else err.
func (s *stream) reason(err error) error {
	t := time.NewTimer(verdictTime)
	defer t.Stop()
	select {
	case <-s.verdict:
		if s.err != nil {
			return s.err
		}
	case <-t.C:
	}
	return err
}

// Close ends both streams, whatever is still on its way.
func (s *stream) Close() error {
	s.closing.Do(func() { s.f.remove(s.data, s.failing) })
	return nil
}

// podAddr is the address of a pod's port.
type podAddr string

func (podAddr) Network() string  { return "portforward" }
func (a podAddr) String() string { return string(a) }

func (s *stream) LocalAddr() net.Addr { return podAddr("kubectl") }
func (s *stream) RemoteAddr() net.Addr {
	return podAddr(fmt.Sprintf("%s/%s:%d", s.f.pod.namespace, s.f.pod.name, s.f.pod.api))
}
func (s *stream) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (s *stream) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (s *stream) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
