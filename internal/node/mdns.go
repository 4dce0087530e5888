package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// lanRefresh is how often a node announces itself anew, with jitter. mDNS reports each announcement once: this is
	// what keeps a list of who is there up to date.
	lanRefresh = 5 * time.Minute
	// lanGone is how long somebody unknown stays listed after the last announcement.
	lanGone = 3 * lanRefresh
	// lanRetry is how soon mDNS is tried again where it didn't start.
	lanRetry = time.Minute
	// maxNeighbours bounds the unknown nodes that are listed: everybody on the network can make any number.
	maxNeighbours = 64
)

// lan finds nodes on the local network by mDNS. What is heard there is vouched for by nobody: of members it
// yields addresses to try, of others it is shown to people. Nobody unknown is dialled.
type lan struct {
	wake chan struct{} // capacity 1, never closed: our own addresses changed

	mu       sync.Mutex
	strange  map[keys.Public]*neighbour
	prefixes []netip.Prefix // of this machine's networks
}

// neighbour is a node of this network id that is no member.
type neighbour struct {
	endpoints   []string
	first, last time.Time
}

func newLAN() *lan {
	return &lan{wake: make(chan struct{}, 1), strange: map[keys.Public]*neighbour{}}
}

// moved says that our addresses changed: what is announced is wrong.
func (l *lan) moved() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// serviceName tells the nodes of different networks apart without telling what the network is called.
func serviceName(n mesh.NetworkID) string {
	return "_mesh-" + mesh.Sum([]byte(n)).String()[:16] + "._udp"
}

// lookAround announces this node on the local network and listens for others until ctx ends. Where that is not
// possible it says so once and goes on trying. A node that listens on loopback addresses only has nothing to tell
// to a network, and is silent.
func (n *Node) lookAround(ctx context.Context) error {
	if onlyLoopback(n.cfg.BindAddresses) {
		return nil
	}
	warned := false
	for ctx.Err() == nil {
		n.lan.look()
		pause := lanRefresh - lanRefresh/10 + rand.N(lanRefresh/5)
		s := mdns.NewMdnsService(lanHost{n.host}, serviceName(n.cfg.Network), lanFinder{ctx, n})
		if err := s.Start(); err != nil {
			if !warned {
				n.log.Warn("no nodes are looked for on the local network", "err", err)
			}
			warned, pause = true, lanRetry
		} else {
			warned = false
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-n.lan.wake:
		case <-ctx.Done():
		}
		t.Stop()
		if err := s.Close(); err != nil {
			n.log.Debug("stop mDNS", "err", err)
		}
	}
	return nil
}

// look takes note of the networks that this machine is on.
func (l *lan) look() {
	var prefixes []netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				prefixes = append(prefixes, p.Masked())
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prefixes = prefixes
}

// reachable keeps the addresses that lie on our own networks: what somebody else announces must not send us
// anywhere.
func (l *lan) reachable(addrs []ma.Multiaddr) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range addrs {
		at, err := endpointOf(a)
		if err != nil || slices.Contains(out, at) || len(out) >= maxLANWays {
			continue
		}
		ap, err := netip.ParseAddrPort(at)
		if err != nil || ap.Addr().IsLinkLocalUnicast() || ap.Addr().IsLoopback() {
			continue
		}
		if slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(ap.Addr()) }) {
			out = append(out, at)
		}
	}
	return out
}

// saw lists somebody unknown. When the list is full the one goes who was silent longest.
func (l *lan) saw(k keys.Public, endpoints []string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.strange[k]
	if s == nil {
		for len(l.strange) >= maxNeighbours {
			var oldest keys.Public
			var at time.Time
			for k, s := range l.strange {
				if at.IsZero() || s.last.Before(at) {
					oldest, at = k, s.last
				}
			}
			delete(l.strange, oldest)
		}
		s = &neighbour{first: now}
		l.strange[k] = s
	}
	s.last, s.endpoints = now, endpoints
}

// strangers returns who is listed and was heard of late, without those that are members by now.
func (l *lan) strangers(now time.Time, member func(keys.Public) bool) map[keys.Public]neighbour {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[keys.Public]neighbour{}
	for k, s := range l.strange {
		if now.Sub(s.last) >= lanGone || member(k) {
			delete(l.strange, k)
			continue
		}
		out[k] = *s
	}
	return out
}

// foundOnLAN takes what somebody on the local network announced.
func (n *Node) foundOnLAN(info peer.AddrInfo) {
	key, err := keyOf(info.ID)
	if err != nil || key == n.self {
		return
	}
	endpoints := n.lan.reachable(info.Addrs)
	p := n.peers.get(key)
	switch {
	case p == nil:
		n.lan.saw(key, endpoints, n.cfg.Now())
		n.log.Debug("a node that is not admitted is on the local network", "peer", key, "endpoints", endpoints)
	case n.book.found(key, endpoints):
		n.log.Debug("found a member on the local network", "peer", key, "endpoints", endpoints)
		p.heardOf()
	}
}

// lanFinder is told by mDNS, in goroutines that nobody waits for.
type lanFinder struct {
	ctx context.Context
	n   *Node
}

func (f lanFinder) HandlePeerFound(info peer.AddrInfo) {
	if f.ctx.Err() == nil {
		f.n.foundOnLAN(info)
	}
}

// lanHost announces what others on the network can use.
type lanHost struct{ host.Host }

func (h lanHost) Network() network.Network { return lanNetwork{h.Host.Network()} }

type lanNetwork struct{ network.Network }

// InterfaceListenAddresses leaves out what Endpoints leaves out.
func (n lanNetwork) InterfaceListenAddresses() ([]ma.Multiaddr, error) {
	all, err := n.Network.InterfaceListenAddresses()
	if err != nil {
		return nil, err
	}
	own := ownEndpoints(all)
	out := slices.DeleteFunc(all, func(a ma.Multiaddr) bool {
		at, err := endpointOf(a)
		return err != nil || !slices.Contains(own, at)
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("none of %d addresses is of use to others", len(all))
	}
	return out, nil
}
