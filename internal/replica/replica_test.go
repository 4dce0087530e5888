package replica_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// bench is one replica whose inputs a test makes by hand.
type bench struct {
	t     testing.TB
	now   time.Time
	r     *replica.Replica
	store *oplog.Memory
	last  replica.Effects
}

func newBench(t *testing.T, members ...replica.Member) *bench {
	t.Helper()
	b := &bench{t: t, now: meshtest.Epoch, store: oplog.NewMemory()}
	cfg := replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), Members: members}
	r, err := replica.New(cfg, &oplog.Index{}, b.store, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	return b
}

func keyOf(n byte) keys.Private { return keys.FromSeed([keys.SeedSize]byte{n, 0x77}) }

// do hands inputs in, commits what follows and returns the reasons that were reported.
func (b *bench) do(in ...replica.Input) []replica.Reason {
	b.t.Helper()
	fx, err := b.r.Step(b.now, in...)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Commit(&fx.Persist); err != nil {
		b.t.Fatal(err)
	}
	b.last = fx
	var out []replica.Reason
	for _, d := range fx.Report {
		out = append(out, d.Reason)
	}
	return out
}

// open lets the start's wait pass over an empty cluster.
func (b *bench) open() {
	b.t.Helper()
	b.do(replica.WitnessRead{}, replica.Listed{})
	b.do(replica.WitnessWritten{Witness: *b.last.WriteWitness})
	b.now = b.now.Add(time.Minute)
	b.do(replica.Tick{})
}

// author writes operations of a log by hand.
type author struct {
	key  keys.Private
	inst mesh.Instance
	next uint32
	head mesh.Hash
}

func (a *author) write(t testing.TB, ev *event.Event) replica.Arrived {
	t.Helper()
	ev.Instance = a.inst
	body, err := event.Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	return a.sign(t, body, ev, ev.SnapshotBegin != nil)
}

func (a *author) sign(t testing.TB, body []byte, ev *event.Event, prune bool) replica.Arrived {
	t.Helper()
	op, err := operation.Sign(a.key, operation.Header{
		Seq: a.next, Backlink: a.head, Log: mesh.LogIDOf(meshtest.Network, a.inst), Timestamp: math.MaxUint64, Prune: prune,
	}, body)
	if err != nil {
		t.Fatal(err)
	}
	a.next, a.head = a.next+1, op.ID
	return replica.Arrived{Op: op, Event: ev, From: a.key.Public()}
}

func (a *author) begin(t testing.TB) []replica.Input {
	t.Helper()
	_, digest := event.NewDigest().Sum()
	return []replica.Input{
		a.write(t, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}}),
		a.write(t, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Digest: digest}}),
	}
}

func (a *author) update(t *testing.T, name string, v mesh.Version, e mesh.Epoch) replica.Arrived {
	t.Helper()
	return a.write(t, &event.Event{Kind: event.KindUpdate, Update: &event.Update{
		Object: meshtest.Object(name), Payload: []byte(`{}`), Version: v, Epoch: e, Birth: v,
	}})
}

func newAuthor(n byte, zone mesh.Zone, inc mesh.Incarnation) *author {
	return &author{key: keyOf(n), inst: mesh.Instance{Zone: zone, Incarnation: inc}}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	east := replica.Member{Key: keyOf(2).Public(), Zone: "east"}
	for _, tt := range []struct {
		name string
		want replica.Reason
		give func(t *testing.T) []replica.Input
	}{
		{"a key nobody admitted", replica.RefusedNotAdmitted, func(t *testing.T) []replica.Input {
			return newAuthor(9, "east", 1000).begin(t)
		}},
		{"a member that speaks for another zone", replica.RefusedZone, func(t *testing.T) []replica.Input {
			return newAuthor(2, "west", 1000).begin(t)
		}},
		{"a member that speaks for our zone", replica.RefusedZone, func(t *testing.T) []replica.Input {
			return newAuthor(2, "here", 1000).begin(t)
		}},
		{"a log id of another instance", replica.RefusedLogID, func(t *testing.T) []replica.Input {
			in := newAuthor(2, "east", 1000).begin(t)
			a := in[0].(replica.Arrived)
			ev := *a.Event
			ev.Instance.Incarnation++
			a.Event = &ev
			return []replica.Input{a}
		}},
		{"an unreadable body in a log that isn't known", replica.RefusedUnreadable, func(t *testing.T) []replica.Input {
			return []replica.Input{newAuthor(2, "east", 1000).sign(t, []byte("?"), nil, false)}
		}},
		{"a payload that isn't at hand", replica.RefusedBodyMissing, func(t *testing.T) []replica.Input {
			a := newAuthor(2, "east", 1000).begin(t)[0].(replica.Arrived)
			bare := *a.Op
			bare.Body = nil
			a.Op, a.Event = &bare, nil
			return []replica.Input{a}
		}},
		{"a log that doesn't begin with a snapshot", replica.RefusedStart, func(t *testing.T) []replica.Input {
			return []replica.Input{newAuthor(2, "east", 1000).update(t, "x", 5, 1)}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, east)
			b.open()
			got := b.do(tt.give(t)...)
			if len(got) == 0 || got[0] != tt.want {
				t.Errorf("reported %v, want %s first", got, tt.want)
			}
			if hs := b.r.Haves(); len(hs) > 1 {
				t.Errorf("the refused operation left a log: %+v", hs)
			}
		})
	}
}

// A key that nobody bound speaks for the zone of its first operation, and for no other one.
func TestFirstOperationBindsAKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public()}, replica.Member{Key: keyOf(3).Public()})
	b.open()
	b.do(newAuthor(2, "east", 1000).begin(t)...)
	if z := b.r.ZoneOf(keyOf(2).Public()); z != "east" {
		t.Fatalf("ZoneOf = %q, want east", z)
	}
	if got := b.do(newAuthor(3, "east", 1000).begin(t)...); got[0] != replica.RefusedZone {
		t.Errorf("a second key for east: reported %v, want %s", got, replica.RefusedZone)
	}
	if got := b.do(newAuthor(2, "west", 2000).begin(t)...); got[0] != replica.IdentityClash {
		t.Errorf("a second zone of one key: reported %v, want %s", got, replica.IdentityClash)
	}
	if z := b.r.ZoneOf(keyOf(2).Public()); z != "" {
		t.Errorf("ZoneOf = %q after it signed for two zones, want none", z)
	}
}

// Of the logs of one author that nothing covers the highest eight are held; a higher one is always taken.
func TestLowIncarnationsArePutAside(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
	b.open()
	take := func(inc mesh.Incarnation) []replica.Reason {
		b.now = b.now.Add(2 * time.Minute) // slower than the limit on new logs
		return b.do(newAuthor(2, "east", inc).begin(t)...)
	}
	for i := range mesh.Incarnation(10) {
		if got := take(1000 + 10*i); got[0] != replica.SnapshotMerged {
			t.Fatalf("incarnation %d: reported %v", 1000+10*i, got)
		}
	}
	for range 20 {
		b.do(replica.Tick{}) // rows go in batches
	}
	if got := take(1001); got[0] != replica.RefusedAside {
		t.Errorf("a low incarnation: reported %v, want %s", got, replica.RefusedAside)
	}
	n := 0
	for _, h := range b.r.Haves() {
		if h.Instance.Zone == "east" {
			n++
		}
	}
	if n != 8 {
		t.Errorf("%d logs of east are held, want the 8 highest", n)
	}
}

// An author that begins logs faster than one a minute is delayed after a burst, and asked again later.
func TestNewLogsAreDelayedNeverLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
	b.open()
	delayed := false
	for i := range mesh.Incarnation(12) {
		got := b.do(newAuthor(2, "east", 1000+i).begin(t)...)
		delayed = delayed || got[0] == replica.RefusedDelayed
	}
	if !delayed {
		t.Fatal("twelve new logs at once, and none was delayed")
	}
	b.now = b.r.Deadline()
	b.do(replica.Tick{})
	if len(b.last.Request) == 0 {
		t.Error("nobody is asked for what was delayed")
	}
	if got := b.do(newAuthor(2, "east", 5000).begin(t)...); got[0] != replica.SnapshotMerged {
		t.Errorf("after the delay: reported %v", got)
	}
}

// Numbers at their limits, from a member that means harm, neither panic nor freeze anything.
func TestAbsurdNumbers(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
	b.open()
	a := newAuthor(2, "east", mesh.MaxIncarnation)
	b.do(a.begin(t)...)
	b.do(a.update(t, "x", mesh.MaxVersion, mesh.MaxEpoch))
	if why := b.r.AdoptRefusal(meshtest.Object("x")); !strings.Contains(why, "epoch") {
		t.Errorf("AdoptRefusal = %q, want a word about the epoch", why)
	}
	b.do(replica.Adopt{Object: meshtest.Object("x")})
	far := newAuthor(2, "east", mesh.MaxIncarnation)
	far.next, far.head = math.MaxUint32, mesh.Hash{1}
	b.do(far.update(t, "y", 1, 1))
	b.do(replica.Haves{From: keyOf(2).Public(), Logs: []oplog.Have{{
		Key:   mesh.LogKey{Author: keyOf(1).Public(), Log: mesh.LogID{7}},
		Start: math.MaxUint32, Next: math.MaxUint32, Instance: mesh.Instance{Zone: "here", Incarnation: math.MaxUint64},
	}}})
	b.do(replica.Local{Object: meshtest.Object("mine"), Payload: []byte(`{"a":1}`)})
	if r, ok := b.r.Resource(meshtest.Object("mine")); !ok || r.Owner != "here" || r.Version > mesh.MaxVersion/2 {
		t.Errorf("our own object afterwards: %+v", r)
	}
}

// An unreadable event is kept in its log, counted for its height and passed on; the log goes on behind it.
func TestQuarantinedOperationsKeepTheirPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
	b.open()
	a := newAuthor(2, "east", 1000)
	b.do(a.begin(t)...)
	if got := b.do(a.sign(t, []byte("from the future"), nil, false)); got[0] != replica.Quarantined {
		t.Errorf("reported %v, want %s", got, replica.Quarantined)
	}
	if len(b.last.Publish) != 1 {
		t.Errorf("%d operations passed on, want the quarantined one", len(b.last.Publish))
	}
	b.do(a.update(t, "x", 5, 1))
	if r, ok := b.r.Resource(meshtest.Object("x")); !ok || r.Owner != "east" {
		t.Errorf("the object behind it: %+v", r)
	}
}

// Another instance with our key goes on in our place: nothing is signed until it is gone, and nothing is lost.
func TestMute(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	b.do(replica.Mute{On: true})
	change := replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{"a":1}`)}
	b.do(change)
	if len(b.last.Publish) > 0 {
		t.Fatal("signed while muted")
	}
	if waits, why := b.r.Waiting(); !waits || why == "" {
		t.Error("a muted node doesn't say that it waits")
	}
	b.do(replica.Mute{On: false})
	if len(b.last.Probe) != 1 || b.last.Probe[0] != change.Object {
		t.Fatalf("asked again for %v, want the change made meanwhile", b.last.Probe)
	}
	b.do(change)
	if r, _ := b.r.Resource(change.Object); r.Owner != "here" {
		t.Errorf("after it: %+v", r)
	}
}

// What members state about trust reaches everybody and outlives the log it was stated in.
func TestTrustTravels(t *testing.T) {
	t.Parallel()
	w := meshtest.NewWorld(1, 3, func(c *replica.Config) { c.SnapshotMaxLog = 2 })
	for _, x := range w.Nodes {
		w.Start(x)
	}
	w.Settle()
	for i := range 12 {
		w.Write(w.Nodes[0], meshtest.Object("x"), fmt.Sprintf(`{"v":%d}`, i))
		w.Settle()
	}
	late := w.Nodes[2]
	w.Stop(late)
	late.Store.Wipe()
	w.Start(late)
	w.Settle()
	if w.Err != nil {
		t.Fatal(w.Err)
	}
	want := w.Nodes[0].Replica.Trust()
	if len(want) < 3 {
		t.Fatalf("%d trust operations, want one about each of three nodes at least", len(want))
	}
	for _, x := range w.Nodes {
		got := x.Replica.Trust()
		if x.Replica.TrustDigest() != w.Nodes[0].Replica.TrustDigest() || len(got) != len(want) {
			t.Errorf("%s holds %d trust operations, %s %d", x.Name, len(got), w.Nodes[0].Name, len(want))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i].Header, want[i].Header) || !bytes.Equal(got[i].Body, want[i].Body) {
				t.Errorf("%s: trust operation %d is not verbatim", x.Name, i)
			}
		}
	}
}

// A store of another zone, key or network is refused.
func TestForeignStoreIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	idx, err := b.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []replica.Config{
		{Network: meshtest.Network, Zone: "elsewhere", Key: keyOf(1)},
		{Network: meshtest.Network, Zone: "here", Key: keyOf(2)},
		{Network: "other", Zone: "here", Key: keyOf(1)},
	} {
		if _, err := replica.New(cfg, idx, b.store, b.now); err == nil {
			t.Errorf("New took the store of here for %s, %s, %s", cfg.Zone, cfg.Key.Public().Short(), cfg.Network)
		}
	}
}
