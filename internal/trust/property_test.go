package trust_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

var (
	somebody = []string{"k0", "k1", "k2", "k3", "k4"}
	zones    = []mesh.Zone{"x", "y", "z"}
)

// random is a source of small sets of statements.
type random struct {
	n    func(int) int // below its argument
	keys []string
	logs []mesh.LogID
	all  []trust.Statement
}

func newRandom(n func(int) int) *random {
	r := &random{n: n, keys: somebody[:3+n(3)]}
	for _, k := range r.keys {
		r.logs = append(r.logs, logOf(k), logOf("second of "+k))
	}
	return r
}

func (r *random) publics() []keys.Public {
	var all []keys.Public
	for _, k := range r.keys {
		all = append(all, key(k))
	}
	slices.SortFunc(all, keys.Public.Compare)
	return all
}

// cuts leaves something of one log or of both, or nothing of either.
func (r *random) cuts(of int) []event.Cut {
	var out []event.Cut
	for _, l := range r.logs[2*of : 2*of+2] {
		if r.n(4) == 0 && l != r.logs[2*of] || r.n(8) == 0 {
			continue
		}
		c := event.Cut{Log: l, Height: uint32(r.n(5)), Head: mesh.Sum([]byte("unknown"))}
		for _, st := range r.all {
			if st.Log == l && st.Seq == c.Height && r.n(8) > 0 {
				c.Head = st.ID
			}
		}
		out = append(out, c)
	}
	if out == nil {
		out = []event.Cut{{Log: logOf("nobody's"), Head: mesh.Sum([]byte("nothing"))}}
	}
	return out
}

// add makes up one statement. Seqs may leave gaps and repeat: what a log says besides is of no interest, and
// a hostile one forks.
func (r *random) add() {
	author := r.n(len(r.keys))
	of := r.n(len(r.keys))
	st := trust.Statement{Author: key(r.keys[author]), Log: r.logs[2*author+r.n(5)/4], Seq: uint32(r.n(6)), Time: uint64(len(r.all))}
	ev := &event.Event{}
	k, z := key(r.keys[of]), zones[r.n(len(zones))]
	switch r.n(10) {
	case 0, 1, 2:
		if r.n(3) == 0 {
			z = ""
		}
		ev.Kind, ev.Admit = event.KindAdmit, &event.Admit{Key: k, Zone: z}
	case 3:
		ev.Kind, ev.Bind = event.KindBind, &event.Bind{Key: k, Zone: z}
	case 4:
		ev.Kind, ev.Remove = event.KindRemove, &event.Remove{Key: k}
	case 5:
		to := (of + 1 + r.n(len(r.keys)-1)) % len(r.keys)
		ev.Kind, ev.HandOver = event.KindHandOver, &event.HandOver{Zone: z, From: k, To: key(r.keys[to]),
			Generation: uint64(1 + r.n(3)), Cuts: r.cuts(of)}
	default:
		ev.Kind, ev.Remove = event.KindRemove, &event.Remove{Key: k, Cuts: r.cuts(of)}
	}
	st.Event = ev
	st.ID = mesh.Sum(fmt.Appendf(nil, "%d %s %d", len(r.all), st.Author, st.Seq))
	r.all = append(r.all, st)
}

// zoned gives some of the members a zone.
func (r *random) zoned(names []string) []trust.Member {
	all := members(names...)
	for i := range all {
		if r.n(3) == 0 {
			all[i].Zone = zones[r.n(len(zones))]
		}
	}
	return all
}

// TestAnySet compares the view of random sets with the model's, whatever the order in which they came.
func TestAnySet(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRandom(rng.IntN)
		for range 1 + r.n(14) {
			r.add()
		}
		local := r.zoned(r.keys[1 : 1+r.n(3)])
		self := r.zoned(r.keys[:1])[0]
		m := newModel(self, local, r.all)
		want := m.dump(r.publics(), zones, r.logs)
		for range 3 {
			s := trust.NewSet(self)
			rng.Shuffle(len(r.all), func(i, j int) { r.all[i], r.all[j] = r.all[j], r.all[i] })
			early := rng.IntN(2) == 0
			if early {
				s.SetLocal(local)
			}
			for _, st := range r.all {
				s.Add(st)
				if rng.IntN(4) == 0 {
					s.View()
				}
			}
			if !early {
				s.SetLocal(local)
			}
			if got := dump(s.View(), r.publics(), zones, r.logs); got != want {
				t.Fatalf("seed %d:\n%s\nthe model says\n%s\nof%s", seed, got, want, r)
			}
			if got := idsOf(s.Statements()); !slices.Equal(got, m.exchanged()) {
				t.Fatalf("seed %d: %d statements, the model says %d, of%s", seed, len(got), len(m.exchanged()), r)
			}
			for _, st := range r.all {
				if s.View().Standing(st.ID) != m.stands[st.ID] {
					t.Fatalf("seed %d: Standing(%s) = %v, of%s", seed, st.ID.Short(), !m.stands[st.ID], r)
				}
			}
			checkFair(t, seed, m)
		}
	}
}

// checkFair holds what must be true of every outcome, however it was found: what doesn't count is void or its
// author has no say given what counts; what counts although it is void is hit by something that counts too,
// or was said by somebody who lost the say.
func checkFair(t *testing.T, seed uint64, m *model) {
	t.Helper()
	say, _, counts := m.given(m.counts, ids{})
	for _, st := range m.all {
		if counts[st.ID] && !m.counts[st.ID] {
			t.Fatalf("seed %d: %s doesn't count although nothing that counts voids it", seed, st.ID.Short())
		}
		if !m.counts[st.ID] || counts[st.ID] {
			continue
		}
		if say[st.Author] && !slices.ContainsFunc(m.all, func(o trust.Statement) bool { return m.counts[o.ID] && voids(o, st) }) {
			t.Fatalf("seed %d: %s was found in no circle", seed, st.ID.Short())
		}
	}
}

func idsOf(all []trust.Statement) []mesh.Hash {
	var out []mesh.Hash
	for _, st := range all {
		out = append(out, st.ID)
	}
	return out
}

// String lists the statements, for failures.
func (r *random) String() string {
	var b []byte
	for _, st := range r.all {
		b = fmt.Appendf(b, "\n  %s by %s, log %s %d: ", st.ID.Short(), st.Author.Short(), mesh.Hash(st.Log).Short(), st.Seq)
		switch ev := st.Event; {
		case ev.Admit != nil:
			b = fmt.Appendf(b, "admit %s %q", ev.Admit.Key.Short(), ev.Admit.Zone)
		case ev.Bind != nil:
			b = fmt.Appendf(b, "bind %s %q", ev.Bind.Key.Short(), ev.Bind.Zone)
		case ev.Remove != nil:
			b = fmt.Appendf(b, "remove %s", ev.Remove.Key.Short())
		case ev.HandOver != nil:
			b = fmt.Appendf(b, "hand %s over from %s to %s, %d", ev.HandOver.Zone, ev.HandOver.From.Short(), ev.HandOver.To.Short(), ev.HandOver.Generation)
		}
		_, cuts, _ := cutsOf(st)
		for _, c := range cuts {
			b = fmt.Appendf(b, " [%s %d %s]", mesh.Hash(c.Log).Short(), c.Height, c.Head.Short())
		}
	}
	return string(b)
}

// TestAnyExchange has several nodes hear of different statements, in any order, and exchange in any order: in
// the end all say the same, which is what the model says of everything together.
func TestAnyExchange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		r := newRandom(rng.IntN)
		for range 1 + r.n(14) {
			r.add()
		}
		founders := r.keys[:2+r.n(2)]
		var sets []*trust.Set
		var selves []trust.Member
		for range 2 + r.n(3) {
			i := r.n(len(founders))
			selves = append(selves, members(founders[i])[0])
			s := trust.NewSet(selves[len(selves)-1])
			s.SetLocal(members(slices.Delete(slices.Clone(founders), i, i+1)...))
			sets = append(sets, s)
		}
		for _, st := range r.all {
			sets[r.n(len(sets))].Add(st)
			for r.n(3) > 0 { // and meanwhile some meet
				exchange(rng, sets[r.n(len(sets))], sets[r.n(len(sets))])
			}
		}
		for range len(r.all) + 2 {
			for i, s := range sets {
				exchange(rng, s, sets[(i+1)%len(sets)])
			}
		}
		for i, s := range sets {
			m := newModel(trust.Member{}, members(founders...), r.all)
			if s.Digest() != sets[0].Digest() {
				t.Fatalf("seed %d: set %d differs from set 0", seed, i)
			}
			if got := idsOf(s.Statements()); !slices.Equal(got, m.exchanged()) {
				t.Fatalf("seed %d: set %d ends with %d statements, the model with %d, of%s", seed, i, len(got), len(m.exchanged()), r)
			}
			m.self = selves[i]
			if got, want := dump(s.View(), r.publics(), zones, r.logs), m.dump(r.publics(), zones, r.logs); got != want {
				t.Fatalf("seed %d, set %d:\n%s\nthe model says\n%s\nof%s", seed, i, got, want, r)
			}
		}
	}
}

// exchange gives b what a has, in any order.
func exchange(rng *rand.Rand, a, b *trust.Set) {
	all := slices.Clone(a.Statements())
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, st := range all {
		b.Add(st)
	}
}
