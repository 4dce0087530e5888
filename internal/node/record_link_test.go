package node

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// listed is a member without endpoints.
func (m *member) listed() Peer { return Peer{Key: m.public(), Zone: m.zone()} }

// Two nodes that only a third one knows how to reach learn of each other through it, and need it no more.
func TestRecordsOutliveWhoPassedThemOn(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	b.cfg.Nodes = []Peer{a.peer(), c.listed()}
	a.cfg.Nodes = []Peer{b.listed(), c.listed()}
	c.cfg.Nodes = []Peer{b.peer(), a.listed()}
	for _, m := range []*member{a, b, c} {
		m.start()
	}
	until(t, "a and c are linked", func() bool { return a.linkedTo(c) && c.linkedTo(a) })
	b.stop()
	a.stop()
	c.stop()
	a.start()
	c.start()
	until(t, "a and c are linked again", func() bool { return a.linkedTo(c) && c.linkedTo(a) })
	a.write(2, 10)
	until(t, "operations flow", func() bool { return c.holds(a) == 2 })
	if a.linkedTo(b) || c.linkedTo(b) {
		t.Error("b is there, the test shows nothing")
	}
}

// A node that moved is found at its new place by those who were told the old one.
func TestRecordOfANodeThatMoved(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	mutual(a, b, c)
	until(t, "all are linked", func() bool { return a.linkedTo(c) && b.linkedTo(c) && a.linkedTo(b) })
	c.stop()
	moved := porttest.Free(t)
	c.port, c.cfg.Port = moved, moved
	c.cfg.Nodes = []Peer{b.peer(), a.listed()} // a has to find it
	c.start()
	until(t, "a found c", func() bool { return a.linkedTo(c) })
	at := c.endpoint()
	until(t, "it is known where", func() bool { return slices.Contains(a.node.book.known(c.public()), at) })
}

// A configured name is looked up at every dial.
func TestNamesAreResolvedAnew(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	var asked atomic.Int32
	a.cfg.lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		if name != "b.example" {
			t.Errorf("looked up %s", name)
		}
		if asked.Add(1) < 2 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.77")}, nil // nobody is there
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.78"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	at := "b.example:" + netip.MustParseAddrPort(b.endpoint()).String()[len("127.0.0.1:"):]
	a.cfg.Nodes = []Peer{{b.public(), b.zone(), []string{at, "127.0.0.79:1"}}}
	b.cfg.Nodes = []Peer{a.listed()}
	b.cfg.Records = false
	a.start()
	b.start()
	until(t, "linked", func() bool { return a.linkedTo(b) })
	if known := a.node.book.known(b.public()); !slices.Equal(known, []string{at}) {
		t.Errorf("known = %v, want %s, which is what led there", known, at)
	}
}

// sendRecords puts records on a link as they are.
func sendRecords(t *testing.T, s network.Stream, raws ...[]byte) {
	t.Helper()
	frame, rest := encodeRecords(raws)
	if len(rest) > 0 {
		t.Fatal("too many for one frame")
	}
	if _, err := s.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// awaitRecord reads a link until a record of a key comes that fits.
func awaitRecord(t *testing.T, r *frameReader, k keys.Public, fits func(peerRecord) bool) {
	t.Helper()
	for {
		kd, b, err := r.next()
		if err != nil {
			t.Fatalf("no record came: %v", err)
		}
		if kd != kindRecords {
			continue
		}
		raws, err := decodeRecords(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range raws {
			if got, err := openRecord(raw); err == nil && got.key == k && fits(got) {
				return
			}
		}
	}
}

func TestHostileRecords(t *testing.T) {
	a := newMember(t, 1)
	liar, other, outsider := testKey(9), testKey(8), testKey(7)
	a.cfg.Nodes = []Peer{{Key: liar.Public(), Zone: "z9"}, {Key: other.Public(), Zone: "z8"}}
	a.start()
	link := newStranger(t, liar, a).link("z9")
	held := func(seq uint64) func() bool {
		return func() bool { return a.node.book.recordOf(other.Public()).seq == seq }
	}
	good := mustSeal(t, other, 5, "198.51.100.1:9102")
	sendRecords(t, link, good.raw)
	until(t, "the record of another member is taken", held(5))

	forged := bytes.Clone(mustSeal(t, other, 6, "203.0.113.1:1").raw)
	forged[len(forged)-1] ^= 1
	refusedNow := func(what string, r refusal, raw []byte) {
		t.Helper()
		before := counterValue(t, a.node.metrics.refusedTotal.WithLabelValues(string(r)))
		sendRecords(t, link, raw)
		until(t, what+" is counted", func() bool {
			return counterValue(t, a.node.metrics.refusedTotal.WithLabelValues(string(r))) == before+1
		})
	}
	refusedNow("a forged record", refusedRecord, forged)
	// The liar signs what it says about the other one.
	key, err := hostKey(liar)
	if err != nil {
		t.Fatal(err)
	}
	refusedNow("another's signature", refusedRecord, sealAny(t, key, recordAbout(t, other)))
	refusedNow("an old record", refusedStaleRecord, mustSeal(t, other, 4, "203.0.113.1:1").raw)
	refusedNow("a stranger's record", refusedNotAdmitted, mustSeal(t, outsider, 1, "203.0.113.1:1").raw)
	if !held(5)() || a.node.peers.get(outsider.Public()) != nil {
		t.Error("something of it was taken")
	}
	sendRecords(t, link, mustSeal(t, other, 7, "198.51.100.2:9102").raw)
	until(t, "the link goes on", held(7))

	large, _ := encodeRecords([][]byte{make([]byte, 1<<20)})
	_, _ = link.Write(large) // it may end before all of it is read
	if code := ended(t, link); code != codeProtocol {
		t.Errorf("after a frame that is too large: code %#x, want %#x", code, codeProtocol)
	}
	until(t, "counted", func() bool { return a.counted(refusedTooLarge) })

	// Who was a stranger becomes a member: what was said of it is remembered.
	nodes := append(slices.Clone(a.cfg.Nodes), Peer{Key: outsider.Public(), Zone: "z7"})
	if err := a.node.SetNodes(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	until(t, "its record is held", func() bool { return a.node.book.recordOf(outsider.Public()).seq == 1 })
}

// A node whose clock went back is told of its last record, and goes on above it.
func TestRecordsAfterAClockWentBack(t *testing.T) {
	a := newMember(t, 1)
	peer := testKey(9)
	a.cfg.Nodes = []Peer{{Key: peer.Public(), Zone: "z9"}}
	a.start()
	link := newStranger(t, peer, a).link("z9")
	_ = link.SetReadDeadline(time.Now().Add(patience))
	frames := newFrameReader(link, nil)
	awaitRecord(t, frames, a.public(), func(r peerRecord) bool { return slices.Equal(r.endpoints, []string{a.endpoint()}) })
	sendRecords(t, link, mustSeal(t, a.key, 1<<63, "198.51.100.9:1").raw)
	awaitRecord(t, frames, a.public(), func(r peerRecord) bool {
		return r.seq == 1<<63+1 && slices.Equal(r.endpoints, []string{a.endpoint()})
	})
	// And the other way round.
	sendRecords(t, link, mustSeal(t, peer, 9, "198.51.100.1:1").raw, mustSeal(t, peer, 3, "198.51.100.2:1").raw)
	awaitRecord(t, frames, peer.Public(), func(r peerRecord) bool { return r.seq == 9 })
}

func TestRecordsOff(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	b.cfg.Nodes = []Peer{a.peer(), c.listed()}
	a.cfg.Nodes = []Peer{b.listed(), c.listed()}
	c.cfg.Nodes = []Peer{b.peer(), a.listed()}
	for _, m := range []*member{a, b, c} {
		m.cfg.Records = m == b
		m.start()
	}
	until(t, "b is linked with both", func() bool { return a.linkedTo(b) && c.linkedTo(b) })
	a.write(1, 10)
	until(t, "c heard from a through b", func() bool { return c.holds(a) == 1 })
	for _, m := range []*member{a, c} {
		if r := b.node.book.recordOf(m.public()); r.raw != nil {
			t.Errorf("b was told where %s is", m.zone())
		}
		if r := m.node.book.recordOf(b.public()); r.raw != nil {
			t.Errorf("%s took a record", m.zone())
		}
	}
}

// What is known of unlisted ways shows in the list of peers, and so does when it was seen in an earlier run.
func TestPeersShowTheBook(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.knows(b)
	b.cfg.Nodes = []Peer{a.listed()}
	a.start()
	b.start()
	until(t, "b shows where a is", func() bool {
		ps, err := b.node.Peers(t.Context())
		return err == nil && slices.Equal(ps[0].Endpoints, []string{a.endpoint()})
	})
	until(t, "heard", func() bool { return b.stateOf(a) == mesh.Ready })
	a.stop()
	b.stop()
	b.start()
	ps, err := b.node.Peers(t.Context())
	if err != nil || ps[0].LastSeen == nil || !slices.Equal(ps[0].Endpoints, []string{a.endpoint()}) {
		t.Errorf("after a restart: %+v, %v", ps, err)
	}
}
