package replica

import (
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// This file is about the limits that removals and hand-overs set to the logs of a key. They follow from the trust set,
// which may still learn of a lower cut, or that one doesn't count; so they are worked out anew whenever it changes and
// stored with no log.

// limitLog gives a log the limit that the trust set sets it. Our own logs have none: whoever was removed says nothing
// more, and may still be right about what it said.
func (r *Replica) limitLog(l *oplog.Log) {
	if l.Key.Author == r.self {
		return
	}
	cut, none, limited := r.trust.view.Cut(l.Key.Author, l.Key.Log)
	switch {
	case !limited && !r.neverAdmitted(l.Key.Author):
		l.Cut = nil
	case none, !limited:
		l.Cut = &oplog.Limit{None: true}
	default:
		l.Cut = &oplog.Limit{Height: cut.Height, Hash: cut.Head}
	}
}

// neverAdmitted reports whether a key was admitted by nothing but statements that turned out to be void: then nothing
// that it signed stands.
func (r *Replica) neverAdmitted(k keys.Public) bool {
	if r.trust.view.Speaks(k) || k == r.self {
		return false
	}
	return slices.ContainsFunc(r.trust.set.Statements(), func(st trust.Statement) bool {
		return st.Event.Admits() == k
	})
}

// limitLogs brings the limits of all logs up to date, and the claims to what stands below them.
func (r *Replica) limitLogs() {
	for _, l := range r.sortedLogs() {
		before := l.Cut
		r.limitLog(l)
		if before == l.Cut || before != nil && l.Cut != nil && *before == *l.Cut {
			continue
		}
		r.limitMoved(l, before)
		if l.Instance.Zone == r.cfg.Zone {
			r.catchUp() // of what our former key said last some is void: it is said again, if it still holds
		}
	}
}

// limitMoved follows a new cut of a log: what stands above it is void, what stood above the old one counts again.
func (r *Replica) limitMoved(l *oplog.Log, before *oplog.Limit) {
	if l.Staged != nil && l.Cut != nil {
		r.pruneStaged(l)
		r.unstage(l)
	}
	r.coverAnew(l)
	if l.Empty() {
		if l.Cut != nil && l.Cut.None {
			r.rewind(l) // it was emptied to be fetched again, and of what was applied nothing stands now
		}
		return
	}
	lifted := l.Cut == nil || before != nil && (before.None || !l.Cut.None && l.Cut.Height > before.Height)
	if lifted {
		r.mergeAgain(l, nil)
	}
	if l.Cut == nil {
		r.requestAll()
		return
	}
	if !l.Cut.None && (l.Next <= l.Cut.Height || !r.onChain(l)) {
		// What is held is less than what stands, or begins above it, or is another branch.
		if l.Next > l.Cut.Height {
			r.refetch(l)
		}
		r.requestAll()
		return
	}
	r.rewind(l)
}

// onChain reports whether the position of a log's cut is held, and all that stands below it: the run of a snapshot that
// the cut parts doesn't stand for what it restated.
func (r *Replica) onChain(l *oplog.Log) bool {
	if l.Cut.Height < l.Start {
		return false
	}
	id, held, err := r.rowID(l.Key, l.Cut.Height)
	if err != nil {
		r.fail(err)
	}
	if !held || id != l.Cut.Hash {
		return false
	}
	whole := l.Start == 0
	if !whole {
		r.eachRow(l.Key, l.Start, l.Cut.Height+1, func(row oplog.Row) bool {
			_, ev := r.decodeRow(row)
			whole = ev != nil && ev.SnapshotEnd != nil
			return !whole && r.failure == nil
		})
	}
	return whole
}

// refetch empties a log of which more was merged than stands: what stands is asked for again, from whoever holds it.
// The claims stay as they were applied until it is there, or for good.
func (r *Replica) refetch(l *oplog.Log) {
	r.prunes = append(r.prunes, pruneJob{log: l.Key, span: oplog.Span{Log: l.Key, From: l.Pruned, To: l.Next}})
	l.Start, l.Next, l.Head, l.Pruned, l.AbsentBelow, l.Run = 0, 0, mesh.Hash{}, 0, 0, nil
	l.Ops, l.Bytes, l.Unchecked = 0, 0, oplog.Range{}
	delete(r.runs, l.Key)
	r.writeLog(l.Key)
	r.report(Decision{Reason: Refetched, Zone: l.Instance.Zone, Log: l.Key})
}

// reachedCut ends the claims that a log with a cut makes void, once all that stands of it is held.
func (r *Replica) reachedCut(l *oplog.Log) {
	if l.Cut != nil && !l.Cut.None && !l.Empty() && l.Height() == l.Cut.Height {
		r.rewind(l)
		if l.Instance.Zone == r.cfg.Zone {
			r.catchUp()
		}
	}
}

// coverAnew works out which earlier logs of its author are covered: a run that doesn't stand any more covers nothing.
func (r *Replica) coverAnew(moved *oplog.Log) {
	author := moved.Key.Author
	before, any := r.covers[author]
	if !any {
		return
	}
	var logs []*oplog.Log
	for _, l := range r.sortedLogs() {
		if l.Key.Author == author && l.Start > 0 {
			logs = append(logs, l)
		}
	}
	slices.SortFunc(logs, func(a, b *oplog.Log) int { return cmp.Compare(a.Instance.Incarnation, b.Instance.Incarnation) })
	delete(r.covers, author)
	for _, l := range logs {
		if b := l.Bound(); b != nil && (b.None || l == moved && !r.onChain(l)) {
			continue
		}
		if _, ev := r.decodeRow(r.heldRow(l, l.Start)); ev != nil && ev.SnapshotBegin != nil {
			r.cover(l, r.newRun(l, l.Start, ev.SnapshotBegin))
		}
	}
	now := r.covers[author]
	if now.Floor == before.Floor && slices.Equal(now.Covers, before.Covers) {
		return
	}
	r.putCovers(author, now)
	for _, l := range r.sortedLogs() {
		if l.Key.Author == author && !l.Empty() {
			r.mergeAgain(l, nil)
		}
	}
	r.requestAll() // covered logs were dropped
}

// mergeAgain merges the claims of a log again, those on the objects that are wanted (nil: all): some count now that didn't
// before.
func (r *Replica) mergeAgain(l *oplog.Log, wanted func(mesh.ObjectKey) bool) {
	to := l.Next
	if limit := l.Bound(); limit != nil {
		if limit.None {
			return
		}
		to = min(to, limit.Height+1)
	}
	r.eachRow(l.Key, l.Start, to, func(row oplog.Row) bool {
		if _, ev := r.decodeRow(row); ev != nil {
			at := mesh.Position{Log: l.Key, Incarnation: l.Instance.Incarnation, Seq: row.Seq}
			eachClaim(ev, at, r.nowMilli(), func(c mesh.Claim, payload []byte) {
				if wanted == nil || wanted(c.Object) {
					r.putClaim(c, payload)
				}
			})
		}
		return r.failure == nil
	})
}

// rankAnew merges the logs of zones again whose keys stand in another order than before.
func (r *Replica) rankAnew(before *trust.View) {
	var zones []mesh.Zone
	for _, l := range r.logs {
		z := l.Instance.Zone
		if before.Rank(l.Key.Author, z) != r.trust.view.Rank(l.Key.Author, z) && !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	if len(zones) == 0 {
		return
	}
	authors := map[mesh.Zone]int{}
	for _, l := range r.logs {
		authors[l.Instance.Zone]++
	}
	for _, l := range r.sortedLogs() {
		if z := l.Instance.Zone; authors[z] > 1 && slices.Contains(zones, z) && !l.Empty() {
			r.mergeAgain(l, nil)
		}
	}
}

// requestAll asks every member for what it has.
func (r *Replica) requestAll() {
	for _, k := range r.sortedMembers() {
		r.request(k)
	}
}
