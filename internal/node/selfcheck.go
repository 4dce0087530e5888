package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
)

// This file finds out, when somebody asks, what only the node can: how its peers are reached from here, by each transport.

const (
	// tryWithin is how long one address is waited for: longer than the worst round trip and a few lost packets.
	tryWithin = 5 * time.Second
	// triesAtOnce bounds the dials under way, and triedPeers how many peers are dialled in all.
	triesAtOnce = 128
	triedPeers  = 256
	// triedEndpoints is how many endpoints of a peer are dialled: those that are configured, else the best that are known.
	triedEndpoints = 4
	triedLearned   = 2
)

// Reach says how dialling by one transport went.
type Reach string

// How it went.
const (
	ReachAnswered Reach = "answered" // the expected key shook hands
	ReachSilent   Reach = "silent"   // nothing came back
	ReachRefused  Reach = "refused"  // nobody listens
	ReachOther    Reach = "other"    // something else, such as another key
)

// Way is one endpoint of a peer, and how dialling it went.
type Way struct {
	Peer       keys.Public
	At         string // host:port
	Configured bool   // an operator wrote it
	Linked     bool   // the peer is connected, by whichever way
	Resolve    string // why its name has no address; empty: it has one, or is one
	QUIC, TCP  Reach  // empty: not tried, because the name has no address or the time was over
	Cause      string // why it didn't answer, in a sentence; empty: it did, or wasn't tried
}

// errUntried ends a dial for which there was no time any more.
var errUntried = errors.New("not tried")

// TryPeers shakes hands with the peers' endpoints over QUIC and over TCP, from sockets of its own: no link is disturbed,
// and a way that an open connection made through a firewall doesn't count. Peers that are not linked come first. left
// is how many peers were not tried because there are too many. Safe for concurrent use; it returns soon after ctx ended.
func (n *Node) TryPeers(ctx context.Context) (ways []Way, left int, err error) {
	p, err := n.newProber()
	if err != nil {
		return nil, 0, err
	}
	defer p.close()
	var entries []*peerEntry
	for _, linked := range []bool{false, true} {
		for _, e := range n.peers.all() {
			if e.linked() == linked {
				entries = append(entries, e)
			}
		}
	}
	if left = len(entries) - triedPeers; left > 0 {
		entries = entries[:triedPeers]
	}
	for _, e := range entries {
		ways = append(ways, n.waysTo(e)...)
	}
	var wg sync.WaitGroup
	for i := range ways {
		wg.Go(func() { p.try(ctx, &ways[i], nil) })
	}
	wg.Wait()
	return ways, max(left, 0), nil
}

// waysTo lists what is worth dialling of a peer.
func (n *Node) waysTo(e *peerEntry) (out []Way) {
	e.mu.Lock()
	configured := slices.Clone(e.endpoints)
	linked := len(e.links) > 0
	e.mu.Unlock()
	add := func(at string, conf bool) {
		if !slices.ContainsFunc(out, func(w Way) bool { return w.At == at }) {
			out = append(out, Way{Peer: e.key, At: at, Configured: conf, Linked: linked})
		}
	}
	for _, at := range configured[:min(len(configured), triedEndpoints)] {
		add(at, true)
	}
	if len(out) == 0 {
		known := n.book.known(e.key)
		for _, at := range known[:min(len(known), triedLearned)] {
			add(at, false)
		}
	}
	return out
}

// prober dials from a host of its own, which listens nowhere. What it opens belongs to no link.
type prober struct {
	host host.Host
	room chan struct{} // one token per dial under way
	find lookup
}

func (n *Node) newProber() (*prober, error) {
	h, err := newHost(&Config{Key: n.cfg.Key, Version: n.cfg.Version}, newGater(true))
	if err != nil {
		return nil, fmt.Errorf("make a host to dial from: %w", err)
	}
	return &prober{h, make(chan struct{}, triesAtOnce), n.cfg.lookup}, nil
}

func (p *prober) close() { _ = p.host.Close() } // what is wrong with it harms nobody any more

// try resolves an endpoint and dials those of its addresses that are allowed; nil: all.
func (p *prober) try(ctx context.Context, w *Way, allowed func(netip.Addr) bool) {
	id, err := peerIDOf(w.Peer)
	if err != nil {
		w.QUIC, w.TCP, w.Cause = ReachOther, ReachOther, err.Error()
		return
	}
	named, cancel := context.WithTimeout(ctx, nameTimeout)
	found, err := resolve(named, p.find, w.At)
	cancel()
	if err != nil && ctx.Err() != nil {
		return // there was no time to find out
	}
	if err != nil {
		w.Resolve = (&endpointTry{resolve: err}).cause()
		return
	}
	if allowed != nil {
		found = slices.DeleteFunc(found, func(at netip.AddrPort) bool { return !allowed(at.Addr()) })
	}
	if len(found) == 0 {
		w.QUIC, w.TCP, w.Cause = ReachOther, ReachOther, "it is no address to dial from here"
		return
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := map[string]error{}
	for _, at := range found {
		addrs, err := dialAddrs(at.String())
		if err != nil {
			w.QUIC, w.TCP, w.Cause = ReachOther, ReachOther, err.Error()
			return
		}
		for _, a := range addrs {
			wg.Go(func() {
				transport, _ := describeAddr(a)
				err := p.dial(ctx, a, id)
				mu.Lock()
				defer mu.Unlock()
				if old, tried := errs[transport]; !tried || old != nil {
					errs[transport] = err
				}
			})
		}
	}
	wg.Wait()
	w.QUIC, w.TCP = reachOf(errs["quic"]), reachOf(errs["tcp"])
	if w.QUIC == ReachAnswered || w.TCP == ReachAnswered || w.QUIC == "" || w.TCP == "" {
		return
	}
	for _, err := range []error{errs["quic"], errs["tcp"]} {
		if k, ok := foundInstead(err); ok {
			w.Cause = "another node answers there: it has key " + k.String()
			return
		}
	}
	w.Cause = (&endpointTry{udp: errs["quic"], tcp: errs["tcp"]}).cause()
}

// dial shakes hands with the node that should be at an address, and hangs up.
func (p *prober) dial(ctx context.Context, a ma.Multiaddr, id peer.ID) error {
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return errUntried
	}
	within, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	s, ok := p.host.Network().(*swarm.Swarm)
	if !ok {
		return errors.New("the network is of a kind that cannot be tried")
	}
	t := s.TransportForDialing(a)
	if t == nil {
		return fmt.Errorf("nothing can dial %s", a)
	}
	c, err := t.Dial(within, a, id)
	switch {
	case err != nil && ctx.Err() != nil:
		return errUntried
	case err != nil:
		return err
	}
	_ = c.Close() // it was opened for nothing else
	return nil
}

func reachOf(err error) Reach {
	switch {
	case err == nil:
		return ReachAnswered
	case errors.Is(err, errUntried):
		return ""
	}
	switch failureOf(err) {
	case failedSilent:
		return ReachSilent
	case failedRefused:
		return ReachRefused
	}
	return ReachOther
}

// Inbound lists the peers whose link they opened themselves, which they could not if this node were out of reach.
func (n *Node) Inbound() (out []keys.Public) {
	for _, e := range n.peers.all() {
		for _, l := range e.current() {
			if !l.ours {
				out = append(out, e.key)
				break
			}
		}
	}
	return out
}
