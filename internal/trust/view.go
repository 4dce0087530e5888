package trust

import (
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// View is what a set says. It never changes and is safe for concurrent use. Slices it returns must not be
// changed.
type View struct {
	self     Member
	local    map[keys.Public]mesh.Zone
	standing map[mesh.Hash]*Statement

	say       map[keys.Public]bool // members, and those that were
	stated    map[keys.Public]bool // keys that a statement gives a say
	expelled  map[keys.Public]Expulsion
	cuts      map[keys.Public]map[mesh.LogID]event.Cut // by expelled key: logs of which something stands
	removals  map[keys.Public][]*Statement             // that count, by the key that they remove
	proposals []Proposal
	barred    map[keys.Public]bool

	members   []Member
	tenures   map[Member]*tenure
	zones     map[keys.Public][]mesh.Zone // that statements bind a key to, sorted
	bound     map[mesh.Zone]keys.Public
	zoneOf    map[keys.Public]mesh.Zone
	conflicts []Conflict
	disputed  map[keys.Public]bool
	diverging []Member
	next      map[mesh.Zone]uint64 // highest generation of a standing hand-over
}

func newView(self Member, local map[keys.Public]mesh.Zone, j *judgement) *View {
	v := &View{self: self, local: local, standing: make(map[mesh.Hash]*Statement, len(j.all)),
		say: make(map[keys.Public]bool, len(j.keys)), stated: make(map[keys.Public]bool), expelled: make(map[keys.Public]Expulsion),
		cuts: make(map[keys.Public]map[mesh.LogID]event.Cut), removals: make(map[keys.Public][]*Statement),
		barred: make(map[keys.Public]bool)}
	for i, k := range j.keys {
		if j.final.say[i] {
			v.say[k] = true
		}
	}
	var all []*Statement // in force, by id
	for i := range j.all {
		c := &j.all[i]
		if j.final.stands[i] {
			v.standing[c.ID] = c.Statement
			all = append(all, c.Statement)
			if k := c.Event.Admits(); !k.IsZero() {
				v.stated[k] = true
			}
		}
		if j.final.counts[i] {
			v.expel(j.keys[c.cuts], c, j.final.stands[i])
		}
	}
	slices.SortFunc(all, func(a, b *Statement) int { return a.ID.Compare(b.ID) })
	v.propose(all)
	v.bind(all)
	for k := range v.say {
		if k != self.Key && v.Admitted(k) {
			v.members = append(v.members, Member{k, v.zoneOf[k]})
		}
	}
	slices.SortFunc(v.members, func(a, b Member) int { return a.Key.Compare(b.Key) })
	return v
}

// expel notes a cutter that counts. A hand-over that doesn't stand expels like a removal.
func (v *View) expel(k keys.Public, c *claim, stands bool) {
	e := Expulsion{Kind: Removed, By: c.Author, ID: c.ID, Time: c.Time}
	if h := c.Event.HandOver; h != nil && stands {
		e.Kind, e.To, e.Zone, e.Generation = HandedOver, h.To, h.Zone, h.Generation
	}
	if old, ok := v.expelled[k]; !ok || e.before(old) {
		v.expelled[k] = e
	}
	if c.remove {
		v.removals[k] = append(v.removals[k], c.Statement)
	}
	next := make(map[mesh.LogID]event.Cut)
	old, cut := v.cuts[k]
	for _, l := range c.limits() {
		o, named := old[l.Log]
		switch {
		case !cut || named && lower(l, o):
			next[l.Log] = l
		case named:
			next[l.Log] = o
		}
	}
	v.cuts[k] = next
}

// lower orders cuts of one log. Where two name different operations of one height the log is forked, and the
// lower name holds.
func lower(a, b event.Cut) bool {
	return cmp.Or(cmp.Compare(a.Height, b.Height), a.Head.Compare(b.Head)) < 0
}

func (v *View) propose(all []*Statement) {
	for _, st := range all {
		r := st.Event.Remove
		if r == nil || len(r.Cuts) > 0 {
			continue
		}
		if _, gone := v.expelled[r.Key]; gone {
			continue
		}
		v.proposals = append(v.proposals, Proposal{Key: r.Key, By: st.Author, ID: st.ID, Time: st.Time})
		if st.Author == v.self.Key && r.Key != v.self.Key {
			v.barred[r.Key] = true
		}
	}
	slices.SortFunc(v.proposals, func(a, b Proposal) int { return cmp.Or(a.Key.Compare(b.Key), a.ID.Compare(b.ID)) })
}

// Admitted reports whether k is a member now. Self is one unless it was expelled.
func (v *View) Admitted(k keys.Public) bool {
	_, gone := v.expelled[k]
	return v.say[k] && !gone
}

// Members returns the admitted keys without self, sorted by key.
func (v *View) Members() []Member { return v.members }

// Zone returns the zone bound to k; empty if there is none, or if it is disputed.
func (v *View) Zone(k keys.Public) mesh.Zone { return v.zoneOf[k] }

// Key returns the one key bound to z.
func (v *View) Key(z mesh.Zone) (keys.Public, bool) {
	k, ok := v.bound[z]
	return k, ok
}

// Conflicts returns the contradictions, by kind and zone.
func (v *View) Conflicts() []Conflict { return v.conflicts }

// InConflict reports whether k is part of a contradiction.
func (v *View) InConflict(k keys.Public) bool { return v.disputed[k] }

// Expelled returns why k is no member any more and never will be.
func (v *View) Expelled(k keys.Public) (Expulsion, bool) {
	e, ok := v.expelled[k]
	return e, ok
}

// Barred reports whether this node itself proposed to remove k, which is not expelled yet: it takes no new operations of
// k any more. They go on talking: proposals against one another must not keep a majority from meeting.
func (v *View) Barred(k keys.Public) bool { return v.barred[k] }

// Cut returns where the log of an expelled key ends. limited: k is expelled. none: nothing of that log stands;
// otherwise it stands up to the cut.
func (v *View) Cut(k keys.Public, log mesh.LogID) (cut event.Cut, none, limited bool) {
	cuts, limited := v.cuts[k]
	cut, named := cuts[log]
	return cut, limited && !named, limited
}

// Speaks reports whether operations of k are taken, up to its cuts: it is a member, or was one until it was
// expelled.
func (v *View) Speaks(k keys.Public) bool { return v.say[k] }

// Proposals returns the removals without a cut of keys that are not expelled, by key and id.
func (v *View) Proposals() []Proposal { return v.proposals }

// Diverging returns the local admissions, self among them, that contradict the set: of an expelled key, with a
// zone other than the one that statements bind the key to, or with a zone bound to another key.
func (v *View) Diverging() []Member { return v.diverging }

// Standing reports whether the statement is in force. A hand-over that only expels is not.
func (v *View) Standing(id mesh.Hash) bool { return v.standing[id] != nil }

// Says reports whether standing statements say the same as ev, or make it moot, so that nobody needs to say it.
// A proposal counts for its author only, so only an own one says the same.
func (v *View) Says(ev *event.Event) bool {
	gone := func(k keys.Public) bool { _, gone := v.expelled[k]; return gone }
	switch {
	case ev.Admit != nil:
		a := ev.Admit
		return gone(a.Key) || v.stated[a.Key] && (a.Zone == "" || slices.Contains(v.zones[a.Key], a.Zone))
	case ev.Bind != nil:
		return gone(ev.Bind.Key) || slices.Contains(v.zones[ev.Bind.Key], ev.Bind.Zone)
	case ev.Remove != nil && len(ev.Remove.Cuts) == 0:
		return gone(ev.Remove.Key) || v.barred[ev.Remove.Key]
	case ev.Remove != nil:
		return v.removedBelow(ev.Remove)
	case ev.HandOver != nil:
		t := v.tenures[Member{ev.HandOver.To, ev.HandOver.Zone}]
		return t != nil && slices.ContainsFunc(t.handOvers, func(st *Statement) bool {
			return st.Event.HandOver.From == ev.HandOver.From
		})
	}
	return false
}

// removedBelow reports whether a removal that counts leaves nothing standing that r would not.
func (v *View) removedBelow(r *event.Remove) bool {
	return slices.ContainsFunc(v.removals[r.Key], func(st *Statement) bool {
		return !slices.ContainsFunc(st.Event.Remove.Cuts, func(c event.Cut) bool {
			i := slices.IndexFunc(r.Cuts, func(o event.Cut) bool { return o.Log == c.Log })
			return i < 0 || c != r.Cuts[i] && !lower(c, r.Cuts[i])
		})
	})
}
