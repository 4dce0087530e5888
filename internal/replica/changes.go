package replica

import (
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// revisions count what became of objects in this run, so that whoever follows them asks for what is new only.
type revisions struct {
	last      uint64 // rises with every object that is settled; object.revision is that of its last time
	forgotten uint64 // objects
	steps     uint64
}

// Changes is what became of objects since a revision.
type Changes struct {
	Items    []mesh.Resource // that may have changed, in the order in which they last did
	Revision uint64          // of the last of them: ask with it for what follows
	Newest   uint64          // beyond Revision where the page was too small
	// Forgotten counts the objects that were forgotten in this run: whoever follows lists everything anew when it
	// rises. Steps counts the steps: while it stays nothing changed. A step may change how objects are listed that it
	// doesn't touch, such as those of a log that its zone leaves: whoever follows lists everything anew now and then.
	Forgotten, Steps uint64
}

// Changes lists objects that changed after a revision, at most limit, oldest change first. Those that only the
// store knows of have not changed.
func (r *Replica) Changes(since uint64, limit int) Changes {
	c := Changes{Revision: since, Newest: r.revs.last, Forgotten: r.revs.forgotten, Steps: r.revs.steps}
	if since >= c.Newest || limit < 1 {
		return c
	}
	var page []*object
	oldest := func() { // keeps the first ones
		slices.SortFunc(page, func(a, b *object) int { return cmp.Compare(a.revision, b.revision) })
		page = page[:min(limit, len(page))]
	}
	for _, o := range r.objects {
		if o.revision > since {
			if page = append(page, o); len(page) >= 2*limit {
				oldest()
			}
		}
	}
	oldest()
	for _, o := range page {
		c.Items = append(c.Items, r.resource(o))
	}
	c.Revision = c.Newest
	if n := len(page); n == limit { // there may be more
		c.Revision = page[n-1].revision
	}
	return c
}
