package trust

import (
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
)

// judgement decides which statements stand. Keys and statements are numbered; every slice is indexed by those
// numbers.
type judgement struct {
	number  map[keys.Public]int32
	keys    []keys.Public
	root    []bool // by key
	all     []claim
	by      [][]int32 // by key: the statements that it signed
	cutters []int32   // statements that cut a key
	cutting [][]int32 // by key: the cutters that cut it
	removal map[pair][]int32

	final verdict
	// possible is what stands unless one of those that void each other in circles decides against it: what is
	// not even possible changes nothing, whether it is here or not.
	possible verdict
	certain  []bool // by statement: cutters that count whatever circles decide
}

// pair is one key that removes another.
type pair struct{ by, key int32 }

// claim is a statement in numbers.
type claim struct {
	*Statement
	author int32
	admits int32 // key that it gives a say; -1: none
	cuts   int32 // key that it cuts; -1: none
	remove bool  // it is a removal with a cut
}

// limits are the cuts that a cutter carries.
func (c *claim) limits() []event.Cut {
	if c.remove {
		return c.Event.Remove.Cuts
	}
	return c.Event.HandOver.Cuts
}

// verdict says which statements are in force and which keys have a say.
type verdict struct {
	say    []bool // by key
	stands []bool // by statement
	// counts holds the cutters that cut: those that stand, and hand-overs that stand in a circle only. These
	// expel a key, but what is void hands nothing over.
	counts []bool
}

// judge decides about statements given the keys that need nobody's admission. It depends on neither's order.
func judge(roots []keys.Public, statements []*Statement) *judgement {
	j := &judgement{number: make(map[keys.Public]int32), removal: make(map[pair][]int32)}
	for _, k := range roots {
		j.root[j.key(k)] = true
	}
	j.all = make([]claim, 0, len(statements))
	for _, st := range statements {
		j.index(st)
	}
	if len(j.cutters) == 0 {
		j.possible = j.given(nil, nil)
		j.final = j.possible
		return j
	}
	fiat := make([]bool, len(j.all))
	low := fiat
	for first := true; ; first = false {
		lower, upper := j.alternate(low, fiat)
		if first {
			j.possible, j.certain = upper, lower.counts
		}
		circles := j.circles(lower, upper)
		if len(circles) == 0 {
			j.final = lower
			return j
		}
		fiat, low = slices.Clone(fiat), slices.Clone(lower.counts)
		for _, c := range circles {
			fiat[c], low[c] = true, true
		}
	}
}

// maxVoid bounds the void statements that are exchanged beside the removals of keys that have a say: those whose
// authors were admitted by void statements, and those that admit. A mesh has a few of them, unless somebody
// floods it with a stolen key.
const maxVoid = 1024

// sort says which statements are exchanged, and whose are welcome.
//
// What is possible is. Of the rest a part may become possible by what is still to come, and if nobody passed it
// on, what comes of it would depend on who hears of what first. That part is what admits or cuts, of keys that
// would be known if nothing were void. It is taken up to maxVoid, in a way that doesn't depend on whether what
// is beyond is here: from the roots outwards, by id.
func (j *judgement) sort() (exchanged, known []bool) {
	exchanged, known = slices.Clone(j.possible.stands), slices.Clone(j.possible.say)
	var ring []int32
	for n := range j.all {
		c := &j.all[n]
		switch {
		case exchanged[n] || !known[c.author]:
		case c.remove:
			exchanged[n] = true // may answer who removes its author
		case c.admits >= 0:
			ring = append(ring, int32(n))
		}
	}
	for room := maxVoid; room > 0 && len(ring) > 0; {
		slices.SortFunc(ring, func(a, b int32) int { return j.all[a].ID.Compare(j.all[b].ID) })
		ring = ring[:min(len(ring), room)]
		room -= len(ring)
		var next []int32
		for _, n := range ring {
			exchanged[n] = true
			k := j.all[n].admits
			if k < 0 || known[k] {
				continue
			}
			known[k] = true
			for _, m := range j.by[k] {
				if j.all[m].admits >= 0 || j.all[m].remove {
					next = append(next, m)
				}
			}
		}
		ring = next
	}
	return exchanged, known
}

// cutOff reports whether st lies beyond a cut that counts whatever circles decide.
func (j *judgement) cutOff(st *Statement) bool {
	n, ok := j.number[st.Author]
	return ok && slices.ContainsFunc(j.cutting[n], func(c int32) bool {
		return j.certain[c] && above(st, j.all[c].limits())
	})
}

func (j *judgement) key(k keys.Public) int32 {
	n, ok := j.number[k]
	if !ok {
		n = int32(len(j.keys))
		j.number[k] = n
		j.keys = append(j.keys, k)
		j.root = append(j.root, false)
		j.by = append(j.by, nil)
		j.cutting = append(j.cutting, nil)
	}
	return n
}

func (j *judgement) index(st *Statement) {
	c := claim{Statement: st, author: j.key(st.Author), admits: -1, cuts: -1}
	n := int32(len(j.all))
	switch ev := st.Event; {
	case ev.Admit != nil:
		c.admits = j.key(ev.Admit.Key)
	case ev.HandOver != nil:
		c.admits, c.cuts = j.key(ev.HandOver.To), j.key(ev.HandOver.From)
	case ev.Remove != nil && len(ev.Remove.Cuts) > 0:
		c.cuts, c.remove = j.key(ev.Remove.Key), true
		p := pair{c.author, c.cuts}
		j.removal[p] = append(j.removal[p], n)
	}
	if c.cuts >= 0 {
		j.cutters = append(j.cutters, n)
		j.cutting[c.cuts] = append(j.cutting[c.cuts], n)
	}
	j.by[c.author] = append(j.by[c.author], n)
	j.all = append(j.all, c)
}

// alternate finds what is certain and what is possible. What stands if every possible cut counts is certain;
// what stands if only the certain ones count is possible; both close in on each other until nothing moves. low
// holds statements known to be certain, fiat those that stand whatever cuts them.
func (j *judgement) alternate(low, fiat []bool) (lower, upper verdict) {
	for {
		upper = j.given(low, fiat)
		lower = j.given(upper.counts, fiat)
		if slices.Equal(low, lower.counts) {
			return lower, upper
		}
		low = lower.counts
	}
}

// given returns what stands if exactly the cutters in counting cut. More of them never make more stand. Those in
// fiat count whatever cuts them.
func (j *judgement) given(counting, fiat []bool) verdict {
	g := &reckoning{
		judgement: j,
		verdict:   verdict{make([]bool, len(j.keys)), make([]bool, len(j.all)), make([]bool, len(j.all))},
		removed:   make(map[pair]bool), answers: make(map[pair][]int32),
	}
	for n := range fiat {
		switch {
		case fiat[n] && j.all[n].remove:
			g.stand(int32(n))
		case fiat[n]:
			g.counts[n] = true
		}
	}
	for k, root := range j.root {
		if root {
			g.hear(int32(k))
		}
	}
	for len(g.heard) > 0 {
		k := g.heard[len(g.heard)-1]
		g.heard = g.heard[:len(g.heard)-1]
		for _, n := range j.by[k] {
			g.judge(n, counting)
		}
	}
	return g.verdict
}

// reckoning is a verdict in the making.
type reckoning struct {
	*judgement
	verdict
	heard   []int32          // keys that have a say whose statements were not looked at yet
	removed map[pair]bool    // by removals that stand
	answers map[pair][]int32 // void removals that stand as soon as the pair is in removed
}

// hear gives key k a say.
func (g *reckoning) hear(k int32) {
	if !g.say[k] {
		g.say[k] = true
		g.heard = append(g.heard, k)
	}
}

// judge looks at statement n of a key that has a say.
func (g *reckoning) judge(n int32, counting []bool) {
	c := &g.all[n]
	if !g.voided(n, counting) {
		g.stand(n)
		return
	}
	if !c.remove || c.cuts == c.author {
		return
	}
	answered := pair{c.cuts, c.author}
	if g.removed[answered] {
		g.stand(n)
		return
	}
	g.answers[answered] = append(g.answers[answered], n)
}

// stand puts statement n in force.
func (g *reckoning) stand(n int32) {
	if g.stands[n] {
		return
	}
	c := &g.all[n]
	g.stands[n], g.counts[n] = true, c.cuts >= 0
	if c.admits >= 0 {
		g.hear(c.admits)
	}
	if p := (pair{c.author, c.cuts}); c.remove && !g.removed[p] {
		g.removed[p] = true
		for _, q := range g.answers[p] {
			g.stand(q) // ends there: the pairs of both are in removed now
		}
	}
}

// voided reports whether one of the cutters in counting voids statement n.
func (j *judgement) voided(n int32, counting []bool) bool {
	return slices.ContainsFunc(j.cutting[j.all[n].author], func(c int32) bool { return counting[c] && j.voids(c, n) })
}

// voids reports whether cutter c, if it counts, voids statement n of the key that it cuts. No statement is
// voided by the cut that it carries, and no removal by a removal that its target made of its author.
func (j *judgement) voids(c, n int32) bool {
	cut, of := &j.all[c], &j.all[n]
	if c == n || cut.remove && of.remove && cut.author == of.cuts && cut.author != of.author {
		return false
	}
	return above(of.Statement, cut.limits())
}

// above reports whether st lies beyond the cuts of its author's logs. In a log that they don't name everything
// does; at their height, all but the operation that they name.
func above(st *Statement, cuts []event.Cut) bool {
	i := slices.IndexFunc(cuts, func(c event.Cut) bool { return c.Log == st.Log })
	return i < 0 || st.Seq > cuts[i].Height || st.Seq == cuts[i].Height && st.ID != cuts[i].Head
}
