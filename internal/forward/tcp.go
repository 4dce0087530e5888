package forward

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	// maxConns bounds the TCP connections relayed at a time. Two nodes make one or two; the rest is room for
	// those that died during a cut.
	maxConns = 64
	// chunk is how much is read at once, and thereby held, per direction of a connection.
	chunk = 32 << 10
	// dialLimit bounds connecting to the target, which on the loopback address succeeds or fails at once.
	dialLimit = 5 * time.Second
	// errorPause follows an error of a listening socket, such as a want of file descriptors.
	errorPause = 10 * time.Millisecond
)

// rest waits a moment after an error of a listening socket and reports whether to go on.
func rest(ctx context.Context) bool {
	t := time.NewTimer(errorPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// serveTCP accepts until the port is closed or ctx ends.
func (f *Forwarder) serveTCP(ctx context.Context) {
	slots := make(chan struct{}, maxConns)
	for {
		down, err := f.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !rest(ctx) {
				return
			}
			continue
		}
		select {
		case slots <- struct{}{}:
			f.work.Go(func() {
				defer func() { <-slots }()
				f.relay(ctx, down)
			})
		default:
			_ = down.Close()
		}
	}
}

// relay serves one connection until both directions have ended.
func (f *Forwarder) relay(ctx context.Context, down *net.TCPConn) {
	if !f.track(down) {
		return
	}
	defer f.untrack(down)
	if f.gate.wait(ctx) != nil {
		return
	}
	d := net.Dialer{Timeout: dialLimit}
	c, err := d.DialContext(ctx, "tcp", f.target.Load().String())
	if err != nil {
		return
	}
	up := c.(*net.TCPConn)
	if !f.track(up) {
		return
	}
	defer f.untrack(up)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.pump(ctx, up, down)
	}()
	f.pump(ctx, down, up)
	<-done
}

// pump copies one direction to its end and passes that end on. A direction that breaks takes the other along.
func (f *Forwarder) pump(ctx context.Context, from, to *net.TCPConn) {
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if f.gate.wait(ctx) != nil {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
			f.carried.Add(uint64(n))
		}
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		default: // io.EOF, or a reset, which ends it as well
			_ = to.CloseWrite()
			return
		}
	}
}

// track remembers a connection for Close and reports whether it may live: after Close none does.
func (f *Forwarder) track(c *net.TCPConn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		_ = c.Close()
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

func (f *Forwarder) untrack(c *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	_ = c.Close()
}
