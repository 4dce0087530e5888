package node

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gater admits connections by key. It only keeps strangers from costing us anything: a dialler that it
// refuses may believe for a moment to be connected, so what counts as admitted is decided by the hello. We
// connect to admitted keys only; of the others a few at a time may connect to us, for the join protocol.
type gater struct {
	open    bool // admit every key
	allowed atomic.Pointer[map[peer.ID]struct{}]
	// Of an inbound connection of a stranger, called from libp2p's goroutines: whether there is room for one, and
	// whether this one is let in. Nil: no stranger is.
	room func(peer.ID, ma.Multiaddr) bool
	// Of an inbound connection whose key isn't known yet: whether its handshake may begin, and that it is over. Nil:
	// nobody counts.
	begin func(network.ConnMultiaddrs) bool
	done  func(network.ConnMultiaddrs)
	let   func(network.Conn) bool
}

var _ connmgr.ConnectionGater = (*gater)(nil)

func newGater(open bool) *gater {
	g := &gater{open: open}
	g.set(nil)
	return g
}

// set replaces the admitted ids. Live connections stay: closing them is the caller's.
func (g *gater) set(ids []peer.ID) {
	m := make(map[peer.ID]struct{}, len(ids))
	for _, id := range ids {
		m[id] = struct{}{}
	}
	g.allowed.Store(&m)
}

func (g *gater) admits(p peer.ID) bool {
	_, ok := (*g.allowed.Load())[p]
	return ok || g.open
}

// InterceptPeerDial is asked before addresses are resolved.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.admits(p) }

// InterceptAddrDial has nothing to add: keys decide, not addresses.
func (g *gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept knows no key yet.
func (g *gater) InterceptAccept(c network.ConnMultiaddrs) bool { return g.begin == nil || g.begin(c) }

// InterceptSecured is the hook that knows the authenticated key of an inbound connection.
func (g *gater) InterceptSecured(d network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if d == network.DirInbound && g.done != nil {
		g.done(c)
	}
	return g.admits(p) || d == network.DirInbound && g.room != nil && g.room(p, c.RemoteMultiaddr())
}

// InterceptUpgraded is the hook that has the connection itself.
func (g *gater) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.admits(c.RemotePeer()) || c.Stat().Direction == network.DirInbound && g.let != nil && g.let(c), 0
}
