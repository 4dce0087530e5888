package trust_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

// model is the rules once more, without any thought of speed: sets, and loops until nothing changes.
type model struct {
	self  trust.Member
	local []trust.Member // self not among them
	all   []trust.Statement

	say                      map[keys.Public]bool
	stands, counts, possible ids
}

type ids = map[mesh.Hash]bool

func newModel(self trust.Member, local []trust.Member, all []trust.Statement) *model {
	m := &model{self: self, local: local, all: all}
	fiat := ids{}
	for first := true; ; first = false {
		var certain ids
		for {
			_, _, possible := m.given(certain, fiat)
			_, _, next := m.given(possible, fiat)
			if equalIDs(next, certain) {
				break
			}
			certain = next
		}
		upSay, upStands, possible := m.given(certain, fiat)
		lowSay, lowStands, _ := m.given(possible, fiat)
		if first {
			m.possible = upStands
		}
		circles := m.circles(lowSay, upSay, lowStands, upStands, certain, possible)
		if len(circles) == 0 {
			m.say, m.stands, m.counts = lowSay, lowStands, certain
			return m
		}
		for _, id := range circles {
			fiat[id] = true
		}
	}
}

func equalIDs(a, b ids) bool {
	for id, in := range a {
		if in && !b[id] {
			return false
		}
	}
	for id, in := range b {
		if in && !a[id] {
			return false
		}
	}
	return true
}

func cutsOf(st trust.Statement) (of keys.Public, cuts []event.Cut, ok bool) {
	switch ev := st.Event; {
	case ev.Remove != nil && len(ev.Remove.Cuts) > 0:
		return ev.Remove.Key, ev.Remove.Cuts, true
	case ev.HandOver != nil:
		return ev.HandOver.From, ev.HandOver.Cuts, true
	}
	return keys.Public{}, nil, false
}

func isRemoval(st trust.Statement) bool {
	return st.Event.Remove != nil && len(st.Event.Remove.Cuts) > 0
}

func admitted(st trust.Statement) (keys.Public, bool) {
	switch ev := st.Event; {
	case ev.Admit != nil:
		return ev.Admit.Key, true
	case ev.HandOver != nil:
		return ev.HandOver.To, true
	}
	return keys.Public{}, false
}

// within says whether st lies inside what cuts leave.
func within(st trust.Statement, cuts []event.Cut) bool {
	for _, c := range cuts {
		if c.Log == st.Log {
			return st.Seq < c.Height || st.Seq == c.Height && st.ID == c.Head
		}
	}
	return false
}

// voids says whether by, if it counts, voids st.
func voids(by, st trust.Statement) bool {
	of, cuts, ok := cutsOf(by)
	if !ok || of != st.Author || by.ID == st.ID || within(st, cuts) {
		return false
	}
	mutual := isRemoval(by) && isRemoval(st) && st.Event.Remove.Key == by.Author && by.Author != st.Author
	return !mutual
}

// answers says whether st is a removal of r's author, and r one of st's.
func answers(st, r trust.Statement) bool {
	return isRemoval(st) && isRemoval(r) && st.Author != r.Author && st.Event.Remove.Key == r.Author && r.Event.Remove.Key == st.Author
}

func (m *model) given(counting, fiat ids) (say map[keys.Public]bool, stands, counts ids) {
	say, stands, counts = map[keys.Public]bool{m.self.Key: true}, ids{}, ids{}
	for _, l := range m.local {
		say[l.Key] = true
	}
	for again := true; again; {
		again = false
		for _, st := range m.all {
			if stands[st.ID] {
				continue
			}
			ok := fiat[st.ID] && isRemoval(st)
			if say[st.Author] {
				void, answer := false, false
				for _, o := range m.all {
					void = void || counting[o.ID] && voids(o, st)
					answer = answer || stands[o.ID] && answers(st, o)
				}
				ok = ok || !void || answer
			}
			if ok {
				stands[st.ID], again = true, true
				if k, ok := admitted(st); ok {
					say[k] = true
				}
			}
		}
	}
	for _, st := range m.all {
		if _, _, cuts := cutsOf(st); cuts {
			counts[st.ID] = stands[st.ID] || fiat[st.ID]
		}
	}
	return say, stands, counts
}

// circles finds the undecided cutters that depend on nothing but what depends on them.
func (m *model) circles(lowSay, upSay map[keys.Public]bool, lowStands, upStands, certain, possible ids) []mesh.Hash {
	openKey := func(k keys.Public) bool { return upSay[k] && !lowSay[k] }
	open := func(st trust.Statement) bool { return upStands[st.ID] && !lowStands[st.ID] }
	n := len(m.all)
	depends := make([][]bool, n)
	for i, st := range m.all {
		depends[i] = make([]bool, n)
		if !open(st) {
			continue
		}
		voided, lost, saved := false, false, false
		for _, o := range m.all {
			voided = voided || possible[o.ID] && voids(o, st)
			lost = lost || certain[o.ID] && voids(o, st)
			saved = saved || lowStands[o.ID] && answers(st, o)
		}
		for j, o := range m.all {
			k, admits := admitted(o)
			depends[i][j] = open(o) && (admits && k == st.Author && openKey(k) ||
				!saved && !lost && possible[o.ID] && !certain[o.ID] && voids(o, st) ||
				!saved && voided && answers(st, o))
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				depends[i][j] = depends[i][j] || depends[i][k] && depends[k][j]
			}
		}
	}
	var out []mesh.Hash
	for i, st := range m.all {
		ok := open(st) && possible[st.ID] && !certain[st.ID]
		for j := range n {
			ok = ok && (!depends[i][j] || depends[j][i])
		}
		if ok {
			out = append(out, st.ID)
		}
	}
	return out
}

// exchanged returns the ids of what belongs to the set: what is possible, and what admits or cuts if its author
// is known when nothing is void.
func (m *model) exchanged() []mesh.Hash {
	known, _, _ := m.given(nil, nil)
	var out []mesh.Hash
	for _, st := range m.all {
		_, admits := admitted(st)
		if m.possible[st.ID] || (admits || isRemoval(st)) && known[st.Author] {
			out = append(out, st.ID)
		}
	}
	slices.SortFunc(out, mesh.Hash.Compare)
	return out
}

func (m *model) expelled(k keys.Public) bool {
	return slices.ContainsFunc(m.all, func(st trust.Statement) bool {
		of, _, _ := cutsOf(st)
		return m.counts[st.ID] && of == k
	})
}

func (m *model) barred(k keys.Public) bool {
	return !m.expelled(k) && k != m.self.Key && slices.ContainsFunc(m.all, func(st trust.Statement) bool {
		return m.stands[st.ID] && st.Author == m.self.Key && st.Event.Remove != nil && !isRemoval(st) && st.Event.Remove.Key == k
	})
}

// limit returns how far a log stands after all cuts that count.
func (m *model) limit(k keys.Public, log mesh.LogID) (limit event.Cut, none bool) {
	limit.Height = 1<<32 - 1
	for _, st := range m.all {
		of, cuts, _ := cutsOf(st)
		if !m.counts[st.ID] || of != k {
			continue
		}
		i := slices.IndexFunc(cuts, func(c event.Cut) bool { return c.Log == log })
		if i < 0 {
			return event.Cut{}, true
		}
		if c := cuts[i]; c.Height < limit.Height || c.Height == limit.Height && c.Head.Compare(limit.Head) < 0 {
			limit = c
		}
	}
	return limit, false
}

// names returns the zones that statements bind k to, in order, and the generation of each.
func (m *model) names(k keys.Public) (zones []mesh.Zone, generation map[mesh.Zone]uint64) {
	generation = map[mesh.Zone]uint64{}
	for _, st := range m.all {
		var z mesh.Zone
		switch ev := st.Event; {
		case !m.stands[st.ID]:
		case ev.Admit != nil && ev.Admit.Key == k:
			z = ev.Admit.Zone
		case ev.Bind != nil && ev.Bind.Key == k:
			z = ev.Bind.Zone
		case ev.HandOver != nil && ev.HandOver.To == k:
			z = ev.HandOver.Zone
			generation[z] = max(generation[z], ev.HandOver.Generation)
		}
		if z != "" && !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	slices.Sort(zones)
	return zones, generation
}

// wants returns the one zone that k may have.
func (m *model) wants(k keys.Public) (mesh.Zone, []mesh.Zone) {
	zones, _ := m.names(k)
	for _, l := range m.local {
		if l.Key == k && l.Zone != "" {
			return l.Zone, nil
		}
	}
	switch {
	case len(zones) > 1:
		return "", zones
	case k == m.self.Key && m.self.Zone != "":
		return m.self.Zone, nil
	case len(zones) == 1:
		return zones[0], nil
	}
	return "", nil
}

// holders returns the keys that contend for a zone: one has it, several dispute it.
func (m *model) holders(z mesh.Zone, all []keys.Public) (out []keys.Public, top uint64) {
	for pass := range 2 {
		for _, k := range all {
			if want, _ := m.wants(k); !m.say[k] || m.expelled(k) || want != z {
				continue
			}
			_, g := m.names(k)
			if pass == 0 {
				top = max(top, g[z])
			} else if g[z] == top {
				out = append(out, k)
			}
		}
	}
	return out, top
}

// dump writes down what a view says about some keys and zones, in words that model.dump uses too.
func dump(v *trust.View, all []keys.Public, zones []mesh.Zone, logs []mesh.LogID) string {
	var b strings.Builder
	for _, k := range all {
		_, gone := v.Expelled(k)
		fmt.Fprintf(&b, "%s admitted=%v speaks=%v expelled=%v barred=%v zone=%q conflict=%v\n", k.Short(), v.Admitted(k), v.Speaks(k),
			gone, v.Barred(k), v.Zone(k), v.InConflict(k))
		for _, l := range logs {
			cut, none, limited := v.Cut(k, l)
			if limited {
				fmt.Fprintf(&b, "  log %s none=%v %d %s\n", mesh.Hash(l).Short(), none, cut.Height, cut.Head.Short())
			}
		}
		for _, z := range zones {
			r := v.Rank(k, z)
			fmt.Fprintf(&b, "  %s former=%v current=%v generation=%d\n", z, v.Former(k, z), r.Current, r.Generation)
		}
	}
	for _, z := range zones {
		k, ok := v.Key(z)
		fmt.Fprintf(&b, "%s bound=%v %s next=%d\n", z, ok, k.Short(), v.NextGeneration(z))
	}
	for _, c := range v.Conflicts() {
		fmt.Fprintf(&b, "conflict %s %v %v\n", c.Kind, c.Zones, c.Keys)
	}
	for _, p := range v.Proposals() {
		fmt.Fprintf(&b, "proposal %s\n", p.ID.Short())
	}
	return b.String()
}

func (m *model) dump(all []keys.Public, zones []mesh.Zone, logs []mesh.LogID) string {
	var b strings.Builder
	holder := func(z mesh.Zone) (keys.Public, bool) {
		h, _ := m.holders(z, all)
		if len(h) != 1 {
			return keys.Public{}, false
		}
		return h[0], true
	}
	var conflicts []trust.Conflict
	for _, k := range all {
		if _, two := m.wants(k); two != nil && m.say[k] && !m.expelled(k) {
			conflicts = append(conflicts, trust.Conflict{Kind: trust.TwoZones, Zones: two, Keys: []keys.Public{k}})
		}
	}
	for _, z := range zones {
		if h, top := m.holders(z, all); len(h) > 1 {
			c := trust.Conflict{Kind: trust.TwoKeys, Zones: []mesh.Zone{z}, Keys: h}
			if top > 0 {
				c.Kind = trust.TwoHandOvers
			}
			conflicts = append(conflicts, c)
		}
	}
	slices.SortStableFunc(conflicts, func(x, y trust.Conflict) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), slices.Compare(x.Zones, y.Zones))
	})
	for _, k := range all {
		gone, barred := m.expelled(k), m.barred(k)
		var zone mesh.Zone
		for _, z := range zones {
			if h, ok := holder(z); ok && h == k {
				zone = z
			}
		}
		fmt.Fprintf(&b, "%s admitted=%v speaks=%v expelled=%v barred=%v zone=%q conflict=%v\n", k.Short(), m.say[k] && !gone,
			m.say[k], gone, barred, zone,
			slices.ContainsFunc(conflicts, func(c trust.Conflict) bool { return slices.Contains(c.Keys, k) }))
		for _, l := range logs {
			if cut, none := m.limit(k, l); gone {
				fmt.Fprintf(&b, "  log %s none=%v %d %s\n", mesh.Hash(l).Short(), none, cut.Height, cut.Head.Short())
			}
		}
		for _, z := range zones {
			h, held := holder(z)
			_, g := m.names(k)
			fmt.Fprintf(&b, "  %s former=%v current=%v generation=%d\n", z, gone && m.had(k, z), held && h == k, g[z])
		}
	}
	for _, z := range zones {
		h, held := holder(z)
		next := uint64(1)
		for _, st := range m.all {
			if o := st.Event.HandOver; o != nil && m.stands[st.ID] && o.Zone == z {
				next = max(next, o.Generation+1)
			}
		}
		fmt.Fprintf(&b, "%s bound=%v %s next=%d\n", z, held, h.Short(), next)
	}
	for _, c := range conflicts {
		fmt.Fprintf(&b, "conflict %s %v %v\n", c.Kind, c.Zones, c.Keys)
	}
	var proposals []trust.Statement
	for _, st := range m.all {
		if m.stands[st.ID] && st.Event.Remove != nil && !isRemoval(st) && !m.expelled(st.Event.Remove.Key) {
			proposals = append(proposals, st)
		}
	}
	slices.SortFunc(proposals, func(a, b trust.Statement) int {
		return cmp.Or(a.Event.Remove.Key.Compare(b.Event.Remove.Key), a.ID.Compare(b.ID))
	})
	for _, st := range proposals {
		fmt.Fprintf(&b, "proposal %s\n", st.ID.Short())
	}
	return b.String()
}

// had says whether k was ever bound to z, or the zone handed over from it.
func (m *model) had(k keys.Public, z mesh.Zone) bool {
	zones, _ := m.names(k)
	return slices.Contains(zones, z) || slices.Contains(append(slices.Clone(m.local), m.self), trust.Member{Key: k, Zone: z}) ||
		slices.ContainsFunc(m.all, func(st trust.Statement) bool {
			h := st.Event.HandOver
			return h != nil && m.stands[st.ID] && h.From == k && h.Zone == z
		})
}
