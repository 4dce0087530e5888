package replica_test

import (
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

var nothing = &mesh.Allow{Kinds: []mesh.Kind{}}

// kinds lists what is asked of the cluster for x.
func (b *bench) kinds() (out []replica.WriteKind) {
	for _, w := range b.last.Apply {
		if w.Object == meshtest.Object("x") {
			out = append(out, w.Kind)
		}
	}
	return out
}

func (b *bench) state() string {
	res, _ := b.r.Resource(meshtest.Object("x"))
	return res.State
}

// A rule names a key. It holds for the zone that the key's first operation names, from that operation on, and goes on to
// hold for the zone when the key is no member any more.
func TestRuleFollowsItsKey(t *testing.T) {
	t.Parallel()
	east := newAuthor(2, "east", 1000)
	b := newBench(t, replica.Member{Key: east.key.Public()})
	b.open()
	b.do(replica.Rules{Rules: []replica.Rule{{Key: east.key.Public(), Allow: nothing}}})
	b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
	if got := b.kinds(); len(got) > 0 || b.state() != "NotAllowed" {
		t.Fatalf("asked for %v, state %s, want nothing and NotAllowed", got, b.state())
	}
	b.do(replica.Members{})
	b.do(replica.Tick{})
	if got := b.kinds(); len(got) > 0 || b.state() != "NotAllowed" {
		t.Errorf("without the key: asked for %v, state %s, want nothing and NotAllowed", got, b.state())
	}
	b.do(replica.Rules{})
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.PutReplica}) {
		t.Errorf("without the rule: asked for %v, want %s", got, replica.PutReplica)
	}
}

// The zone that an entry names is meant too: the next key of the zone has to have an entry of its own to be free of it.
func TestRuleOutlivesItsKey(t *testing.T) {
	t.Parallel()
	old, next := keyOf(2).Public(), newAuthor(3, "east", 1000)
	b := newBench(t, replica.Member{Key: next.key.Public(), Zone: "east"})
	b.open()
	former := replica.Rule{Key: old, Zone: "east", Allow: nothing}
	b.do(replica.Rules{Rules: []replica.Rule{former}})
	b.do(append(next.begin(t), next.update(t, "x", 1, 1))...)
	if got := b.kinds(); len(got) > 0 {
		t.Fatalf("asked for %v, want nothing", got)
	}
	if res, _ := b.r.Resource(meshtest.Object("x")); !strings.Contains(res.Detail, old.Short()) {
		t.Errorf("detail %q doesn't name the key %s whose entry it is", res.Detail, old.Short())
	}
	b.do(replica.Rules{Rules: []replica.Rule{former, {Key: next.key.Public()}}})
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.PutReplica}) {
		t.Errorf("with an entry of its own: asked for %v, want %s", got, replica.PutReplica)
	}
}

// A write that waits is called back when it isn't allowed any more. What was written nevertheless stays, as nobody's.
func TestRuleCallsAWriteBack(t *testing.T) {
	t.Parallel()
	east := newAuthor(2, "east", 1000)
	b := newBench(t, replica.Member{Key: east.key.Public(), Zone: "east"})
	b.open()
	b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
	put := b.last.Apply[0]
	b.do(replica.Written{Write: put, Err: "no room", Retry: true})
	if b.state() != "Rejected" {
		t.Errorf("state %s, want Rejected", b.state())
	}
	rule := replica.Rules{Rules: []replica.Rule{{Key: east.key.Public(), Allow: nothing}}}
	b.do(rule)
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.Leave}) || b.state() != "NotAllowed" {
		t.Errorf("asked for %v, state %s, want %s and NotAllowed", got, b.state(), replica.Leave)
	}
	if c := b.r.Counts(); c.NotAllowed != 1 || c.Rejected != 0 || c.Unmanaged != 0 {
		t.Errorf("counts %+v, want one not allowed and nothing else", c)
	}
	b.do(replica.Written{Write: put, Base: oplog.Baseline{UID: "1"}})
	if c := b.r.Counts(); c.NotAllowed != 1 || c.Unmanaged != 1 || len(b.kinds()) > 0 {
		t.Errorf("counts %+v, asked for %v, want what stands there left as unmanaged", c, b.kinds())
	}
	b.do(rule)
	if len(b.last.Apply)+len(b.last.Report)+len(b.last.Persist.Placed) > 0 {
		t.Errorf("the same rules again: %+v", b.last)
	}
	if got := b.do(replica.Rules{}); slices.Contains(got, replica.NotAllowed) || !slices.Equal(b.kinds(), []replica.WriteKind{replica.PutReplica}) {
		t.Errorf("without rules: reported %v, asked for %v", got, b.kinds())
	}
}

// Our own copy was about to give way: it stays, and gives way when what took its place is let in again.
func TestRuleKeepsACopyThatWasToYield(t *testing.T) {
	t.Parallel()
	east := newAuthor(2, "east", 1000)
	b := newBench(t, replica.Member{Key: east.key.Public(), Zone: "east"})
	b.open()
	b.do(replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{"a":1}`)})
	b.do(append(east.begin(t), east.update(t, "x", 1, 2))...)
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.YieldLocal}) {
		t.Fatalf("asked for %v, want %s", got, replica.YieldLocal)
	}
	b.do(replica.Rules{Rules: []replica.Rule{{Key: east.key.Public(), Allow: nothing}}})
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.Leave}) || b.state() != "NotAllowed" {
		t.Errorf("asked for %v, state %s, want %s and NotAllowed", got, b.state(), replica.Leave)
	}
	b.do(replica.Rules{})
	if got := b.kinds(); !slices.Equal(got, []replica.WriteKind{replica.YieldLocal}) {
		t.Errorf("without the rule: asked for %v, want %s", got, replica.YieldLocal)
	}
}

// What the configuration doesn't let in is as visible as what a rule forbids, and no news.
func TestOutsideTheConfiguration(t *testing.T) {
	t.Parallel()
	east := newAuthor(2, "east", 1000)
	b := newBench(t)
	cfg := replica.Config{
		Network: meshtest.Network, Zone: "here", Key: keyOf(1), Members: []replica.Member{{Key: east.key.Public(), Zone: "east"}},
		Publishes: func(mesh.ObjectKey) bool { return false }, Applies: func(mesh.ObjectKey) bool { return false },
		Outside: func(mesh.ObjectKey) string { return "no entry covers it" },
	}
	var err error
	if b.r, err = replica.New(cfg, &oplog.Index{}, b.store, b.now); err != nil {
		t.Fatal(err)
	}
	b.open()
	got := b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
	if len(b.kinds()) > 0 || slices.Contains(got, replica.NotAllowed) {
		t.Errorf("reported %v, asked for %v", got, b.kinds())
	}
	if res, _ := b.r.Resource(meshtest.Object("x")); res.State != "NotAllowed" || res.Detail != "not applied: no entry covers it" {
		t.Errorf("resource %+v", res)
	}
	if why := b.r.AdoptRefusal(meshtest.Object("x")); !strings.Contains(why, "doesn't let it out") {
		t.Errorf("AdoptRefusal = %q", why)
	}
}
