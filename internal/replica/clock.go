package replica

import "time"

// reclock takes moments that lie ahead for this one. They were noted before the clock was set back, perhaps in an earlier
// run: whatever counts from them would stand still for as long as the clock was ahead, which may be centuries.
func (r *Replica) reclock() {
	for _, t := range []*time.Time{&r.start.began, &r.start.answered, &r.snap.last, &r.wit.raised} {
		if t.After(r.now) {
			*t = r.now
		}
	}
	for _, p := range r.proposals {
		if p.since.After(r.now) {
			p.since = r.now
		}
	}
	r.meta.LastAck = min(r.meta.LastAck, r.nowMilli())
}
