package node

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

func (d *door) visits() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.in))
}

// A key that is not admitted gets a connection for the join protocol, and for that alone.
func TestStrangersReachTheJoinProtocolAlone(t *testing.T) {
	a := newMember(t, 1)
	a.cfg.Gossip = true
	a.start()
	s := newStranger(t, testKey(9), a)
	served, err := s.host.Peerstore().GetProtocols(s.conn.RemotePeer())
	if err != nil || !slices.Contains(served, a.node.desk.id) {
		t.Fatalf("a serves %v, %v, want the join protocol among it", served, err)
	}
	counted := a.refusals(refusedNotAdmitted)
	if st, err := openStream(t.Context(), s.conn, a.node.syncID); err == nil {
		if code := ended(t, st); code != codeNoHello {
			t.Errorf("the sync stream ended with %#x, want %#x", code, codeNoHello)
		}
	}
	gossips := 0
	for _, id := range served {
		if strings.Contains(string(id), "meshsub") {
			gossips++
			if st, err := openStream(t.Context(), s.conn, id); err == nil {
				if code := ended(t, st); code != codeNotAdmitted {
					t.Errorf("a stream of %s ended with %#x, want %#x", id, code, codeNotAdmitted)
				}
			}
		}
	}
	if gossips == 0 || a.refusals(refusedNotAdmitted) != counted+float64(gossips) {
		t.Errorf("%d gossip protocols, %v refusals", gossips, a.refusals(refusedNotAdmitted)-counted)
	}
	if k, b, err := s.greet(s.ownHello("z9")); err != nil || k != kindRefusal {
		t.Errorf("hello was answered by kind %d, %v", k, err)
	} else if r, err := decodeRefusal(b); err != nil || r.Reason != refusedNotAdmitted {
		t.Errorf("hello was answered by %v, %v", r, err)
	}
	until(t, "turned away after its hello", s.conn.IsClosed)
	if a.stateOf(&member{key: s.key}) != "" || a.node.peers.len() != 0 {
		t.Error("a stranger is among the peers")
	}
}

// Gossip greets every peer that libp2p tells it of. Strangers are not among them.
func TestGossipDoesNotGreetStrangers(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.Gossip, b.cfg.Gossip = true, true
	a.knows(b)
	b.knows(a)
	a.start()
	h := newStrangerHost(t, testKey(9))
	greeted := make(chan protocol.ID, 10)
	for _, v := range []string{"1.2.0", "1.1.0"} { // a stranger that gossips, too
		id := protocol.ID(strings.TrimSuffix(string(a.node.helloID), "hello/1.0.0") + "meshsub/" + v)
		h.SetStreamHandler(id, func(s network.Stream) { greeted <- s.Protocol(); _ = s.Reset() })
	}
	addrs, _ := dialAddrs(a.endpoint())
	id, _ := peerIDOf(a.public())
	until(t, "connected", func() bool { return h.Connect(t.Context(), peer.AddrInfo{ID: id, Addrs: addrs}) == nil })
	until(t, "a knows what the stranger serves", func() bool {
		ps, err := a.node.host.Peerstore().GetProtocols(h.ID())
		return err == nil && slices.ContainsFunc(ps, func(p protocol.ID) bool { return strings.Contains(string(p), "meshsub") })
	})
	b.start()
	until(t, "a gossips with b", func() bool { return len(a.node.gossip.Load().topic.ListPeers()) == 1 })
	select {
	case p := <-greeted:
		t.Errorf("gossip opened a stream of %s to a stranger", p)
	default:
	}
}

func TestStrangersAreCutOffAfterAWhile(t *testing.T) {
	a := newMember(t, 1)
	a.before = func(n *Node) { n.door.stay = 100 * time.Millisecond }
	a.start()
	h := newStrangerHost(t, testKey(9))
	addrs, _ := dialAddrs(a.endpoint())
	id, _ := peerIDOf(a.public())
	until(t, "counted", func() bool {
		_ = h.Connect(t.Context(), peer.AddrInfo{ID: id, Addrs: addrs}) // and says nothing; it may be over before Connect is
		return a.counted(refusedNotAdmitted)
	})
	until(t, "disconnected", func() bool { return h.Network().Connectedness(id) != network.Connected })
	until(t, "its place is free", func() bool { return len(a.node.door.visits()) == 0 })
}

func TestFewStrangersAtATime(t *testing.T) {
	a := newMember(t, 1)
	a.before = func(n *Node) { n.door.stay = time.Hour } // nobody makes room for the one too many
	a.start()
	for i := range maxStrangersOfSource {
		newStranger(t, testKey(byte(20+i)), a)
	}
	h := newStrangerHost(t, testKey(40))
	addrs, _ := dialAddrs(a.endpoint())
	id, _ := peerIDOf(a.public())
	until(t, "one too many is refused", func() bool {
		if !a.counted(refusedCrowded) {
			_ = h.Connect(t.Context(), peer.AddrInfo{ID: id, Addrs: addrs[:1]}) // nil for a moment, by QUIC's nature
			return false
		}
		return h.Network().Connectedness(id) != network.Connected
	})
	if n := len(a.node.door.visits()); n != maxStrangersOfSource {
		t.Errorf("%d strangers are in, want %d", n, maxStrangersOfSource)
	}
	b := newMember(t, 2) // members are not strangers
	b.knows(a)
	if err := a.node.SetNodes(t.Context(), []Peer{b.peer()}); err != nil {
		t.Fatal(err)
	}
	until(t, "b is a member", func() bool { return a.node.isMember(b.public()) })
	b.start()
	until(t, "linked", func() bool { return b.linkedTo(a) })
}

// Whoever commands many addresses gets all places that there are, and no more.
func TestDoor(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	d := newDoor(func() time.Time { return now })
	from := func(i int) netip.Prefix {
		return sourceOf(ma.StringCast(fmt.Sprintf("/ip4/203.0.113.%d/udp/9/quic-v1", i)))
	}
	for i := range maxStrangers {
		if d.enter(fmt.Sprint(i), from(i/2)) == nil {
			t.Fatalf("stranger %d was not let in", i)
		}
	}
	if d.enter("more", from(100)) != nil {
		t.Error("one stranger too many")
	}
	d.leave("0")
	d.leave("0")
	if d.enter("more", from(100)) == nil {
		t.Error("no room although one left")
	}
	for i := range maxStrangers {
		d.leave(fmt.Sprint(i))
	}
	for i := 0; d.room(from(50)); i++ {
		d.leave(fmt.Sprint("x", i-1))
		if d.enter(fmt.Sprint("x", i), from(50)) == nil {
			t.Fatal("room, and not let in")
		}
		if i > visitsPerMinute {
			t.Fatalf("%d visits in a minute", i)
		}
	}
	now = now.Add(time.Minute)
	d.leave(fmt.Sprint("x", visitsPerMinute-1))
	if !d.room(from(50)) {
		t.Error("no room a minute later")
	}
	for a, b := range map[string]string{"/ip6/2001:db8::1/tcp/1": "/ip6/2001:db8::ffff/tcp/1", "/ip6/::ffff:192.0.2.1/tcp/1": "/ip4/192.0.2.1/tcp/2"} {
		if sourceOf(ma.StringCast(a)) != sourceOf(ma.StringCast(b)) {
			t.Errorf("%s and %s are two sources", a, b)
		}
	}
	if sourceOf(ma.StringCast("/ip6/2001:db8:0:1::1/tcp/1")) == sourceOf(ma.StringCast("/ip6/2001:db8::1/tcp/1")) {
		t.Error("two networks are one source")
	}
}

func TestTries(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	tr := newTries(2, func() time.Time { return now })
	src := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	tr.add(src(1))
	if tr.exhausted(src(1)) {
		t.Error("exhausted after one of two")
	}
	now = now.Add(30 * time.Second)
	tr.add(src(1))
	if !tr.exhausted(src(1)) || tr.exhausted(src(2)) {
		t.Error("want the one source exhausted, and only it")
	}
	now = now.Add(30 * time.Second)
	if tr.exhausted(src(1)) {
		t.Error("exhausted although the first try is a minute ago")
	}
	tr.add(src(1))
	now = now.Add(-time.Hour)
	if tr.exhausted(src(1)) {
		t.Error("a clock that was set back locks somebody out")
	}
	now = now.Add(2 * time.Hour)
	for i := range 2 * maxSources {
		now = now.Add(time.Millisecond)
		tr.add(src(i))
	}
	if len(tr.at) > maxSources {
		t.Errorf("%d sources are kept", len(tr.at))
	}
}
