package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// maxDrawn is how many zones the graph and the matrix show around the one in the middle. With more than that the
// last place says how many are missing.
const maxDrawn = 12

// graph is the mesh around one node, ready to be drawn.
type graph struct {
	self   string // this node
	center string // the one in the middle
	nodes  []node // the others: by state, the worst last, then by name
	hidden int    // how many more there are, none of them worse than those in nodes
	links  map[pair]link
	told   map[direction]link // what each says about the others
	zones  int                // all there are
	now    time.Time
}

// node is one node beside the one in the middle.
type node struct {
	name  string
	state mesh.PeerState // as this node sees it, whoever stands in the middle
}

// pair is two nodes, in the order of their names.
type pair struct{ a, b string }

func pairOf(a, b string) pair { return pair{min(a, b), max(a, b)} }

// direction is a link as its first end sees it.
type direction struct{ from, to string }

// link is a link between two nodes, as the better informed of them tells it.
type link struct {
	state   mesh.PeerState
	relayed bool // the nodes reach each other, but not over a connection of their own
	rtt     *float64
	since   time.Time
	said    mesh.Link // what it was made from, for those who show more
}

// newGraph makes the graph around the node called center; this node if center is empty or unknown.
func newGraph(top *mesh.Topology, center string, now time.Time) graph {
	g := graph{self: string(top.Self), now: now,
		links: make(map[pair]link, len(top.Links)), told: make(map[direction]link, len(top.Links))}
	states := map[string]mesh.PeerState{}
	for _, said := range top.Links {
		for _, name := range []string{said.From, said.To} {
			if _, known := states[name]; !known {
				states[name] = mesh.Unknown
			}
		}
		if said.From == g.self {
			states[said.To] = said.State
		}
		if said.From == said.To {
			continue
		}
		p, l := pairOf(said.From, said.To), newLink(said)
		if before, known := g.links[p]; !known || g.prefer(l, before) {
			g.links[p] = l
		}
		g.told[direction{said.From, said.To}] = l
	}
	states[g.self] = mesh.Ready
	g.zones = len(states)
	g.center = center
	if _, known := states[center]; !known {
		g.center = g.self
	}
	for name, state := range states {
		if name != g.center {
			g.nodes = append(g.nodes, node{name, state})
		}
	}
	slices.SortFunc(g.nodes, compareNodes)
	return g
}

func newLink(said mesh.Link) link {
	relay := said.Transport != nil && *said.Transport == "relay"
	return link{state: said.State, rtt: said.RTTSeconds, since: said.Since, said: said, relayed: relay || !said.Direct}
}

// prefer reports whether l tells more about its link than before: what this node knows itself beats what others
// tell, and of those the worse news do. The order in which links are listed decides nothing.
func (g *graph) prefer(l, before link) bool {
	if own := l.said.From == g.self; own != (before.said.From == g.self) {
		return own
	}
	return cmp.Or(
		-cmp.Compare(stateOrder(l.state), stateOrder(before.state)),
		compareRTT(l.rtt, before.rtt),
		cmp.Compare(l.said.From, before.said.From),
	) < 0
}

// compareRTT puts the longer one first and what was not measured last.
func compareRTT(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*b, *a)
}

func compareNodes(a, b node) int {
	return cmp.Or(cmp.Compare(stateOrder(a.state), stateOrder(b.state)), strings.Compare(a.name, b.name))
}

// link returns what is known about the link between two nodes.
func (g *graph) link(a, b string) (link, bool) {
	l, found := g.links[pairOf(a, b)]
	return l, found
}

// keep leaves n nodes, the worst ones: by the state of their links to the middle, then by their round trips.
func (g *graph) keep(n int) {
	if len(g.nodes) <= n {
		return
	}
	byNeed := slices.Clone(g.nodes)
	slices.SortStableFunc(byNeed, func(a, b node) int {
		la, _ := g.link(g.center, a.name)
		lb, _ := g.link(g.center, b.name)
		return cmp.Or(cmp.Compare(stateOrder(b.state), stateOrder(a.state)), compareRTT(la.rtt, lb.rtt), strings.Compare(a.name, b.name))
	})
	n = max(n, 0)
	g.hidden += len(byNeed) - n
	g.nodes = byNeed[:n]
	slices.SortFunc(g.nodes, compareNodes)
}

// fit leaves as many nodes as there are places, one of which tells how many are missing when some are.
func (g *graph) fit(places int) {
	if places = min(places, maxDrawn); len(g.nodes)+g.hidden > places {
		g.keep(places - 1)
	}
}

// stroke is what a link is drawn with.
type stroke struct {
	solid bool
	text  string // what stands for a piece of it, unless it is solid
	every int    // how far pieces of horizontal lines are apart
	tone  tone
}

func (l link) stroke() stroke {
	t := stateTone(l.state)
	switch {
	case l.state == mesh.Unavailable:
		return stroke{text: "x", every: 2, tone: t}
	case l.state == mesh.NotReady:
		return stroke{text: ":", every: 2, tone: t}
	case l.state != mesh.Ready:
		return stroke{text: ".", every: 2, tone: t}
	case l.relayed:
		return stroke{text: "~", every: 1, tone: t}
	}
	return stroke{solid: true, every: 1, tone: t}
}

// piece is what stands for the stroke where a solid line has the given character.
func (s stroke) piece(solid string) string {
	if s.solid {
		return solid
	}
	return s.text
}

// label is what stands at a link: its round trip, or for how long it has been down. long: there is room for a
// word.
func (l link) label(now time.Time, long bool) (string, tone) {
	switch {
	case l.state == mesh.Unavailable && l.since.IsZero():
		return "", plain
	case l.state == mesh.Unavailable:
		age := readable.Span(now.Sub(l.since))
		if long {
			age = "down " + age
		}
		return age, stateTone(l.state)
	case l.rtt != nil:
		return rttText(*l.rtt), rttTone(*l.rtt)
	}
	return "", plain
}
