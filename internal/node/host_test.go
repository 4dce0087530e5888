package node

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// Many nodes may stand behind one address, and start again and again. Loopback, where the other tests run, is
// exempt from libp2p's limits per address.
func TestManyPeersBehindOneAddress(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"/ip4/203.0.113.7/tcp/1", "/ip6/2001:db8::7/tcp/1", "/ip4/203.0.113.7/udp/1/quic-v1"} {
		cfg := DefaultConfig()
		cfg.Key = testKey(1)
		h, err := newHost(&cfg, newGater(true))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		manager, addr := h.Network().ResourceManager(), multiaddr.StringCast(from)
		for i := range 100 {
			if _, err := manager.OpenConnection(network.DirInbound, true, addr); err != nil {
				t.Errorf("connection %d at once from %s: %v", i+1, from, err)
				break
			}
		}
		for i := range 200 {
			scope, err := manager.OpenConnection(network.DirInbound, true, addr)
			if err != nil {
				t.Errorf("restart %d behind %s: %v", i+1, from, err)
				break
			}
			scope.Done()
		}
	}
}
