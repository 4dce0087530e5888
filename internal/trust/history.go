package trust

import (
	"cmp"
	"math"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// NextGeneration returns the generation of the next hand-over of z: one more than the highest in force. There
// are none beyond the largest number; of equal ones the key that was not handed over since has the zone.
func (v *View) NextGeneration(z mesh.Zone) uint64 {
	if g := v.next[z]; g < math.MaxUint64 {
		return g + 1
	}
	return math.MaxUint64
}

// Former reports whether k had z, or claimed it with the say of a member, until it was expelled. A member that
// may not have z, because another key has it, is none: nothing says up to where its claims would count.
func (v *View) Former(k keys.Public, z mesh.Zone) bool {
	_, gone := v.expelled[k]
	return gone && v.tenures[Member{k, z}] != nil
}

// Rank orders what different keys claim for z: the key that has it now goes above all others, those by the
// generation under which they had it.
func (v *View) Rank(k keys.Public, z mesh.Zone) Rank {
	var r Rank
	if t := v.tenures[Member{k, z}]; t != nil {
		r.Generation = t.generation()
	}
	holder, held := v.bound[z]
	r.Current = held && holder == k
	return r
}

// History returns the former keys of z, and last the one that has it. The former stand in the order of the times
// that their admissions claim, which is for people only.
func (v *View) History(z mesh.Zone) []Tenure {
	var all []Tenure
	for m, t := range v.tenures {
		holder, held := v.bound[z]
		if m.Zone != z || !(held && holder == m.Key) && !v.Former(m.Key, z) {
			continue
		}
		x := Tenure{Key: m.Key, Generation: t.generation()}
		if n := len(t.handOvers); n > 0 {
			x.AdmittedBy, x.Since = t.handOvers[n-1].Author, t.handOvers[n-1].Time
		} else if t.first != nil {
			x.AdmittedBy, x.Since = t.first.Author, t.first.Time
		}
		if e, gone := v.expelled[m.Key]; gone {
			x.Ended, x.Until, x.EndedBy, x.To = e.Kind, e.Time, e.By, e.To
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Tenure) int {
		return cmp.Or(v.Rank(a.Key, z).current()-v.Rank(b.Key, z).current(),
			cmp.Compare(a.Since, b.Since), cmp.Compare(a.Generation, b.Generation), a.Key.Compare(b.Key))
	})
	return all
}

// AdmittedBy returns, of every key that a statement in force gives a say, the earliest of these by the
// times that they claim, which are for people only. The map is the caller's.
func (v *View) AdmittedBy() map[keys.Public]Statement {
	first := make(map[keys.Public]Statement, len(v.stated))
	for _, st := range v.standing {
		k := st.Event.Admits()
		if old, ok := first[k]; !k.IsZero() && (!ok || cmp.Or(cmp.Compare(st.Time, old.Time), st.ID.Compare(old.ID)) < 0) {
			first[k] = *st
		}
	}
	return first
}
