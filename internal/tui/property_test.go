package tui

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
)

// hostile are texts that other nodes may send.
var hostile = []string{"", "west", "a-very-long-name-of-a-zone-that-nobody-should-ever-have-chosen-really", "\x1b[2J\x1b]0;owned\a", "日本語の名前", "e\u0301e\u0301",
	"\u202Egnol", "\xff\xfe broken", "tab\tnew\nline\r", "👩‍👩‍👧‍👦 family", "\u200b\u200b", "zone=west", "|+-=", strings.Repeat("x", 3000), "\u0000", "ＷＩＤＥ", "ﷺ﷽", "🇩🇪🇫🇷"}

// chaos makes frames, keys and sizes out of a seed.
type chaos struct{ *rand.Rand }

func (c chaos) text() string { return hostile[c.IntN(len(hostile))] }

func (c chaos) key() string {
	if c.IntN(4) == 0 {
		return c.text()
	}
	return fmt.Sprintf("%064x", c.IntN(12))
}

func (c chaos) float() *float64 {
	v := []float64{0, 0.018, 0.2, 5, -1, 1e9, 1e308, math.Inf(1), math.NaN(), math.MaxFloat64, 0.5}[c.IntN(11)]
	if c.IntN(4) == 0 {
		return nil
	}
	return &v
}

func (c chaos) number() *uint64 {
	v := []uint64{0, 1, 12, 51, 501, math.MaxUint64, 1 << 40}[c.IntN(7)]
	if c.IntN(4) == 0 {
		return nil
	}
	return &v
}

func (c chaos) seq() *uint32 {
	v := []uint32{0, 1, 977, math.MaxUint32}[c.IntN(4)]
	if c.IntN(4) == 0 {
		return nil
	}
	return &v
}

func (c chaos) time() time.Time {
	return []time.Time{{}, sampleEnd, sampleEnd.Add(time.Duration(c.IntN(1e6)) * time.Millisecond), sampleEnd.AddDate(-3, 0, 0), time.Unix(-1<<40, 0),
		time.Unix(1<<40, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}[c.IntN(7)]
}

func (c chaos) when() *time.Time {
	if c.IntN(3) == 0 {
		return nil
	}
	t := c.time()
	return &t
}

func (c chaos) state() mesh.PeerState {
	return []mesh.PeerState{mesh.Ready, mesh.NotReady, mesh.Unknown, mesh.Unavailable, mesh.NotAdmitted, "", mesh.PeerState(c.text())}[c.IntN(7)]
}

func (c chaos) optional() *string {
	if c.IntN(2) == 0 {
		return nil
	}
	t := c.text()
	return &t
}

func (c chaos) frame() mesh.Frame {
	f := mesh.Frame{Time: c.time(), Whole: c.IntN(8) == 0}
	if c.IntN(3) == 0 {
		f.Status = &mesh.Status{Zone: mesh.Zone(c.text()), NetworkID: mesh.NetworkID(c.text()), Version: c.text(), PeerID: c.text(), UptimeSeconds: optionalZero(c.float()),
			Listen: []string{c.text()}, Replication: []mesh.Replication{{Zone: mesh.Zone(c.text()), LagOperations: 7, LagSeconds: optionalZero(c.float())}},
			Cluster: mesh.ClusterStatus{Kind: []string{"kubernetes", "folder", ""}[c.IntN(3)]}}
		for range c.IntN(4) {
			f.Status.Findings = append(f.Status.Findings, mesh.Finding{ID: []string{"replication.lag", "x"}[c.IntN(2)], Status: []string{"warn", "fail", ""}[c.IntN(3)], Subject: c.text(), Text: c.text()})
		}
	}
	if c.IntN(2) == 0 {
		f.Peers = &mesh.Delta[mesh.Peer]{Whole: c.IntN(10) == 0, Removed: []string{c.key()}}
		for range c.IntN(10) {
			f.Peers.Items = append(f.Peers.Items, mesh.Peer{Name: c.text(), Zone: mesh.Zone(c.text()), State: c.state(), Since: c.when(), PublicKey: c.key(), PeerID: c.text(),
				Endpoints: []string{c.text()}[:c.IntN(2)], Address: c.optional(), Transport: c.optional(), RTTSeconds: c.float(), LagOperations: c.number(), LagSeconds: c.float(),
				LastSeen: c.when(), ClockOffsetSeconds: c.float(), Version: c.optional(), Incarnation: c.when(), FirstSeen: c.when(), TxBytes: c.Uint64(), RxBytes: c.Uint64(),
				Reasons: []string{c.text()}, LastError: c.text(), DeletesHeld: c.IntN(3), Admission: &mesh.Admission{By: c.optional(), At: c.when()}})
		}
	}
	if c.IntN(3) == 0 {
		f.Topology = &mesh.Topology{Self: mesh.Zone(c.text())}
		for range c.IntN(20) {
			f.Topology.Links = append(f.Topology.Links, mesh.Link{From: c.text(), To: c.text(), State: c.state(), Direct: c.IntN(2) == 0, Transport: c.optional(), RTTSeconds: c.float(), Since: c.time()})
		}
	}
	if c.IntN(3) == 0 {
		f.Logs = &mesh.Delta[mesh.LogStatus]{Whole: c.IntN(10) == 0}
		for range c.IntN(6) {
			f.Logs.Items = append(f.Logs.Items, mesh.LogStatus{Name: c.text(), Zone: mesh.Zone(c.text()), PublicKey: c.key(), LogID: c.text(), Incarnation: c.time(), Height: c.seq(),
				Applied: c.seq(), Lag: c.Uint64(), Snapshot: c.seq(), State: c.text(), Updated: c.when()})
		}
	}
	if c.IntN(3) == 0 {
		f.Resources = &mesh.Delta[mesh.Resource]{Whole: c.IntN(10) == 0, Removed: []string{c.text()}}
		for i := range c.IntN(30) {
			f.Resources.Items = append(f.Resources.Items, mesh.Resource{Object: []string{"AnyApplication.dcp.hiro.io/default/" + c.text(), c.text(), fmt.Sprintf("ConfigMap/ns-%d/%d", i%3, i)}[c.IntN(3)],
				Owner: mesh.Zone(c.text()), State: []string{"Live", "Deleted", "Conflict", c.text()}[c.IntN(4)], Claims: []mesh.Zone{mesh.Zone(c.text())}, Since: c.time(), Detail: c.text()})
		}
	}
	for range c.IntN(5) {
		f.Notices = append(f.Notices, mesh.Notice{ID: c.Uint64N(50), Time: c.time(), Kind: mesh.NoticeKind([]string{"peer", "sync", c.text()}[c.IntN(3)]),
			Level: []string{"info", "warn", "bad", "debug", ""}[c.IntN(5)], Zone: mesh.Zone(c.text()), Object: c.text(), Text: c.text()})
	}
	return f
}

// message is anything that can happen to a screen.
func (c chaos) message() tea.Msg {
	switch n := c.IntN(20); {
	case n < 6:
		return arrived{[]mesh.Frame{c.frame()}}
	case n < 14:
		if c.IntN(12) == 0 {
			return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(strings.ToValidUTF8(c.text(), "?"))}
		}
		all := []rune("12345jkgGwmclnFvdteoyxspr/?S")
		kinds := []tea.KeyType{tea.KeyEnter, tea.KeyEsc, tea.KeyTab, tea.KeyShiftTab, tea.KeyPgDown, tea.KeyPgUp, tea.KeyBackspace, tea.KeyCtrlW, tea.KeyCtrlU, tea.KeyHome, tea.KeyEnd}
		if c.IntN(3) == 0 {
			return tea.KeyMsg{Type: kinds[c.IntN(len(kinds))]}
		}
		return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{all[c.IntN(len(all))]}}
	case n < 16:
		return tea.WindowSizeMsg{Width: 1 + c.IntN(220), Height: 1 + c.IntN(60)}
	case n < 17:
		return []tea.Msg{connecting{c.IntN(5)}, lost{fmt.Errorf("%s", c.text()), time.Duration(c.IntN(15)) * time.Second}, ended{fmt.Errorf("%s", c.text())}}[c.IntN(3)]
	case n < 18:
		return tea.MouseMsg{X: c.IntN(230), Y: c.IntN(70), Action: tea.MouseActionPress, Button: []tea.MouseButton{tea.MouseButtonLeft, tea.MouseButtonWheelDown, tea.MouseButtonWheelUp}[c.IntN(3)]}
	}
	return ticked{}
}

// Whatever happens, the screen has exactly its lines, none is wider than it, and nothing of what others say reaches
// the terminal as a command to it.
func TestAnythingFits(t *testing.T) {
	t.Parallel()
	const seeds, steps = 60, 120
	for seed := range uint64(seeds) {
		c := chaos{rand.New(rand.NewPCG(seed, 1))}
		cfg := Config{ASCII: seed%2 == 0, Theme: themeMono, Context: c.text(), Mouse: true, Recorded: seed%5 == 0}
		cfg.Source = fakeSource{content: mesh.Content{Object: c.text(), Zone: mesh.Zone(c.text()), Payload: []byte(`{"kind":"ConfigMap","data":{"a":"b"}}`)},
			operations: []mesh.LogOperation{{Object: c.text(), Hash: c.text(), Type: c.text(), Time: c.time()}},
			results:    []mesh.CheckResult{{Group: c.text(), ID: c.text(), Status: mesh.CheckFail, Message: c.text(), Cause: c.text(), Next: []string{c.text()}}}}
		s := newScreen(t, cfg, 1+c.IntN(220), 1+c.IntN(60))
		for step := range steps {
			s.now = s.now.Add(time.Duration(c.IntN(3000)) * time.Millisecond)
			s.send(c.message())
			text := s.View()
			if s.crash != nil {
				t.Fatalf("seed %d, step %d: it panicked: %v\n%s", seed, step, s.crash.panicked, s.crash.stack)
			}
			lines := strings.Split(text, "\n")
			if len(lines) != s.height {
				t.Fatalf("seed %d, step %d: %d lines at %dx%d", seed, step, len(lines), s.width, s.height)
			}
			for y, line := range lines {
				if w := ansi.StringWidth(line); w != s.width {
					t.Fatalf("seed %d, step %d: line %d has %d columns at %dx%d: %q", seed, step, y, w, s.width, s.height, line)
				}
				if at := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) }); at >= 0 {
					t.Fatalf("seed %d, step %d: line %d steers the terminal: %q", seed, step, y, line)
				}
			}
		}
	}
}

// FuzzFilter: every text is a filter, which prints as one that keeps the same.
func FuzzFilter(f *testing.F) {
	for _, s := range append([]string{"zone=south state!=Ready kind=peer lag>3 rtt>12ms text", "!zone=a,b", "zone=", "lag>x", "!", "!!a", "version=0.3"}, hostile...) {
		f.Add(s)
	}
	p := &peer{Peer: bigPeer(3, 4)}
	r := bigResource(3, 4)
	n := mesh.Notice{Kind: mesh.NoticePeer, Zone: "peer003", Text: "Ready -> NotReady"}
	l := mesh.LogStatus{Name: "peer003", Zone: "peer003", State: "OK", Lag: 4}
	f.Fuzz(func(t *testing.T, s string) {
		a := parseFilter(s)
		b := parseFilter(a.text)
		if a.text != b.text || a.peer(p) != b.peer(p) || a.resource(&r) != b.resource(&r) || a.notice(&n) != b.notice(&n) || a.log(&l) != b.log(&l) {
			t.Errorf("the filter %q means something else when it is read again: %q", s, b.text)
		}
	})
}
