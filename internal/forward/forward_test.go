package forward_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/forward"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	// patience is how long anything may take on a busy machine.
	patience = 30 * time.Second
	// silence is how long nothing has to arrive to be called cut. Too short a wait never fails a good build.
	silence = 50 * time.Millisecond
)

// start runs a forwarder until the test ends.
func start(t *testing.T, target net.Addr) *forward.Forwarder {
	t.Helper()
	f, err := forward.Listen(netip.MustParseAddrPort(target.String()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// echoTCP answers with what it gets, and closes when the other side has closed.
func echoTCP(t *testing.T) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return l.Addr()
}

// echoUDP answers every packet.
func echoUDP(t *testing.T) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr()
}

func dial(t *testing.T, network string, f *forward.Forwarder) net.Conn {
	t.Helper()
	c, err := net.Dial(network, f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

func expectSilence(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(silence))
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("read %d bytes, %v through a cut", n, err)
	}
}

// insist sends until the answer comes: UDP may lose what was sent around a change.
func insist(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, 1<<16)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		write(t, c, text)
		_ = c.SetReadDeadline(time.Now().Add(silence))
		if n, err := c.Read(got); err == nil && string(got[:n]) == text {
			return
		}
	}
	t.Fatalf("%q was never answered", text)
}

func TestTCP(t *testing.T) {
	t.Parallel()
	f := start(t, echoTCP(t))
	c := dial(t, "tcp", f)
	big := make([]byte, 4<<20)
	_, _ = rand.Read(big)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(big)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c) // ends only because the end is passed on both ways
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("got %d bytes back, %v, want the %d sent", len(got), err, len(big))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if n := f.Carried(); n != 2*uint64(len(big)) {
		t.Errorf("it counts %d bytes carried, want %d there and as many back", n, len(big))
	}
}

func TestTCPCut(t *testing.T) {
	t.Parallel()
	f := start(t, echoTCP(t))
	old := dial(t, "tcp", f)
	write(t, old, "before")
	expect(t, old, "before")
	f.Cut()
	f.Cut() // once is enough, twice does no harm
	write(t, old, "held")
	fresh := dial(t, "tcp", f)
	write(t, fresh, "also held")
	expectSilence(t, old)
	expectSilence(t, fresh)
	f.Heal()
	f.Heal()
	expect(t, old, "held")
	expect(t, fresh, "also held")
}

func TestTCPTargetGone(t *testing.T) {
	t.Parallel()
	target := echoTCP(t)
	f := start(t, target)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if err := f.SetTarget(netip.MustParseAddrPort(gone.Addr().String())); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "tcp", f)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v from nobody", n, err)
	}
	if err := f.SetTarget(netip.MustParseAddrPort(target.String())); err != nil {
		t.Fatal(err)
	}
	c = dial(t, "tcp", f)
	write(t, c, "back")
	expect(t, c, "back")
}

func TestUDP(t *testing.T) {
	t.Parallel()
	f := start(t, echoUDP(t))
	a, b := dial(t, "udp", f), dial(t, "udp", f)
	insist(t, a, "from a")
	insist(t, b, "from b") // each gets its own answers
	insist(t, a, string(bytes.Repeat([]byte("x"), 1400)))
	// A packet is counted once it was sent: its answer may be quicker.
	deadline := time.Now().Add(patience)
	for f.Carried() < 2*(6+6+1400) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := f.Carried(); n < 2*(6+6+1400) {
		t.Errorf("it counts %d bytes carried, want 1412 there and as many back at least", n)
	}
}

func TestUDPCut(t *testing.T) {
	t.Parallel()
	f := start(t, echoUDP(t))
	c := dial(t, "udp", f)
	insist(t, c, "before")
	f.Cut()
	write(t, c, "lost")
	// Answers to what was sent before may be on their way already, however many: what was sent since has none.
	for {
		got := make([]byte, 16)
		_ = c.SetReadDeadline(time.Now().Add(silence))
		n, err := c.Read(got)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			break
		}
		if err != nil || string(got[:n]) != "before" {
			t.Fatalf("read %q, %v through a cut", got[:n], err)
		}
	}
	f.Heal()
	insist(t, c, "after")
}

func TestUDPTargetComesBack(t *testing.T) {
	t.Parallel()
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	f := start(t, gone.LocalAddr())
	c := dial(t, "udp", f)
	write(t, c, "to nobody")
	expectSilence(t, c)
	if err := f.SetTarget(netip.MustParseAddrPort(echoUDP(t).String())); err != nil {
		t.Fatal(err)
	}
	insist(t, c, "to somebody")
}

// More clients than are remembered: the ones idle for longest make room.
func TestUDPManyClients(t *testing.T) {
	t.Parallel()
	f := start(t, echoUDP(t))
	for range 200 {
		insist(t, dial(t, "udp", f), "hello")
	}
	if n := f.Flows(); n > forward.MaxFlows {
		t.Errorf("%d flows are held, at most %d may be", n, forward.MaxFlows)
	}
}

// What is beyond the bound is turned away; those inside it wait for the end of the cut.
func TestTCPManyClients(t *testing.T) {
	t.Parallel()
	f := start(t, echoTCP(t))
	f.Cut()
	conns := make([]net.Conn, forward.MaxConns+1)
	for i := range conns { // they are accepted in this order
		conns[i] = dial(t, "tcp", f)
	}
	last := conns[forward.MaxConns]
	_ = last.SetReadDeadline(time.Now().Add(patience))
	var timeout net.Error
	if _, err := last.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("connection %d was not turned away: %v", len(conns), err)
	}
	f.Heal()
	for _, c := range conns[:forward.MaxConns] {
		write(t, c, "x")
		expect(t, c, "x")
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"192.0.2.1:9102", "0.0.0.0:9102", "[2001:db8::1]:9102", "8.8.8.8:53"} {
		f, err := forward.Listen(netip.MustParseAddrPort(target))
		if !errors.Is(err, forward.ErrNotLoopback) {
			t.Errorf("Listen(%s) = %v, want ErrNotLoopback", target, err)
			f.Close()
		}
	}
	f, err := forward.Listen(netip.MustParseAddrPort("127.0.0.1:9"))
	if err != nil {
		t.Fatal(err)
	}
	if !f.Addr().Addr().IsLoopback() {
		t.Errorf("listens on %s", f.Addr())
	}
	f.Close()
	f.Close()
}

// The end of Run is the end of everything: ports, connections held by a cut, goroutines (see TestMain).
func TestRunEnds(t *testing.T) {
	t.Parallel()
	f, err := forward.Listen(netip.MustParseAddrPort(echoTCP(t).String()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	live := dial(t, "tcp", f)
	write(t, live, "x")
	expect(t, live, "x")
	f.Cut()
	held := dial(t, "tcp", f)
	write(t, live, "held")
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Run goes on after its context ended")
	}
	for _, c := range []net.Conn{live, held} {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlived Run")
		}
	}
	l, err := net.Listen("tcp", f.Addr().String())
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	l.Close()
}
