package replica

import (
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// ackEvery is how often an Ack is signed at most.
const ackEvery = time.Minute

// noteAck remembers the highest position of a log of ours that a zone is known to hold. A log that is held
// once is never unheld: a zone that lost its store reads everything anew before it says anything.
func (r *Replica) noteAck(z mesh.Zone, l mesh.LogKey, h uint32) {
	m := r.acked[z]
	if m == nil {
		m = make(map[mesh.LogKey]uint32)
		r.acked[z] = m
	}
	if old, ok := m[l]; ok && h <= old {
		return
	}
	m[l] = h
	r.fx.Persist.Acked = append(r.fx.Persist.Acked, oplog.Acked{Zone: z, Log: l, Height: h})
}

// collectable reports whether the tombstone c of ours on o may be forgotten: every admitted zone holds it, and it is as
// old as the configured retention. A zone that holds the place where it was stated first, as far as this run knows, holds
// it: where it was restated last moves on with every snapshot of ours, faster than others may acknowledge.
func (r *Replica) collectable(o *object, c *mesh.Claim) bool {
	if r.nowMilli()-c.Since < r.cfg.TombstoneRetention.Milliseconds() {
		return false
	}
	for _, k := range r.sortedMembers() {
		z := r.ZoneOf(k)
		if z == "" {
			return false // whoever it is, it may still have to hear of the deletion
		}
		if h, ok := r.acked[z][c.At.Log]; !ok || h < o.stated {
			return false
		}
	}
	return true
}

// acknowledge signs an Ack when another zone waits for one: it has a tombstone here that we never
// acknowledged. An Ack alone is nothing to acknowledge, so a quiet mesh stays quiet.
func (r *Replica) acknowledge() {
	if !r.canSign() || !r.ackWanted() || r.now.Before(r.nextAck()) {
		return
	}
	hs := r.heights()
	r.sign(&event.Event{Kind: event.KindAck, Ack: &event.Ack{Heights: hs}})
	r.meta.LastAck = r.nowMilli()
	r.writeMeta()
	r.counts.unacked = false
}

func (r *Replica) nextAck() time.Time { return time.UnixMilli(r.meta.LastAck).Add(ackEvery) }

// ackWanted reports whether a tombstone of another zone arrived since our last acknowledgement.
func (r *Replica) ackWanted() bool { return r.counts.unacked }
