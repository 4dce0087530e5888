package node

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// maxStrangers is how many connections of keys that are not admitted are open at a time, and
	// maxStrangersOfSource how many of them come from one address, so that nobody takes all places. Whoever joins
	// needs one for a second.
	maxStrangers         = 8
	maxStrangersOfSource = 4
	// visitsPerMinute is how often an address may come. A node that is not admitted here and keeps trying comes
	// up to eight times, and several may share an address.
	visitsPerMinute = 60
	// strangerStay is how long a stranger's connection lives; an exchange that is under way by then may end
	// first, and is bounded itself.
	strangerStay = 15 * time.Second
	// maxExchanges is how many streams of the join protocol a stranger may open on a connection.
	maxExchanges = 4
)

// codeNotAdmitted ends the connection of a stranger whose time is up.
const codeNotAdmitted network.StreamErrorCode = 0x2005

// door keeps count of the strangers: connections whose key was not admitted when they were opened. Such a
// connection stays a stranger's until it ends, even if the key is admitted meanwhile: gossip was never started
// on it. They reach the join protocol and libp2p's identify, nothing else.
type door struct {
	stay  time.Duration
	comes *tries

	mu sync.Mutex
	in map[string]*visit // by id of the connection
}

// visit is one connection of a stranger.
type visit struct {
	source netip.Prefix
	gone   chan struct{} // closed when the connection has ended

	mu        sync.Mutex
	exchanges int // begun
	busy      int // under way
}

func newDoor(now func() time.Time) *door {
	return &door{stay: strangerStay, comes: newTries(visitsPerMinute, now), in: map[string]*visit{}}
}

// sourceOf is what stands for the origin of a connection: an IPv4 address, or the network of an IPv6 one,
// within which whoever sits there has all addresses. The zero value stands for all that have neither.
func sourceOf(a ma.Multiaddr) netip.Prefix {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// room reports whether another stranger may come in from a source.
func (d *door) room(source netip.Prefix) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.roomLocked(source)
}

func (d *door) roomLocked(source netip.Prefix) bool {
	same := 0
	for _, v := range d.in {
		if v.source == source {
			same++
		}
	}
	return len(d.in) < maxStrangers && same < maxStrangersOfSource && !d.comes.exhausted(source)
}

// enter takes a connection in; nil when there is no room.
func (d *door) enter(conn string, source netip.Prefix) *visit {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.roomLocked(source) {
		return nil
	}
	d.comes.add(source)
	v := &visit{source: source, gone: make(chan struct{})}
	d.in[conn] = v
	return v
}

// leave forgets a connection that has ended.
func (d *door) leave(conn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.in[conn]; v != nil {
		delete(d.in, conn)
		close(v.gone)
	}
}

// of returns the visit that a connection is; nil: it is not a stranger's.
func (d *door) of(c network.Conn) *visit {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in[c.ID()]
}

// begin reports whether another exchange may begin; end goes with it.
func (v *visit) begin() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.exchanges >= maxExchanges {
		return false
	}
	v.exchanges++
	v.busy++
	return true
}

func (v *visit) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy--
}

func (v *visit) isBusy() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.busy > 0
}

// hasRoom is asked by the gater as soon as the key of an inbound stranger is known.
func (n *Node) hasRoom(id peer.ID, from ma.Multiaddr) bool {
	if n.door.room(sourceOf(from)) {
		return true
	}
	n.turnedDown(id, from)
	return false
}

// mayShakeHands is asked by the gater of a connection that nobody knows the key of.
func (n *Node) mayShakeHands(c network.ConnMultiaddrs) bool {
	if n.halfOpen.begin(c) {
		return true
	}
	n.metrics.refused(refusedHalfOpen)
	return false
}

func (n *Node) turnedDown(id peer.ID, from ma.Multiaddr) {
	n.metrics.refused(refusedCrowded)
	_, addr := describeAddr(from)
	n.log.Debug("refused a connection", "reason", string(refusedCrowded), "peer", id.String(), "address", addr)
}

// letIn takes in the connection of a stranger and sees to it that it ends.
func (n *Node) letIn(c network.Conn) bool {
	v := n.door.enter(c.ID(), sourceOf(c.RemoteMultiaddr()))
	if v == nil {
		n.turnedDown(c.RemotePeer(), c.RemoteMultiaddr())
		return false
	}
	if !n.start(func(ctx context.Context) { n.escort(ctx, c, v) }) {
		n.door.leave(c.ID())
		return false
	}
	return true
}

// escort ends a stranger's connection when its time is up, unless it ended by itself.
func (n *Node) escort(ctx context.Context, c network.Conn, v *visit) {
	defer n.door.leave(c.ID())
	t := time.NewTimer(n.door.stay)
	defer t.Stop()
	for {
		select {
		case <-v.gone:
			return
		case <-ctx.Done():
			return // the host is closed next
		case <-t.C:
		}
		if !v.isBusy() {
			break
		}
		t.Reset(min(n.door.stay, time.Second))
	}
	n.metrics.refused(refusedNotAdmitted)
	_, addr := describeAddr(c.RemoteMultiaddr())
	n.log.Info("refused a connection", "reason", string(refusedNotAdmitted), "peer", c.RemotePeer().String(), "address", addr)
	_ = c.CloseWithError(network.ConnErrorCode(codeNotAdmitted)) // whether it was open or not
}

// isStranger reports whether a connection is for the join protocol alone.
func (n *Node) isStranger(c network.Conn) bool {
	return n.door.of(c) != nil || !n.gater.admits(c.RemotePeer())
}
