package tui

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// plainFold is the slow and obvious version of what a stream of frames says about objects.
type plainFold struct {
	objects map[string]mesh.Resource
	notices []mesh.Notice
}

func (p *plainFold) fold(f mesh.Frame) {
	if f.Whole || f.Resources != nil && f.Resources.Whole {
		p.objects = map[string]mesh.Resource{}
	}
	if f.Resources != nil {
		for _, o := range f.Resources.Removed {
			delete(p.objects, o)
		}
		for _, r := range f.Resources.Items {
			p.objects[r.Object] = r
		}
	}
	for _, n := range f.Notices {
		known := slices.ContainsFunc(p.notices, func(o mesh.Notice) bool { return o.ID == n.ID && o.Time.Equal(n.Time) })
		if !f.Whole || !known {
			p.notices = append(p.notices, n)
		}
	}
	p.notices = p.notices[max(len(p.notices)-maxNotices, 0):]
}

// Whatever frames come, in whatever order, the picture is what a naive one is; the index of the objects agrees with
// the objects; and a clone made in between stands still.
func TestFoldAgreesWithNaive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		c := chaos{rand.New(rand.NewPCG(seed, 2))}
		s, naive := newState(), plainFold{objects: map[string]mesh.Resource{}}
		var frozen *state
		var then []string
		for step := range 80 {
			f := c.frame()
			s.fold(f)
			naive.fold(f)
			if len(s.resources) != len(naive.objects) {
				t.Fatalf("seed %d, step %d: %d objects, want %d", seed, step, len(s.resources), len(naive.objects))
			}
			for name, want := range naive.objects {
				if got := s.resources[name]; got == nil || fmt.Sprint(*got) != fmt.Sprint(want) {
					t.Fatalf("seed %d, step %d: object %q is %v, want %v", seed, step, name, got, want)
				}
			}
			ordered := s.ordered()
			if len(ordered) != len(s.resources) || !slices.IsSortedFunc(ordered, compareObjects) {
				t.Fatalf("seed %d, step %d: %d of %d objects in order, sorted %v", seed, step, len(ordered), len(s.resources), slices.IsSortedFunc(ordered, compareObjects))
			}
			owned := map[mesh.Zone]int{}
			for _, r := range ordered {
				if s.resources[r.Object] != r {
					t.Fatalf("seed %d, step %d: an old %q is among those in order", seed, step, r.Object)
				}
				if r.State != resourceDeleted {
					owned[r.Owner]++
				}
			}
			if !maps.Equal(owned, s.objects.owned) {
				t.Fatalf("seed %d, step %d: owned %v, want %v", seed, step, s.objects.owned, owned)
			}
			if fmt.Sprint(s.notices) != fmt.Sprint(naive.notices) {
				t.Fatalf("seed %d, step %d: notices\n%v\nwant\n%v", seed, step, s.notices, naive.notices)
			}
			if frozen != nil && !slices.Equal(pictureOf(frozen), then) {
				t.Fatalf("seed %d, step %d: a clone changed with its original", seed, step)
			}
			if step == 40 {
				frozen = s.clone()
				then = pictureOf(frozen)
			}
		}
	}
}

// pictureOf writes down what a state says.
func pictureOf(s *state) []string {
	var out []string
	for _, p := range s.peers {
		out = append(out, fmt.Sprintf("%v %v %v", p.Peer.Name, p.changes, p.rtt.buckets))
	}
	for _, r := range s.ordered() {
		out = append(out, fmt.Sprint(*r))
	}
	for _, k := range slices.Sorted(maps.Keys(s.logs)) {
		out = append(out, fmt.Sprint(*s.logs[k]))
	}
	return append(out, fmt.Sprint(s.notices), fmt.Sprint(s.objects.owned))
}

// A whole frame after a break keeps what peers were like before, and drops those that are gone.
func TestReconnectKeepsHistory(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	lag := s.peerOf("south").lag.clone()
	var peers []mesh.Peer
	for _, p := range s.peers {
		if p.Name != "lab" {
			peers = append(peers, p.Peer)
		}
	}
	notices := slices.Clone(s.notices)
	s.fold(mesh.Frame{Time: sampleEnd.Add(30 * time.Second), Whole: true, Status: s.status, Peers: &mesh.Delta[mesh.Peer]{Whole: true, Items: peers}, Notices: notices})
	if len(s.peers) != 3 || s.peerOf("lab") != nil {
		t.Errorf("%d peers after a whole frame with 3", len(s.peers))
	}
	if len(s.notices) != len(notices) {
		t.Errorf("%d notices after they were told again, want %d", len(s.notices), len(notices))
	}
	at := sampleEnd.Unix()
	if got := s.peerOf("south").lag.at(at - 30); got != lag.at(at-30) {
		t.Errorf("the lag of south half a minute before the break is %v, want %v", got, lag.at(at-30))
	}
	if got := s.peerOf("south").lag.at(at + 15); !math.IsNaN(got) {
		t.Errorf("the lag of south during the break is %v, want unknown", got)
	}
}

// A series says of every second what was added last before it, as a naive one does, over gaps, clocks set back and
// times far apart.
func TestSeries(t *testing.T) {
	t.Parallel()
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 3))
		var s series
		naive := map[int64]float64{}
		now := sampleEnd.Unix()
		newest := int64(math.MinInt64)
		for range 400 {
			now += []int64{1, 1, 1, 2, 4, 0, -3, 7, 100, 2000}[r.IntN(10)]
			v := float64(r.IntN(100))
			if r.IntN(10) == 0 {
				v = math.NaN()
			}
			at := max(now, newest)
			last, known := naive[newest]
			switch {
			case len(naive) == 0 && math.IsNaN(v):
			case at == newest:
				if math.IsNaN(last) || v > last {
					naive[at] = v
				}
			default:
				if known && at-newest <= maxGap {
					for sec := newest + 1; sec < at; sec++ {
						naive[sec] = last
					}
				}
				naive[at], newest = v, at
			}
			s.add(time.Unix(now, 0), v)
			for sec := newest - historySeconds + 1; sec <= newest && newest > 0; sec++ {
				want, known := naive[sec]
				if !known {
					want = math.NaN()
				}
				if got := s.at(sec); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Fatalf("seed %d: second %d before the newest is %v, want %v", seed, newest-sec, got, want)
				}
			}
		}
	}
}

// The columns of a picture are the highest of their seconds, and time moves them by whole columns.
func TestSamples(t *testing.T) {
	t.Parallel()
	var s series
	start := time.Unix(6_000_000, 0)
	for i := range 600 {
		s.add(start.Add(time.Duration(i)*time.Second), float64(i))
	}
	end := start.Add(599 * time.Second)
	if got := s.samples(end, 60, 6); !slices.Equal(got, []float64{549, 559, 569, 579, 589, 599}) {
		t.Errorf("six columns of a minute are %v", got)
	}
	if got := s.samples(end.Add(time.Second), 60, 6); !slices.Equal(got, []float64{559, 569, 579, 589, 599, 599}) {
		t.Errorf("a second later they are %v", got)
	}
	for n := range 80 {
		if got := s.samples(end, 60, n); len(got) != n || n > 0 && got[n-1] != 599 || slices.ContainsFunc(got, math.IsNaN) {
			t.Errorf("%d columns of a minute are %v", n, got)
		}
	}
	if got := s.samples(end.Add(time.Hour), 600, 3); slices.ContainsFunc(got, func(v float64) bool { return !math.IsNaN(v) }) {
		t.Errorf("an hour later something is known: %v", got)
	}
}

// What is behind and gets further behind is marked; what catches up is not.
func TestGrowing(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	for name, want := range map[string]bool{"south": true, "north": false, "west": false, "lab": false} {
		if got := s.peerOf(name).growing(s.now); got != want {
			t.Errorf("%s is growing: %v, want %v", name, got, want)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	for text, want := range map[string][]string{
		"":                     {"north", "west", "south", "lab"},
		"zone=south":           {"south"},
		"zone=SOUTH,west":      {"west", "south"},
		"!zone=south":          {"north", "west", "lab"},
		"zone!=south":          {"north", "west", "lab"},
		"state=Ready":          {"north", "west"},
		"state!=Ready":         {"south", "lab"},
		"state!=Ready lag>3":   {"south"},
		"lag>11":               {"south"},
		"lag>12":               nil,
		"!lag>0":               {"north", "west", "lab"},
		"rtt>40":               {"north", "south"},
		"rtt>40ms":             {"north", "south"},
		"version=0.3":          {"south"},
		"203.0.113":            {"west"},
		"HEARTBEATS":           {"south", "lab"},
		"kind=peer":            {"north", "west", "south", "lab"}, // says nothing about peers
		"zone= state!= rtt>x":  nil,                               // rtt>x is plain text
		"!lab !south":          {"north", "west"},
		"connection timed":     {"lab"},
		"state=Live zone=west": {"west"},
	} {
		var got []string
		f := parseFilter(text)
		for _, p := range s.peers {
			if f.peer(p) {
				got = append(got, p.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the filter %q keeps %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]int{"": 9, "zone=lab": 2, "kind=peer": 2, "kind=peer,link !zone=lab": 1, "kind=AnyApplication": 2, "shop": 2, "state=Ready": 9, "lag>4": 9, "!kind=snap": 7} {
		got := 0
		f := parseFilter(text)
		for i := range s.notices {
			if f.notice(&s.notices[i]) {
				got++
			}
		}
		if got != want {
			t.Errorf("the filter %q keeps %d events, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int{"": 59, "zone=west": 22, "state=Deleted": 2, "state=Ready": 59, "kind=anyapplication": 59, "kind=Secret": 0, "kind=peer": 59, "shop": 1, "!zone=west,east": 18} {
		got := 0
		f := parseFilter(text)
		for _, r := range s.ordered() {
			if f.resource(r) {
				got++
			}
		}
		if got != want {
			t.Errorf("the filter %q keeps %d objects, want %d", text, got, want)
		}
	}
}

// Panes never leave the screen, never overlap but by their borders, and the peers are always there.
func TestArrange(t *testing.T) {
	t.Parallel()
	for width := leastWidth; width <= 220; width += 1 + width/40 {
		for height := leastHeight; height <= 70; height++ {
			panes := arrange(viewOverview, width, height)
			covered := map[[2]int]place{}
			peers := 0
			for _, p := range panes {
				if p.pane == inPeers {
					peers = p.rect.h
				}
				inside := p.rect
				if !p.bare {
					inside = inside.inner()
				}
				if inside.w < 1 || inside.h < 1 || p.rect.x < 0 || p.rect.y < 0 || p.rect.x+p.rect.w > width || p.rect.y+p.rect.h > height-2 {
					t.Fatalf("%dx%d: the pane %s lies at %+v", width, height, placeNames[p.pane], p.rect)
				}
				for y := inside.y; y < inside.y+inside.h; y++ {
					for x := inside.x; x < inside.x+inside.w; x++ {
						if other, twice := covered[[2]int{x, y}]; twice {
							t.Fatalf("%dx%d: the panes %s and %s overlap", width, height, placeNames[p.pane], placeNames[other])
						}
						covered[[2]int{x, y}] = p.pane
					}
				}
			}
			if peers < 3 {
				t.Fatalf("%dx%d: the peers have %d rows", width, height, peers)
			}
		}
	}
	if got := arrange(viewOverview, leastWidth-1, leastHeight); got != nil {
		t.Errorf("a screen that is too small has %d panes", len(got))
	}
}
