package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
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

// inForce hands the members over from the loop, which must not wait, to whoever acts on them. Only the newest set
// counts.
type inForce struct {
	newest atomic.Pointer[[]replica.Member] // not acted on yet
	wake   chan struct{}                    // capacity 1, never closed: there is a set to act on
}

// tell is called by the loop.
func (f *inForce) tell(ms []replica.Member) {
	f.newest.Store(&ms)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// keepMembers acts on every set of members that the loop names, until ctx ends.
func (n *Node) keepMembers(ctx context.Context) error {
	for {
		select {
		case <-n.inForce.wake:
			n.takeMembers()
		case <-ctx.Done():
			return nil
		}
	}
}

// takeMembers acts on the newest set, if there is one. What the loop said before the call is in force after it.
func (n *Node) takeMembers() {
	n.members.Lock()
	defer n.members.Unlock()
	if ms := n.inForce.newest.Swap(nil); ms != nil {
		n.enforce(*ms)
	}
}

// enforce makes a set of members the one that registry, gater and failure detector know, and disconnects whoever
// is not among them any more. The caller holds members.
func (n *Node) enforce(ms []replica.Member) {
	ms = n.heed(ms)
	keep := make(map[keys.Public]bool, len(ms))
	for _, m := range ms {
		keep[m.Key] = true
		known := n.peers.get(m.Key) != nil
		if err := n.addPeer(Peer{m.Key, m.Zone, n.local[m.Key].Endpoints}); err != nil {
			n.log.Error("a member has no usable key", "peer", m.Key, "err", err)
		} else if !known && m.Key != n.self && n.Ready() {
			n.tell(mesh.Notice{Kind: mesh.NoticeJoin, Level: mesh.LevelInfo, Zone: n.nameOf(m.Key), Reason: "Admitted", Text: "is a member now"})
		}
	}
	var gone []*peerEntry
	for _, p := range n.peers.all() {
		if !keep[p.key] {
			gone = append(gone, p)
			n.peers.drop(p.key)
		}
	}
	n.gater.set(n.peerIDs())
	n.knowMembers()
	n.presence.setMembers(membershipMembers(n.nodes()))
	for _, p := range gone {
		p.mu.Lock()
		if p.stop != nil {
			p.stop()
		}
		p.mu.Unlock()
		n.log.Info("a peer is no member any more", "peer", p.key, "zone", string(p.boundZone()))
		name := p.boundZone()
		if name == "" {
			name = mesh.Zone(peerName(p.key))
		}
		n.tell(mesh.Notice{Kind: mesh.NoticePeer, Level: mesh.LevelWarn, Zone: name, Reason: "NoMember", Text: "is no member any more"})
		if n.host != nil {
			_ = n.host.Network().ClosePeer(p.id) // the gater only looks at new connections
		}
	}
	for _, p := range n.peers.all() {
		n.keepDialling(p)
	}
}

// heed chooses whom to deal with when there are more members than the largest mesh has: somebody admits keys without
// end, and each costs a dialler. This node's own admissions come first, then whom it deals with already.
func (n *Node) heed(ms []replica.Member) []replica.Member {
	if len(ms) <= maxNodes {
		return ms
	}
	rank := func(m replica.Member) int {
		_, local := n.local[m.Key]
		switch {
		case local:
			return 0
		case n.peers.get(m.Key) != nil:
			return 1
		}
		return 2
	}
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, func(a, b replica.Member) int { return cmp.Compare(rank(a), rank(b)) })
	n.log.Warn("there are more members than this node deals with: somebody may be admitting keys without end", "members", len(ms), "limit", maxNodes)
	return ms[:maxNodes]
}

// isMember reports whether a key is a member, with all in force that the loop said before.
func (n *Node) isMember(key keys.Public) bool {
	n.takeMembers()
	return n.peers.get(key) != nil
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

// addPeer enters a member or changes the one that is there. Our own key in the list is no mistake: one list may
// serve all nodes.
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

// SetNodes replaces this node's own admissions, and the endpoints of those that they name. Who is a member by
// no other admission either is disconnected; its operations stay.
func (n *Node) SetNodes(ctx context.Context, nodes []Peer) error {
	check := Config{Nodes: nodes}
	if err := check.validateNodes(); err != nil {
		return err
	}
	nodes = withInviters(nodes, n.book.inviters())
	n.members.Lock()
	defer n.members.Unlock()
	n.local = localAdmissions(nodes, n.self)
	for _, p := range n.peers.all() {
		p.mu.Lock()
		p.endpoints = n.local[p.key].Endpoints
		p.mu.Unlock()
	}
	return n.loop.put(ctx, n.loop.local, entry{in: n.admissions()})
}

// localAdmissions is the table of configured peers.
func localAdmissions(nodes []Peer, self keys.Public) map[keys.Public]Peer {
	m := make(map[keys.Public]Peer, len(nodes))
	for _, p := range nodes {
		if p.Key != self {
			m[p.Key] = p
		}
	}
	return m
}

// admissions tells the replica this node's own admissions, and the replica names the members that follow. The
// caller holds members.
func (n *Node) admissions() replica.Members {
	ms := make([]replica.Member, 0, len(n.local))
	for _, k := range slices.SortedFunc(maps.Keys(n.local), keys.Public.Compare) {
		ms = append(ms, replica.Member{Key: k, Zone: n.local[k].Zone})
	}
	return replica.Members{Nodes: ms}
}

// admit makes a member of a key that said hello in an open mesh; nil when there are too many, or when the mesh
// has removed it.
func (n *Node) admit(key keys.Public) *peerEntry {
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	defer cancel()
	if err := n.admitLocally(ctx, key); err != nil {
		n.log.Debug("admit", "peer", key, "err", err)
		return nil
	}
	n.takeMembers()
	return n.peers.get(key)
}

func (n *Node) admitLocally(ctx context.Context, key keys.Public) error {
	n.members.Lock()
	defer n.members.Unlock()
	if _, known := n.local[key]; known {
		return nil
	}
	if len(n.local) >= maxNodes {
		return fmt.Errorf("%d keys are admitted already", len(n.local))
	}
	n.local[key] = Peer{Key: key}
	n.log.Warn("admitted a key because admission is open", "peer", key)
	return n.through(ctx, n.loop.local, entry{in: n.admissions()})
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
