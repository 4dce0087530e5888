package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Forwarder relays what arrives on one port of 127.0.0.1, TCP and UDP, to a target, and the answers back. Its
// methods are safe for concurrent use.
type Forwarder struct {
	tcp *net.TCPListener
	udp *net.UDPConn

	target  atomic.Pointer[netip.AddrPort]
	gate    gate
	flows   flows
	carried atomic.Uint64

	mu    sync.Mutex
	conns map[*net.TCPConn]struct{} // both halves of every relayed connection; nil once closed
	work  sync.WaitGroup
}

// ErrNotLoopback refuses a target that is not on this machine.
var ErrNotLoopback = errors.New("not a loopback address")

// Listen binds a free port, the same number for TCP and UDP. It relays nothing before Run. Run or Close
// releases the port.
func Listen(target netip.AddrPort) (*Forwarder, error) {
	f := &Forwarder{conns: map[*net.TCPConn]struct{}{}, flows: newFlows()}
	f.gate.heal()
	if err := f.SetTarget(target); err != nil {
		return nil, err
	}
	var err error
	for range bindTries {
		if f.tcp, f.udp, err = bind(); err == nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("listen on a free port of 127.0.0.1: %w", err)
}

// bindTries is how often a port that is free for TCP may turn out to be taken for UDP.
const bindTries = 20

func bind() (*net.TCPListener, *net.UDPConn, error) {
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	at := tcp.Addr().(*net.TCPAddr)
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: at.IP, Port: at.Port})
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	_ = udp.SetReadBuffer(socketBuffer) // what the system grants is enough
	return tcp, udp, nil
}

// Addr is where the forwarder listens.
func (f *Forwarder) Addr() netip.AddrPort {
	return f.tcp.Addr().(*net.TCPAddr).AddrPort()
}

// SetTarget changes where new connections and packets go. TCP connections stay with the target they have.
func (f *Forwarder) SetTarget(target netip.AddrPort) error {
	if !target.Addr().IsLoopback() {
		return fmt.Errorf("forward to %s: %w", target, ErrNotLoopback)
	}
	f.target.Store(&target)
	f.flows.closeAll()
	return nil
}

// Cut stops everything in both directions until Heal, silently.
func (f *Forwarder) Cut() { f.gate.cut() }

// Heal ends a cut.
func (f *Forwarder) Heal() { f.gate.heal() }

// Carried is how many bytes were passed on so far, in both directions: what TCP connections and UDP packets held,
// without the headers that a network adds.
func (f *Forwarder) Carried() uint64 { return f.carried.Load() }

// Run relays until ctx ends, then closes the port and every connection. It returns when nothing of it is
// left. It is called once.
func (f *Forwarder) Run(ctx context.Context) {
	f.work.Go(func() {
		<-ctx.Done()
		f.Close()
	})
	f.work.Go(func() { f.serveTCP(ctx) })
	f.work.Go(func() { f.serveUDP(ctx) })
	f.work.Wait()
}

// Close releases the port of a forwarder that is not run. More calls do nothing.
func (f *Forwarder) Close() {
	f.mu.Lock()
	conns := f.conns
	f.conns = nil
	f.mu.Unlock()
	_ = f.tcp.Close()
	_ = f.udp.Close()
	for c := range conns {
		_ = c.Close()
	}
	f.flows.close()
}

// gate is open or shut; whoever wants to pass waits until it is open.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
}

func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = make(chan struct{})
	}
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

// passes is closed as long as the gate is open. After a wait it has to be asked again: the gate may have been
// shut anew.
func (g *gate) passes() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *gate) isOpen() bool {
	select {
	case <-g.passes():
		return true
	default:
		return false
	}
}

// wait returns when the gate is open, or with the error of ctx.
func (g *gate) wait(ctx context.Context) error {
	for {
		select {
		case <-g.passes():
		case <-ctx.Done():
			return ctx.Err()
		}
		if g.isOpen() {
			return nil
		}
	}
}
