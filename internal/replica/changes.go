package replica

import (
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// maxForgotten is how many forgotten objects are remembered for those who follow. Who is further behind begins anew.
const maxForgotten = 1000

// revisions count what became of objects in this run, so that whoever follows them asks for what is new only.
type revisions struct {
	last  uint64 // rises with every object that is settled or forgotten; object.revision is that of its last time
	steps uint64

	forgotten []forgotten // the newest ones, in the order of their revisions
	unknown   uint64      // revision of the newest one that is not remembered any more
}

type forgotten struct {
	key      mesh.ObjectKey
	revision uint64
}

// settled notes that an object may be listed in another way than before.
func (v *revisions) settled(o *object) {
	v.last++
	o.revision = v.last
}

// forgot notes that an object is gone.
func (v *revisions) forgot(k mesh.ObjectKey) {
	v.last++
	if len(v.forgotten) == maxForgotten {
		v.unknown = v.forgotten[0].revision
		v.forgotten = slices.Delete(v.forgotten, 0, 1)
	}
	v.forgotten = append(v.forgotten, forgotten{k, v.last})
}

// Cursor says how far somebody has followed the objects of a replica. The zero value is the beginning.
type Cursor struct {
	Changed   uint64 // up to which revision objects were told
	Forgotten uint64 // up to which it was told that some were forgotten
}

// Changes is what became of objects since a cursor. What was forgotten comes before what changed: an object may have
// been made anew.
type Changes struct {
	Whole   bool // too much was forgotten since: what was known is void, and these are the first of all objects
	Removed []mesh.ObjectKey
	Items   []mesh.Resource // that may have changed, in the order in which they last did
	Next    Cursor          // ask with it for what follows
	More    bool            // the page was too small: something follows at once
	// Steps counts the steps of this run: while it stays nothing changed. A step may change how objects are listed that
	// it doesn't touch, such as those of a log that its zone leaves: whoever follows looks at all of them now and then.
	Steps uint64
}

// Changes lists objects that changed since a cursor, at most limit, the oldest change first. From the beginning that
// is every object.
func (r *Replica) Changes(at Cursor, limit int) Changes {
	newest := r.revs.last
	c := Changes{Steps: r.revs.steps}
	if at.Changed > newest || at.Forgotten > newest || at != (Cursor{}) && at.Forgotten < r.revs.unknown {
		c.Whole, at = true, Cursor{}
	}
	if at != (Cursor{}) {
		for _, f := range r.revs.forgotten {
			if f.revision > at.Forgotten {
				c.Removed = append(c.Removed, f.key)
			}
		}
	}
	c.Next = Cursor{newest, newest}
	if at.Changed == newest {
		return c
	}
	var page []*object
	oldest := func() { // keeps the first ones
		slices.SortFunc(page, func(a, b *object) int { return cmp.Compare(a.revision, b.revision) })
		page = page[:min(limit, len(page))]
	}
	last := newest // of a full page: what is newer is on a later one
	for _, o := range r.objects {
		if o.revision <= at.Changed || o.revision > last {
			continue
		}
		if page = append(page, o); len(page) >= 2*limit {
			oldest()
			last = page[limit-1].revision
		}
	}
	oldest()
	if n := len(page); n == limit {
		c.Next.Changed = page[n-1].revision
		c.More = c.Next.Changed < newest
	}
	for _, o := range page {
		c.Items = append(c.Items, r.resource(o))
	}
	return c
}
