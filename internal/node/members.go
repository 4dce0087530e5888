package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/replica"
)

func replicaMembers(nodes []Peer, self keys.Public) []replica.Member {
	out := make([]replica.Member, 0, len(nodes))
	for _, p := range nodes {
		if p.Key != self {
			out = append(out, replica.Member{Key: p.Key, Zone: p.Zone})
		}
	}
	return out
}

func membershipMembers(nodes []Peer) []membership.Member {
	out := make([]membership.Member, 0, len(nodes))
	for _, p := range nodes {
		out = append(out, membership.Member{Key: p.Key, Zone: p.Zone})
	}
	return out
}

// nodes lists the members as they are now.
func (n *Node) nodes() []Peer {
	var out []Peer
	for _, p := range n.peers.all() {
		p.mu.Lock()
		out = append(out, Peer{p.key, p.zone, p.endpoints})
		p.mu.Unlock()
	}
	return out
}

func (n *Node) peerIDs() []peer.ID {
	var out []peer.ID
	for _, p := range n.peers.all() {
		out = append(out, p.id)
	}
	return out
}

// addPeer enters a configured peer or changes the one that is there. Our own key in the list is no mistake:
// one list may serve all nodes.
func (n *Node) addPeer(c Peer) error {
	if c.Key == n.self {
		return nil
	}
	p, _, err := n.peers.add(c.Key)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.zone, p.endpoints = c.Zone, c.Endpoints
	return nil
}

// SetNodes replaces the configured peers. Who is not among them any more is disconnected; its operations
// stay.
func (n *Node) SetNodes(ctx context.Context, nodes []Peer) error {
	check := Config{Nodes: nodes}
	if err := check.validateNodes(); err != nil {
		return err
	}
	nodes = withInviters(nodes, n.book.inviters())
	n.members.Lock()
	defer n.members.Unlock()
	keep := map[keys.Public]bool{}
	for _, p := range nodes {
		keep[p.Key] = true
		if err := n.addPeer(p); err != nil {
			return err
		}
	}
	var gone []*peerEntry
	for _, p := range n.peers.all() {
		if !keep[p.key] {
			gone = append(gone, p)
			n.peers.drop(p.key)
		}
	}
	if err := n.membersChanged(ctx); err != nil {
		return err
	}
	for _, p := range gone {
		p.mu.Lock()
		if p.stop != nil {
			p.stop()
		}
		p.mu.Unlock()
		if n.host != nil && n.Ready() {
			_ = n.host.Network().ClosePeer(p.id) // the gater only looks at new connections
		}
	}
	for _, p := range n.peers.all() {
		n.keepDialling(p)
	}
	return nil
}

// membersChanged tells gater, failure detector and replica.
func (n *Node) membersChanged(ctx context.Context) error {
	n.gater.set(n.peerIDs())
	n.knowMembers()
	nodes := n.nodes()
	n.presence.setMembers(membershipMembers(nodes))
	return n.loop.put(ctx, n.loop.local, entry{in: replica.Members{Nodes: replicaMembers(nodes, n.self)}})
}

// admit makes a member of a key that said hello in an open mesh; nil when there are too many.
func (n *Node) admit(key keys.Public) *peerEntry {
	n.members.Lock()
	defer n.members.Unlock()
	if n.peers.len() >= maxNodes {
		return nil
	}
	p, added, err := n.peers.add(key)
	if err != nil || !added {
		return p
	}
	n.log.Warn("admitted a key because admission is open", "peer", key)
	n.start(func(ctx context.Context) { _ = n.membersChanged(ctx) }) // fails only when we stop
	return p
}

// keepDialling starts the dialler of a peer unless it runs.
func (n *Node) keepDialling(p *peerEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		return
	}
	ended := make(chan struct{})
	if n.start(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var g errgroup.Group
		g.Go(func() error {
			select {
			case <-ended:
				cancel()
			case <-ctx.Done():
			}
			return nil
		})
		n.keepLinked(ctx, p)
		cancel()
		_ = g.Wait() // never fails
	}) {
		p.stop = sync.OnceFunc(func() { close(ended) })
	}
}

// closeUnused closes a connection that carries no link of the peer, for the reason that a link on it ended.
func (p *peerEntry) closeUnused(c network.Conn, code network.StreamErrorCode) {
	for _, l := range p.current() {
		if l.s.Conn().ID() == c.ID() {
			return
		}
	}
	_ = c.CloseWithError(network.ConnErrorCode(code)) // whether it was open or not
}

// setMembers replaces the members of the failure detector.
func (p *presence) setMembers(ms []membership.Member) {
	p.observe(func(m *membership.Membership, now time.Time) []membership.Change { return m.SetMembers(now, ms) })
}
