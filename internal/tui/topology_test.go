package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/muesli/termenv"

	"dcp.hiro.io/mesh/internal/mesh"
)

var graphTime = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

func linkOf(from, to string, s mesh.PeerState, ms float64, transport string, ago time.Duration) mesh.Link {
	l := mesh.Link{From: from, To: to, State: s, Direct: transport != "", Since: graphTime.Add(-ago)}
	if transport != "" {
		l.Transport = &transport
	}
	if ms > 0 {
		rtt := ms / 1000
		l.RTTSeconds = &rtt
	}
	return l
}

// between is what others tell about a link of theirs.
func between(from, to string, ms float64) mesh.Link {
	l := linkOf(from, to, mesh.Ready, ms, "", time.Hour)
	l.Direct = true
	return l
}

// sampleTop is the mesh of the samples.
func sampleTop() *mesh.Topology {
	return &mesh.Topology{Self: "east", Links: []mesh.Link{
		linkOf("east", "lab", mesh.Unavailable, 0, "", 9*time.Minute+11*time.Second),
		linkOf("east", "north", mesh.Ready, 41, "quic", 76*time.Hour),
		linkOf("east", "south", mesh.NotReady, 230, "quic", 14*time.Second),
		linkOf("east", "west", mesh.Ready, 18, "quic", 76*time.Hour),
		between("north", "west", 21), between("west", "north", 21),
	}}
}

// bigTop is a mesh of n others in every state, each telling of links to the three after it.
func bigTop(n int) *mesh.Topology {
	top := &mesh.Topology{Self: "hub"}
	name := func(i int) string { return fmt.Sprintf("zone%02d", i%n) }
	for i := range n {
		s, ms, transport := mesh.Ready, float64(5+7*i), "quic"
		switch {
		case i%7 == 3:
			s = mesh.NotReady
		case i%9 == 5:
			s, ms, transport = mesh.Unavailable, 0, ""
		case i%11 == 8:
			s, ms, transport = mesh.Unknown, 0, ""
		case i%5 == 2:
			transport = "relay"
		}
		top.Links = append(top.Links, linkOf("hub", name(i), s, ms, transport, time.Duration(i+1)*time.Minute))
	}
	for i := range n {
		for j := 1; j <= 3 && j < n; j++ {
			top.Links = append(top.Links, between(name(i), name(i+j), float64(10*j+i)))
		}
	}
	return top
}

// framed prints what is drawn on a canvas between bars, so that its sides are seen.
func framed(c *canvas) string {
	var b strings.Builder
	for _, line := range c.lines() {
		b.WriteString("|" + line + "|\n")
	}
	return b.String()
}

func drawnGraph(width, height int, top *mesh.Topology, o topologyOptions) string {
	c := newCanvas(width, height)
	center := ""
	if o.centered {
		center = o.selected
	}
	g := newGraph(top, center, graphTime)
	drawGraph(c, &g, o)
	return framed(c)
}

func TestTopologyGraph(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	draw := func(title string, width, height int, top *mesh.Topology, o topologyOptions) {
		fmt.Fprintf(&b, "# %s, %dx%d\n%s\n", title, width, height, drawnGraph(width, height, top, o))
	}
	draw("the sample", 30, 8, sampleTop(), topologyOptions{})
	draw("the sample", 60, 17, sampleTop(), topologyOptions{legend: true})
	draw("the sample, wide", 80, 24, sampleTop(), topologyOptions{legend: true})
	draw("the sample, no height", 30, 5, sampleTop(), topologyOptions{})
	draw("the sample, centered", 60, 17, sampleTop(), topologyOptions{legend: true, selected: "north", centered: true})
	for _, n := range []int{1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 40} {
		draw(fmt.Sprintf("%d others", n), 30, 8, bigTop(n), topologyOptions{})
		draw(fmt.Sprintf("%d others", n), 60, 17, bigTop(n), topologyOptions{legend: true})
		draw(fmt.Sprintf("%d others", n), 100, 30, bigTop(n), topologyOptions{legend: true})
	}
	golden(t, "topology_graph", b.String())
}

// The same graph as other themes print it: the layout is the one of the ASCII drawing.
func TestTopologyThemes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, th := range []struct {
		name  string
		theme theme
	}{{"Unicode", newTheme(themeMono, termenv.Ascii, true)}, {"256 colours", newTheme(themeDark, termenv.ANSI256, true)}} {
		for _, size := range []rect{{w: 30, h: 8}, {w: 60, h: 17}} {
			c := newCanvas(size.w, size.h)
			g := newGraph(sampleTop(), "", graphTime)
			drawGraph(c, &g, topologyOptions{legend: true, selected: "west"})
			fmt.Fprintf(&b, "# %s, %dx%d\n%s\n\n", th.name, size.w, size.h, strings.ReplaceAll(th.theme.print(c), "\x1b", `\e`))
		}
	}
	golden(t, "topology_themes", b.String())
}

func TestTopologyTables(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	draw := func(title string, width, height int, top *mesh.Topology, o topologyOptions) {
		fmt.Fprintf(&b, "# %s, %dx%d\n%s\n", title, width, height, drawnGraph(width, height, top, o))
	}
	for mode, name := range map[topologyMode]string{asMatrix: "matrix"} {
		draw(name+" of the sample", 30, 8, sampleTop(), topologyOptions{mode: mode, scroll: &list{}, selected: "west"})
		draw(name+" of the sample", 60, 17, sampleTop(), topologyOptions{mode: mode, legend: true})
		draw(name+" of 20", 30, 8, bigTop(20), topologyOptions{mode: mode, scroll: &list{cursor: 3}})
		draw(name+" of 20", 100, 24, bigTop(20), topologyOptions{mode: mode, scroll: &list{cursor: 12}})
	}
	draw("list of the sample", 30, 8, sampleTop(), topologyOptions{mode: asList, scroll: &list{}, selected: "west"})
	draw("list of the sample", 60, 17, sampleTop(), topologyOptions{mode: asList, legend: true, scroll: &list{}})
	draw("list of 20", 60, 12, bigTop(20), topologyOptions{mode: asList, scroll: &list{cursor: 23}})
	draw("a graph without room", 18, 8, sampleTop(), topologyOptions{scroll: &list{}})
	draw("nobody", 40, 5, &mesh.Topology{Self: "east"}, topologyOptions{})
	golden(t, "topology_tables", b.String())
}

// Whatever the mesh and the room, nothing is drawn outside, and what is drawn does not depend on the order in
// which links are told.
func TestTopologyAnySize(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"", "a", "east", "日本語のゾーン", "\x1b[31m", "a-very-long-name-of-a-zone-that-nobody-would-choose", "e\u0301", "b", "c", "d", "f", "g", "h", "i", "j"}
	states := []mesh.PeerState{mesh.Ready, mesh.NotReady, mesh.Unavailable, mesh.Unknown, mesh.NotAdmitted, "Else"}
	for range 3000 {
		top := &mesh.Topology{Self: "east"}
		for range random.IntN(40) {
			l := linkOf(names[random.IntN(len(names))], names[random.IntN(len(names))], states[random.IntN(len(states))],
				random.Float64()*5000-100, []string{"", "quic", "relay", "\x1b"}[random.IntN(4)], time.Duration(random.Int64N(1e18)-1e17))
			if random.IntN(3) == 0 {
				l.From = "east"
			}
			if random.IntN(9) == 0 {
				l.Since = time.Time{}
			}
			top.Links = append(top.Links, l)
		}
		o := topologyOptions{mode: topologyMode(random.IntN(int(topologyModes))), legend: random.IntN(2) == 0, centered: random.IntN(3) == 0}
		o.selected = names[random.IntN(len(names))]
		cursor := random.IntN(50)
		if random.IntN(2) == 0 {
			o.scroll = &list{cursor: cursor}
		}
		width, height := random.IntN(130), random.IntN(40)
		screen := newCanvas(width+2, height+2)
		for y := range screen.height {
			for x := range screen.width {
				screen.put(x, y, "#", plain)
			}
		}
		inside := screen.part(rect{1, 1, width, height})
		inside.clear()
		g := newGraph(top, o.selected, graphTime)
		drawGraph(inside, &g, o)
		for y := range screen.height {
			for x := range screen.width {
				if edge := y == 0 || x == 0 || y == screen.height-1 || x == screen.width-1; edge && screen.at(x, y).text != "#" {
					t.Fatalf("drawn outside of %dx%d: %q", width, height, screen.lines()[y])
				}
			}
		}
		again := newCanvas(width, height)
		random.Shuffle(len(top.Links), func(i, j int) { top.Links[i], top.Links[j] = top.Links[j], top.Links[i] })
		if o.scroll != nil {
			o.scroll = &list{cursor: cursor}
		}
		seen := map[direction]bool{}
		for _, l := range top.Links {
			seen[direction{l.From, l.To}] = true
		}
		if len(seen) != len(top.Links) {
			continue // of two statements of one node about one link either may be shown
		}
		g = newGraph(top, o.selected, graphTime)
		drawGraph(again, &g, o)
		if a, b := framed(inside), framed(again); a != b && width > 0 {
			t.Fatalf("the order of links changes what is drawn:\n%s\n%s", a, b)
		}
	}
}

func BenchmarkTopology(b *testing.B) {
	top := bigTop(500)
	c := newCanvas(60, 17)
	b.ReportAllocs()
	for b.Loop() {
		c.clear()
		g := newGraph(top, "", graphTime)
		drawGraph(c, &g, topologyOptions{legend: true})
	}
}
