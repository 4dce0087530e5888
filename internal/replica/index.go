package replica

import (
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// object is everything known about one object: the claims of all zones, the copy among our own objects, and
// what was last written to the cluster for it.
type object struct {
	key    mesh.ObjectKey
	claims []mesh.Claim // at most one per zone, in zone order
	local  *localCopy   // nil: not seen among our own objects in this run
	placed *oplog.Placed

	seen     bool      // the replica was reported in this run
	stated   uint32    // where this run saw our claim stated first, in its log; restating it is no news
	ended    mesh.Zone // a live claim of this zone was ended by its snapshot in this step
	withheld bool      // its labels name another zone that claims it: neither published nor deleted
	dirty    bool      // to be settled in this step
	class    class     // as counted
	rejected string    // why the cluster refused the last write; empty: it didn't
	revision uint64    // of the last time that it was settled
}

// localCopy is an object of ours as last reported.
type localCopy struct {
	content mesh.Hash
	size    uint32
}

// object returns the entry of a key, making it if needed.
func (r *Replica) object(k mesh.ObjectKey) *object {
	o := r.objects[k]
	if o == nil {
		o = &object{key: k}
		r.objects[k] = o
	}
	return o
}

// forgetIfEmpty drops an entry that says nothing any more.
func (r *Replica) forgetIfEmpty(o *object) {
	if len(o.claims) == 0 && o.local == nil && o.placed == nil {
		delete(r.objects, o.key)
		r.revs.forgot(o.key)
	}
}

// claim returns the claim of a zone, or nil. The pointer is valid until the next change of claims.
func (o *object) claim(z mesh.Zone) *mesh.Claim {
	if i, ok := o.find(z); ok {
		return &o.claims[i]
	}
	return nil
}

func (o *object) find(z mesh.Zone) (int, bool) {
	return slices.BinarySearchFunc(o.claims, z, func(c mesh.Claim, z mesh.Zone) int {
		return strings.Compare(string(c.Zone), string(z))
	})
}

func (o *object) setClaim(c mesh.Claim) {
	i, ok := o.find(c.Zone)
	if ok {
		o.claims[i] = c
	} else {
		o.claims = slices.Insert(o.claims, i, c)
	}
}

func (o *object) removeClaim(z mesh.Zone) {
	if i, ok := o.find(z); ok {
		o.claims = slices.Delete(o.claims, i, i+1)
	}
}

// live returns the claim of zone z if it says that the object is live, else nil.
func (o *object) live(z mesh.Zone) *mesh.Claim {
	if c := o.claim(z); c != nil && c.Kind == mesh.Live {
		return c
	}
	return nil
}

// putClaim stores a claim unless a newer one of its zone is held or its position is void, and reports whether
// it did. payload may be nil when content and stored payload are unchanged.
func (r *Replica) putClaim(c mesh.Claim, payload []byte) bool {
	if r.ended(&c) || r.void(c.At) {
		return false
	}
	o := r.object(c.Object)
	stated := c.At.Seq
	if cur := o.claim(c.Zone); cur != nil {
		if !r.outranks(c.Zone, c.At, cur.At) && !r.void(cur.At) {
			return false
		}
		if cur.Kind == c.Kind && cur.Version == c.Version && cur.Epoch == c.Epoch {
			c.Since = cur.Since // merely restated
			if c.At.Log == cur.At.Log {
				stated = o.stated
			}
		}
		if cur.Kind == mesh.Live && c.Kind == mesh.Live && cur.Content == c.Content {
			payload = nil
		}
		r.counts.add(cur, -1)
	}
	o.setClaim(c)
	if c.Zone == r.cfg.Zone {
		o.stated = stated
	}
	r.counts.add(&c, 1)
	r.writeClaim(c.Ref(), payload)
	r.touch(o)
	return true
}

// void reports whether a position stands above its log's limit.
func (r *Replica) void(p mesh.Position) bool {
	l := r.logs[p.Log]
	if l == nil {
		return false
	}
	cut := l.Cut != nil && (l.Cut.None || p.Seq > l.Cut.Height)
	return cut || l.Limit != nil && !l.Limit.None && p.Seq > l.Limit.Height
}

// ended reports whether a claim is over although it may still be stored: its log's newest snapshot didn't
// restate it, or a later log of its author covers its position.
func (r *Replica) ended(c *mesh.Claim) bool {
	if l := r.logs[c.At.Log]; l != nil && c.At.Seq < l.AbsentBelow {
		return true
	}
	return r.covered(c.At)
}

// covered reports whether a later log of the same author restates everything up to this position.
func (r *Replica) covered(p mesh.Position) bool {
	b, ok := r.covers[p.Log.Author]
	if !ok {
		return false
	}
	if p.Incarnation < b.Floor {
		return true
	}
	for i := range b.Covers {
		if b.Covers[i].Log == p.Log {
			return p.Seq <= b.Covers[i].Height
		}
	}
	return false
}

// endClaim removes a claim that its owner's snapshot left out.
func (r *Replica) endClaim(o *object, c mesh.Claim) {
	o.removeClaim(c.Zone)
	r.counts.add(&c, -1)
	r.dropClaim(c.Ref())
	if c.Kind == mesh.Live {
		o.ended = c.Zone
	}
	r.touch(o)
}
