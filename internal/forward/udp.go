package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxFlows bounds the clients whose answers find their way back. A node makes one, or one per restart.
	maxFlows = 64
	// flowIdle ends a flow that carried nothing for so long. QUIC connections keep themselves alive every
	// fifteen seconds.
	flowIdle = time.Minute
	// maxPacket is the largest UDP payload there is.
	maxPacket = 1<<16 - 1
	// socketBuffer is asked for per socket, so that a burst of QUIC is not lost in the middle of one machine.
	socketBuffer = 1 << 20
)

// flow is what one client sends and gets: a socket of its own towards the target, so that the target tells
// clients apart by their ports.
type flow struct {
	up   *net.UDPConn
	used atomic.Int64 // when it last carried a packet, in nanoseconds since flows.begun
}

// flows finds the flow of a client by its address.
type flows struct {
	begun time.Time

	mu       sync.Mutex
	byClient map[netip.AddrPort]*flow // nil once closed
}

func newFlows() flows { return flows{begun: time.Now(), byClient: map[netip.AddrPort]*flow{}} }

// touch notes that the flow is in use.
func (fs *flows) touch(fl *flow) { fl.used.Store(int64(time.Since(fs.begun))) }

func (fs *flows) idle(fl *flow) time.Duration {
	return time.Since(fs.begun) - time.Duration(fl.used.Load())
}

// get returns the flow of a client, making one if needed; a full table gives up the one that was idle for
// longest. fresh tells that its answers still need a reader.
func (fs *flows) get(client netip.AddrPort, target netip.AddrPort) (fl *flow, fresh bool, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byClient == nil {
		return nil, false, net.ErrClosed
	}
	if fl := fs.byClient[client]; fl != nil {
		return fl, false, nil
	}
	up, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		return nil, false, err
	}
	_ = up.SetReadBuffer(socketBuffer) // what the system grants is enough
	if len(fs.byClient) >= maxFlows {
		fs.evict()
	}
	fl = &flow{up: up}
	fs.touch(fl)
	fs.byClient[client] = fl
	return fl, true, nil
}

// evict closes the flow that was idle for longest. The caller holds the lock.
func (fs *flows) evict() {
	var oldest netip.AddrPort
	var longest time.Duration = -1
	for client, fl := range fs.byClient {
		if d := fs.idle(fl); d > longest {
			oldest, longest = client, d
		}
	}
	if fl := fs.byClient[oldest]; fl != nil {
		_ = fl.up.Close()
		delete(fs.byClient, oldest)
	}
}

// drop ends the flow of a client, unless that has another one by now.
func (fs *flows) drop(client netip.AddrPort, fl *flow) {
	_ = fl.up.Close()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byClient[client] == fl {
		delete(fs.byClient, client)
	}
}

func (fs *flows) closeAll() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for client, fl := range fs.byClient {
		_ = fl.up.Close()
		delete(fs.byClient, client)
	}
}

// close is closeAll for good.
func (fs *flows) close() {
	fs.closeAll()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.byClient = nil
}

func (fs *flows) count() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.byClient)
}

// serveUDP carries packets towards the target until the port is closed or ctx ends.
func (f *Forwarder) serveUDP(ctx context.Context) {
	buf := make([]byte, maxPacket)
	for {
		n, client, err := f.udp.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed), err != nil && !rest(ctx):
			return
		case err != nil, !f.gate.isOpen():
			continue
		}
		fl, fresh, err := f.flows.get(client, *f.target.Load())
		if err != nil {
			continue // a lost packet: UDP loses them
		}
		if fresh {
			f.work.Go(func() { f.answers(client, fl) })
		}
		f.flows.touch(fl)
		if _, err := fl.up.Write(buf[:n]); err == nil { // refused: nobody listens there now
			f.carried.Add(uint64(n))
		}
	}
}

// answers carries packets back to a client until the flow ends or was idle for too long.
func (f *Forwarder) answers(client netip.AddrPort, fl *flow) {
	defer f.flows.drop(client, fl)
	buf := make([]byte, maxPacket)
	for {
		_ = fl.up.SetReadDeadline(time.Now().Add(flowIdle))
		n, err := fl.up.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if f.flows.idle(fl) >= flowIdle {
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // refused: nobody listened when the client last sent something
		case f.gate.isOpen():
			f.flows.touch(fl)
			f.carried.Add(uint64(n))
			_, _ = f.udp.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}
