package node

import (
	"context"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// Every reason of a decision has words for people.
func TestEveryDecisionIsTold(t *testing.T) {
	t.Parallel()
	f, err := goparser.ParseFile(token.NewFileSet(), "../replica/reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []mesh.NoticeKind{mesh.NoticePeer, mesh.NoticeLink, mesh.NoticeSync, mesh.NoticeApply, mesh.NoticeMerge, mesh.NoticeSnap,
		mesh.NoticeKube, mesh.NoticeLog, mesh.NoticeJoin}
	levels := []string{mesh.LevelDebug, mesh.LevelInfo, mesh.LevelWarn, mesh.LevelBad}
	reasons := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, x := range v.Values {
			text, err := strconv.Unquote(x.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons++
			d, told := decided[replica.Reason(text)]
			if !told || !slices.Contains(kinds, d.kind) || !slices.Contains(levels, d.level) || d.text == "" || strings.HasSuffix(d.text, ".") {
				t.Errorf("%s is told as %+v", text, d)
			}
		}
		return true
	})
	if reasons < 40 || reasons != len(decided) {
		t.Errorf("%d reasons, %d of them with words", reasons, len(decided))
	}
}

// notebook keeps notices.
type notebook struct {
	mu sync.Mutex
	of []mesh.Notice
}

func (b *notebook) tell(n mesh.Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of = append(b.of, n)
}

// has reports whether a notice was told, by kind, level, zone and a part of its text.
func (b *notebook) has(kind mesh.NoticeKind, level string, zone mesh.Zone, text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.of, func(n mesh.Notice) bool {
		return n.Kind == kind && n.Level == level && n.Zone == zone && strings.Contains(n.Text, text)
	})
}

func (b *notebook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for _, n := range b.of {
		fmt.Fprintf(&s, "%s %s %s %s %s: %s\n", n.Kind, n.Level, n.Zone, n.Object, n.Reason, n.Text)
	}
	return s.String()
}

// withNotebook has a member's notices kept.
func withNotebook(m *member) *notebook {
	b := new(notebook)
	m.cfg.Tell = b.tell
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("notices of %s:\n%s", m.zone(), b)
		}
	})
	return b
}

func TestPeersAndLinksAreTold(t *testing.T) {
	t.Parallel()
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.PeerUnavailableAfter = time.Second
	told := withNotebook(a)
	mutual(a, b)
	until(t, "b is ready", func() bool { return told.has(mesh.NoticePeer, mesh.LevelInfo, "z2", " -> Ready: connected") }) // it may have been away for too long
	until(t, "the connection", func() bool { return told.has(mesh.NoticeLink, mesh.LevelInfo, "z2", "127.0.0.1:") })
	b.stop()
	// Its goodbye, or the end of the connection where that comes first.
	until(t, "b stops", func() bool { return told.has(mesh.NoticePeer, mesh.LevelWarn, "z2", "Ready -> NotReady: ") })
	until(t, "b is away", func() bool { return told.has(mesh.NoticePeer, mesh.LevelBad, "z2", "NotReady -> Unavailable after 1s") })
	until(t, "why the link ended", func() bool {
		told.mu.Lock()
		defer told.mu.Unlock()
		return slices.ContainsFunc(told.of, func(n mesh.Notice) bool {
			return n.Kind == mesh.NoticeLink && n.Reason == "Closed" && strings.Contains(n.Text, " closed: ")
		})
	})
	peers, err := a.node.Peers(context.Background())
	if err != nil || len(peers) != 1 {
		t.Fatalf("Peers = %+v, %v", peers, err)
	}
	until(t, "an attempt that nobody answered", func() bool {
		peers, _ := a.node.Peers(context.Background())
		return slices.ContainsFunc(peers[0].Attempts, func(x mesh.DialAttempt) bool {
			return x.Address == b.endpoint() && x.Transport == "tcp" && strings.HasPrefix(x.Error, "connection refused") && !x.Since.After(x.At)
		})
	})
}

// What a peer announced a heartbeat ago and this node doesn't hold is told, and so is the end of that.
func TestLagIsTold(t *testing.T) {
	t.Parallel()
	a, b := newMember(t, 1), newMember(t, 2)
	told := withNotebook(a)
	mutual(a, b)
	until(t, "linked", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	stands, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	t.Cleanup(release) // or a failed test would never end
	// a's loop stands still.
	go func() { _ = a.node.loop.ask(context.Background(), func() { close(stands); <-blocked }) }()
	<-stands
	b.write(3, 10)
	until(t, "a is behind", func() bool { return told.has(mesh.NoticeSync, mesh.LevelWarn, "z2", " behind") }) // by 1, 2 or 3 when it first hears
	release()
	until(t, "a has caught up", func() bool { return told.has(mesh.NoticeSync, mesh.LevelInfo, "z2", "caught up after ") })
}

// What was written to the cluster is told with the zone it is of; what came to nothing isn't.
func TestWritesAreTold(t *testing.T) {
	t.Parallel()
	m := newMember(t, 1)
	told := withNotebook(m)
	m.start()
	w := replica.Write{Kind: replica.PutReplica, Object: mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}, Zone: "west", Version: 41}
	gone := w
	gone.Kind = replica.RemoveReplica
	for _, in := range []replica.Written{{Write: w}, {Write: w, Err: "no"}, {Write: gone}} {
		if err := m.node.sink(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	const want = "apply info west ConfigMap/default/app applied: version 41 applied\napply info west ConfigMap/default/app removed_here: removed here\n"
	if told.String() != want {
		t.Errorf("told:\n%swant:\n%s", told, want)
	}
}

func TestTopology(t *testing.T) {
	t.Parallel()
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	// a and c know each other, and only b knows how to reach both.
	a.cfg.Nodes = []Peer{b.peer(), {Key: c.public(), Zone: c.zone()}}
	b.cfg.Nodes = []Peer{a.peer(), c.peer()}
	c.cfg.Nodes = []Peer{b.peer(), {Key: a.public(), Zone: a.zone()}}
	for _, m := range []*member{a, b, c} {
		m.cfg.Records = false
		m.start()
	}
	link := func(top mesh.Topology, from, to string) *mesh.Link {
		for i, l := range top.Links {
			if l.From == from && l.To == to {
				return &top.Links[i]
			}
		}
		return nil
	}
	until(t, "a sees what b sees", func() bool {
		top, err := a.node.Topology(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		own, there, back := link(top, "z1", "z2"), link(top, "z2", "z3"), link(top, "z2", "z1")
		return own != nil && own.Direct && own.RTTSeconds != nil && own.Transport != nil && link(top, "z1", "z3") != nil &&
			there != nil && there.State == mesh.Ready && there.Direct && there.RTTSeconds != nil && *there.RTTSeconds >= 0.001 && there.Transport == nil &&
			back != nil && link(top, "z3", "z2") == nil // nothing of c comes here: there is no gossip
	})
	top, err := a.node.Topology(t.Context())
	if err != nil || top.Self != "z1" {
		t.Fatalf("Topology = %+v, %v", top, err)
	}
	for i, l := range top.Links {
		if own := i < 2; own != (l.From == "z1") {
			t.Errorf("link %d is %s to %s: own links go first", i, l.From, l.To)
		}
	}
	c.stop()
	until(t, "b says that c is gone", func() bool {
		top, _ := a.node.Topology(context.Background())
		l := link(top, "z2", "z3")
		return l != nil && l.State == mesh.NotReady && !l.Direct && l.RTTSeconds == nil
	})
}
