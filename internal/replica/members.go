package replica

import (
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// setMembers replaces the local admissions.
func (r *Replica) setMembers(ms []Member) {
	r.admits = slices.DeleteFunc(slices.Clone(ms), func(m Member) bool { return m.Key == r.self })
	r.trust.set.SetLocal(trustMembers(r.admits))
	r.trustChanged()
}

// membersChanged works out the members in force, and has the node told if they are others than before.
func (r *Replica) membersChanged() {
	next := make(map[keys.Public]mesh.Zone)
	for _, m := range r.trust.view.Members() {
		next[m.Key] = m.Zone
	}
	same := len(next) == len(r.members)
	for k, z := range next {
		old, ok := r.members[k]
		same = same && ok && old == z
	}
	r.members = next
	if !same {
		r.tellMembers()
	}
}

// tellMembers has the node told who the members are.
func (r *Replica) tellMembers() {
	out := make([]Member, 0, len(r.members))
	for _, k := range r.sortedMembers() {
		out = append(out, Member{Key: k, Zone: r.ZoneOf(k)})
	}
	r.fx.Members = &out
}

// sortedMembers returns the admitted keys in order.
func (r *Replica) sortedMembers() []keys.Public {
	out := make([]keys.Public, 0, len(r.members))
	for k := range r.members {
		out = append(out, k)
	}
	slices.SortFunc(out, keys.Public.Compare)
	return out
}

// admitted reports whether a key belongs to the mesh now.
func (r *Replica) admitted(k keys.Public) bool {
	_, ok := r.members[k]
	return ok || k == r.self
}

// mayAuthor checks that a key may speak for a zone, binding it at its first operation when nobody said more. Of a key
// that was expelled what it signed before stands; the limits of its logs say how far that goes.
func (r *Replica) mayAuthor(k keys.Public, z mesh.Zone) Reason {
	v := r.trust.view
	switch {
	case k == r.self && z == r.cfg.Zone:
		return ""
	case k == r.self:
		return RefusedZone
	case v.Barred(k):
		return RefusedRemoved
	case !v.Speaks(k):
		return RefusedNotAdmitted
	case v.InConflict(k):
		return RefusedConflict
	}
	b, bound := r.bindings[k]
	switch {
	case bound && b.Conflict:
		return RefusedZone
	case v.Zone(k) == z, v.Former(k, z), bound && b.Zone == z && v.Zone(k) == "":
		return ""
	case bound && (v.Zone(k) == "" || v.Zone(k) == b.Zone):
		// It signed for a second zone: it is bound to neither from now on. What was applied stays.
		b.Conflict = true
		r.bind(b)
		r.report(Decision{Reason: IdentityClash, Zone: z, Peer: k})
		if r.canSign() {
			r.state(&event.Event{Kind: event.KindBind, Bind: &event.Bind{Key: k, Zone: z}}) // so that all hear of it
		}
		return RefusedZone
	case v.Zone(k) != "":
		return RefusedZone
	case !r.admitted(k): // expelled before it ever spoke here, or for another zone
		return RefusedRemoved
	case r.keyOf(z) != keys.Public{}:
		return RefusedZone // the zone speaks with another key already
	}
	r.bind(oplog.Binding{Key: k, Zone: z})
	return ""
}

func (r *Replica) bind(b oplog.Binding) {
	r.bindings[b.Key] = b
	r.fx.Persist.Bindings = append(r.fx.Persist.Bindings, b)
	r.trust.stated = nil // to be told to the others
}

// keyOf returns the key that a zone is bound to, or the zero key.
func (r *Replica) keyOf(z mesh.Zone) keys.Public {
	if z == r.cfg.Zone {
		return r.self
	}
	if k, ok := r.trust.view.Key(z); ok {
		return k
	}
	for k, b := range r.bindings {
		if zone, admitted := r.members[k]; admitted && zone == "" && b.Zone == z && !b.Conflict {
			return k
		}
	}
	return keys.Public{}
}

// ZoneOf returns the zone that a key is bound to, or the empty zone.
func (r *Replica) ZoneOf(k keys.Public) mesh.Zone {
	if k == r.self {
		return r.cfg.Zone
	}
	if z := r.members[k]; z != "" {
		return z
	}
	if b := r.bindings[k]; !b.Conflict && !r.trust.view.InConflict(k) {
		return b.Zone
	}
	return ""
}

// outranks orders two positions of claims of one zone: by the standing of their keys, then by generation, incarnation
// and sequence number.
func (r *Replica) outranks(z mesh.Zone, a, b mesh.Position) bool {
	if a.Log.Author != b.Log.Author {
		if c := r.rank(a.Log.Author, z).Compare(r.rank(b.Log.Author, z)); c != 0 {
			return c > 0
		}
	}
	if a.Incarnation != b.Incarnation {
		return a.Incarnation > b.Incarnation
	}
	if a.Log != b.Log {
		return a.Log.Compare(b.Log) > 0
	}
	return a.Seq > b.Seq
}

func (r *Replica) rank(k keys.Public, z mesh.Zone) trust.Rank {
	if r.ZoneOf(k) == z && r.admitted(k) && r.trust.view.Zone(k) == "" { // bound by its first operation
		return trust.Rank{Current: true}
	}
	return r.trust.view.Rank(k, z)
}

// ours reports whether a key speaks for our zone, or did before it was handed over to us.
func (r *Replica) ours(k keys.Public) bool {
	return k == r.self || r.trust.view.Former(k, r.cfg.Zone)
}
