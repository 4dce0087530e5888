package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// picture is what the replica contributes to a status.
type picture struct {
	zones     map[keys.Public]mesh.Zone
	resources mesh.Resources
	held      []mesh.HeldDeletes
	findings  []mesh.Finding
	waiting   string // why local changes are not signed yet; empty: they are
}

// look asks the loop for a picture. Without one, as under a fake replica, it is empty.
func (n *Node) look(ctx context.Context) (picture, error) {
	p := picture{zones: map[keys.Public]mesh.Zone{}}
	if n.replica == nil {
		return p, nil
	}
	peers := n.peers.all()
	var got picture
	err := n.Inspect(ctx, func(r *replica.Replica) {
		got = picture{map[keys.Public]mesh.Zone{}, r.Counts(), r.Held(), r.Findings(), ""}
		for _, e := range peers {
			got.zones[e.key] = r.ZoneOf(e.key)
		}
		if waits, why := r.Waiting(); waits {
			got.waiting = why
		}
	})
	if err != nil {
		return p, err // got may still be written to
	}
	return got, nil
}

// Status describes the node on one page.
func (n *Node) Status(ctx context.Context) (mesh.Status, error) {
	pic, err := n.look(ctx)
	if err != nil {
		return mesh.Status{}, err
	}
	return n.status(pic, n.list(pic)), nil
}

// Peers lists all other admitted nodes in the order of their keys, then those that were seen on the local network
// and are not admitted.
func (n *Node) Peers(ctx context.Context) ([]mesh.Peer, error) {
	pic, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	return append(n.list(pic), n.neighbours()...), nil
}

// neighbours lists the nodes of this network id on the local network that are no members.
func (n *Node) neighbours() []mesh.Peer {
	found := n.lan.strangers(n.cfg.Now(), func(k keys.Public) bool { return n.peers.get(k) != nil })
	out := make([]mesh.Peer, 0, len(found))
	for _, k := range slices.SortedFunc(maps.Keys(found), keys.Public.Compare) {
		s := found[k]
		out = append(out, mesh.Peer{
			Name: peerName(k), State: mesh.NotAdmitted, PublicKey: k.String(), PeerID: k.PeerID(),
			Endpoints: append([]string{}, s.endpoints...), Since: timeOrNil(s.first), FirstSeen: timeOrNil(s.first),
			LastSeen: timeOrNil(s.last), Reasons: []string{"SeenOnLAN"},
		})
	}
	return out
}

// peerName stands for a zone that isn't known.
func peerName(k keys.Public) string { return "peer-" + k.String()[:8] }

// survey is for metrics: when the loop is too busy, or doesn't run, it goes without what only the loop knows.
func (n *Node) survey(ctx context.Context) (mesh.Status, []mesh.Peer) {
	pic := picture{zones: map[keys.Public]mesh.Zone{}}
	if n.ran.Load() {
		pic, _ = n.look(ctx)
	}
	peers := n.list(pic)
	return n.status(pic, peers), peers
}

func (n *Node) status(pic picture, peers []mesh.Peer) mesh.Status {
	v := n.loop.view.Load()
	s := mesh.Status{
		Zone: n.cfg.Zone, PeerID: n.self.PeerID(), PublicKey: n.self.String(), NetworkID: n.cfg.Network,
		Version: n.cfg.Version, UptimeSeconds: n.cfg.Now().Sub(n.started).Seconds(),
		Ready: n.Ready(), Listen: []string{}, Replication: []mesh.Replication{}, Findings: []mesh.Finding{},
		Resources: pic.resources, Cluster: mesh.ClusterStatus{Kind: "none", Problems: []mesh.Problem{}},
	}
	if inc := v.instance.Incarnation; inc != 0 {
		t := time.UnixMilli(int64(inc)).UTC()
		s.Incarnation = &t
	}
	if port := n.Port(); port != 0 {
		s.Listen = []string{fmt.Sprintf("udp/%d", port), fmt.Sprintf("tcp/%d", port)}
	}
	if n.cfg.Cluster != nil {
		s.Cluster = n.cfg.Cluster.Status()
	}
	// A peer that was never heard doesn't count: the start's wait for it is bounded, and it may be gone for good.
	s.InSync = pic.waiting == ""
	for _, p := range peers {
		s.Peers.Total++
		switch p.State {
		case mesh.Ready:
			s.Peers.Ready++
		case mesh.NotReady:
			s.Peers.NotReady++
		case mesh.Unknown:
			s.Peers.Unknown++
		case mesh.Unavailable:
			s.Peers.Unavailable++
		}
	}
	s.Replication = n.replication(v)
	for _, r := range s.Replication {
		s.InSync = s.InSync && r.LagOperations == 0
	}
	if n.diskLow() {
		s.Findings = append(s.Findings, mesh.Finding{ID: "system.disk", Status: "fail", Text: diskLowText, Next: "mesh doctor"})
	}
	if n.filesGone.Load() {
		s.Findings = append(s.Findings, mesh.Finding{ID: "system.files", Status: "fail", Text: filesGoneText, Next: "mesh doctor"})
	}
	s.Findings = append(s.Findings, pic.findings...)
	s.Findings = append(s.Findings, clusterFindings(s.Cluster)...)
	s.Findings = append(s.Findings, peerFindings(peers)...)
	slices.SortStableFunc(s.Findings, func(a, b mesh.Finding) int { return cmp.Compare(a.Status, b.Status) }) // fail, warn
	return s
}

// clusterFindings tells what is wrong in the place where objects live.
func clusterFindings(c mesh.ClusterStatus) (out []mesh.Finding) {
	if c.Kind == "none" {
		return nil
	}
	if !c.Connected {
		out = append(out, mesh.Finding{ID: "cluster.connected", Status: "fail", Subject: strings.TrimSpace(c.Kind + " " + c.Location),
			Text: "cannot be read, or not wholly: nothing that is missing in it counts as deleted"})
	}
	if n := len(c.Problems); n > 0 {
		p := c.Problems[0]
		f := mesh.Finding{ID: "cluster.problems", Status: "warn", Subject: cmp.Or(p.Object, p.File), Text: p.Reason + ": " + p.Text}
		if n > 1 {
			f.Text += fmt.Sprintf(" (the first of %d problems in the cluster)", n)
		}
		out = append(out, f)
	}
	return out
}

// peerFindings tells which peers are away, and why they may be.
func peerFindings(peers []mesh.Peer) (out []mesh.Finding) {
	for _, p := range peers {
		if p.State == mesh.Ready {
			continue
		}
		f := mesh.Finding{ID: "peers.reachable", Status: "warn", Subject: p.Name, Text: "is " + stateWord(p.State), Next: "mesh peers " + p.Name}
		if p.State == mesh.Unavailable {
			f.Status = "fail"
		}
		if p.LastError != "" {
			f.Text += ": " + p.LastError
		}
		out = append(out, f)
	}
	return out
}

// replication compares, for the newest log of every other zone that anyone told us about, what was announced
// with what is held. A zone's own signed heartbeat counts for good. What others say about it counts only
// while they are connected: nobody can make us look behind for longer.
func (n *Node) replication(v *view) []mesh.Replication {
	type newest struct {
		inc  mesh.Incarnation
		next uint32
		held uint32
	}
	zones := map[mesh.Zone]*newest{}
	note := func(i mesh.Instance, announced, held uint32) {
		if i.Zone == n.cfg.Zone {
			return
		}
		z := zones[i.Zone]
		if z == nil {
			z = &newest{}
			zones[i.Zone] = z
		}
		if i.Incarnation > z.inc {
			*z = newest{inc: i.Incarnation}
		}
		if i.Incarnation == z.inc {
			z.next, z.held = max(z.next, announced), max(z.held, held)
		}
	}
	for _, h := range v.haves {
		announced := h.Next
		// What others hold of a frozen log, or of a removed key's, is nothing that is taken here, too.
		if h.Key.Author == n.self || n.peers.get(h.Key.Author) != nil && !h.Frozen {
			for _, l := range n.peers.links() {
				announced = max(announced, l.known.get(h.Key))
			}
		}
		note(h.Instance, announced, h.Next)
	}
	for _, p := range n.peers.all() {
		p.mu.Lock()
		if b := p.beat; b != nil && b.Next > 0 {
			key := mesh.LogKey{Author: p.key, Log: mesh.LogIDOf(n.cfg.Network, b.Instance)}
			note(b.Instance, b.Next, v.next(key))
		}
		p.mu.Unlock()
	}
	out := make([]mesh.Replication, 0, len(zones))
	for z, x := range zones {
		r := mesh.Replication{Zone: z, Announced: uint64(x.next), Applied: uint64(x.held)}
		if x.next > x.held {
			r.LagOperations = uint64(x.next - x.held)
			r.LagSeconds = n.lag.since(z).Seconds()
		} else {
			n.lag.clear(z)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b mesh.Replication) int { return cmp.Compare(a.Zone, b.Zone) })
	return out
}

// list describes every admitted peer.
func (n *Node) list(pic picture) []mesh.Peer {
	v := n.loop.view.Load()
	lag := map[mesh.Zone]mesh.Replication{}
	for _, r := range n.replication(v) {
		lag[r.Zone] = r
	}
	held := map[mesh.Zone]int{}
	for _, h := range pic.held {
		held[h.Zone] = len(h.Objects)
	}
	states := map[keys.Public]membership.Peer{}
	for _, m := range n.presence.peers() {
		states[m.Key] = m
	}
	all := n.peers.all()
	out := make([]mesh.Peer, 0, len(all))
	named := map[mesh.Zone]int{}
	for _, p := range all {
		q := p.describe(states[p.key], pic.zones[p.key], n.book)
		if q.Zone != "" {
			named[q.Zone]++
			q.DeletesHeld = held[q.Zone]
			if r, ok := lag[q.Zone]; ok {
				q.LagOperations, q.LagSeconds = &r.LagOperations, &r.LagSeconds
			}
		}
		out = append(out, q)
	}
	for i := range out {
		if out[i].Name = string(out[i].Zone); out[i].Zone == "" || named[out[i].Zone] > 1 {
			out[i].Name = "peer-" + out[i].PublicKey[:8]
		}
	}
	return out
}

// describe fills in what one peer is known by. bound is the zone that the replica binds the key to, b the address
// book.
func (p *peerEntry) describe(m membership.Peer, bound mesh.Zone, b *book) mesh.Peer {
	seen, known := b.lastSeen(p.key), b.known(p.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	learnt := b.learnt(p.key, p.endpoints)
	q := mesh.Peer{
		Zone: cmp.Or(p.zone, bound), State: m.State, PublicKey: p.key.String(), PeerID: p.id.String(),
		Endpoints: append([]string{}, p.endpoints...), Reasons: []string{string(m.Reason)},
		LastError: p.lastErr, Attempts: slices.Clone(p.attempts), Learnt: learnt,
	}
	if len(q.Endpoints) == 0 {
		q.Endpoints = append(q.Endpoints, known...)
	}
	if q.State == "" {
		q.State, q.Reasons = mesh.Unknown, []string{string(membership.NotHeardYet)}
	}
	q.Since = timeOrNil(m.Since)
	if q.State == mesh.Ready {
		q.Reasons = []string{}
	}
	if m.Rival != nil {
		q.Reasons = append(q.Reasons, "TwoInstances")
	}
	q.FirstSeen, q.LastSeen = timeOrNil(p.firstSeen), timeOrNil(p.lastSeen)
	if p.lastSeen.IsZero() {
		q.LastSeen = timeOrNil(seen) // in an earlier run
	}
	if m.Heard.After(p.lastSeen) {
		q.LastSeen = timeOrNil(m.Heard)
	}
	if h := p.hello; h != nil {
		q.Zone = cmp.Or(q.Zone, h.Instance.Zone)
		q.Version = &h.Software
		if h.Instance.Incarnation != 0 {
			q.Incarnation = timeOrNil(time.UnixMilli(int64(h.Instance.Incarnation)))
		}
	}
	if b := p.beat; b != nil {
		q.Zone = cmp.Or(q.Zone, b.Instance.Zone)
		q.Version = &b.Version
		if b.Instance.Incarnation != 0 {
			q.Incarnation = timeOrNil(time.UnixMilli(int64(b.Instance.Incarnation)))
		}
	}
	if p.measured {
		s := p.offset.Seconds()
		q.ClockOffsetSeconds = &s
	}
	tx, rx := p.tx, p.rx
	for _, l := range p.links {
		tx.add(&l.out)
		rx.add(&l.in)
		transport, address := describeAddr(l.s.Conn().RemoteMultiaddr())
		q.Transport, q.Address = &transport, &address
		if rtt := l.pings.roundTrip(); rtt > 0 {
			s := rtt.Seconds()
			q.RTTSeconds = &s
		}
		if loss, p95, ok := l.pings.quality(); ok {
			q.LossRatio = &loss
			if s := p95.Seconds(); p95 > 0 {
				q.RTTP95Seconds = &s
			}
		}
	}
	q.TxBytes, q.TxMessages, q.RxBytes, q.RxMessages = tx.bytes, tx.frames, rx.bytes, rx.frames
	return q
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Round(0)
	return &t
}

// queues tells how full each queue is: entries and capacity.
func (n *Node) queues() map[string][2]int {
	q := map[string][2]int{
		"local":  {len(n.loop.local), cap(n.loop.local)},
		"remote": {len(n.loop.remote), cap(n.loop.remote)},
		"gossip": {len(n.gossipOut), cap(n.gossipOut)},
		"live":   {0, liveLane},
	}
	for _, l := range n.peers.links() { // the fullest one stands for all
		q["live"] = [2]int{max(q["live"][0], len(l.live)), liveLane}
	}
	return q
}
