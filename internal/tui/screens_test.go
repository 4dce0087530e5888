package tui

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// looks are the ways in which a screen is printed in golden files.
var looks = map[string]Config{
	"ascii":   {ASCII: true, Theme: themeMono, Context: sampleContext},
	"unicode": {Theme: themeMono, Context: sampleContext},
	"color":   {Theme: themeDark, Color: true, Getenv: xterm, Context: sampleContext},
}

const sampleContext = "kind-east/mesh-system"

func xterm(name string) string { return map[string]string{"TERM": "xterm-256color"}[name] }

var sizes = [][2]int{{60, 16}, {80, 24}, {120, 40}, {160, 48}}

// The overview at each size, in each look.
func TestOverview(t *testing.T) {
	t.Parallel()
	for look, cfg := range looks {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%dx%d_%s", size[0], size[1], look), func(t *testing.T) {
				s := newScreen(t, cfg, size[0], size[1]).play()
				golden(t, fmt.Sprintf("overview_%dx%d_%s", size[0], size[1], look), s.View())
			})
		}
	}
}

// screens collects screens for one golden file, with what was done before each.
type screens struct{ strings.Builder }

func (b *screens) add(title string, s *screen) {
	fmt.Fprintf(b, "# %s\n%s\n\n", title, s.View())
}

func (b *screens) golden(t *testing.T, name string) {
	t.Helper()
	golden(t, name, strings.TrimSuffix(b.String(), "\n"))
}

// sampleSource answers what the pages ask for.
func sampleSource() fakeSource {
	at := func(s string) time.Time {
		when, err := time.Parse(time.DateTime, "2026-11-22 "+s)
		if err != nil {
			panic(err)
		}
		return when
	}
	return fakeSource{
		content: mesh.Content{Object: "AnyApplication.dcp.hiro.io/default/billing", Zone: "east",
			Payload: []byte(`{"apiVersion":"dcp.hiro.io/v1","kind":"AnyApplication","metadata":{"name":"billing","namespace":"default"},"spec":{"replicas":3,"image":"registry.example/billing:1.4"}}`)},
		operations: []mesh.LogOperation{
			{Zone: "north", Seq: 638, Time: at("13:58:00"), Type: "snapshot", Event: "snapshotEnd", Entries: 7, Hash: "9f2c41aa00"},
			{Zone: "north", Seq: 639, Time: at("14:01:10"), Type: "update", Event: "update", Object: "AnyApplication.dcp.hiro.io/default/north-01", Version: 40, Hash: "51d0ee0712"},
			{Zone: "north", Seq: 640, Time: at("14:02:51"), Type: "update", Event: "update", Object: "AnyApplication.dcp.hiro.io/default/shop", Version: 41, Hash: "0a7be1c94d"},
		},
		results: []mesh.CheckResult{
			{Group: "network", ID: "network.bound", Status: mesh.CheckOK, Message: "udp/9102 and tcp/9102 are bound as configured"},
			{Group: "network", ID: "network.quic", Subject: "south", Status: mesh.CheckWarn, Message: "south.example.net:9102 answers by tcp only",
				Cause: "no QUIC reply in 5s; UDP 9102 is probably blocked on the way", Next: []string{"allow UDP 9102 to south, then: mesh doctor --group network"}},
			{Group: "peers", ID: "peers.reachable", Subject: "lab", Status: mesh.CheckFail, Message: "lab has been unavailable for 9m",
				Cause: "dial 192.0.2.44:9102: connection timed out (quic and tcp)", Next: []string{"on lab run: mesh status", "gone for good? mesh peers remove lab"}},
			{Group: "kubernetes", ID: "kubernetes.api", Status: mesh.CheckSkip, Message: "this node writes to no cluster"},
		},
	}
}

// Every view and page, at the three sizes.
func TestViews(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{60, 16}, {80, 24}, {160, 48}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			cfg := looks["ascii"]
			cfg.Source = sampleSource()
			s := newScreen(t, cfg, size[0], size[1]).play()
			var b screens
			do := func(title string, keys ...string) {
				s.press(keys...)
				b.add(title, s)
			}
			do("2: the peers", "2")
			do("w: wide", "w")
			do("down twice, Enter: the page of a peer", "w", "down", "down", "enter")
			do("PgDn", "pgdown")
			do("Esc, 3: the resources", "esc", "3")
			do("x, s: tombstones too, by owner", "x", "s")
			do("S, Enter: an object", "S", "s", "s", "s", "s", "enter")
			do("Esc, 4: the logs", "esc", "4", "down", "down")
			do("5: the events", "5")
			do("v: more of them; two down", "v", "down", "down")
			do("d: the checks", "d")
			do("1, tab, m: the links as a matrix", "1", "tab", "tab", "m")
			do("?: the keys of the pane", "?")
			do("? /: a filter is being typed", "?", "/zone=south !kind=sync")
			do("Enter: it is kept", "enter")
			do("Esc, / nothing: nothing matches", "esc", "/nobody", "enter")
			b.golden(t, fmt.Sprintf("views_%dx%d", size[0], size[1]))
		})
	}
}

var errRefused = errors.New("dial unix /run/mesh/api.sock: connection refused")

// forbiddenError is what a source says whose permissions do not suffice.
type forbiddenError struct{}

func (forbiddenError) Error() string {
	return `user "dev" cannot create pods/portforward in namespace mesh-system`
}
func (forbiddenError) CanI() string {
	return "kubectl auth can-i create pods/portforward -n mesh-system"
}

// Every state of the connection and of the data.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{30, 8}, {60, 16}, {80, 24}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			var b screens
			fresh := func() *screen { return newScreen(t, looks["ascii"], size[0], size[1]) }
			quiet := func(s *screen, d time.Duration) *screen {
				s.now = s.now.Add(d)
				s.send(ticked{})
				return s
			}

			s := fresh()
			b.add("started", s)
			s.send(connecting{1})
			s.send(lost{errRefused, time.Second})
			s.send(connecting{2})
			b.add("the second attempt is under way", s)
			s.send(lost{errRefused, 4 * time.Second})
			s.send(connecting{3})
			s.send(lost{errRefused, 4 * time.Second})
			b.add("the third failed", s)
			s.send(lost{fmt.Errorf("mesh-0: %w", forbiddenError{}), 15 * time.Second})
			b.add("forbidden", s)

			s = fresh()
			s.send(arrived{[]mesh.Frame{{Time: sampleEnd}}})
			b.add("connected, nothing is known yet", s)
			s.send(arrived{[]mesh.Frame{{Time: sampleEnd, Whole: true, Status: emptyStatus(), Topology: &mesh.Topology{Self: "east"}}}})
			b.add("no peers", s)
			s.send(arrived{[]mesh.Frame{{Time: sampleEnd, Peers: &mesh.Delta[mesh.Peer]{Items: []mesh.Peer{{Name: "peer-3d4017c3", State: mesh.NotAdmitted, PublicKey: "3d4017c3e843", PeerID: "12D3KooWDwTir"}}}}}})
			b.add("somebody on the local network", s)

			s = fresh().play()
			b.add("data, one second old", quiet(s, time.Second))
			b.add("slow", quiet(s, 6*time.Second))
			s.send(lost{errRefused, 15 * time.Second})
			b.add("stale", quiet(s, 5*time.Second))
			s.send(connecting{4})
			b.add("stale, connecting", s)

			s = fresh().play()
			s.press("p")
			s.now = s.now.Add(2 * time.Second)
			s.send(arrived{[]mesh.Frame{{Time: s.now, Notices: []mesh.Notice{{ID: 900, Time: s.now, Kind: mesh.NoticeSync, Level: mesh.LevelInfo, Zone: "south", Text: "caught up"}}}}})
			b.add("paused, one event came", s)
			s.press(" ")
			b.add("it goes on", s)

			cfg := looks["ascii"]
			cfg.Recorded = true
			s = newScreen(t, cfg, size[0], size[1]).play()
			s.send(ended{io.EOF})
			b.add("the end of a recording", s)
			s.send(ended{errors.New("line 7: unexpected end of JSON")})
			b.add("a broken recording", s)
			b.golden(t, fmt.Sprintf("states_%dx%d", size[0], size[1]))
		})
	}
}

func emptyStatus() *mesh.Status {
	return &mesh.Status{Zone: "east", NetworkID: "default", Version: "0.4.0", PeerID: "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV",
		Listen: []string{"udp/9102 quic", "tcp/9102"}, Ready: true}
}

// A terminal that is too small says so, by words that are cut where there is no room for them.
func TestTooSmall(t *testing.T) {
	t.Parallel()
	s := newScreen(t, looks["ascii"], 28, 7).play()
	if got := strings.Join(strings.Fields(s.View()), " "); got != "terminal too small (28x7, need 30x8)" {
		t.Errorf("a terminal of 28x7 shows %q", got)
	}
}

// Changing the size keeps what is selected, how far it is scrolled, and the filter.
func TestResizeKeeps(t *testing.T) {
	t.Parallel()
	s := newScreen(t, looks["ascii"], 80, 24)
	s.send(arrived{[]mesh.Frame{bigFrame(60, 300)}})
	s.press("2", "/peer", "enter")
	for range 31 {
		s.press("j")
	}
	s.press("3")
	for range 120 {
		s.press("j")
	}
	s.View()
	peer, object, top := s.peers.selected, s.resources.selected, s.resources.top
	for _, size := range [][2]int{{160, 48}, {30, 8}, {2, 2}, {61, 17}, {80, 24}} {
		s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		s.View()
	}
	if s.peers.selected != peer || s.resources.selected != object || s.filter.text != "peer" {
		t.Errorf("selected peer %q and object %q with filter %q after resizing, want %q, %q, peer", s.peers.selected, s.resources.selected, s.filter.text, peer, object)
	}
	if d := s.resources.top - top; d > 8 || d < -8 {
		t.Errorf("the first row shown is %d after resizing, %d before", s.resources.top, top)
	}
}

// Dimmed is everything while the data is stale, but for the header and the lines at the bottom.
func TestStaleIsDimmed(t *testing.T) {
	t.Parallel()
	s := newScreen(t, looks["color"], 80, 24).play()
	s.send(lost{errRefused, time.Second})
	s.View()
	for y := 2; y < 22; y++ {
		for x, c := range s.canvas.row(y) {
			if c.role != asFrame && c.tone != dim {
				t.Fatalf("cell %d,%d %q is not dimmed", x, y, c.text)
			}
		}
	}
	if got := s.ascii(); !strings.Contains(got, "[x] STALE 0s") || !strings.Contains(got, "lost, attempt 1") {
		t.Errorf("a lost connection shows\n%s", got)
	}
}

// While nothing changes that is seen, the screen is the same text.
func TestSameScreen(t *testing.T) {
	t.Parallel()
	s := newScreen(t, looks["color"], 80, 24).play()
	first := s.View()
	s.send(arrived{[]mesh.Frame{{Time: sampleEnd}}})
	s.send(ticked{})
	if got := s.View(); got != first {
		t.Error("an empty frame changed the screen")
	}
}

// The keys say what they do: y copies, q quits, the theme turns, Ctrl-C quits even while a filter is typed.
func TestKeysWork(t *testing.T) {
	t.Parallel()
	s := newScreen(t, looks["ascii"], 80, 24).play()
	s.press("j", "y")
	if want := []string{"12D3KooWDwTirQce1RRKnasT5fPVFgzXCy6SiRgSwrwPGLC7zE91"}; !slices.Equal(s.copied, want) {
		t.Errorf("y copied %q, want %q", s.copied, want)
	}
	if got := s.ascii(); !strings.Contains(got, "copied the peer id of west") {
		t.Errorf("nothing says that it was copied:\n%s", got)
	}
	s.press("e")
	if s.view != viewEvents || s.filter.text != "zone=west" {
		t.Errorf("e shows view %d with filter %q", s.view, s.filter.text)
	}
	s.press("esc", "1", "k", "k", "o")
	if s.view != viewResources || s.filter.text != "zone=north" || len(s.resources.rows) != 7 {
		t.Errorf("o shows view %d with filter %q and %d objects", s.view, s.filter.text, len(s.resources.rows))
	}
	s.press("/", "q")
	if s.quit {
		t.Error("q quits while a filter is typed")
	}
	s.press("ctrl+c")
	if !s.quit {
		t.Error("Ctrl-C doesn't quit while a filter is typed")
	}
	s.quit = false
	s.press("esc", "esc", "q")
	if !s.quit {
		t.Error("q doesn't quit")
	}
}

// The wheel scrolls what is under the pointer; a click gives a pane the focus and selects the row.
func TestMouse(t *testing.T) {
	t.Parallel()
	s := newScreen(t, Config{ASCII: true, Mouse: true}, 80, 24)
	s.send(arrived{[]mesh.Frame{bigFrame(60, 300)}})
	s.View()
	click := func(x, y int, button tea.MouseButton) {
		s.send(tea.MouseMsg{X: x, Y: y, Button: button, Action: tea.MouseActionPress})
		s.View()
	}
	click(50, 6, tea.MouseButtonLeft) // the third row of the peers
	if got := s.peers.cursor; got != 2 {
		t.Errorf("a click on the third row selects row %d", got)
	}
	click(50, 14, tea.MouseButtonWheelDown)
	if s.events.cursor != 3 || s.follow {
		t.Errorf("the wheel over the events moves to row %d, follows %v", s.events.cursor, s.follow)
	}
	if focus, _ := s.focus(); focus != inPeers {
		t.Errorf("the wheel gave the focus to %s", placeNames[focus])
	}
	click(60, 15, tea.MouseButtonLeft)
	if focus, _ := s.focus(); focus != inEvents || s.events.cursor != s.events.top+3 {
		t.Errorf("a click gives the focus to %s, row %d", placeNames[focus], s.events.cursor)
	}
	s.press("3")
	s.View()
	click(5, 9, tea.MouseButtonLeft)
	if got := s.resources.cursor; got != 5 {
		t.Errorf("a click on the sixth object selects row %d", got)
	}
}

// s goes through the orders, S turns them around, and the selected row stays selected.
func TestSort(t *testing.T) {
	t.Parallel()
	s := newScreen(t, Config{ASCII: true}, 160, 48).play()
	s.View()
	names := func() string {
		var out []string
		for _, p := range s.peers.rows {
			out = append(out, p.Name)
		}
		return strings.Join(out, " ")
	}
	for _, step := range []struct{ key, order, want string }{
		{"", "state", "north west south lab"}, {"S", "state, reversed", "lab south north west"}, {"s", "name", "lab north south west"},
		{"S", "name, reversed", "west south north lab"}, {"s", "rtt", "west north south lab"}, {"s", "lag", "north west south lab"},
		{"S", "lag, reversed", "lab south north west"}, {"s", "seen", "west north south lab"}, {"s", "version", "south lab north west"},
		{"s", "age", "south north west lab"}, {"s", "state", "north west south lab"},
	} {
		s.press(step.key)
		s.View()
		if got := names(); got != step.want || s.sortName() != step.order {
			t.Errorf("after %q the peers by %s are %s, want by %s %s", step.key, s.sortName(), got, step.order, step.want)
		}
		if s.peers.rows[s.peers.cursor].Name != "north" {
			t.Errorf("by %s the cursor is on %s", s.sortName(), s.peers.rows[s.peers.cursor].Name)
		}
	}
}

// Events that come while the newest is followed move the others down; a cursor that was moved stays on its event.
func TestFollow(t *testing.T) {
	t.Parallel()
	s := newScreen(t, Config{ASCII: true, View: "events"}, 80, 24).play()
	s.View()
	tell := func(id uint64) {
		at := sampleEnd.Add(time.Duration(id) * time.Second)
		s.send(arrived{[]mesh.Frame{{Time: at, Notices: []mesh.Notice{{ID: 1000 + id, Time: at, Kind: mesh.NoticeSync, Level: mesh.LevelInfo, Zone: "west", Text: fmt.Sprint("news ", id)}}}}})
		s.View()
	}
	tell(1)
	if n, _ := s.events.current(); n.Text != "news 1" {
		t.Errorf("the cursor follows to %q", n.Text)
	}
	s.press("j")
	tell(2)
	if n, _ := s.events.current(); n.Zone != "south" || s.events.cursor != 2 {
		t.Errorf("the cursor left its event for %q in row %d", n.Text, s.events.cursor)
	}
	s.press("F")
	tell(3)
	if n, _ := s.events.current(); n.Text != "news 3" {
		t.Errorf("F follows to %q", n.Text)
	}
}

// What the source is asked for is asked once, and its errors are shown.
func TestPagesOfErrors(t *testing.T) {
	t.Parallel()
	cfg := looks["ascii"]
	cfg.Source = fakeSource{err: errRefused}
	s := newScreen(t, cfg, 80, 24).play()
	for _, step := range [][]string{{"3", "enter"}, {"esc", "4"}, {"d"}} {
		s.press(step...)
		if got := s.View(); !strings.Contains(got, "connection refused") {
			t.Errorf("after %q nothing says what went wrong:\n%s", step, got)
		}
	}
}

// A filter is edited like a line of a shell.
func TestTyping(t *testing.T) {
	t.Parallel()
	s := newScreen(t, Config{ASCII: true}, 80, 24).play()
	for _, step := range []struct {
		keys []string
		want string
	}{
		{[]string{"/", "zone=a b"}, "zone=a b"}, {[]string{"backspace"}, "zone=a "}, {[]string{"ctrl+w"}, ""}, {[]string{"日本", "backspace"}, "日"},
		{[]string{"ctrl+u", "x  y", "ctrl+w"}, "x  "}, {[]string{strings.Repeat("z", 300)}, "x  " + strings.Repeat("z", maxFilter-3)}, {[]string{"ctrl+u", "backspace", "west"}, "west"},
	} {
		s.press(step.keys...)
		if s.typed != step.want {
			t.Errorf("after %q the filter is %q, want %q", step.keys, s.typed, step.want)
		}
	}
	if len(s.peers.rows) != 1 {
		t.Errorf("while it is typed it keeps %d peers, want 1", len(s.peers.rows))
	}
	s.press("enter")
	if s.filter.text != "west" || s.typing {
		t.Errorf("Enter keeps %q", s.filter.text)
	}
	s.press("/", "x", "esc")
	if s.filter.text != "" || len(s.peers.rows) != 4 {
		t.Errorf("Esc leaves %q and %d peers", s.filter.text, len(s.peers.rows))
	}
}
