package tui

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// objectIndex keeps what is asked of ten thousand objects every second ready, while a few of them change.
type objectIndex struct {
	sorted []*mesh.Resource  // by compareObjects, unless rough
	rough  bool              // sorted is to be made anew
	owned  map[mesh.Zone]int // those that are not deleted, by owner
	kinds  map[string]int    // all of them, by kind and group
}

func newObjectIndex() objectIndex {
	return objectIndex{owned: map[mesh.Zone]int{}, kinds: map[string]int{}}
}

// compareObjects orders by namespace and name, then by kind.
func compareObjects(a, b *mesh.Resource) int {
	ak, an, _ := strings.Cut(a.Object, "/")
	bk, bn, _ := strings.Cut(b.Object, "/")
	return cmp.Or(cmp.Compare(an, bn), cmp.Compare(ak, bk))
}

// putResource adds or replaces an object; what is too many is counted.
func (s *state) putResource(r *mesh.Resource) {
	before := s.resources[r.Object]
	if before == nil && len(s.resources) >= maxResources {
		s.unseen++
		return
	}
	s.resources[r.Object] = r
	x := &s.objects
	x.count(before, -1)
	x.count(r, 1)
	if x.rough {
		return
	}
	at, found := slices.BinarySearchFunc(x.sorted, r, compareObjects)
	switch {
	case found:
		x.sorted[at] = r
	case at == len(x.sorted): // the first frame comes in order
		x.sorted = append(x.sorted, r)
	default:
		x.rough = true
	}
}

func (s *state) removeResource(object string) {
	before := s.resources[object]
	if before == nil {
		return
	}
	delete(s.resources, object)
	s.objects.count(before, -1)
	s.objects.rough = true
}

// dropResources forgets all of them.
func (s *state) dropResources() {
	s.resources, s.unseen, s.objects = map[string]*mesh.Resource{}, 0, newObjectIndex()
}

func (x *objectIndex) count(r *mesh.Resource, by int) {
	if r == nil {
		return
	}
	kind, _, _ := strings.Cut(r.Object, "/")
	if x.kinds[kind] += by; x.kinds[kind] == 0 {
		delete(x.kinds, kind)
	}
	if r.State == resourceDeleted {
		return
	}
	if x.owned[r.Owner] += by; x.owned[r.Owner] == 0 {
		delete(x.owned, r.Owner)
	}
}

// ordered returns all objects in order. It is not to be changed, and good until the next frame.
func (s *state) ordered() []*mesh.Resource {
	if s.objects.rough {
		s.objects.sorted = slices.SortedFunc(maps.Values(s.resources), compareObjects)
		s.objects.rough = false
	}
	return s.objects.sorted
}

func (x objectIndex) clone() objectIndex {
	x.sorted, x.owned, x.kinds = slices.Clone(x.sorted), maps.Clone(x.owned), maps.Clone(x.kinds)
	return x
}
