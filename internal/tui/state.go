package tui

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// What is kept of a node at most. A mesh that is meant to be watched is smaller; what is more is counted.
const (
	maxPeers     = 2_000
	maxLogs      = 4_000
	maxLinks     = 20_000
	maxResources = 20_000
	maxNotices   = 1_000
	maxChanges   = 20 // of the state of one peer
)

// state is what is known of a node: the frames of its stream, folded into one picture. It has one owner and no
// clock: time comes with the frames, and by tick.
//
// Items are never changed once they are here, only replaced. So a clone, which the pause button makes, shares
// them.
type state struct {
	now      time.Time // by the node's clock
	status   *mesh.Status
	statusAt time.Time // when the status was told
	topology *mesh.Topology
	peers    []*peer // in the order of `mesh peers`: state, the worst last, then name
	logs     map[string]*mesh.LogStatus
	// resources by object; beyond maxResources they are counted in unseen.
	resources map[string]*mesh.Resource
	unseen    int
	objects   objectIndex   // of the resources
	notices   []mesh.Notice // oldest first
	noticed   uint64        // how many came, also those that fell out

	byKey map[string]*peer
	// changed counts what changed, so that views sort anew only then.
	changed struct{ peers, resources, logs, notices int }
	frame   time.Time // of the newest frame
}

// peer is one other node with what it was like before.
type peer struct {
	mesh.Peer
	lag, delay, rtt, tx, rx series // operations, seconds, seconds, messages
	changes                 []peerChange
}

// peerChange is one step in a peer's history.
type peerChange struct {
	at    time.Time
	state mesh.PeerState
	via   string // the transport; empty: not connected
}

func newState() *state {
	return &state{byKey: map[string]*peer{}, logs: map[string]*mesh.LogStatus{}, resources: map[string]*mesh.Resource{}, objects: newObjectIndex()}
}

// zone returns the own zone; empty while it is not known.
func (s *state) zone() mesh.Zone {
	if s.status == nil {
		return ""
	}
	return s.status.Zone
}

// known reports whether there is anything to show.
func (s *state) known() bool { return s.status != nil }

// peer returns the peer with a key, nil if there is none.
func (s *state) peer(key string) *peer { return s.byKey[key] }

// peerOf returns the first peer with a zone or name, nil if there is none.
func (s *state) peerOf(name string) *peer {
	for _, p := range s.peers {
		if p.Name == name || string(p.Zone) == name {
			return p
		}
	}
	return nil
}

// tick lets time pass: since is how long ago the newest frame came.
func (s *state) tick(since time.Duration) { s.now = s.frame.Add(max(since, 0)) }

// fold takes in a frame.
func (s *state) fold(f mesh.Frame) {
	if !f.Time.IsZero() {
		s.frame = f.Time
		s.now = f.Time
	}
	if f.Whole {
		s.forget()
	}
	if f.Status != nil {
		s.status, s.statusAt = f.Status, s.now
	}
	if f.Topology != nil {
		t := *f.Topology
		t.Links = t.Links[:min(len(t.Links), maxLinks)]
		s.topology = &t
	}
	s.foldPeers(f.Peers)
	s.foldLogs(f.Logs)
	s.foldResources(f.Resources)
	s.foldNotices(f.Notices, f.Whole)
	for _, p := range s.peers {
		p.sample(s.now)
	}
}

// forget makes room for a whole frame. Peers stay until the frame has named its own: what they were like before
// is still true after a break of the connection.
func (s *state) forget() {
	s.dropResources()
	s.logs = map[string]*mesh.LogStatus{}
	s.changed.resources++
	s.changed.logs++
}

func (s *state) foldPeers(d *mesh.Delta[mesh.Peer]) {
	if d == nil {
		return
	}
	s.changed.peers++
	if d.Whole {
		named := map[string]bool{}
		for i := range d.Items {
			named[d.Items[i].PublicKey] = true
		}
		maps.DeleteFunc(s.byKey, func(key string, _ *peer) bool { return !named[key] })
	}
	for _, key := range d.Removed {
		delete(s.byKey, key)
	}
	for i := range d.Items {
		p := s.byKey[d.Items[i].PublicKey]
		if p == nil {
			if len(s.byKey) >= maxPeers {
				continue
			}
			p = &peer{}
			s.byKey[d.Items[i].PublicKey] = p
		}
		p.become(d.Items[i], s.now)
	}
	s.peers = slices.SortedFunc(maps.Values(s.byKey), comparePeerStates)
}

// comparePeerStates is the order of `mesh peers`.
func comparePeerStates(a, b *peer) int {
	return cmp.Or(cmp.Compare(stateOrder(a.State), stateOrder(b.State)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.PublicKey, b.PublicKey))
}

// become replaces what is known of a peer and remembers a change of its state or transport.
func (p *peer) become(now mesh.Peer, at time.Time) {
	change := peerChange{at: at, state: now.State}
	if now.Transport != nil {
		change.via = *now.Transport
	}
	last := len(p.changes) - 1
	if last < 0 && now.Since != nil {
		change.at = *now.Since
	}
	if last < 0 || p.changes[last].state != change.state || p.changes[last].via != change.via {
		if last >= 0 && p.changes[last].state != change.state && now.Since != nil && now.Since.Before(at) && now.Since.After(p.changes[last].at) {
			change.at = *now.Since
		}
		if len(p.changes) >= maxChanges {
			p.changes = p.changes[1:]
		}
		p.changes = append(slices.Clip(p.changes), change)
	}
	p.Peer = now
}

// sample adds what is so now to the histories.
func (p *peer) sample(now time.Time) {
	p.lag.add(now, optionalInt(p.LagOperations))
	p.delay.add(now, optionalFloat(p.LagSeconds))
	p.rtt.add(now, optionalFloat(p.RTTSeconds))
	p.tx.add(now, float64(p.TxMessages))
	p.rx.add(now, float64(p.RxMessages))
}

func optionalInt(v *uint64) float64 {
	if v == nil {
		return math.NaN()
	}
	return float64(*v)
}

func optionalFloat(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// growing reports whether the peer is further behind than half a minute ago.
func (p *peer) growing(now time.Time) bool {
	const before = 30
	if p.LagOperations == nil || *p.LagOperations == 0 {
		return false
	}
	then := p.lag.at(now.Unix() - before)
	return !math.IsNaN(then) && float64(*p.LagOperations) > then
}

// address is where the peer is connected, or else where it is configured to be.
func (p *peer) address() string {
	switch {
	case p.Address != nil:
		return *p.Address
	case len(p.Endpoints) > 0:
		return p.Endpoints[0]
	}
	return noValue
}

func (s *state) foldLogs(d *mesh.Delta[mesh.LogStatus]) {
	if d == nil {
		return
	}
	s.changed.logs++
	if d.Whole {
		s.logs = map[string]*mesh.LogStatus{}
	}
	for _, id := range d.Removed {
		delete(s.logs, id)
	}
	for i := range d.Items {
		l := d.Items[i]
		id := l.PublicKey + "/" + l.LogID
		if _, known := s.logs[id]; known || len(s.logs) < maxLogs {
			s.logs[id] = &l
		}
	}
}

// logOf returns the newest log of a key, nil if there is none.
func (s *state) logOf(key string) *mesh.LogStatus {
	var newest *mesh.LogStatus
	for _, l := range s.logs {
		if l.PublicKey == key && (newest == nil || l.Incarnation.After(newest.Incarnation) ||
			l.Incarnation.Equal(newest.Incarnation) && l.LogID < newest.LogID) {
			newest = l
		}
	}
	return newest
}

func (s *state) foldResources(d *mesh.Delta[mesh.Resource]) {
	if d == nil {
		return
	}
	s.changed.resources++
	if d.Whole {
		s.dropResources()
	}
	for _, object := range d.Removed {
		s.removeResource(object)
	}
	for i := range d.Items {
		r := d.Items[i]
		s.putResource(&r)
	}
}

// foldNotices appends what is new. A whole frame repeats the newest notices; a node that was started anew
// counts from 1 again, which is seen by an id that falls behind while time does not.
func (s *state) foldNotices(news []mesh.Notice, whole bool) {
	if len(news) == 0 {
		return
	}
	s.changed.notices++
	if whole {
		known := map[noticeKey]bool{}
		for _, n := range s.notices {
			known[keyOfNotice(n)] = true
		}
		news = slices.DeleteFunc(slices.Clone(news), func(n mesh.Notice) bool { return known[keyOfNotice(n)] })
	}
	s.noticed += uint64(len(news))
	all := slices.Concat(s.notices, news) // a copy: a clone may hold the old ones
	s.notices = all[max(len(all)-maxNotices, 0):]
}

// noticeKey tells notices apart, also those of two runs of a node.
type noticeKey struct {
	id   uint64
	nano int64
}

func keyOfNotice(n mesh.Notice) noticeKey { return noticeKey{n.ID, n.Time.UnixNano()} }

// clone returns a picture that stands still while s goes on.
func (s *state) clone() *state {
	c := *s
	c.byKey = make(map[string]*peer, len(s.byKey))
	c.peers = make([]*peer, 0, len(s.peers))
	for _, p := range s.peers {
		q := *p
		q.lag, q.delay, q.rtt, q.tx, q.rx = p.lag.clone(), p.delay.clone(), p.rtt.clone(), p.tx.clone(), p.rx.clone()
		q.changes = slices.Clone(p.changes)
		c.byKey[p.PublicKey] = &q
		c.peers = append(c.peers, &q)
	}
	c.objects = s.objects.clone()
	c.logs, c.resources, c.notices = maps.Clone(s.logs), maps.Clone(s.resources), slices.Clone(s.notices)
	return &c
}
