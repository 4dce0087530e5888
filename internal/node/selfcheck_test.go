package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
	"dcp.hiro.io/mesh/internal/replica"
)

// Each endpoint of a peer is dialled by both transports, and who answers has to be the peer.
func TestTryPeers(t *testing.T) { // alone, for a dial gets some seconds
	a, b, c, d := newMember(t, 1), newMember(t, 2), newMember(t, 3), newMember(t, 4)
	closed := porttest.Free(t)
	a.cfg.Nodes = []Peer{
		{b.public(), b.zone(), []string{b.endpoint(), fmt.Sprintf("127.0.0.1:%d", closed)}},
		{c.public(), c.zone(), []string{d.endpoint()}},
		{testKey(5).Public(), "z5", []string{"nowhere.example:9102"}},
		{testKey(6).Public(), "z6", nil},
	}
	a.cfg.lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	b.knows(a)
	d.knows(a)
	for _, m := range []*member{a, b, d} {
		m.start()
	}
	until(t, "a and b are linked", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	links := len(a.node.peers.links())
	ways, left, err := a.node.TryPeers(t.Context())
	if err != nil || left != 0 {
		t.Fatalf("TryPeers = %d left, %v", left, err)
	}
	got := map[string]string{}
	for _, w := range ways {
		got[w.Peer.Short()+" "+w.At] = fmt.Sprintf("configured %t linked %t quic %s tcp %s resolve %q cause %q", w.Configured, w.Linked, w.QUIC, w.TCP, w.Resolve, w.Cause)
	}
	want := map[string]string{
		b.public().Short() + " " + b.endpoint():                   `configured true linked true quic answered tcp answered resolve "" cause ""`,
		b.public().Short() + fmt.Sprintf(" 127.0.0.1:%d", closed): `configured true linked true quic silent tcp refused resolve "" cause "the connection was refused: no node listens there"`,
		c.public().Short() + " " + d.endpoint():                   fmt.Sprintf(`configured true linked false quic other tcp other resolve "" cause "another node answers there: it has key %s"`, d.public()),
		testKey(5).Public().Short() + " nowhere.example:9102":     `configured true linked false quic  tcp  resolve "the name nowhere.example has no address" cause ""`,
	}
	for at, w := range want {
		if got[at] != w {
			t.Errorf("%s: %s, want %s", at, got[at], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d endpoints were dialled, want %d: %v", len(got), len(want), got)
	}
	if !ways[len(ways)-1].Linked || ways[0].Linked {
		t.Error("those that are not linked come first")
	}
	if now := len(a.node.peers.links()); now != links || !a.linkedTo(b) {
		t.Errorf("%d links, there were %d: a way that was tried is none", now, links)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ways, _, err = a.node.TryPeers(ctx)
	if err != nil {
		t.Errorf("stopped: %v", err)
	}
	for _, w := range ways {
		if w.QUIC != "" || w.TCP != "" || w.Cause != "" || w.Resolve != "" {
			t.Errorf("stopped, and yet told: %+v", w)
		}
	}
}

// A member is dialled back where it says to be, and told how that went.
func TestDialBack(t *testing.T) { // alone, for a dial gets some seconds
	a, b := newMember(t, 1), newMember(t, 2)
	mutual(a, b)
	until(t, "linked, with records", func() bool {
		return a.linkedTo(b) && b.linkedTo(a) && len(b.node.book.toldBy(a.public())) > 0
	})
	said := a.node.AskDialBack(t.Context())
	if len(said) != 1 || said[0].Err != "" || len(said[0].Tried) == 0 {
		t.Fatalf("AskDialBack = %+v", said)
	}
	if x := said[0].Tried[0]; x != (BackTry{a.endpoint(), ReachAnswered, ReachAnswered}) {
		t.Errorf("b reached a as %+v", x)
	}
	if said := a.node.AskDialBack(t.Context()); len(said) != 1 || said[0].Err != "" || len(said[0].Tried) == 0 {
		t.Errorf("asked at once again, which takes a moment: %+v", said)
	}
	for range backAtOnce {
		b.node.back.room <- struct{}{}
	}
	if said := a.node.AskDialBack(t.Context()); len(said) != 1 || said[0].Err != "it is busy with others who ask" {
		t.Errorf("asked one that is busy: %+v", said)
	}
	if in := append(a.node.Inbound(), b.node.Inbound()...); len(in) != 1 {
		t.Errorf("%v came in; of two sides of a link one opened it", in)
	}
}

// A node that listens elsewhere than it says is told so.
func TestDialBackOutOfReach(t *testing.T) { // alone, for a dial gets some seconds
	a, b := newMember(t, 1), newMember(t, 2)
	closed := porttest.Free(t)
	a.cfg.Advertise = []string{fmt.Sprintf("127.0.0.1:%d", closed)}
	a.knows(b)
	b.cfg.Nodes = []Peer{{a.public(), a.zone(), nil}}
	a.start()
	b.start()
	until(t, "linked, with records", func() bool {
		return a.linkedTo(b) && b.linkedTo(a) && len(b.node.book.toldBy(a.public())) > 0
	})
	said := a.node.AskDialBack(t.Context())
	if len(said) != 1 || len(said[0].Tried) != 1 || said[0].Tried[0] != (BackTry{a.cfg.Advertise[0], ReachSilent, ReachRefused}) {
		t.Errorf("AskDialBack = %+v", said)
	}
}

// Who is dialled back chooses the endpoints, and must not have others look around on their machines and networks.
func TestDialBackLooksNowhereElse(t *testing.T) {
	t.Parallel()
	asker := netip.MustParseAddr("203.0.113.7")
	for _, c := range []struct {
		ip      string
		way     backWay
		allowed bool
		told    Reach // of a connection that was refused
	}{
		{"203.0.113.7", backWay{}, true, ReachRefused},
		{"10.0.0.5", backWay{}, true, ReachOther},
		{"10.0.0.5", backWay{configured: true}, true, ReachRefused},
		{"127.0.0.1", backWay{}, false, ReachOther},
		{"::1", backWay{}, false, ReachOther},
		{"127.0.0.2", backWay{loopback: true}, true, ReachOther},
		{"0.0.0.0", backWay{loopback: true}, false, ReachOther},
		{"169.254.169.254", backWay{}, false, ReachOther},
		{"fe80::1%eth0", backWay{}, false, ReachOther},
		{"ff02::1", backWay{}, false, ReachOther},
		{"127.0.0.1", backWay{configured: true}, true, ReachRefused},
	} {
		w := c.way
		w.asker = asker
		if got := w.allows(netip.MustParseAddr(c.ip)); got != c.allowed {
			t.Errorf("%+v: %s is allowed: %t", c.way, c.ip, got)
		}
		if got := w.tell(ReachRefused); got != c.told {
			t.Errorf("%+v: refused at %s is told as %s, want %s", c.way, c.ip, got, c.told)
		}
		if got := w.tell(ReachAnswered); got != ReachAnswered {
			t.Errorf("%+v: an answer at %s is told as %s", c.way, c.ip, got)
		}
	}
	key := testKey(7)
	r, err := sealRecord(key, 1, []string{"127.0.0.1:6443", "192.0.2.1:9102", "localhost:22"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBook(time.Now, false, nil)
	b.byKey[key.Public()] = &contact{key: key.Public(), record: r}
	if got := b.toldBy(key.Public()); len(got) != 1 || got[0] != "192.0.2.1:9102" {
		t.Errorf("a record tells to dial %v, want no address of this machine", got)
	}
	p := &prober{room: make(chan struct{}, 1), find: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}}
	way, name := backWay{asker: asker}, Way{Peer: key.Public(), At: "evil.example:6443"}
	if p.try(t.Context(), &name, way.allows); name.QUIC != ReachOther || name.TCP != ReachOther {
		t.Errorf("a name that stands for this machine: %+v", name)
	}
}

// Nobody but members is served, a question that is none is refused, and so is an answer that is none.
func TestDialBackRefusals(t *testing.T) {
	t.Parallel()
	a := newMember(t, 1)
	a.cfg.Nodes = []Peer{{testKey(2).Public(), "z2", nil}}
	now := time.Now()
	a.before = func(n *Node) { n.back.now = func() time.Time { return now } }
	a.start()
	ask := func(s *stranger, question []byte) error {
		st, err := openStream(t.Context(), s.conn, a.node.back.id)
		if err != nil {
			return err
		}
		defer st.Reset() //nolint:errcheck // it is done with
		if _, err := st.Write(question); err != nil {
			return err
		}
		_, _, err = newFrameReader(st, nil).next()
		return err
	}
	code := func(err error) network.StreamErrorCode {
		var reset *network.StreamError
		if errors.As(err, &reset) {
			return reset.ErrorCode
		}
		return 0
	}
	if err := ask(newStranger(t, testKey(9), a), encodeDialBack()); code(err) != codeNotAdmitted {
		t.Errorf("a stranger: %v, want a reset with %x", err, codeNotAdmitted)
	}
	member := newStranger(t, testKey(2), a)
	if err := ask(member, encodePing(1)); code(err) != codeProtocol {
		t.Errorf("another question: %v, want a reset with %x", err, codeProtocol)
	}
	if err := ask(member, encodeDialBack()); code(err) != codeBusy {
		t.Errorf("too soon: %v, want a reset with %x", err, codeBusy)
	}
	for name, b := range map[string][]byte{
		"five endpoints":    encodeDialedBack(slicesOf(maxBackTries+1, BackTry{"h:1", ReachOther, ReachOther}))[5:],
		"no endpoint":       encodeDialedBack([]BackTry{{"\x1b[31m", ReachOther, ReachOther}})[5:],
		"an unknown answer": encodeDialedBack([]BackTry{{"h:1", "fine", ReachOther}})[5:],
		"a byte too many":   append(encodeDialedBack(nil)[5:], 0),
	} {
		if got, err := decodeDialedBack(b); !errors.Is(err, errMalformed) {
			t.Errorf("%s was taken: %v, %v", name, got, err)
		}
	}
}

// Two askers are served at once, and each every few seconds.
func TestBackDesk(t *testing.T) {
	t.Parallel()
	d := newBackDesk(testNetwork)
	now := time.Unix(1000, 0)
	d.now = func() time.Time { return now }
	key := func(i byte) keys.Public { return testKey(i).Public() }
	if !d.admit(key(1)) || d.admit(key(1)) || !d.admit(key(2)) || d.admit(key(3)) {
		t.Error("want two at once, and none twice")
	}
	d.done(key(2))
	if d.admit(key(1)) || !d.admit(key(3)) {
		t.Error("want another one, and not the first again so soon")
	}
	d.done(key(3))
	if now = now.Add(backEvery); d.admit(key(1)) {
		t.Error("want nobody twice at the same time, who would take the places of the others")
	}
	d.done(key(1))
	if !d.admit(key(1)) || len(d.last) != 1 || len(d.served) != 1 {
		t.Errorf("want the first again, and the others forgotten: %v", d.last)
	}
}

// The loss of a link is that of the last minutes.
func TestLossMeter(t *testing.T) {
	t.Parallel()
	var m lossMeter
	var c tcpConn
	now := time.Unix(1000, 0)
	for range lossSamples {
		m.asked.Add(10)
		m.missed.Add(5)
		m.sample(c, now)
		m.asked.Add(90) // too soon for another sample
		m.missed.Add(45)
		m.sample(c, now.Add(time.Second))
		now = now.Add(lossEvery)
	}
	m.asked.Store(50_000)
	m.missed.Store(1500)
	for range lossSamples {
		m.sample(c, now)
		now = now.Add(lossEvery)
		m.asked.Add(10)
	}
	if got := m.recent(c); got != (Loss{Sent: 10 * lossSamples}) || len(m.ring) != lossSamples {
		t.Errorf("recent = %+v with %d samples", got, len(m.ring))
	}
	if got := (&lossMeter{}).recent(c); got != (Loss{}) {
		t.Errorf("of a new link = %+v", got)
	}
}

// tcpConn is a connection that counts no packets.
type tcpConn struct{ network.Conn }

func (tcpConn) As(any) bool { return false }

// Packets are counted on a link over QUIC.
func TestLosses(t *testing.T) {
	t.Parallel()
	a, b := newMember(t, 1), newMember(t, 2)
	mutual(a, b)
	until(t, "linked", func() bool { return a.linkedTo(b) && a.stateOf(b) == mesh.Ready })
	var l *link
	until(t, "linked over QUIC", func() bool { // TCP may have been quicker
		for _, l = range a.entry(b).current() {
			if transport, _ := describeAddr(l.s.Conn().RemoteMultiaddr()); transport == "quic" {
				return true
			}
			_ = l.s.Conn().Close()
		}
		return false
	})
	until(t, "packets are counted", func() bool {
		x := a.node.Losses()[b.public()]
		return x.Packets && x.Sent > 0 || l.loss.count(l.s.Conn()).Sent > 10
	})
	if x := l.loss.count(l.s.Conn()); !x.Packets || strings.Contains(fmt.Sprint(x), "-") {
		t.Errorf("%+v", x)
	}
}

// A node that isn't run yet, because its process stands by, is not stalled, and is asked for its metrics at no cost.
func TestNotRunYet(t *testing.T) {
	t.Parallel()
	m := newMember(t, 1)
	reg := prometheus.NewRegistry()
	m.cfg.Registerer = reg
	if err := m.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(m.cfg, newChains(m.key, m.zone(), m.store), nil)
	if err != nil {
		t.Fatal(err)
	}
	took := scrapeTimeout // the least of some: one may wait for a processor
	for range 5 {
		begun := time.Now()
		if families, err := reg.Gather(); err != nil || len(families) == 0 {
			t.Errorf("%d metrics, %v", len(families), err)
		}
		took = min(took, time.Since(begun))
	}
	if took >= scrapeTimeout {
		t.Errorf("a scrape took %s", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = n.Inspect(ctx, func(*replica.Replica) {}) // is left in the queue
	if d := n.Stalled(); d != 0 {
		t.Errorf("Stalled = %s", d)
	}
}
