package replica

import "time"

// Deadline is when Step wants to be called with a Tick at the latest; zero: never. It is at or before the
// time of the last Step when bounded work is waiting.
func (r *Replica) Deadline() time.Time {
	if r.wakeNow || r.failure != nil {
		return r.now
	}
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if !r.start.joined {
		sooner(r.joinAt())
	}
	if r.canSign() {
		if r.ownLog() != nil && r.snap.since > 0 && !r.snap.last.IsZero() {
			sooner(r.snap.last.Add(r.cfg.SnapshotInterval))
		}
		if r.ackWanted() {
			sooner(r.nextAck())
		}
		if t := r.cutDeadline(); !t.IsZero() {
			sooner(t)
		}
		if r.wit.published && !r.wit.writing && !r.meta.Replaced && !r.wit.raised.IsZero() {
			sooner(r.wit.raised.Add(witnessEvery))
		}
	}
	for _, b := range r.newLogs {
		if b.used >= newLogBurst {
			sooner(time.UnixMilli(b.since).Add(newLogEvery))
		}
	}
	return at
}
