package node

import (
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// Who was admitted elsewhere shows the operation that says so, at a member that has not heard of it.
func TestPresentingAtAThirdNode(t *testing.T) {
	a, b, c := newInviter(t, 1), newMember(t, 2), newMember(t, 3)
	got, err := join(t, b.key, a.invite(func(in *oplog.Invite) { in.Zone = "z2" }))
	if err != nil {
		t.Fatal(err)
	}
	a.stop() // c has to decide alone
	c.cfg.Nodes = []Peer{{Key: a.public(), Zone: a.zone()}}
	c.startMesh()
	if c.node.isMember(b.public()) {
		t.Fatal("c knows b already, the test shows nothing")
	}
	if err := b.store.Commit(&oplog.Batch{Trust: got.Trust}); err != nil {
		t.Fatal(err)
	}
	b.knows(a, c)
	b.startMesh()
	until(t, "linked", func() bool { return b.linkedTo(c) && c.linkedTo(b) })
	if !strings.Contains(b.log.String(), "took what admits this node") {
		t.Error("b didn't present anything")
	}
}

// What is presented proves something only if a member here signed it.
func TestPresentingProvesNothingByItself(t *testing.T) {
	a := newMember(t, 1)
	a.before = func(n *Node) { n.desk.presents.limit, n.door.comes.limit = 1000, 1000 }
	a.startMesh()
	k := testKey(9)
	foreign := newChains(testKey(8), "z8", oplog.NewMemory())
	op := foreign.state(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: k.Public(), Zone: "z9"}})
	own := newChains(k, "z9", oplog.NewMemory())
	self := own.state(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: k.Public(), Zone: "z9"}})
	update := own.sign(local(1, 10))
	forged := opMsg{append([]byte{}, op.Raw...), op.Body}
	forged.Header[60] ^= 1
	hand := token.SignHandOver(testKey(8), k.Public(), time.Now()).String()
	toOther := token.SignHandOver(k, testKey(7).Public(), time.Now()).String()
	for name, m := range map[string]presentMsg{
		"nothing":                           {},
		"a stranger's word":                 {Ops: []opMsg{{op.Raw, op.Body}}},
		"its own word":                      {Ops: []opMsg{{self.Raw, self.Body}}},
		"a chain of strangers":              {Ops: []opMsg{{self.Raw, self.Body}, {op.Raw, op.Body}}},
		"an operation about something else": {Ops: []opMsg{{update.Raw, update.Body}}},
		"a forged operation":                {Ops: []opMsg{forged}},
		"an operation without its body":     {Ops: []opMsg{{op.Raw, nil}}},
		"a stranger's hand-over":            {HandOver: hand},
		"a hand-over to another":            {HandOver: toOther},
		"rubbish for a hand-over":           {HandOver: "meshhand1_AAAA"},
	} {
		s := newStranger(t, k, a)
		st := s.open(a.node.desk.id)
		if _, err := st.Write(encodePresent(m)); err != nil {
			t.Fatal(err)
		}
		kind, b, err := newFrameReader(st, st).next()
		if err != nil || kind != kindDenied {
			t.Fatalf("%s: answered by kind %d, %v", name, kind, err)
		}
		if no, err := decodeDenied(b); err != nil || no.Code != deniedProof || no.Text == "" {
			t.Errorf("%s: denied with %+v, %v", name, no, err)
		}
		s.host.Close()
	}
	if a.node.isMember(k.Public()) || len(a.node.loop.view.Load().trust) != 0 {
		t.Error("something of it was taken")
	}
}

func TestPresentingIsLimited(t *testing.T) {
	a := newMember(t, 1)
	a.startMesh()
	s := newStranger(t, testKey(9), a)
	last := denialMsg{}
	for i := range badTriesPerMinute + 1 {
		if i%maxExchanges == 0 && i > 0 {
			s.host.Close()
			s = newStranger(t, testKey(9), a)
		}
		st := s.open(a.node.desk.id)
		if _, err := st.Write(encodePresent(presentMsg{})); err != nil {
			t.Fatal(err)
		}
		_, b, err := newFrameReader(st, st).next()
		if err != nil {
			t.Fatal(err)
		}
		if last, err = decodeDenied(b); err != nil {
			t.Fatal(err)
		}
	}
	if last.Code != deniedTries {
		t.Errorf("present %d was denied with %+v, want %s", badTriesPerMinute+1, last, deniedTries)
	}
	if _, err := join(t, testKey(10), a.invite(nil)); err != nil {
		t.Errorf("a neighbour that joins meanwhile = %v", err)
	}
}

// A key's owner hands its zone to the next key: the node that has it shows the statement, and the old one is out.
func TestHandOverIsPresented(t *testing.T) {
	a, b := newInviter(t, 1), newMember(t, 2)
	got, err := join(t, b.key, a.invite(func(in *oplog.Invite) { in.Zone = "z2" }))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Commit(&oplog.Batch{Trust: got.Trust}); err != nil {
		t.Fatal(err)
	}
	b.knows(a)
	b.startMesh()
	until(t, "the old key is linked", func() bool { return a.linkedTo(b) && b.linkedTo(a) })

	next := newMember(t, 4)
	next.cfg.Zone = "z2"
	next.cfg.HandOver = token.SignHandOver(b.key, next.public(), time.Now()).String()
	next.knows(a)
	next.startMesh()
	until(t, "the new key is linked", func() bool { return a.linkedTo(next) && next.linkedTo(a) })
	until(t, "the old key is out", func() bool { return !a.node.isMember(b.public()) && !a.linkedTo(b) && !b.linkedTo(a) })
	var zone mesh.Zone
	if err := a.node.Inspect(t.Context(), func(r *replica.Replica) { zone = r.ZoneOf(next.public()) }); err != nil || zone != "z2" {
		t.Errorf("the new key speaks for %q, %v", zone, err)
	}
}

func TestHandOverIsChecked(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"rubbish": "meshhand1_", "another's": token.SignHandOver(testKey(2), testKey(3).Public(), time.Now()).String()} {
		cfg := DefaultConfig()
		cfg.Key, cfg.Zone, cfg.Network, cfg.Store, cfg.HandOver = testKey(1), "z1", testNetwork, oplog.NewMemory(), text
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "hand-over") {
			t.Errorf("%s: New = %v, want an error that names the hand-over", name, err)
		}
	}
}

// Removal takes effect at once on whoever hears of it, live connections included.
func TestRemovedMemberIsCutOff(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	mutual(a, b, c)
	until(t, "links", func() bool { return a.linkedTo(b) && b.linkedTo(a) && a.linkedTo(c) && c.linkedTo(a) })
	if err := a.node.Do(t.Context(), replica.Expel{Key: b.public()}); err != nil {
		t.Fatal(err)
	}
	until(t, "cut off", func() bool { return !a.linkedTo(b) && !b.linkedTo(a) && a.stateOf(b) == "" })
	until(t, "b is told why", func() bool { return strings.Contains(b.lastError(a), "is not admitted") })
	if !a.linkedTo(c) {
		t.Error("the other member was cut off, too")
	}
	// Configuration doesn't bring it back.
	if err := a.node.SetNodes(t.Context(), []Peer{b.peer(), c.peer()}); err != nil {
		t.Fatal(err)
	}
	if err := a.node.Do(t.Context(), local(1, 10)); err != nil { // goes the same way, behind it
		t.Fatal(err)
	}
	if a.node.isMember(b.public()) {
		t.Error("a removed key is a member because the configuration names it")
	}
}

// A key that was removed is told so, whatever it shows, and stays outside.
func TestRemovedKeyPresentsInVain(t *testing.T) {
	a, b := newInviter(t, 1), newMember(t, 2)
	got, err := join(t, b.key, a.invite(func(in *oplog.Invite) { in.Zone = "z2" }))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.node.Do(t.Context(), replica.Expel{Key: b.public()}); err != nil {
		t.Fatal(err)
	}
	if err := b.store.Commit(&oplog.Batch{Trust: got.Trust}); err != nil {
		t.Fatal(err)
	}
	b.knows(a)
	b.startMesh()
	until(t, "b is told", func() bool { return strings.Contains(b.lastError(a), "was removed from the mesh") })
	if a.node.isMember(b.public()) || a.linkedTo(b) {
		t.Error("a removed key is a member again")
	}
	if !strings.Contains(a.log.String(), "reason=removed") {
		t.Error("it isn't shown at the member")
	}
	// Nor does its configuration there bring it back.
	if err := a.node.SetNodes(t.Context(), []Peer{b.peer()}); err != nil {
		t.Fatal(err)
	}
	if err := a.node.Do(t.Context(), replica.Tick{}); err != nil { // goes the same way, behind it
		t.Fatal(err)
	}
	if a.node.isMember(b.public()) {
		t.Error("a removed key is a member because the configuration names it")
	}
}

// In an open mesh every key is a member as soon as it says hello, but for those that the mesh removed.
func TestOpenAdmissionOfARemovedKey(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.cfg.AdmissionOpen = true
	a.start()
	b.knows(a)
	b.start()
	until(t, "linked", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	if err := a.node.Do(t.Context(), replica.Expel{Key: b.public()}); err != nil {
		t.Fatal(err)
	}
	until(t, "cut off", func() bool { return !a.linkedTo(b) && !b.linkedTo(a) })
	until(t, "b is told why", func() bool { return strings.Contains(b.lastError(a), "is not admitted") })
	if a.linkedTo(b) || a.node.isMember(b.public()) {
		t.Error("a removed key came back because admission is open")
	}
}
