package node

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

// stranger is a peer that says what the test wants, byte by byte.
type stranger struct {
	t    *testing.T
	key  keys.Private
	host host.Host
	to   *member
	conn network.Conn
}

// newStrangerHost makes a host that speaks none of our protocols.
func newStrangerHost(t *testing.T, key keys.Private) host.Host {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Key = key
	h, err := newHost(&cfg, newGater(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// newStranger connects to a member.
func newStranger(t *testing.T, key keys.Private, to *member) *stranger {
	t.Helper()
	s := &stranger{t: t, key: key, host: newStrangerHost(t, key), to: to}
	s.connect()
	return s
}

func (s *stranger) connect() {
	s.t.Helper()
	addrs, err := dialAddrs(s.to.endpoint())
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := peerIDOf(s.to.public())
	if err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "a stranger is connected", func() bool {
		s.host.Network().(*swarm.Swarm).Backoff().Clear(id)
		// By QUIC alone: by two transports it might be connected twice.
		if err := s.host.Connect(s.t.Context(), peer.AddrInfo{ID: id, Addrs: addrs[:1]}); err != nil {
			return false
		}
		for _, s.conn = range s.host.Network().ConnsToPeer(id) {
			if !s.conn.IsClosed() {
				return true
			}
		}
		return false
	})
}

func (s *stranger) ownHello(zone mesh.Zone) hello {
	return hello{Versions: protocolVersions, Software: "test", Network: testNetwork,
		Instance: mesh.Instance{Zone: zone, Incarnation: 1000}, Run: runID{1}, Started: 1}
}

// greet says hello and returns what is answered.
func (s *stranger) greet(h hello) (kind, []byte, error) {
	id, _ := protocolIDs(testNetwork)
	st, err := openStream(s.t.Context(), s.conn, id)
	if err != nil {
		return 0, nil, err
	}
	defer st.Close()
	if _, err := st.Write(encodeHello(h)); err != nil {
		return 0, nil, err
	}
	return newFrameReader(st, st).next()
}

// link says hello and opens the long stream.
func (s *stranger) link(zone mesh.Zone) network.Stream {
	s.t.Helper()
	if k, _, err := s.greet(s.ownHello(zone)); err != nil || k != kindHello {
		s.t.Fatalf("hello was answered by kind %d, %v", k, err)
	}
	_, id := protocolIDs(testNetwork)
	st, err := openStream(s.t.Context(), s.conn, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// refused reads the refusal that must be the answer to a hello and the end of the connection, and connects anew.
func (s *stranger) refused(h hello, want refusal) {
	s.t.Helper()
	k, b, err := s.greet(h)
	if err != nil || k != kindRefusal {
		s.t.Fatalf("answered by kind %d, %v, want a refusal", k, err)
	}
	if r, err := decodeRefusal(b); err != nil || r.Reason != want {
		s.t.Errorf("refusal = %+v, %v, want %s", r, err, want)
	}
	until(s.t, "turned away", func() bool { return s.conn.IsClosed() })
	s.connect()
}

// ended waits for the stream to be reset and returns the code.
func ended(t *testing.T, s network.Stream) network.StreamErrorCode {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, s)
	var se *network.StreamError
	var ce *network.ConnError // follows the reset and may overtake it
	switch {
	case errors.As(err, &ce):
		return network.StreamErrorCode(ce.ErrorCode)
	case errors.As(err, &se):
		return se.ErrorCode
	}
	t.Fatalf("the stream ended with %v, want a reset", err)
	return 0
}

func (m *member) counted(r refusal) bool { return m.refusals(r) > 0 }

func (m *member) refusals(r refusal) float64 {
	return counterValue(m.t, m.node.metrics.refusedTotal.WithLabelValues(string(r)))
}

func TestOneSidedAdmissionIsShown(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	b.knows(a)
	a.start()
	b.start()
	until(t, "b says why", func() bool {
		p, err := b.node.Peers(t.Context())
		return err == nil && strings.Contains(p[0].LastError, "is not admitted")
	})
	if !strings.Contains(a.log.String(), "refused a hello") {
		t.Error("a says nothing")
	}
}

func TestWrongKeyAtAnAddressIsNamed(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	p := c.peer()
	p.Endpoints = []string{b.endpoint()}
	a.cfg.Nodes = []Peer{p}
	b.knows(a)
	b.cfg.Nodes[0].Endpoints = nil
	b.start()
	a.start()
	until(t, "the key that answers is named", func() bool {
		ps, err := a.node.Peers(t.Context())
		return err == nil && strings.Contains(ps[0].LastError, b.public().String())
	})
}

func TestHelloIsJudged(t *testing.T) {
	a := newMember(t, 1)
	k := testKey(9)
	a.cfg.Nodes = []Peer{{Key: k.Public(), Zone: "z9"}}
	a.start()
	s := newStranger(t, k, a)
	other := s.ownHello("z9")
	other.Network = "another"
	s.refused(other, refusedNetwork)
	s.refused(s.ownHello("z7"), refusedZone)
	s.refused(s.ownHello("z1"), refusedZone)
	old := s.ownHello("z9")
	old.Versions = []uint16{77}
	s.refused(old, refusedProtocol)
	far := s.ownHello("z9")
	far.Instance.Incarnation = mesh.MaxIncarnation + 1
	s.refused(far, refusedMalformed)
	if a.stateOf(&member{key: k}) == mesh.Ready {
		t.Error("a refused peer counts as ready")
	}
	until(t, "the last refusal is shown", func() bool {
		ps, err := a.node.Peers(t.Context())
		if err == nil && strings.Contains(ps[0].LastError, "incarnation") {
			return true
		}
		s.refused(far, refusedMalformed) // a's own dial, for which it has no endpoint, failed in between
		return false
	})
	if k, _, err := s.greet(s.ownHello("z9")); err != nil || k != kindHello {
		t.Errorf("a good hello was answered by kind %d, %v", k, err)
	}
}

// A stranger doesn't find out which zone a node is by naming zones.
func TestStrangersLearnNoZone(t *testing.T) {
	a := newMember(t, 1)
	a.start()
	s := newStranger(t, testKey(9), a)
	s.refused(s.ownHello(a.zone()), refusedNotAdmitted)
}

func TestOtherNetworkHasNothingToSay(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	b.cfg.Network = "another"
	mutual(a, b)
	until(t, "both say why", func() bool {
		return strings.Contains(a.lastError(b)+b.lastError(a), "another network id")
	})
	if a.linkedTo(b) || b.linkedTo(a) {
		t.Error("linked")
	}
}

func (m *member) lastError(o *member) string {
	p := m.entry(o)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastErr
}

func TestHostileFrames(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	k := testKey(9)
	a.cfg.Nodes = []Peer{{Key: k.Public(), Zone: "z9"}}
	a.knows(b)
	b.knows(a)
	a.start()
	b.start()
	garbage := func(k kind, n int) []byte { return seal(append(begin(k), make([]byte, n)...)) }
	for name, frame := range map[string][]byte{
		"a length of 4 GiB":        {0xff, 0xff, 0xff, 0xff, byte(kindOperation)},
		"an empty frame":           {0, 0, 0, 0, byte(kindPing)},
		"an unknown kind":          garbage(200, 10),
		"a hello in between":       encodeHello(hello{Versions: protocolVersions, Instance: mesh.Instance{Zone: "z9"}}),
		"a ping of 900 bytes":      garbage(kindPing, 900),
		"a have that lies":         {0, 0, 0, 9, byte(kindHave), 0, 0, 0, 1, 0, 0, 15, 255},
		"a heartbeat of zeros":     garbage(kindHeartbeat, 500),
		"heads beyond their frame": {0, 0, 0, 5, byte(kindHeads), 0, 0, 1, 0},
	} {
		s := newStranger(t, k, a)
		st := s.link("z9")
		if _, err := st.Write(frame); err != nil {
			t.Fatal(err)
		}
		if code := ended(t, st); code != codeProtocol {
			t.Errorf("%s: reset with %#x, want %#x", name, code, codeProtocol)
		}
		s.host.Close()
	}
	a.write(2, 10)
	until(t, "the others go on", func() bool { return b.holds(a) == 2 })
}

func TestSilentAndSlowPeers(t *testing.T) {
	a := newMember(t, 1)
	a.cfg.ProbeInterval = 20 * time.Millisecond
	k := testKey(9)
	a.cfg.Nodes = []Peer{{Key: k.Public(), Zone: "z9"}}
	told := withNotebook(a)
	a.start()
	s := newStranger(t, k, a)
	st := s.link("z9") // reads and says nothing
	until(t, "ready while linked", func() bool { return told.has(mesh.NoticePeer, mesh.LevelInfo, "z9", " -> Ready: connected") })
	if _, err := io.Copy(io.Discard, st); err == nil {
		t.Error("a silent link ended cleanly, want its connection closed")
	}
	until(t, "not ready", func() bool { return a.stateOf(&member{key: k}) == mesh.NotReady })
}

func TestEndlessSlowFrameIsCutOff(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	now := &recordedDeadlines{}
	f := newFrameReader(r, now)
	go func() { _, _ = w.Write(append([]byte{0, 0, 0x80, 1, byte(kindOperation)}, 1, 2, 3)); w.Close() }()
	if _, _, err := f.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("next() of a cut frame = %v, want %v", err, io.ErrUnexpectedEOF)
	}
	limit := frameTimeout + 0x8000*time.Second/slowestPeer + time.Second
	if last := now.d[len(now.d)-1]; time.Until(last) > limit {
		t.Errorf("a frame of 32 KiB may take %s, want at most %s", time.Until(last), limit)
	}
}

type recordedDeadlines struct{ d []time.Time }

func (r *recordedDeadlines) SetReadDeadline(t time.Time) error { r.d = append(r.d, t); return nil }

// signed makes operations of a stranger's own log.
func (s *stranger) signed(zone mesh.Zone, n int) (ops []*operation.Operation) {
	s.t.Helper()
	inst := mesh.Instance{Zone: zone, Incarnation: 1000}
	var back mesh.Hash
	for i := range n {
		body, err := event.Encode(&event.Event{Instance: inst, Kind: event.KindUpdate, Update: &event.Update{
			Object: mesh.ObjectKey{Kind: "ConfigMap", Namespace: "d", Name: "o"}, Payload: []byte("{}"), Version: mesh.Version(i + 1), Epoch: 1, Birth: 1}})
		if err != nil {
			s.t.Fatal(err)
		}
		op, err := operation.Sign(s.key, operation.Header{Seq: uint32(i), Backlink: back, Log: mesh.LogIDOf(testNetwork, inst)}, body)
		if err != nil {
			s.t.Fatal(err)
		}
		back = op.ID
		ops = append(ops, op)
	}
	return ops
}

func TestBadOperationsAreRefusedAndTheLinkGoesOn(t *testing.T) {
	a := newMember(t, 1)
	k := testKey(9)
	a.cfg.Nodes = []Peer{{Key: k.Public(), Zone: "z9"}}
	a.start()
	s := newStranger(t, k, a)
	st := s.link("z9")
	good := s.signed("z9", 3)
	foreign, err := operation.Sign(k, operation.Header{Log: mesh.LogIDOf("another", mesh.Instance{Zone: "z9", Incarnation: 1000})}, good[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	forged := slices.Clone(good[0].Raw)
	forged[60] ^= 1
	for _, frame := range [][]byte{
		encodeOp(kindLive, []byte("rubbish"), nil),
		encodeOp(kindLive, forged, good[0].Body),
		encodeOp(kindLive, good[0].Raw, []byte("another body")),
		encodeOp(kindLive, foreign.Raw, foreign.Body),
		encodeOp(kindLive, good[0].Raw, nil), // only a hint
		encodeOp(kindLive, good[0].Raw, good[0].Body),
		encodeOp(kindLive, good[1].Raw, good[1].Body),
	} {
		if _, err := st.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the good ones are in", func() bool { return a.holds(&member{i: 9, key: k}) == 2 })
	if n := a.core.arrivals(); n != 2 {
		t.Errorf("%d operations reached the replica, want 2", n)
	}
	for _, r := range []refusal{refusedMalformed, "signature_mismatch", "payload_mismatch", refusedLogID, refusedNoBody} {
		if !a.counted(r) {
			t.Errorf("refusal %s was not counted", r)
		}
	}
}

func TestDiskLowRefusesForeignOperations(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	b.cfg.DiskLow = func() bool { return true }
	mutual(a, b)
	until(t, "link", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	a.write(2, 10)
	b.write(2, 10)
	until(t, "own ones flow, foreign ones are refused", func() bool { return a.holds(b) == 2 && b.counted(refusedDiskLow) })
	if b.holds(a) != 0 || b.core.comparedWith(a.public()) != 0 {
		t.Error("foreign operations were taken, or the round counts as a comparison")
	}
	s, err := b.node.Status(t.Context())
	if err != nil || !slices.ContainsFunc(s.Findings, func(f mesh.Finding) bool { return f.ID == "system.disk" && f.Status == "fail" }) {
		t.Errorf("Status() = %+v, %v; the disk is no finding", s.Findings, err)
	}
}
