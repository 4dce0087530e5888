package trust_test

import (
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

// FuzzSet makes statements of bytes. Nothing panics, the view and what is exchanged are the model's whatever the
// order and the moments at which it is asked, and whoever hears only what is exchanged agrees. The first byte is the
// number of statements, those after the last one's are the order.
func FuzzSet(f *testing.F) {
	f.Add([]byte{3, 1, 2, 0, 3, 3, 0, 0, 1, 9, 1, 2, 3, 4, 5})
	f.Add([]byte{12, 2, 0, 1, 2, 9, 9, 9, 1, 0, 9, 0, 0, 1, 2, 9, 4, 4, 4, 5, 5, 5, 0, 1, 7, 7, 1, 1, 0, 8, 0, 3, 2, 2, 1, 9, 9, 1})
	f.Add([]byte{9, 0, 1, 5, 5, 5, 5, 1, 2, 0, 1, 3, 2, 3, 5, 5, 6, 6, 1, 2, 4, 4, 3, 5, 1, 5, 1, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		pick := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			x := int(b[0])
			b = b[1:]
			return x % n
		}
		count := 1 + pick(16)
		r := newRandom(pick)
		for range count {
			r.add()
		}
		local := r.zoned(r.keys[1 : 1+r.n(2)])
		self := r.zoned(r.keys[:1])[0]
		m := newModel(self, local, r.all)
		want := m.dump(r.publics(), zones, r.logs)

		s := trust.NewSet(self)
		s.SetLocal(local)
		left := slices.Clone(r.all)
		for len(left) > 0 {
			i := pick(len(left))
			s.Add(left[i])
			if pick(3) == 0 {
				s.Changes()
			}
			left = slices.Delete(left, i, i+1)
		}
		other := trust.NewSet(self)
		other.Load(s.Statements())
		other.SetLocal(local)
		for _, v := range []*trust.View{s.View(), other.View()} {
			if got := dump(v, r.publics(), zones, r.logs); got != want {
				t.Fatalf("\n%s\nthe model says\n%s\nof%s", got, want, r)
			}
		}
		if got := idsOf(s.Statements()); !slices.Equal(got, m.exchanged()) || other.Digest() != s.Digest() {
			t.Fatalf("%d statements are exchanged, the model says %d, of%s", len(got), len(m.exchanged()), r)
		}
		taken, dropped := s.Changes()
		if len(dropped) > 0 || !slices.IsSortedFunc(taken, func(a, b trust.Statement) int { return mesh.Hash.Compare(a.ID, b.ID) }) {
			t.Fatalf("%d statements were dropped", len(dropped))
		}
	})
}
