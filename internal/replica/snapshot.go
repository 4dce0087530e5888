package replica

import (
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// stepBudget is how many bytes of snapshot one step writes: a transaction stays small and other inputs get
// their turn between two chunks.
const stepBudget = 1 << 20

// snapshotState is when to restate, and how far a run of ours has come.
type snapshotState struct {
	due   bool
	since uint64 // operations of ours since the last run, the run's own not counted
	last  time.Time
	run   *ownRun
}

// ownRun is a run of ours in progress. It restates the store's index, never a list of the cluster's objects.
type ownRun struct {
	log    mesh.LogKey
	claims []mesh.ObjectKey // those claimed when the run began, in order
	trust  []oplog.TrustOp
	digest *event.Digest
	begun  bool
}

func (r *Replica) loadSnapshotState() {
	if l := r.ownLog(); l != nil {
		r.snap.since = l.Ops      // more than there were: the first run after a restart may come early
		r.snap.due = l.Run != nil // an interrupted run is begun anew
	}
}

// snapshot begins a run when one is due and writes the next part of the one under way.
func (r *Replica) snapshot() {
	if !r.canSign() {
		return
	}
	if r.snap.run == nil {
		if !r.snapshotDue() {
			return
		}
		r.restateOlderLives()
		if r.ownLog() == nil {
			r.openLog()
		}
		r.snap.run = r.newOwnRun()
		r.snap.due = false
	}
	r.continueRun()
}

func (r *Replica) snapshotDue() bool {
	if r.snap.due {
		return true
	}
	if r.ownLog() == nil || r.snap.since == 0 {
		return false
	}
	if r.snap.last.IsZero() {
		r.snap.last = r.now
	}
	return r.snap.since > max(r.cfg.SnapshotMaxLog, uint64(r.counts.ownLive)) ||
		!r.now.Before(r.snap.last.Add(r.cfg.SnapshotInterval))
}

// restateOlderLives gives objects that were published again before their older life was read back their
// older birth, so that a deletion of that life elsewhere is recognised.
func (r *Replica) restateOlderLives() {
	ks := make([]mesh.ObjectKey, 0, len(r.rebirth))
	for k := range r.rebirth {
		ks = append(ks, k)
	}
	slices.SortFunc(ks, mesh.ObjectKey.Compare)
	for _, k := range ks {
		past := r.rebirth[k]
		delete(r.rebirth, k)
		if o := r.objects[k]; o != nil {
			if mine := o.live(r.cfg.Zone); mine != nil && past.birth < mine.Birth {
				r.signUpdate(k, r.payload(mine.Ref()), max(mine.Epoch, past.epoch), past.birth)
				r.report(Decision{Reason: Restated, Zone: r.cfg.Zone, Object: k})
			}
		}
	}
}

func (r *Replica) newOwnRun() *ownRun {
	run := &ownRun{log: r.ownLog().Key, digest: event.NewDigest(), trust: r.Trust()}
	for _, o := range r.objects {
		if o.claim(r.cfg.Zone) != nil {
			run.claims = append(run.claims, o.key)
		}
	}
	slices.SortFunc(run.claims, mesh.ObjectKey.Compare)
	return run
}

// continueRun writes the next part of the run: its begin, chunks up to the step's budget, its end.
func (r *Replica) continueRun() {
	run, l := r.snap.run, r.ownLog()
	if l == nil || l.Key != run.log {
		r.snap.run = nil // a new incarnation began meanwhile
		r.snap.due = true
		return
	}
	if !run.begun {
		covers, floor := r.coverable()
		r.append(l, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{
			Floor: floor, Covers: covers, Witness: r.meta.Witness, Heights: r.heights(),
		}})
		run.begun = true
	}
	for written := 0; written < stepBudget; {
		entries, size := r.nextChunk(run)
		if len(entries) == 0 {
			r.endRun(run, l)
			return
		}
		for _, e := range entries {
			if err := run.digest.Add(e); err != nil {
				panic("replica: own snapshot: " + err.Error())
			}
		}
		r.append(l, &event.Event{Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: entries}})
		written += size
	}
	r.wakeNow = true
}

func (r *Replica) endRun(run *ownRun, l *oplog.Log) {
	count, digest := run.digest.Sum()
	r.snap.run = nil
	r.append(l, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: digest}})
	r.snap.since, r.snap.last = 0, r.now
	r.meta.LastRun, r.meta.LastAck = r.nowMilli(), r.nowMilli()
	r.writeMeta()
	r.report(Decision{Reason: SnapshotWritten, Zone: r.cfg.Zone, Log: l.Key, Seq: l.Height()})
}

// nextChunk takes entries off the run until one more would pass the size of a chunk.
func (r *Replica) nextChunk(run *ownRun) (entries []event.Entry, size int) {
	add := func(e event.Entry) bool {
		n := len(e.Payload) + len(e.Header) + len(e.Body) + len(e.Object.Name) + len(e.Object.Namespace) + 64
		if len(entries) > 0 && size+n > event.MaxChunk {
			return false
		}
		entries = append(entries, e)
		size += n
		return true
	}
	for len(run.claims) > 0 {
		if e, ok := r.entryOf(run.claims[0]); ok && !add(e) {
			return entries, size
		}
		run.claims = run.claims[1:]
	}
	for len(run.trust) > 0 {
		t := run.trust[0]
		if !add(event.Entry{Kind: event.EntryTrust, Header: t.Header, Body: t.Body}) {
			return entries, size
		}
		run.trust = run.trust[1:]
	}
	return entries, size
}

// entryOf restates our claim on an object as it stands now. A tombstone that everybody acknowledged and that
// is old enough is left out: that is how it ends. Releases are never left out, for an absence would read as
// a deletion to a zone that missed them.
func (r *Replica) entryOf(k mesh.ObjectKey) (event.Entry, bool) {
	o := r.objects[k]
	if o == nil {
		return event.Entry{}, false
	}
	c := o.claim(r.cfg.Zone)
	if c == nil {
		return event.Entry{}, false
	}
	e := event.Entry{Object: k, Version: c.Version, Epoch: c.Epoch, Birth: c.Birth}
	switch c.Kind {
	case mesh.Live:
		e.Kind, e.Payload = event.EntryLive, r.payload(c.Ref())
		if e.Payload == nil {
			return e, false
		}
	case mesh.Deleted:
		if r.collectable(o, c) {
			return e, false
		}
		e.Kind = event.EntryDeleted
	case mesh.Released:
		e = event.Entry{Kind: event.EntryReleased, Object: k, Epoch: c.Epoch, NewOwner: c.NewOwner}
	}
	return e, true
}

// heights lists how far every other zone's log is held here: the acknowledgement that snapshots carry.
func (r *Replica) heights() []event.Height {
	var out []event.Height
	for _, l := range r.sortedLogs() {
		if l.Key.Author != r.self && !l.Empty() && len(out) < event.MaxHeights {
			out = append(out, event.Height{Log: l.Key, Height: l.Height()})
		}
	}
	return out
}

func sortLogs(ls []*oplog.Log) {
	slices.SortFunc(ls, func(a, b *oplog.Log) int { return a.Key.Compare(b.Key) })
}

func sortCovers(cs []event.Cover) {
	slices.SortFunc(cs, func(a, b event.Cover) int { return a.Log.Compare(b.Log) })
}

func sortByIncarnation(cs []event.Cover) {
	slices.SortFunc(cs, func(a, b event.Cover) int {
		switch {
		case a.Incarnation < b.Incarnation:
			return -1
		case a.Incarnation > b.Incarnation:
			return 1
		}
		return 0
	})
}

func containsCover(cs []event.Cover, k mesh.LogKey) bool {
	return slices.ContainsFunc(cs, func(c event.Cover) bool { return c.Log == k })
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
