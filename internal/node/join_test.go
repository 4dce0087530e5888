package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// startMesh runs a member with the real replica and no cluster, that signs at once when it knows nobody.
func (m *member) startMesh() {
	m.t.Helper()
	m.cfg.Replica.Bootstrap = true
	m.startNode(func() (*Node, error) { return New(m.cfg) })
}

// newInviter runs member i of a mesh of its own, and lets tests try as often as they like.
func newInviter(t *testing.T, i byte) *member {
	t.Helper()
	m := newMember(t, i)
	m.before = func(n *Node) { n.desk.redeems.limit, n.desk.presents.limit, n.door.comes.limit = 1000, 1000, 1000 }
	m.startMesh()
	return m
}

var invitations atomic.Int64

// invite adds an invitation, as changed by the test, and returns its token.
func (m *member) invite(change func(*oplog.Invite)) token.Token {
	m.t.Helper()
	now := m.node.cfg.Now()
	id := []byte("inv00000")
	for i, n := len(id)-1, invitations.Add(1); n > 0; i, n = i-1, n/10 {
		id[i] = byte('0' + n%10)
	}
	secret := [token.SecretSize]byte{9: 9}
	copy(secret[:], id)
	in := oplog.Invite{ID: string(id), Secret: token.HashSecret(secret), Uses: 1, Zone: "west", Created: now.UnixMilli(), Expires: now.Add(time.Hour).UnixMilli()}
	if change != nil {
		change(&in)
	}
	if err := m.node.Do(m.t.Context(), replica.Invited{Invite: in}); err != nil {
		m.t.Fatal(err)
	}
	return token.Token{Network: testNetwork, Inviter: m.public(), Endpoints: []string{m.endpoint()}, ID: in.ID, Secret: secret,
		Expires: time.UnixMilli(in.Expires), Zone: in.Zone, For: in.For}
}

// invitation is what the ledger says about a token.
func (m *member) invitation(tok token.Token) (in oplog.Invite) {
	m.t.Helper()
	err := m.node.Inspect(m.t.Context(), func(r *replica.Replica) {
		for _, i := range r.Invites() {
			if i.ID == tok.ID {
				in = i
			}
		}
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return in
}

func (m *member) redeemed(result string) float64 {
	return counterValue(m.t, m.node.metrics.redeemedTotal.WithLabelValues(result))
}

func join(t *testing.T, key keys.Private, tok token.Token) (Joined, error) {
	t.Helper()
	for try := 1; ; try++ {
		got, err := Join(t.Context(), JoinConfig{Key: key, Token: tok, Version: "test"})
		var away *JoinUnreachable
		if try == 3 || !errors.As(err, &away) { // a dial on loopback gets three seconds
			return got, err
		}
	}
}

func TestJoin(t *testing.T) {
	a, c := newMember(t, 1), newMember(t, 3)
	c.knows(a)
	a.startMesh()
	first := a.invite(func(in *oplog.Invite) { in.Zone = "z3" })
	if _, err := join(t, c.key, first); err != nil {
		t.Fatal(err)
	}
	c.startMesh()
	until(t, "c is linked", func() bool { return a.linkedTo(c) && c.linkedTo(a) })
	if err := a.node.SetNodes(t.Context(), []Peer{c.peer()}); err != nil { // so that c's endpoint is known
		t.Fatal(err)
	}

	tok := a.invite(nil)
	var steps []JoinStage
	b := testKey(2)
	got, err := Join(t.Context(), JoinConfig{Key: b, Token: tok, Progress: func(s JoinStep) { steps = append(steps, s.Stage) }})
	if err != nil {
		t.Fatal(err)
	}
	if got.Zone != "west" || got.InviterZone != "z1" || got.Inviter != a.public() || got.Address != a.endpoint() ||
		got.Transport == "" || got.RTT <= 0 {
		t.Errorf("Join = %+v", got)
	}
	if len(got.Contacts) != 1 || got.Contacts[0].Key != c.public() || got.Contacts[0].Zone != "z3" || !slices.Contains(got.Contacts[0].Endpoints, c.endpoint()) {
		t.Errorf("contacts = %+v, want the one other member", got.Contacts)
	}
	if len(got.Trust) == 0 {
		t.Error("nothing proves the admission")
	}
	if want := []JoinStage{JoinDialled, JoinAdmitted}; !slices.Equal(steps, want) {
		t.Errorf("steps = %v, want %v", steps, want)
	}
	if !a.node.isMember(b.Public()) {
		t.Error("the joiner is no member when it hears of its admission")
	}
	if in := a.invitation(tok); len(in.Taken) != 1 || in.Taken[0].Key != b.Public() || !in.Taken[0].Spent {
		t.Errorf("the invitation is %+v, want one use spent", in)
	}
	if a.redeemed("ok") != 2 {
		t.Errorf("%v redemptions were counted, want 2", a.redeemed("ok"))
	}
	if want := "invite redeemed"; strings.Count(a.log.String(), want) != 2 || !strings.Contains(a.log.String(), "invite="+tok.ID+" peer="+b.Public().Short()+" zone=west") {
		t.Errorf("the log doesn't say %q", want)
	}
	if strings.Contains(a.log.String(), string(tok.Secret[:])) {
		t.Error("the log holds the secret")
	}

	// Now it runs, and the third member hears of it through the inviter.
	m := newMember(t, 2)
	m.cfg.Zone = "west"
	m.knows(a)
	m.startMesh()
	until(t, "everybody is linked to the new one", func() bool {
		return a.linkedTo(m) && m.linkedTo(a) && c.node.isMember(b.Public())
	})
}

// The same key may ask again: it gets the same answer, also while it is a member. Nobody else does.
func TestJoinAgain(t *testing.T) {
	a := newInviter(t, 1)
	tok := a.invite(nil)
	b := testKey(2)
	one, err := join(t, b, tok)
	if err != nil {
		t.Fatal(err)
	}
	two, err := join(t, b, tok)
	if err != nil || two.Zone != one.Zone || len(two.Trust) != len(one.Trust) || !bytes.Equal(two.Trust[0].Header, one.Trust[0].Header) {
		t.Fatalf("the second answer to one key = %+v, %v, want %+v", two, err, one)
	}
	if in := a.invitation(tok); len(in.Taken) != 1 {
		t.Errorf("two uses were taken by one key: %+v", in.Taken)
	}
	var no *JoinRefused
	if _, err := join(t, testKey(3), tok); !errors.As(err, &no) || no.Code != "used" || no.By != b.Public() {
		t.Errorf("the token in other hands = %v, want used by %s", err, b.Public().Short())
	}
	if n := strings.Count(a.log.String(), "invite redeemed"); n != 1 {
		t.Errorf("the log says %d times that the invitation was redeemed", n)
	}
}

// An answer that never arrives costs nothing: the use stays reserved for the key.
func TestJoinAfterALostAnswer(t *testing.T) {
	a := newInviter(t, 1)
	tok := a.invite(nil)
	s := newStranger(t, testKey(2), a)
	st := s.open(a.node.desk.id)
	if _, err := st.Write(encodeRedeem(redeemOf(tok))); err != nil {
		t.Fatal(err)
	}
	until(t, "granted", func() bool { return len(a.invitation(tok).Taken) == 1 })
	s.host.Close()
	if in := a.invitation(tok); in.Taken[0].Spent {
		t.Error("the use is spent although nobody acknowledged")
	}
	if _, err := join(t, testKey(2), tok); err != nil {
		t.Fatal(err)
	}
	if in := a.invitation(tok); !in.Taken[0].Spent || len(in.Taken) != 1 {
		t.Errorf("the invitation is %+v, want its one use spent", in)
	}
}

func redeemOf(tok token.Token) redeemMsg {
	return redeemMsg{Versions: protocolVersions, Software: "test", Network: tok.Network, ID: tok.ID, Secret: tok.Secret, Zone: tok.Zone}
}

func (s *stranger) open(id protocol.ID) network.Stream {
	s.t.Helper()
	st, err := openStream(s.t.Context(), s.conn, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func TestJoinRefused(t *testing.T) {
	a := newInviter(t, 1)
	member := testKey(50)
	if _, err := join(t, member, a.invite(func(in *oplog.Invite) { in.Zone = "taken" })); err != nil {
		t.Fatal(err)
	}
	used := a.invite(nil)
	if _, err := join(t, testKey(52), used); err != nil {
		t.Fatal(err)
	}
	revoked := a.invite(func(in *oplog.Invite) { in.Zone = "r" })
	if err := a.node.Do(t.Context(), replica.Revoked{ID: revoked.ID}); err != nil {
		t.Fatal(err)
	}
	open := a.invite(func(in *oplog.Invite) { in.Zone = "" })
	zoned := a.invite(func(in *oplog.Invite) { in.Zone = "z" })
	with := func(tok token.Token, change func(*token.Token)) token.Token { change(&tok); return tok }
	for name, c := range map[string]struct {
		tok  token.Token
		key  keys.Private
		zone mesh.Zone
		code string
		by   keys.Public
	}{
		"no such invitation":   {tok: with(zoned, func(k *token.Token) { k.ID = "zzzzzzzz" }), code: "unknown"},
		"tampered secret":      {tok: with(zoned, func(k *token.Token) { k.Secret[3] ^= 1 }), code: "unknown"},
		"expired":              {tok: a.invite(func(in *oplog.Invite) { in.Expires = in.Created - 1 }), code: "expired"},
		"stolen after its use": {tok: used, code: "used", by: testKey(52).Public()},
		"revoked":              {tok: revoked, code: "revoked"},
		"for another key":      {tok: a.invite(func(in *oplog.Invite) { in.For = testKey(60).Public() }), code: "for_another"},
		"zone of another":      {tok: open, zone: "taken", code: "zone_taken", by: member.Public()},
		"zone of the inviter":  {tok: a.invite(func(in *oplog.Invite) { in.Zone = "z1" }), code: "zone_taken", by: a.public()},
		"no zone at all":       {tok: open, code: "no_zone"},
		"another zone":         {tok: zoned, zone: "y", code: "other_zone"},
		"a member, other zone": {tok: a.invite(func(in *oplog.Invite) { in.Zone = "w" }), key: member, code: "bound"},
		"another network":      {tok: with(zoned, func(k *token.Token) { k.Network = "another" }), code: "wrong_network"},
	} {
		key := c.key
		if key.IsZero() {
			key = testKey(70)
		}
		before := map[string]float64{}
		for _, r := range redeemResults() {
			before[r] = a.redeemed(r)
		}
		_, err := Join(t.Context(), JoinConfig{Key: key, Token: c.tok, Zone: c.zone})
		var no *JoinRefused
		switch {
		case !errors.As(err, &no) || no.Code != c.code || no.By != c.by || no.Text == "":
			t.Errorf("%s: Join = %v, want refused as %s", name, err, c.code)
			continue
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %q is no sentence", name, err)
		}
		if c.code != deniedNetwork && a.redeemed(c.code) != before[c.code]+1 {
			t.Errorf("%s: not counted", name)
		}
		if a.node.isMember(testKey(70).Public()) {
			t.Fatalf("%s: refused, and a member", name)
		}
	}
	// Whoever speaks other versions, or lies about the network, is told so.
	old := redeemOf(zoned)
	old.Versions = []uint16{77}
	lie := redeemOf(zoned)
	lie.Network = "another"
	s := newStranger(t, testKey(70), a)
	for want, m := range map[string]redeemMsg{deniedIncompatible: old, deniedNetwork: lie} {
		st := s.open(a.node.desk.id)
		if _, err := st.Write(encodeRedeem(m)); err != nil {
			t.Fatal(err)
		}
		k, b, err := newFrameReader(st, st).next()
		if err != nil || k != kindDenied {
			t.Fatalf("answered by kind %d, %v", k, err)
		}
		if no, err := decodeDenied(b); err != nil || no.Code != want {
			t.Errorf("answered %+v, %v, want %s", no, err, want)
		}
	}
	if in := a.invitation(zoned); len(in.Taken) != 0 {
		t.Errorf("a refusal took a use: %+v", in.Taken)
	}
}

// A removed key is never admitted again; its zone is, under a new key.
func TestJoinAfterARemoval(t *testing.T) {
	a := newInviter(t, 1)
	expelled := testKey(51)
	if _, err := join(t, expelled, a.invite(nil)); err != nil {
		t.Fatal(err)
	}
	if err := a.node.Do(t.Context(), replica.Expel{Key: expelled.Public()}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is no member any more", func() bool { return !a.node.isMember(expelled.Public()) })
	var no *JoinRefused
	if _, err := join(t, expelled, a.invite(nil)); !errors.As(err, &no) || no.Code != "removed" {
		t.Errorf("Join of a removed key = %v, want removed", err)
	}
	if got, err := join(t, testKey(52), a.invite(nil)); err != nil || got.Zone != "west" {
		t.Errorf("Join for the zone of a removed key = %+v, %v", got, err)
	}
}

func TestJoinOfAnotherVersion(t *testing.T) {
	a := newMember(t, 1)
	a.before = func(n *Node) { n.desk.id = protocol.ID(strings.Replace(string(n.desk.id), "1.0.0", "2.0.0", 1)) }
	a.startMesh()
	var no *JoinRefused
	if _, err := join(t, testKey(2), a.invite(nil)); !errors.As(err, &no) || no.Code != deniedIncompatible {
		t.Errorf("Join = %v, want %s", err, deniedIncompatible)
	}
}

func TestJoinDryRunTakesNothing(t *testing.T) {
	a := newInviter(t, 1)
	tok := a.invite(nil)
	got, err := Join(t.Context(), JoinConfig{Key: testKey(2), Token: tok, DryRun: true})
	if err != nil || got.Zone != "west" || got.InviterZone != "z1" || got.Address != a.endpoint() || len(got.Trust) != 0 {
		t.Fatalf("Join = %+v, %v", got, err)
	}
	if in := a.invitation(tok); len(in.Taken) != 0 || a.node.isMember(testKey(2).Public()) || a.redeemed("ok") != 0 {
		t.Errorf("a dry run took a use: %+v", in)
	}
	tok.Secret[0] ^= 1
	var no *JoinRefused
	if _, err := Join(t.Context(), JoinConfig{Key: testKey(2), Token: tok, DryRun: true}); !errors.As(err, &no) || no.Code != "unknown" {
		t.Errorf("a dry run of a bad token = %v", err)
	}
}

// An inviter that doesn't sign yet, because it was not compared with its peers, grants nothing and says so.
func TestJoinTooEarly(t *testing.T) {
	a, absent := newMember(t, 1), newMember(t, 3)
	a.knows(absent)
	a.before = func(n *Node) { n.desk.patience = 300 * time.Millisecond }
	a.startMesh()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	waited := 0
	_, err := Join(ctx, JoinConfig{Key: testKey(2), Token: a.invite(nil), Progress: func(s JoinStep) {
		if s.Stage == JoinWaiting && strings.Contains(s.Text, "not_ready") {
			waited++
			giveUp()
		}
	}})
	var no *JoinRefused
	if !errors.As(err, &no) || no.Code != "not_ready" || waited == 0 {
		t.Errorf("Join = %v after %d waits, want not_ready", err, waited)
	}
	if a.redeemed("not_ready") == 0 {
		t.Error("not counted")
	}
}

// The zone of a node that is known to be gone goes to whoever redeems an invitation that names it.
func TestJoinTakesTheZoneOfADeadNode(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.PeerUnavailableAfter = 3 * time.Second
	a.startMesh()
	if _, err := join(t, b.key, a.invite(func(in *oplog.Invite) { in.Zone = "z2" })); err != nil {
		t.Fatal(err)
	}
	b.knows(a)
	b.startMesh()
	until(t, "linked", func() bool { return a.linkedTo(b) && a.stateOf(b) == mesh.Ready })
	tok := a.invite(func(in *oplog.Invite) { in.Zone = "z2" })
	var no *JoinRefused
	if _, err := join(t, testKey(3), tok); !errors.As(err, &no) || no.Code != "zone_taken" || no.By != b.public() {
		t.Fatalf("Join for the zone of a live node = %v", err)
	}
	b.stop()
	until(t, "b counts as gone", func() bool { return a.stateOf(b) == mesh.Unavailable })
	got, err := join(t, testKey(3), tok)
	if err != nil || got.Zone != "z2" {
		t.Fatalf("Join for the zone of a dead node = %+v, %v", got, err)
	}
	if a.node.isMember(b.public()) {
		t.Error("the old key is a member still")
	}
}

// Whoever answers at the address and is not the inviter learns nothing: there is not even a connection.
func TestJoinWrongInviterAtTheAddress(t *testing.T) {
	a, b := newInviter(t, 1), newInviter(t, 2)
	tok := a.invite(nil)
	tok.Endpoints = []string{b.endpoint()}
	var no *JoinRefused
	_, err := join(t, testKey(9), tok)
	if !errors.As(err, &no) || no.Code != "identity_mismatch" || no.By != b.public() || !strings.Contains(no.Text, b.endpoint()) {
		t.Fatalf("Join = %v, want the key that answered", err)
	}
	b.node.door.comes.mu.Lock()
	visits := len(b.node.door.comes.at)
	b.node.door.comes.mu.Unlock()
	if visits != 0 || b.redeemed("unknown") != 0 {
		t.Errorf("the wrong node was visited %d times and asked %v times", visits, b.redeemed("unknown"))
	}
	if in := a.invitation(tok); len(in.Taken) != 0 {
		t.Errorf("the invitation was used: %+v", in.Taken)
	}
	tok.Endpoints = []string{b.endpoint(), a.endpoint()}
	if got, err := join(t, testKey(9), tok); err != nil || got.Address != a.endpoint() {
		t.Errorf("Join with one right endpoint = %+v, %v", got, err)
	}
}

func TestJoinUnreachable(t *testing.T) {
	closed := porttest.Free(t)
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // TCP that is open, and no UDP
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := deaf.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	defer accepting.Wait()
	defer deaf.Close()
	shut := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(closed)).String()
	tok := token.Token{Network: testNetwork, Inviter: testKey(1).Public(), Endpoints: []string{shut, deaf.Addr().String(), "nowhere.invalid:9102"},
		ID: "k7q2m9xd", Expires: time.Now().Add(time.Hour)}
	var gone *JoinUnreachable
	if _, err := join(t, testKey(2), tok); !errors.As(err, &gone) {
		t.Fatalf("Join = %v", err)
	}
	want := []JoinTry{{shut, "the connection was refused"}, {deaf.Addr().String(), "UDP is blocked or not forwarded; TCP is open"}, {"nowhere.invalid:9102", "the name nowhere.invalid"}}
	for i, w := range want {
		if g := gone.Tries[i]; g.Endpoint != w.Endpoint || !strings.Contains(g.Cause, w.Cause) {
			t.Errorf("try %d = %+v, want %+v", i, g, w)
		}
	}
}

func TestBadTriesAreLimited(t *testing.T) {
	a := newMember(t, 1)
	var ahead atomic.Int64
	a.cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a.startMesh()
	tok := a.invite(nil)
	bad := tok
	bad.Secret[0] ^= 1
	var no *JoinRefused
	for i := range badTriesPerMinute {
		if _, err := join(t, testKey(byte(10+i)), bad); !errors.As(err, &no) || no.Code != "unknown" {
			t.Fatalf("bad try %d = %v", i, err)
		}
	}
	if _, err := join(t, testKey(2), tok); !errors.As(err, &no) || no.Code != "rate_limited" {
		t.Errorf("a try after %d bad ones = %v, want rate_limited", badTriesPerMinute, err)
	}
	if a.redeemed("rate_limited") != 1 || !a.counted(refusedTries) {
		t.Error("not counted")
	}
	ahead.Store(int64(time.Minute))
	if _, err := join(t, testKey(2), tok); err != nil {
		t.Errorf("a minute later = %v", err)
	}
}

func TestHostileExchanges(t *testing.T) {
	a := newMember(t, 1)
	a.before = func(n *Node) {
		n.desk.timeout, n.desk.redeems.limit, n.door.comes.limit = 3*time.Second, 1000, 1000
	}
	a.startMesh()
	garbage := func(k kind, n int) []byte { return seal(append(begin(k), make([]byte, n)...)) }
	redeem := encodeRedeem(redeemOf(a.invite(nil)))
	for name, c := range map[string]struct {
		bytes []byte
		want  refusal
	}{
		"a redeem of 2 KiB":        {garbage(kindRedeem, 2<<10), refusedTooLarge},
		"a present of 5 KiB":       {garbage(kindPresent, 5<<10), refusedTooLarge},
		"an operation of 1 MiB":    {garbage(kindOperation, 1<<20), refusedTooLarge},
		"a hello":                  {encodeHello(hello{Versions: protocolVersions, Instance: mesh.Instance{Zone: "z9"}}), refusedOrder},
		"an empty frame":           {[]byte{0, 0, 0, 0, byte(kindRedeem)}, refusedMalformed},
		"a redeem of zeros":        {garbage(kindRedeem, 60), refusedMalformed},
		"a redeem and a byte more": {garbage(kindAck, 1), refusedOrder},
	} {
		before := a.refusals(c.want)
		s := newStranger(t, testKey(9), a)
		st := s.open(a.node.desk.id)
		_, _ = st.Write(c.bytes) // may be cut off in the middle
		if code := ended(t, st); code != codeProtocol && code != codeNotAdmitted {
			t.Errorf("%s: reset with %#x", name, code)
		}
		until(t, "counted: "+name, func() bool { return a.refusals(c.want) > before })
		s.host.Close()
	}
	s := newStranger(t, testKey(9), a)
	began := time.Now()
	st := s.open(a.node.desk.id)
	if _, err := st.Write(redeem[:20]); err != nil { // and then nothing
		t.Fatal(err)
	}
	_ = st.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(st); err == nil || time.Since(began) < 2*time.Second {
		t.Errorf("a slow exchange ended with %v after %s", err, time.Since(began))
	}
	for i := 1; i < maxExchanges; i++ {
		_ = s.open(a.node.desk.id).Close()
	}
	more, err := openStream(t.Context(), s.conn, a.node.desk.id)
	if err == nil {
		if code := ended(t, more); code != codeNotAdmitted {
			t.Errorf("one exchange too many ended with %#x", code)
		}
	}
	if _, err := join(t, testKey(10), a.invite(nil)); err != nil {
		t.Errorf("a good one after all that = %v", err)
	}
}
