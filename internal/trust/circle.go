package trust

// circles returns the cutters that void each other, of those circles that depend on no other one: whether a
// member stands depends on the others of its circle only. None is left when lower and upper agree.
//
// What is undecided depends on each other like this: a key on the admissions of it; a statement on its author's
// say, and on the cutters that would void it; a removal that answers one, on that. Everything undecided depends
// on something undecided, and what depends on admissions alone would have been found to be baseless, so every
// circle that depends on no other holds a cutter.
func (j *judgement) circles(lower, upper verdict) []int32 {
	g := graph{first: int32(len(j.all)), depends: make(map[int32][]int32)}
	for k := range j.keys {
		if upper.say[k] && !lower.say[k] {
			g.nodes = append(g.nodes, g.first+int32(k))
		}
	}
	for n := range j.all {
		n := int32(n)
		c := &j.all[n]
		if !upper.stands[n] || lower.stands[n] || c.admits < 0 && c.cuts < 0 {
			continue
		}
		g.nodes = append(g.nodes, n)
		if c.admits >= 0 && !lower.say[c.admits] {
			g.edge(g.first+c.admits, n)
		}
		if !lower.say[c.author] {
			g.edge(n, g.first+c.author)
		}
		j.dependOnCuts(&g, n, lower, upper)
	}
	var out []int32
	for _, circle := range g.sources() {
		for _, n := range circle {
			if n < g.first && upper.counts[n] && !lower.counts[n] {
				out = append(out, n)
			}
		}
	}
	return out
}

// dependOnCuts adds to the graph which undecided cutters the undecided statement n depends on.
func (j *judgement) dependOnCuts(g *graph, n int32, lower, upper verdict) {
	c := &j.all[n]
	var answered []int32
	if c.remove && c.cuts != c.author {
		for _, r := range j.removal[pair{c.cuts, c.author}] {
			switch {
			case lower.stands[r]:
				return // it answers a removal that counts: no cut touches it
			case upper.stands[r]:
				answered = append(answered, r)
			}
		}
	}
	certain := false
	var by []int32
	for _, b := range j.cutting[c.author] {
		if upper.counts[b] && j.voids(b, n) {
			by = append(by, b)
			certain = certain || lower.counts[b]
		}
	}
	if !certain { // else only what it answers is left to save it
		for _, b := range by {
			g.edge(n, b)
		}
	}
	if len(by) > 0 {
		for _, r := range answered {
			g.edge(n, r)
		}
	}
}

// graph says what depends on what: statements by their number, keys by theirs plus first.
type graph struct {
	first   int32
	nodes   []int32
	depends map[int32][]int32
}

func (g *graph) edge(n, on int32) { g.depends[n] = append(g.depends[n], on) }

// sources returns the strongly connected components that depend on no other, by Tarjan's algorithm with a stack
// of its own: a hostile chain would be a deep recursion.
func (g *graph) sources() [][]int32 {
	type state struct {
		index, low, comp int32
		next             int
	}
	at := make(map[int32]*state, len(g.nodes))
	var stack, path []int32
	var comps [][]int32
	visit := func(n int32) {
		i := int32(len(at) + 1)
		at[n] = &state{index: i, low: i}
		stack, path = append(stack, n), append(path, n)
	}
	for _, root := range g.nodes {
		if at[root] == nil {
			visit(root)
		}
		for len(path) > 0 {
			n := path[len(path)-1]
			s := at[n]
			if s.next < len(g.depends[n]) {
				m := g.depends[n][s.next]
				s.next++
				if t := at[m]; t == nil {
					visit(m)
				} else if t.comp == 0 {
					s.low = min(s.low, t.index)
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := at[path[len(path)-1]]
				up.low = min(up.low, s.low)
			}
			if s.low == s.index {
				var comp []int32
				for m := int32(-1); m != n; {
					m = stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					at[m].comp = int32(len(comps) + 1)
					comp = append(comp, m)
				}
				comps = append(comps, comp)
			}
		}
	}
	var out [][]int32
	for i, comp := range comps {
		if !g.leaves(comp, func(m int32) bool { return at[m].comp == int32(i+1) }) {
			out = append(out, comp)
		}
	}
	return out
}

// leaves reports whether something in comp depends on something outside.
func (g *graph) leaves(comp []int32, inside func(int32) bool) bool {
	for _, n := range comp {
		for _, m := range g.depends[n] {
			if !inside(m) {
				return true
			}
		}
	}
	return false
}
