package trust

import (
	"cmp"
	"maps"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// tenure is what statements and local admissions say about one key and one zone.
type tenure struct {
	first     *Statement   // the earliest admission or binding, by its claimed time; nil: none
	handOvers []*Statement // to the key, the highest generation last
}

func (t *tenure) generation() uint64 {
	if len(t.handOvers) == 0 {
		return 0
	}
	return t.handOvers[len(t.handOvers)-1].Event.HandOver.Generation
}

// bind works out which key holds which zone from the statements in force, which come by id.
func (v *View) bind(all []*Statement) {
	v.tenures = make(map[Member]*tenure)
	v.zones = make(map[keys.Public][]mesh.Zone)
	v.next = make(map[mesh.Zone]uint64)
	for _, st := range all {
		switch ev := st.Event; {
		case ev.Admit != nil && ev.Admit.Zone != "":
			v.tenure(ev.Admit.Key, ev.Admit.Zone).admitted(st)
		case ev.Bind != nil && ev.Bind.Zone != "":
			v.tenure(ev.Bind.Key, ev.Bind.Zone).admitted(st)
		case ev.HandOver != nil:
			h := ev.HandOver
			to := v.tenure(h.To, h.Zone)
			to.handOvers = append(to.handOvers, st)
			v.tenure(h.From, h.Zone)
			v.next[h.Zone] = max(v.next[h.Zone], h.Generation)
		}
	}
	for m, t := range v.tenures {
		slices.SortStableFunc(t.handOvers, func(a, b *Statement) int {
			return cmp.Compare(a.Event.HandOver.Generation, b.Event.HandOver.Generation)
		})
		if t.first != nil || len(t.handOvers) > 0 {
			v.zones[m.Key] = append(v.zones[m.Key], m.Zone)
		}
	}
	for _, zones := range v.zones {
		slices.Sort(zones)
	}
	for _, m := range v.locals() {
		if m.Zone != "" {
			v.tenure(m.Key, m.Zone)
		}
	}
	v.decide()
	v.diverge()
}

func (v *View) tenure(k keys.Public, z mesh.Zone) *tenure {
	m := Member{k, z}
	t := v.tenures[m]
	if t == nil {
		t = new(tenure)
		v.tenures[m] = t
	}
	return t
}

func (t *tenure) admitted(st *Statement) {
	if t.first == nil || st.Time < t.first.Time {
		t.first = st
	}
}

// locals returns the local admissions and self, by key.
func (v *View) locals() []Member {
	all := []Member{v.self}
	for k, z := range v.local {
		all = append(all, Member{k, z})
	}
	slices.SortFunc(all, func(a, b Member) int { return a.Key.Compare(b.Key) })
	return all
}

// decide binds keys to zones. First every member gets the one zone that it may have: the local one, else the
// one that statements name. Then every zone gets the member of the highest generation.
func (v *View) decide() {
	v.bound = make(map[mesh.Zone]keys.Public)
	v.zoneOf = make(map[keys.Public]mesh.Zone)
	v.disputed = make(map[keys.Public]bool)
	candidates := make(map[mesh.Zone][]keys.Public)
	for _, k := range sorted(v.say, keys.Public.Compare) {
		if _, gone := v.expelled[k]; gone {
			continue
		}
		zones, local := v.zones[k], v.local[k]
		if k == v.self.Key && len(zones) < 2 { // what others take for a conflict is one, also for ourselves
			local = v.self.Zone
		}
		switch {
		case local != "":
			candidates[local] = append(candidates[local], k)
		case len(zones) == 1:
			candidates[zones[0]] = append(candidates[zones[0]], k)
		case len(zones) > 1:
			v.dispute(Conflict{Kind: TwoZones, Zones: zones, Keys: []keys.Public{k}})
		}
	}
	for _, z := range sorted(candidates, cmp.Compare[mesh.Zone]) {
		top := v.highest(z, candidates[z])
		switch generation := v.tenures[Member{top[0], z}].generation(); {
		case len(top) == 1:
			v.bound[z], v.zoneOf[top[0]] = top[0], z
		case generation > 0:
			v.dispute(Conflict{Kind: TwoHandOvers, Zones: []mesh.Zone{z}, Keys: top})
		default:
			v.dispute(Conflict{Kind: TwoKeys, Zones: []mesh.Zone{z}, Keys: top})
		}
	}
	slices.SortStableFunc(v.conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), slices.Compare(a.Zones, b.Zones))
	})
}

// highest returns the keys of the highest generation.
func (v *View) highest(z mesh.Zone, candidates []keys.Public) []keys.Public {
	var top uint64
	for _, k := range candidates {
		top = max(top, v.tenures[Member{k, z}].generation())
	}
	return slices.DeleteFunc(candidates, func(k keys.Public) bool { return v.tenures[Member{k, z}].generation() < top })
}

func (v *View) dispute(c Conflict) {
	v.conflicts = append(v.conflicts, c)
	for _, k := range c.Keys {
		v.disputed[k] = true
	}
}

func (v *View) diverge() {
	for _, m := range v.locals() {
		_, gone := v.expelled[m.Key]
		holder, taken := v.bound[m.Zone]
		if gone || m.Zone != "" && (taken && holder != m.Key ||
			slices.ContainsFunc(v.zones[m.Key], func(z mesh.Zone) bool { return z != m.Zone })) {
			v.diverging = append(v.diverging, m)
		}
	}
}

func sorted[K comparable, V any](m map[K]V, compare func(K, K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
