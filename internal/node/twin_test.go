package node

import (
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Two processes run with one key, each linked to c alone. Nobody but c sees both, and c passes on what each
// has to say; the one with the lower (incarnation, start, run id) goes on, the other stops signing.
func TestSecondProcessWithOurKeyIsMuted(t *testing.T) {
	first, second, c := newMember(t, 1), newMember(t, 1), newMember(t, 3)
	c.cfg.Nodes = []Peer{{first.public(), first.zone(), nil}}
	first.knows(c)
	second.knows(c)
	c.start()
	first.start()
	until(t, "the first is linked", func() bool { return c.linkedTo(first) })
	second.start()
	until(t, "both are linked", func() bool { return len(c.entry(first).current()) == 2 })
	until(t, "one is muted", func() bool { return first.core.isMuted() || second.core.isMuted() })
	lower := first
	if first.node.run.Compare(second.node.run) > 0 {
		lower = second
	}
	if lower.core.isMuted() {
		t.Error("the process that has to go on is muted")
	}
	until(t, "c shows it", func() bool {
		ps, err := c.node.Peers(t.Context())
		return err == nil && len(ps[0].Reasons) > 0 && ps[0].Reasons[len(ps[0].Reasons)-1] == "TwoInstances"
	})
}

func TestGossipCarriesPresenceAndOperationsBeyondNeighbours(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	a.knows(b)
	b.knows(a, c)
	c.knows(b)
	// a and c admit each other but cannot reach each other.
	a.cfg.Nodes = append(a.cfg.Nodes, Peer{c.public(), c.zone(), nil})
	c.cfg.Nodes = append(c.cfg.Nodes, Peer{a.public(), a.zone(), nil})
	for _, m := range []*member{a, b, c} {
		m.cfg.Gossip, m.cfg.Records = true, false
		m.start()
	}
	until(t, "heartbeats that rose prove life", func() bool { return a.stateOf(c) == mesh.Ready && c.stateOf(a) == mesh.Ready })
	a.write(5, 100)
	until(t, "operations", func() bool { return c.holds(a) == 5 })
	if a.linkedTo(c) {
		t.Error("a and c are linked, the test shows nothing")
	}
	until(t, "some came by gossip", func() bool {
		return counterValue(t, c.node.metrics.messagesIn.WithLabelValues(otherZone, typeGossip)) > 0
	})
	if counterValue(t, a.node.metrics.messagesOut.WithLabelValues(typeGossip)) == 0 {
		t.Error("what a gossips isn't counted")
	}
}

// What every member has by its link already isn't gossiped too.
func TestLinkedMembersDoNotGossip(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	for _, m := range []*member{a, b} {
		m.cfg.Gossip, m.cfg.HeartbeatInterval = true, 100*time.Millisecond
	}
	mutual(a, b)
	until(t, "linked, with gossip", func() bool {
		return a.linkedTo(b) && b.linkedTo(a) && len(a.node.gossip.Load().topic.ListPeers()) == 1
	})
	sent := func(what string) float64 { // by both
		return counterValue(t, a.node.metrics.messagesOut.WithLabelValues(what)) + counterValue(t, b.node.metrics.messagesOut.WithLabelValues(what))
	}
	before, gossiped, wrote := 0.0, -1.0, uint32(0)
	until(t, "twenty heartbeats of each without gossip", func() bool { // which ends when both have found out that they are linked
		if g := sent(typeGossip); g != gossiped {
			before, gossiped = sent(typePresence), g
			a.write(1, 10)
			wrote++
		}
		return sent(typePresence) >= before+40 && b.holds(a) == wrote
	})
}

func TestSetNodes(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	mutual(a, b)
	c.knows(a)
	c.start()
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	if err := a.node.SetNodes(t.Context(), []Peer{c.peer()}); err != nil {
		t.Fatal(err)
	}
	until(t, "c in, b out", func() bool { return a.linkedTo(c) && !b.linkedTo(a) && a.entry(b) == nil })
	if err := a.node.SetNodes(t.Context(), []Peer{c.peer(), c.peer()}); err == nil {
		t.Error("the same key twice was accepted")
	}
	if err := a.node.SetNodes(t.Context(), []Peer{b.peer(), c.peer()}); err != nil {
		t.Fatal(err)
	}
	until(t, "both", func() bool { return a.linkedTo(c) && a.linkedTo(b) && b.linkedTo(a) })
	a.write(2, 10)
	until(t, "it works", func() bool { return c.holds(a) == 2 && b.holds(a) == 2 })
}

func TestOpenAdmission(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.AdmissionOpen = true
	b.knows(a)
	a.start()
	b.start()
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	b.write(2, 10)
	until(t, "it works", func() bool { return a.holds(b) == 2 })
}

func TestDialAddrs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"127.0.0.1:9102": 2, "[::1]:9102": 2, "[fe80::1%eth0]:1": 2, "example.org:9102": 4, "mesh_a.default.svc:1": 4,
		"[::ffff:10.0.0.1]:5": 2, "0.0.0.0:1": 0, "[::]:1": 0, "224.0.0.1:1": 0, "x:0": 0, "x:65536": 0, "x": 0, ":1": 0,
		"a/b:1": 0, "a b:1": 0, "x:-1": 0, "[fe80::1%a/b]:1": 0,
	} {
		got, err := dialAddrs(in)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("dialAddrs(%q) = %v, %v, want %d addresses", in, got, err, want)
		}
		for _, a := range got {
			if _, hostport := describeAddr(a); hostport == "" {
				t.Errorf("describeAddr(%v) is empty", a)
			}
		}
	}
	if _, hp := describeAddr(nil); hp != "" {
		t.Errorf("describeAddr(nil) = %q", hp)
	}
}
