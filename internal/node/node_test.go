package node

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		if err := victimMain(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaktest.Main(m)
}

func TestTwoNodesSync(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.knows(b)
	b.knows(a)
	a.start()
	a.write(3, 10) // before they meet: by a round
	b.start()
	until(t, "b holds what a wrote before", func() bool { return b.holds(a) == 3 })
	until(t, "both compared", func() bool { return a.core.comparedWith(b.public()) > 0 && b.core.comparedWith(a.public()) > 0 })
	a.write(5, 10) // while linked: live
	b.write(2, 10)
	until(t, "live operations", func() bool { return b.holds(a) == 8 && a.holds(b) == 2 })
}

func TestThreeNodesInAChainConverge(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	a.knows(b)
	b.knows(a, c)
	c.knows(b)
	for _, m := range []*member{a, b, c} {
		m.start()
	}
	until(t, "links", func() bool { return b.linkedTo(a) && b.linkedTo(c) && a.linkedTo(b) && c.linkedTo(b) })
	a.write(20, 10)
	c.write(10, 10)
	until(t, "both ends hold each other's log", func() bool { return a.holds(c) == 10 && c.holds(a) == 20 })
	if a.linkedTo(c) {
		t.Error("a and c are linked, the test shows nothing")
	}
}

func TestFullMeshAnnouncesNothingTwice(t *testing.T) {
	ms := []*member{newMember(t, 1), newMember(t, 2), newMember(t, 3)}
	mutual(ms...)
	until(t, "full mesh, compared", func() bool {
		for _, m := range ms {
			for _, o := range ms {
				if m != o && (!m.linkedTo(o) || m.core.comparedWith(o.public()) == 0) {
					return false
				}
			}
		}
		return true
	})
	ms[0].write(50, 100)
	until(t, "everyone holds it", func() bool { return ms[1].holds(ms[0]) == 50 && ms[2].holds(ms[0]) == 50 })
	for _, m := range ms[1:] {
		// Now and then one is asked for while it is on its way already.
		if n := m.core.arrivals(); n < 50 || n > 60 {
			t.Errorf("%s was handed %d operations, want each of the 50 once", m.zone(), n)
		}
	}
}

func TestLargeBody(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	mutual(a, b)
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	a.write(2, 3<<20)
	until(t, "live bodies of 3 MiB", func() bool { return b.holds(a) == 2 })
}

func TestManyOperationsBothWays(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.start()
	b.start()
	a.write(3000, 5000) // more than the flow control windows of a stream hold
	b.write(3000, 5000)
	for _, m := range []*member{a, b} {
		o := map[*member]*member{a: b, b: a}[m]
		if err := m.node.SetNodes(t.Context(), []Peer{o.peer()}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "both hold both", func() bool { return a.holds(b) == 3000 && b.holds(a) == 3000 })
}

func TestReconnection(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	mutual(a, b)
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	if err := b.node.host.Network().Close(); err != nil { // no goodbye, as if it had crashed
		t.Fatal(err)
	}
	b.node.ready.Store(true)
	b.stop()
	until(t, "a notices", func() bool { return a.stateOf(b) == mesh.NotReady })
	a.write(4, 10)
	b.start() // the same key, port and store
	until(t, "b catches up", func() bool { return b.holds(a) == 4 && a.stateOf(b) == mesh.Ready })
}

func TestGoodbyeCountsAtOnce(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.ProbeInterval = time.Minute // so that no probe helps
	mutual(a, b)
	until(t, "compared", func() bool { return a.core.comparedWith(b.public()) > 0 && b.core.comparedWith(a.public()) > 0 })
	b.write(1, 10)
	b.stop()
	until(t, "not ready", func() bool { return a.stateOf(b) == mesh.NotReady })
	for _, p := range a.node.presence.peers() {
		if p.Reason != "Goodbye" {
			t.Errorf("reason = %s, want Goodbye", p.Reason)
		}
	}
	until(t, "the operation published right before the goodbye", func() bool { return a.holds(b) == 1 })
}

func TestOneLinkPerPair(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.start()
	b.start()
	for _, m := range []*member{a, b} {
		if err := m.node.addPeer(map[*member]*member{a: b, b: a}[m].peer()); err != nil {
			t.Fatal(err)
		}
		m.node.gater.set(m.node.peerIDs())
		m.node.presence.setMembers(membershipMembers(m.node.nodes()))
	}
	var g errgroup.Group
	for _, m := range []*member{a, b} {
		o := map[*member]*member{a: b, b: a}[m]
		for range 3 { // several at once from both sides
			g.Go(func() error { return m.node.dial(t.Context(), m.entry(o)) })
		}
	}
	_ = g.Wait()
	a.node.keepDialling(a.entry(b)) // some lose, and all may
	b.node.keepDialling(b.entry(a))
	settled := func() bool {
		la, lb := a.entry(b).current(), b.entry(a).current()
		return len(la) == 1 && len(lb) == 1 && la[0].ours != lb[0].ours
	}
	until(t, "one link, opened by one of them", settled)
	a.write(3, 10)
	until(t, "it works", func() bool { return b.holds(a) == 3 })
	until(t, "one link still", settled)
}

func TestPortTaken(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.start()
	b.cfg.Port = a.port
	if err := b.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(b.cfg, newChains(b.key, b.zone(), b.store), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "may be in use") && !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Run with a strict port that is taken = %v, want an error that says so", err)
	}
	b.cfg.StrictPort = false
	b.start()
	if got := b.node.Port(); got == a.port || got == 0 {
		t.Errorf("Port() = %d, want another than %d", got, a.port)
	}
	if !strings.Contains(b.log.String(), "the port is taken") {
		t.Error("no warning")
	}
}
