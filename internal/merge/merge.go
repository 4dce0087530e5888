// Package merge decides, from the claims of all zones about one object, what should exist. It is a set of
// pure functions: the order in which claims arrived, and how often, never matters.
//
// The rule, in one breath: a release takes no part; of the rest the highest epoch decides; at that epoch live
// goes before deleted, then the lower birth, then the zone name.
package merge

import (
	"cmp"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Winner returns the claim that decides about an object. It reports false when nobody claims it: there is no
// claim, or every claim is a release.
func Winner(claims []mesh.Claim) (mesh.Claim, bool) {
	best := -1
	for i := range claims {
		if claims[i].Kind == mesh.Released {
			continue
		}
		if best < 0 || compare(&claims[i], &claims[best]) < 0 {
			best = i
		}
	}
	if best < 0 {
		return mesh.Claim{}, false
	}
	return claims[best], true
}

// compare orders claims of different zones about one object, the stronger first.
func compare(a, b *mesh.Claim) int {
	return cmp.Or(
		cmp.Compare(b.Epoch, a.Epoch),
		cmp.Compare(a.Kind, b.Kind), // Live is 1, Deleted is 2
		cmp.Compare(a.Birth, b.Birth),
		cmp.Compare(a.Zone, b.Zone),
	)
}

// CreationEpoch is the epoch at which a new object is first published: the highest of any tombstone or
// release known, so that the creation isn't undone by an older deletion; else 1.
func CreationEpoch(claims []mesh.Claim) mesh.Epoch {
	e := mesh.Epoch(1)
	for i := range claims {
		if claims[i].Kind != mesh.Live {
			e = max(e, claims[i].Epoch)
		}
	}
	return e
}

// Rivals returns the zones, in order, whose live claims stand beside that of the winner at its epoch with
// other content: independent creators of one object. Equal content is no conflict.
func Rivals(claims []mesh.Claim) []mesh.Zone {
	win, ok := Winner(claims)
	if !ok || win.Kind != mesh.Live {
		return nil
	}
	var out []mesh.Zone
	for i := range claims {
		c := &claims[i]
		if c.Zone != win.Zone && c.Kind == mesh.Live && c.Epoch == win.Epoch && c.Content != win.Content {
			out = append(out, c.Zone)
		}
	}
	return out
}
