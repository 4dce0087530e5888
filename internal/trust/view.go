package trust

import (
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// View is what a set says. It never changes and is safe for concurrent use. Slices it returns must not be
// changed.
type View struct {
	self  Member
	local map[keys.Public]mesh.Zone
}

// Admitted reports whether k is a member now. Self is one unless it was expelled.
func (v *View) Admitted(k keys.Public) bool {
	_, ok := v.local[k]
	return ok || k == v.self.Key
}

// Members returns the admitted keys without self, sorted by key.
func (v *View) Members() []Member {
	var all []Member
	for k, z := range v.local {
		if k != v.self.Key {
			all = append(all, Member{k, z})
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return a.Key.Compare(b.Key) })
	return all
}

// Zone returns the zone bound to k; empty if there is none, or if it is disputed.
func (v *View) Zone(k keys.Public) mesh.Zone {
	if k == v.self.Key {
		return v.self.Zone
	}
	return v.local[k]
}

// Key returns the one key bound to z.
func (v *View) Key(z mesh.Zone) (keys.Public, bool) {
	for _, m := range v.Members() {
		if m.Zone == z {
			return m.Key, true
		}
	}
	return keys.Public{}, false
}

// Conflicts returns the contradictions.
func (v *View) Conflicts() []Conflict { return nil }

// InConflict reports whether k is part of a contradiction.
func (v *View) InConflict(k keys.Public) bool { return false }

// Expelled returns why k is no member any more.
func (v *View) Expelled(k keys.Public) (Expulsion, bool) { return Expulsion{}, false }

// Barred reports whether this node itself proposed to remove k, which is not expelled: k is not admitted here.
func (v *View) Barred(k keys.Public) bool { return false }

// Cut returns where the log of an expelled key ends. limited: k is expelled. none: nothing of that log stands;
// otherwise it stands up to the cut.
func (v *View) Cut(k keys.Public, log mesh.LogID) (cut event.Cut, none, limited bool) {
	return event.Cut{}, false, false
}

// Speaks reports whether operations of k are taken, up to its cuts: it is a member, or was one until it was
// expelled.
func (v *View) Speaks(k keys.Public) bool { return v.Admitted(k) }

// Former reports whether k had z before the present key.
func (v *View) Former(k keys.Public, z mesh.Zone) bool { return false }

// Rank orders what different keys claim for z.
func (v *View) Rank(k keys.Public, z mesh.Zone) Rank { return Rank{Current: v.Zone(k) == z} }

// Proposals returns the removals without a cut of keys that are not expelled, by key and id.
func (v *View) Proposals() []Proposal { return nil }

// NextGeneration returns the generation of the next hand-over of z.
func (v *View) NextGeneration(z mesh.Zone) uint64 { return 1 }

// Says reports whether a standing statement says the same as ev.
func (v *View) Says(ev *event.Event) bool { return false }

// History returns the keys that held z, oldest first.
func (v *View) History(z mesh.Zone) []Tenure { return nil }

// Diverging returns the local admissions that contradict the set.
func (v *View) Diverging() []Member { return nil }

// Standing reports whether the statement is in force.
func (v *View) Standing(id mesh.Hash) bool { return false }
