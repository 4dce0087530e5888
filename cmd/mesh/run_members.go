package main

import (
	"context"
	"slices"
	"sync"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/replica"
)

// members are the peers that the node talks to: those of the configuration, those that MeshPeers admit, and those that
// the node knew under a former key. What the configuration says about a key counts. Only the configuration says what may
// flow.
type members struct {
	mu         sync.Mutex
	configured []config.Node
	admitted   []node.Peer
	inherited  []node.Peer
}

// configure replaces those of the configuration and returns those before.
func (m *members) configure(nodes []config.Node) (before []config.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, m.configured = m.configured, nodes
	return before
}

// rules says what may flow between the zones.
func (m *members) rules() []replica.Rule {
	m.mu.Lock()
	defer m.mu.Unlock()
	return rules(m.configured)
}

// admit replaces those that MeshPeers admit.
func (m *members) admit(list []meshpeer.Admitted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitted = m.admitted[:0]
	for _, a := range list {
		m.admitted = append(m.admitted, node.Peer{Key: a.Key, Zone: a.Zone, Endpoints: a.Endpoints})
	}
}

// inherit sets those that a former key of the node knew.
func (m *members) inherit(list []node.Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inherited = list
}

// all lists them. The slice is the caller's.
func (m *members) all() []node.Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := nodePeers(m.configured)
	for _, a := range slices.Concat(m.admitted, m.inherited) {
		if !slices.ContainsFunc(out, func(p node.Peer) bool { return p.Key == a.Key }) {
			out = append(out, a)
		}
	}
	return out
}

func nodePeers(nodes []config.Node) []node.Peer {
	peers := make([]node.Peer, 0, len(nodes))
	for _, n := range nodes {
		p := node.Peer{Key: n.Key, Zone: n.Zone}
		for _, at := range n.Endpoints {
			p.Endpoints = append(p.Endpoints, at.String())
		}
		peers = append(peers, p)
	}
	return peers
}

// rules lists what the entries of nodes allow. Those that allow everything stand there too: they end what an earlier
// key of their zone was not allowed.
func rules(nodes []config.Node) []replica.Rule {
	out := make([]replica.Rule, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, replica.Rule{Key: n.Key, Zone: n.Zone, Allow: n.Allow})
	}
	return out
}

// setNodes tells the node its peers and what may flow, and reports whether it took them.
func (r *running) setNodes(ctx context.Context) bool {
	err := r.node.SetNodes(ctx, r.members.all())
	if err == nil {
		err = r.node.Do(ctx, replica.Rules{Rules: r.members.rules()})
	}
	if err != nil {
		r.log.Error("the new nodes were not taken over", "err", err)
	}
	return err == nil
}
