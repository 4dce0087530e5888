package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// maxTold bounds the links between others in a topology: what every node of a large mesh says about twenty others
// is more than anybody draws.
const maxTold = 2000

// Topology tells how this node sees the others and what those that live say about each other: first the own links,
// then the others', those that are not Ready first where there are too many, each by names.
func (n *Node) Topology(ctx context.Context) (mesh.Topology, error) {
	pic, err := n.look(ctx)
	if err != nil {
		return mesh.Topology{}, err
	}
	peers := n.list(pic)
	t := mesh.Topology{Self: n.cfg.Zone, Links: make([]mesh.Link, 0, len(peers))}
	names := map[mesh.Zone]bool{n.cfg.Zone: true}
	for _, p := range peers {
		if p.Name == string(p.Zone) {
			names[p.Zone] = true
		}
		l := mesh.Link{From: string(n.cfg.Zone), To: p.Name, State: p.State, Direct: p.Transport != nil, Transport: p.Transport, RTTSeconds: p.RTTSeconds}
		if p.Since != nil {
			l.Since = *p.Since
		}
		t.Links = append(t.Links, l)
	}
	slices.SortFunc(t.Links, byNames)
	var told []mesh.Link
	for _, p := range peers {
		key, err := keys.ParsePublic(p.PublicKey)
		if err != nil || p.State != mesh.Ready && p.State != mesh.NotReady {
			continue // what it said is no longer so
		}
		if e := n.peers.get(key); e != nil {
			told = append(told, e.told(p.Name, names)...)
		}
	}
	if len(told) > maxTold {
		slices.SortStableFunc(told, func(a, b mesh.Link) int { return cmp.Compare(rank(a.State), rank(b.State)) })
		told = told[:maxTold]
	}
	slices.SortFunc(told, byNames)
	t.Links = append(t.Links, told...)
	return t, nil
}

func byNames(a, b mesh.Link) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) }

// told lists what the peer says about zones whose names are known.
func (p *peerEntry) told(name string, names map[mesh.Zone]bool) []mesh.Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []mesh.Link
	for z, s := range p.sights {
		if !names[z] || string(z) == name {
			continue
		}
		out = append(out, mesh.Link{From: name, To: string(z), State: s.State, Direct: s.Direct, RTTSeconds: s.rtt(), Since: s.since.UTC().Round(0)})
	}
	return out
}

// seen is what a peer says about a zone, and since when it does.
type seen struct {
	sight
	since time.Time
}

func (s sight) rtt() *float64 {
	if s.RTT == 0 {
		return nil
	}
	sec := (time.Duration(s.RTT) * time.Millisecond).Seconds()
	return &sec
}

// looksAt notes what the peer says about zones. The caller holds p.mu.
func (p *peerEntry) looksAt(view []sight, now time.Time) {
	before := p.sights
	p.sights = make(map[mesh.Zone]seen, len(view))
	for _, s := range view {
		since := now
		if old, known := before[s.Zone]; known && old.State == s.State && old.Direct == s.Direct {
			since = old.since
		}
		p.sights[s.Zone] = seen{s, since}
	}
}
