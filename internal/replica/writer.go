package replica

import (
	"fmt"
	"math"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// lastSeq is the sequence number near which a log is left for a new incarnation.
const lastSeq = math.MaxUint32 - 1<<20

// canSign reports whether statements may be signed now: the start is over, the cluster's witness is known, no other
// instance with our key goes on in our place, and our key still belongs to the mesh.
func (r *Replica) canSign() bool {
	return r.start.joined && r.wit.known && !r.muted && r.trust.view.Admitted(r.self)
}

// ownLog returns the log in use, or nil while nothing was signed in this incarnation.
func (r *Replica) ownLog() *oplog.Log {
	if r.meta.Incarnation == 0 {
		return nil
	}
	return r.logs[r.logKeyOf(r.meta.Incarnation)]
}

func (r *Replica) logKeyOf(i mesh.Incarnation) mesh.LogKey {
	return mesh.LogKey{Author: r.self, Log: mesh.LogIDOf(r.cfg.Network, mesh.Instance{Zone: r.cfg.Zone, Incarnation: i})}
}

// nextVersion issues a version: one counter per zone, from the store alone. The clock only makes it grow
// faster than counting would; a clock that is far off or runs backwards changes nothing that matters.
func (r *Replica) nextVersion() mesh.Version {
	v := r.meta.LastVersion + 1
	if us := r.now.UnixMicro(); us > 0 && mesh.Version(us) < mesh.MaxVersion/2 {
		v = max(v, mesh.Version(us))
	}
	r.meta.LastVersion = v
	r.writeMeta()
	return v
}

// sign appends an event to our log and merges it as if it had arrived. The first one of an incarnation is
// preceded by an empty snapshot, so that every log begins with one.
func (r *Replica) sign(ev *event.Event) {
	l := r.ownLog()
	switch {
	case l != nil && (l.Frozen || l.Next > lastSeq):
		r.newIncarnation("log is full or forked")
		l = nil
	case r.meta.Incarnation != 0 && r.meta.Incarnation < r.start.floor:
		r.newIncarnation("a higher incarnation of this zone exists")
		l = nil
	}
	if l == nil {
		l = r.openLog()
	}
	r.append(l, ev)
	r.wit.published = true
	if ev.Ack == nil {
		r.snap.since++ // an acknowledgement alone is no reason to restate everything
	}
}

// openLog starts the log of a new incarnation with an empty run at sequence numbers 0 and 1.
func (r *Replica) openLog() *oplog.Log {
	if r.meta.Incarnation == 0 {
		r.meta.Incarnation = max(r.meta.Created, r.start.floor)
		r.writeMeta()
	}
	inst := mesh.Instance{Zone: r.cfg.Zone, Incarnation: r.meta.Incarnation}
	l := &oplog.Log{Key: r.logKeyOf(inst.Incarnation), Instance: inst}
	r.logs[l.Key] = l
	r.append(l, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{
		Witness: r.meta.Witness, Heights: r.heights(),
	}})
	_, digest := event.NewDigest().Sum()
	r.append(l, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Digest: digest}})
	r.snap.due = r.snap.due || r.claimsOwn() // restate what earlier logs of ours said
	return l
}

// claimsOwn reports whether our zone claims anything yet.
func (r *Replica) claimsOwn() bool {
	for _, o := range r.objects {
		if o.claim(r.cfg.Zone) != nil {
			return true
		}
	}
	return false
}

func (r *Replica) append(l *oplog.Log, ev *event.Event) {
	ev.Instance = l.Instance
	body, err := event.Encode(ev)
	if err != nil {
		panic(fmt.Sprintf("replica: encode own event %d of log %s: %v", l.Next, l.Instance, err))
	}
	h := operation.Header{
		Seq: l.Next, Backlink: l.Head, Log: l.Key.Log,
		Timestamp: uint64(max(r.now.UnixMicro(), 0)),
		Prune:     ev.Kind == event.KindSnapshotBegin,
	}
	op, err := operation.Sign(r.cfg.Key, h, body)
	if err != nil {
		panic(fmt.Sprintf("replica: sign own operation %d of log %s: %v", l.Next, l.Instance, err))
	}
	r.acceptRow(l, op, ev, r.self)
}
