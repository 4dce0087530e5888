package trust

import (
	"bytes"
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// limits bound what a set holds. A statement has at most some 8 KiB, an ordinary one 300 bytes.
type limits struct {
	author  int // statements of one author: everybody's admissions and hand-overs in a mesh of 1,000 zones are fewer
	total   int // all that were ever taken: 256 MiB at the very worst
	spare   int // more of those that expel somebody, so that whoever floods can be removed
	waiting int // those that were never taken: 32 MiB at the very worst
}

var defaultLimits = limits{author: 4096, total: 32768, spare: 4096, waiting: 4096}

// place is where a statement stands in the pool.
type place uint8

const (
	waiting   place = iota // never taken, the first to go
	void                   // taken once, changes nothing now: kept while there is room
	exchanged              // taken
)

type entry struct {
	Statement
	place  place
	stored bool // Changes told that it was taken
}

// pool holds statements within limits.
type pool struct {
	limits
	entries map[mesh.Hash]*entry
	by      map[keys.Public][]*entry
	taken   int                 // entries that are not waiting
	queue   []mesh.Hash         // the waiting ones, longest waiting first, and some that are so no longer
	gone    map[mesh.Hash]bool  // left since the last call of changes
	counts  map[keys.Public]int // entries that are not waiting, by author
}

func newPool(l limits) pool {
	return pool{limits: l, entries: map[mesh.Hash]*entry{}, by: map[keys.Public][]*entry{},
		gone: map[mesh.Hash]bool{}, counts: map[keys.Public]int{}}
}

func (p *pool) insert(e *entry) {
	p.entries[e.ID] = e
	p.by[e.Author] = append(p.by[e.Author], e)
	delete(p.gone, e.ID)
	if e.place != waiting {
		p.taken++
		p.counts[e.Author]++
	}
}

// drop removes an entry for good.
func (p *pool) drop(e *entry) {
	delete(p.entries, e.ID)
	own := p.by[e.Author]
	own = slices.DeleteFunc(own, func(o *entry) bool { return o == e })
	if p.by[e.Author] = own; len(own) == 0 {
		delete(p.by, e.Author)
	}
	p.gone[e.ID] = true
	if e.place != waiting {
		p.taken--
		if p.counts[e.Author]--; p.counts[e.Author] == 0 {
			delete(p.counts, e.Author)
		}
	}
}

// load holds a statement that is stored. It reports whether it is new.
func (p *pool) load(st Statement) bool {
	if p.entries[st.ID] != nil {
		return false
	}
	p.insert(&entry{Statement: st, place: exchanged, stored: true})
	return true
}

// setAside holds a statement that has no place yet. The one that waits longest makes room: what somebody
// floods us with is forgotten, and what was forgotten wrongly comes again with the next exchange.
func (p *pool) setAside(st Statement) {
	p.insert(&entry{Statement: st})
	p.queue = append(p.queue, st.ID)
	p.forget()
}

func (p *pool) forget() {
	for len(p.entries)-p.taken > p.waiting {
		if e := p.entries[p.queue[0]]; e != nil && e.place == waiting {
			p.drop(e)
		}
		p.queue = p.queue[1:]
	}
	if len(p.queue) > 2*p.waiting+16 { // most of it is about others than those that wait
		p.queue = slices.DeleteFunc(p.queue, func(id mesh.Hash) bool {
			e := p.entries[id]
			return e == nil || e.place != waiting
		})
	}
}

// take holds a statement of a known key. It reports whether there was room, which own statements always have
// beside those of others.
func (p *pool) take(st Statement, own bool) bool {
	if !p.room(&st, own) {
		return false
	}
	p.insert(&entry{Statement: st, place: exchanged})
	return true
}

// room makes room for one more statement. An author that has as many as it may keeps those of the lowest
// positions, so that two nodes which heard of different ones agree in the end.
func (p *pool) room(st *Statement, own bool) bool {
	if p.counts[st.Author] >= p.author {
		last := slices.MaxFunc(p.of(st.Author), func(a, b *entry) int {
			return cmp.Or(-cmp.Compare(a.place, b.place), position(&a.Statement, &b.Statement))
		})
		if last.place == exchanged && position(st, &last.Statement) > 0 {
			return false
		}
		p.drop(last)
	}
	limit := p.total
	if st.expels() {
		limit += p.spare
	}
	if own || p.taken < limit {
		return true
	}
	var first *entry
	for _, e := range p.entries {
		if e.place == void && (first == nil || e.ID.Compare(first.ID) < 0) {
			first = e
		}
	}
	if first == nil {
		return false
	}
	p.drop(first)
	return true
}

// of returns the taken entries of an author.
func (p *pool) of(k keys.Public) []*entry {
	var own []*entry
	for _, e := range p.by[k] {
		if e.place != waiting {
			own = append(own, e)
		}
	}
	return own
}

// position orders statements of one author.
func position(a, b *Statement) int {
	return cmp.Or(bytes.Compare(a.Log[:], b.Log[:]), cmp.Compare(a.Seq, b.Seq), a.ID.Compare(b.ID))
}

// statements returns all, in no order.
func (p *pool) statements() []*Statement {
	all := make([]*Statement, 0, len(p.entries))
	for _, e := range p.entries {
		all = append(all, &e.Statement)
	}
	return all
}

// settle gives every entry its place by a judgement about all of them. It reports whether one had to go for want
// of room, or made another go.
func (p *pool) settle(j *judgement, belongs []bool, self keys.Public) (left bool) {
	var up []*entry
	for n := range j.all {
		e := p.entries[j.all[n].ID]
		switch {
		case belongs[n] && e.place == waiting:
			up = append(up, e)
		case belongs[n]:
			e.place = exchanged
		case e.place == exchanged:
			e.place = void
		}
	}
	slices.SortFunc(up, func(a, b *entry) int {
		return cmp.Or(a.Author.Compare(b.Author), position(&a.Statement, &b.Statement))
	})
	before := len(p.entries)
	for _, e := range up {
		p.drop(e)
		if p.room(&e.Statement, e.Author == self) {
			e.place = exchanged
			p.insert(e)
		}
	}
	return len(p.entries) != before
}

// exchanged returns the taken statements that change something, by id.
func (p *pool) exchanged() []Statement {
	all := make([]Statement, 0, len(p.entries))
	for _, e := range p.entries {
		if e.place == exchanged {
			all = append(all, e.Statement)
		}
	}
	slices.SortFunc(all, func(a, b Statement) int { return a.ID.Compare(b.ID) })
	return all
}

// changes returns what was taken and what left since the last call, by id.
func (p *pool) changes() (taken []Statement, left []mesh.Hash) {
	for _, e := range p.entries {
		if e.place != waiting && !e.stored {
			e.stored = true
			taken = append(taken, e.Statement)
		}
	}
	slices.SortFunc(taken, func(a, b Statement) int { return a.ID.Compare(b.ID) })
	for id := range p.gone {
		left = append(left, id)
	}
	slices.SortFunc(left, mesh.Hash.Compare)
	clear(p.gone)
	return taken, left
}
