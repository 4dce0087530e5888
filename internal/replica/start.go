package replica

import (
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// How long local changes wait at the start for a comparison with the other nodes: they may know statements
// of ours that this store lost.
const (
	waitAfterAnswer = 10 * time.Second // from the first answer
	waitForAnswer   = 30 * time.Second // when nobody answers
)

// startState is the node's beginning: from its first step until it signs.
type startState struct {
	newStore bool
	began    time.Time
	answered time.Time            // when the first peer was compared with; zero: none yet
	compared map[keys.Public]bool // peers compared with since the start
	joined   bool                 // the wait is over
	listed   bool                 // the cluster adapter reported everything once
	floor    mesh.Incarnation     // least incarnation that a new log of ours may use
	known    map[mesh.LogKey]uint32
}

// pastLife is what an earlier log of ours said about an object that lives in the present one too.
type pastLife struct {
	birth mesh.Version
	epoch mesh.Epoch
}

// join ends the wait when everybody was compared with, or when waiting longer would help nobody.
func (r *Replica) join() {
	s := &r.start
	if s.joined || r.now.Before(r.joinAt()) {
		return
	}
	s.joined = true
	r.report(Decision{Reason: Joined, Zone: r.cfg.Zone})
	r.catchUp()
}

// joinAt is when the wait ends if nothing else happens.
func (r *Replica) joinAt() time.Time {
	s := &r.start
	all := len(r.members) > 0
	for k := range r.members {
		all = all && s.compared[k]
	}
	switch {
	case all, r.bootstraps():
		return s.began
	case !s.answered.IsZero():
		return minTime(s.answered.Add(waitAfterAnswer), s.began.Add(waitForAnswer))
	}
	return s.began.Add(waitForAnswer)
}

// bootstraps reports whether this is the first node of a mesh, which has nobody to compare with. A cluster that
// carries a witness has been in one: then somebody may know more about it than a new store.
func (r *Replica) bootstraps() bool {
	used := !r.wit.known || r.wit.found
	return r.cfg.Bootstrap && r.start.newStore && len(r.members) == 0 && (!used || r.cfg.Clusterless)
}

// Waiting reports whether local changes are still only recorded, and why.
func (r *Replica) Waiting() (bool, string) {
	switch {
	case !r.trust.view.Admitted(r.self):
		return true, "this node's key was removed from the mesh"
	case r.muted:
		return true, "another live instance uses this node's key"
	case !r.start.joined:
		return true, "comparing with the other nodes before the first change is signed"
	case !r.wit.known:
		return true, "the cluster's witness has not been read yet"
	}
	return false, ""
}

// compared notes that everything a peer had for us was handed in.
func (r *Replica) compared(k keys.Public) {
	if !r.admitted(k) {
		return
	}
	if r.start.compared == nil {
		r.start.compared = make(map[keys.Public]bool)
	}
	r.start.compared[k] = true
	r.comparedFor(k)
	if r.start.answered.IsZero() {
		r.start.answered = r.now
	}
	r.coverEarlier()
}

// haves takes in what a peer says it holds: how far it acknowledges our logs, and how much of our earlier
// logs there is to read back.
func (r *Replica) haves(in Haves) {
	zone := r.ZoneOf(in.From)
	for i := range in.Logs {
		h := &in.Logs[i]
		r.offer(h)
		if h.Key.Author != r.self || h.Next == 0 {
			continue
		}
		l := r.logs[h.Key]
		if l != nil && zone != "" && h.Next <= l.Next {
			r.noteAck(zone, h.Key, h.Next-1)
		}
		if r.start.known == nil {
			r.start.known = make(map[mesh.LogKey]uint32)
		}
		if l == nil && len(r.start.known) >= 4*maxIncarnations {
			continue
		}
		r.start.known[h.Key] = max(r.start.known[h.Key], h.Next)
		if l != nil && h.Frozen && !l.Frozen {
			r.doubted(l, h.Next)
		}
		if l == nil || h.Next > l.Next {
			r.request(in.From)
		}
	}
}

// ownArrived deals with an operation of our own key. One of the log in use that we don't hold, or of a
// higher incarnation, proves that this store is older than what was signed: a new incarnation follows, and
// that log becomes an earlier one to read back.
func (r *Replica) ownArrived(l *oplog.Log, op *operation.Operation) bool {
	if l.Instance.Zone != r.cfg.Zone {
		return false
	}
	switch {
	case r.meta.Incarnation != 0 && l.Instance.Incarnation == r.meta.Incarnation:
		if op.Seq >= l.Next {
			r.newIncarnation("more of our log exists than this store holds")
			r.meta.Behind = true
			r.writeMeta()
		}
	case l.Instance.Incarnation >= max(r.meta.Incarnation, r.start.floor):
		r.start.floor = l.Instance.Incarnation + 1
		if r.meta.Incarnation != 0 {
			r.newIncarnation("a higher incarnation of this zone exists")
			r.meta.Behind = true
			r.writeMeta()
		}
	}
	r.suspectCluster()
	return true
}

// newIncarnation leaves the log in use. The next statement begins a log above every incarnation known.
func (r *Replica) newIncarnation(why string) {
	floor := max(r.start.floor, r.meta.Incarnation+1, r.meta.Created)
	for _, l := range r.logs {
		if l.Key.Author == r.self {
			floor = max(floor, l.Instance.Incarnation+1)
		}
	}
	r.start.floor = min(floor, mesh.MaxIncarnation)
	r.meta.Created = r.start.floor
	r.meta.Incarnation = 0
	r.writeMeta()
	r.snap.run = nil
	r.trust.stated = nil
	r.report(Decision{Reason: NewIncarnation, Zone: r.cfg.Zone, Detail: why})
}

// readBack follows a claim found in an earlier log of ours. An object that was published again before its
// older life was read back keeps the older birth; one that nobody has seen here is looked for.
func (r *Replica) readBack(c mesh.Claim) {
	if c.Version > r.meta.LastVersion {
		r.meta.LastVersion = c.Version // one counter per zone, whichever of its stores counted
		r.writeMeta()
	}
	o := r.object(c.Object)
	cur := o.claim(r.cfg.Zone)
	switch {
	case cur == nil:
	case c.Kind != mesh.Live:
		delete(r.rebirth, c.Object)
	case cur.Kind == mesh.Live && cur.At != c.At && c.Birth < cur.Birth:
		r.rebirth[c.Object] = pastLife{c.Birth, c.Epoch}
	}
	if r.canSign() && r.start.listed && r.missing(o) {
		r.probe(c.Object)
	}
}

// coverEarlier makes a snapshot due when earlier logs of ours were read back and are not covered yet.
func (r *Replica) coverEarlier() {
	if covers, _ := r.coverable(); len(covers) > 0 {
		cur := r.covers[r.self]
		for _, c := range covers {
			if !r.covered(mesh.Position{Log: c.Log, Incarnation: c.Incarnation, Seq: c.Height}) || cur.Floor > c.Incarnation {
				r.snap.due = true
			}
		}
	}
}

// coverable lists the earlier logs of ours that a snapshot may cover: forked ones, and those read back in
// full while the cluster was the same.
func (r *Replica) coverable() (covers []event.Cover, floor mesh.Incarnation) {
	floor = r.covers[r.self].Floor
	for _, l := range r.sortedLogs() {
		if l.Key.Author != r.self || l.Instance.Incarnation < floor || l.Empty() || l.Instance.Incarnation == r.meta.Incarnation {
			continue
		}
		c := event.Cover{Log: l.Key, Incarnation: l.Instance.Incarnation, Height: l.Height(), Head: l.Head}
		switch {
		case l.Frozen:
			c.Height = coversFork
		case l.Staged != nil || r.start.known[l.Key] > l.Next:
			continue
		case !r.sameCluster(l):
			continue
		}
		covers = append(covers, c)
	}
	if n := len(covers) - event.MaxCovers; n > 0 {
		// The lowest go into the floor, unless an uncovered log stands below them.
		sortByIncarnation(covers)
		f := covers[n].Incarnation
		for _, l := range r.logs {
			if l.Key.Author == r.self && l.Instance.Incarnation < f && !containsCover(covers, l.Key) {
				f = min(f, l.Instance.Incarnation)
			}
		}
		floor, covers = max(floor, f), covers[n:]
		sortCovers(covers)
	}
	return covers, floor
}

// sameCluster reports whether an earlier log of ours described the cluster that we have now, in a state not
// newer than it.
func (r *Replica) sameCluster(l *oplog.Log) bool {
	if r.wit.confirmed {
		return true
	}
	_, ev := r.decodeRow(r.heldRow(l, l.Start))
	if ev == nil || ev.SnapshotBegin == nil {
		return false
	}
	w := ev.SnapshotBegin.Witness
	if w.Cluster.IsZero() {
		return true // it was written before there was anything to witness
	}
	return w.Cluster == r.meta.Witness.Cluster && w.Counter <= r.wit.base
}

func (r *Replica) mute(on bool) {
	if r.muted == on {
		return
	}
	r.muted = on
	if on {
		r.report(Decision{Reason: Muted, Zone: r.cfg.Zone})
		return
	}
	r.catchUp()
}
