package node

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// maxHalfOpen is how many TCP connections from one address may have no key yet. A handshake takes a round trip or
	// two, and many nodes may share an address; libp2p's places for such connections are shared by all that there are.
	maxHalfOpen = 64
	// handshakeTime is how long libp2p lets a handshake take.
	handshakeTime = 15 * time.Second
)

// halfOpen counts the connections whose key is not known yet, by address. QUIC has nothing to count: who it tells of
// has a key. It is safe for concurrent use.
type halfOpen struct {
	now func() time.Time

	mu sync.Mutex
	at map[netip.Prefix]map[string]time.Time // by source, then by the whole remote address
}

func newHalfOpen(now func() time.Time) *halfOpen {
	return &halfOpen{now: now, at: map[netip.Prefix]map[string]time.Time{}}
}

// begin reports whether another one may begin its handshake. Those that failed are told of by nobody: they count until
// their time is up.
func (h *halfOpen) begin(c network.ConnMultiaddrs) bool {
	if !isTCP(c.RemoteMultiaddr()) {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now, source := h.now(), sourceOf(c.RemoteMultiaddr())
	for s, of := range h.at {
		for who, at := range of {
			if d := now.Sub(at); d < 0 || d >= handshakeTime {
				delete(of, who)
			}
		}
		if len(of) == 0 {
			delete(h.at, s)
		}
	}
	of := h.at[source]
	if len(of) >= maxHalfOpen {
		return false
	}
	if of == nil {
		of = map[string]time.Time{}
		h.at[source] = of
	}
	of[c.RemoteMultiaddr().String()] = now
	return true
}

// done takes one out whose key is known.
func (h *halfOpen) done(c network.ConnMultiaddrs) {
	if !isTCP(c.RemoteMultiaddr()) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.at[sourceOf(c.RemoteMultiaddr())], c.RemoteMultiaddr().String())
}

func isTCP(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_TCP)
	return err == nil
}
