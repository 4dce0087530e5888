package replica_test

import (
	"bytes"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// falsify gives an operation a signature that doesn't hold, and has its author go on from there.
func (a *author) falsify(t testing.TB, in replica.Arrived) replica.Arrived {
	t.Helper()
	const signature = 1 + 1 + 34 + 2 // where it begins in a header
	raw := bytes.Clone(in.Op.Raw)
	raw[signature+40] ^= 1
	op, err := operation.Decode(raw)
	if err == nil && in.Op.Body != nil {
		err = op.SetBody(in.Op.Body)
	}
	if err != nil || op.Verify() == nil {
		t.Fatalf("Decode of a falsified header: %v", err)
	}
	if a.next == op.Seq+1 {
		a.head = op.ID
	}
	in.Op = op
	return in
}

func vouched(in replica.Arrived) replica.Arrived {
	in.Vouched = true
	return in
}

// look does what the check of a store does with the first stretch that is to be checked, and tells the replica.
func (b *bench) look() []replica.Reason {
	b.t.Helper()
	spans := b.r.Unchecked()
	if len(spans) == 0 {
		b.t.Fatal("nothing is to be checked")
	}
	s := spans[0]
	rows, err := b.store.Rows(s.Log, s.From, s.To, 1<<30)
	if err != nil || len(rows) == 0 || rows[0].Seq != s.From {
		b.t.Fatalf("Rows = %d, %v", len(rows), err)
	}
	in := replica.Checked{Log: s.Log, From: s.From, To: s.From}
	for _, row := range rows {
		op, err := operation.Decode(row.Header)
		if err != nil {
			b.t.Fatal(err)
		}
		if op.Verify() != nil {
			in.False = op.ID
			break
		}
		in.To, in.Last = op.Seq+1, op.ID
	}
	return b.do(in)
}

// again starts the replica anew from what its store holds.
func (b *bench) again(members ...replica.Member) {
	b.t.Helper()
	idx, err := b.store.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	cfg := replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), Members: members}
	if b.r, err = replica.New(cfg, idx, b.store, b.now); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) owner(name string) mesh.Zone {
	res, _ := b.r.Resource(meshtest.Object(name))
	return res.Owner
}

func (b *bench) log(zone mesh.Zone) oplog.Log {
	b.t.Helper()
	idx, err := b.store.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range idx.Logs {
		if l.Instance.Zone == zone {
			return l
		}
	}
	b.t.Fatalf("no log of %s is held", zone)
	return oplog.Log{}
}

func inputs(in ...replica.Arrived) []replica.Input {
	out := make([]replica.Input, len(in))
	for i := range in {
		out[i] = in[i]
	}
	return out
}

var east = replica.Member{Key: keyOf(2).Public(), Zone: "east"}

// eastWith is a node that holds the begin of east's log.
func eastWith(t *testing.T) (*bench, *author) {
	b, a := newBench(t, east), newAuthor(2, "east", 1000)
	b.open()
	b.do(a.begin(t)...)
	return b, a
}

// What is vouched for counts at once, and is remembered until it was checked: over a crash at any point.
func TestVouchedThenChecked(t *testing.T) {
	t.Parallel()
	for crash := range 5 {
		b, a := eastWith(t)
		maybe := func(point int) {
			if point == crash {
				b.again(east)
			}
		}
		maybe(0)
		b.do(inputs(vouched(a.update(t, "a", 1, 1)), vouched(a.update(t, "b", 2, 1)))...)
		maybe(1)
		b.do(inputs(vouched(a.update(t, "c", 3, 1)), a.update(t, "d", 4, 1))...)
		maybe(2)
		if l := b.log("east"); l.Unchecked != (oplog.Range{From: 2, To: 5}) {
			t.Fatalf("crash %d: Unchecked = %v, want [2,5)", crash, l.Unchecked)
		}
		// What was looked at meanwhile and is not what is held now counts for nothing.
		other := mesh.Sum([]byte("another"))
		b.do(replica.Checked{Log: b.log("east").Key, From: 2, To: 5, Last: other})
		b.do(replica.Checked{Log: b.log("east").Key, From: 2, To: 2, False: other})
		if l := b.log("east"); l.Unchecked != (oplog.Range{From: 2, To: 5}) || l.Frozen {
			t.Fatalf("crash %d: after checks of other rows the log is %+v", crash, l)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			if b.owner(name) != "east" {
				t.Errorf("crash %d: %s is of %q", crash, name, b.owner(name))
			}
		}
		if got := b.look(); len(got) > 0 {
			t.Errorf("crash %d: the check reports %v", crash, got)
		}
		maybe(3)
		if l := b.log("east"); !l.Unchecked.Empty() || l.Frozen || len(b.r.Unchecked()) > 0 {
			t.Errorf("crash %d: after the check %+v", crash, l)
		}
	}
}

// An author that signs what follows an operation that it never signed loses its log from there on, also when a crash
// comes before or after the check. Nothing is deleted.
func TestFalseSignature(t *testing.T) {
	t.Parallel()
	for crash := range 4 {
		b, a := eastWith(t)
		maybe := func(point int) {
			if point == crash {
				b.again(east)
			}
		}
		b.do(inputs(vouched(a.update(t, "a", 1, 1)), vouched(a.falsify(t, a.update(t, "b", 2, 1))), a.update(t, "c", 3, 1))...)
		maybe(0)
		if b.owner("b") != "east" {
			t.Fatalf("crash %d: b is of %q", crash, b.owner("b"))
		}
		if got := b.look(); !slices.Contains(got, replica.FalseSignature) {
			t.Fatalf("crash %d: the check reports %v", crash, got)
		}
		for _, w := range b.last.Apply {
			if w.Kind == replica.RemoveReplica {
				t.Errorf("crash %d: %v is deleted", crash, w.Object)
			}
		}
		maybe(1)
		l := b.log("east")
		if !l.Frozen || !l.False || l.Limit == nil || l.Limit.Height != 2 {
			t.Errorf("crash %d: the log is %+v, want one that is frozen at 2", crash, l)
		}
		if b.owner("a") != "east" || b.owner("b") != "" || b.owner("c") != "" {
			t.Errorf("crash %d: a, b, c are of %q, %q, %q", crash, b.owner("a"), b.owner("b"), b.owner("c"))
		}
		for len(b.r.Unchecked()) > 0 { // what stands is checked to its end
			b.look()
		}
		maybe(2)
		if got := b.do(a.update(t, "d", 4, 1)); !slices.Contains(got, replica.RefusedVoid) {
			t.Errorf("crash %d: what follows gives %v", crash, got)
		}
		found := b.r.Findings()
		if !slices.ContainsFunc(found, func(f mesh.Finding) bool { return f.ID == "log.fork" && f.Subject == "east" }) {
			t.Errorf("crash %d: Findings = %v", crash, found)
		}
		h := b.r.Haves()[0]
		if !h.Frozen || h.Next != 3 {
			t.Errorf("crash %d: Haves = %+v, want a frozen log of 3", crash, h)
		}
		// Its author's next log speaks for it again.
		n := newAuthor(2, "east", 2000)
		b.do(n.begin(t)...)
		b.do(n.update(t, "b", 9, 1))
		if b.owner("b") != "east" {
			t.Errorf("crash %d: the next log doesn't count", crash)
		}
	}
}

// Whatever proves something is verified by itself, whoever vouches for it.
func TestVouchedProvesNothing(t *testing.T) {
	t.Parallel()
	admit := func(a *author) replica.Arrived {
		return a.write(t, &event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: keyOf(7).Public(), Zone: "thief"}})
	}
	t.Run("a statement about trust", func(t *testing.T) {
		b, a := eastWith(t)
		if got := b.do(vouched(a.falsify(t, admit(a)))); !slices.Contains(got, replica.RefusedSignature) {
			t.Errorf("it reports %v", got)
		}
		if b.r.TrustView().Admitted(keyOf(7).Public()) {
			t.Error("a key is admitted that nobody signed for")
		}
		b, a = eastWith(t)
		if b.do(vouched(admit(a))); !b.r.TrustView().Admitted(keyOf(7).Public()) || len(b.r.Unchecked()) > 0 {
			t.Error("one that holds isn't taken, or not as verified")
		}
	})
	t.Run("the first operation of a key", func(t *testing.T) {
		b, a := newBench(t, replica.Member{Key: keyOf(2).Public()}), newAuthor(2, "east", 1000)
		b.open()
		a.begin(t)
		if got := b.do(vouched(a.falsify(t, a.update(t, "a", 1, 1)))); !slices.Contains(got, replica.RefusedSignature) {
			t.Errorf("it reports %v", got)
		}
		if z := b.r.ZoneOf(keyOf(2).Public()); z != "" {
			t.Errorf("the key is bound to %q", z)
		}
	})
	t.Run("one of our own key", func(t *testing.T) {
		b, own := newBench(t, east), newAuthor(1, "here", 1<<41)
		b.open()
		own.begin(t)
		if got := b.do(vouched(own.falsify(t, own.update(t, "a", 1, 1)))); !slices.Contains(got, replica.RefusedSignature) {
			t.Errorf("it reports %v", got)
		}
	})
	t.Run("a fork", func(t *testing.T) {
		b, a := eastWith(t)
		other := *a
		b.do(a.update(t, "a", 1, 1))
		if got := b.do(vouched(other.falsify(t, other.update(t, "b", 1, 1)))); !slices.Contains(got, replica.RefusedSignature) {
			t.Errorf("it reports %v", got)
		}
		if l := b.log("east"); l.Frozen {
			t.Error("the log is frozen")
		}
		if got := b.do(vouched(other.update(t, "c", 2, 1))); slices.Contains(got, replica.Forked) != true {
			t.Errorf("one that holds reports %v", got) // it names another predecessor than the one held
		}
	})
	t.Run("a fork whose held part is false", func(t *testing.T) {
		b, a := eastWith(t)
		other := *a
		b.do(inputs(vouched(a.falsify(t, a.update(t, "a", 1, 1))), a.update(t, "x", 2, 1))...)
		if got := b.do(other.update(t, "b", 1, 1)); slices.Contains(got, replica.Forked) || !slices.Contains(got, replica.FalseSignature) {
			t.Errorf("it reports %v", got)
		}
		if ev, _ := b.store.Evidence(); len(ev) > 0 {
			t.Errorf("there is evidence of a fork: %v", ev)
		}
	})
}

// What was pruned before it was checked counts no more, however it was signed: whoever comes later never sees it.
func TestPrunedBeforeChecked(t *testing.T) {
	t.Parallel()
	b, a := eastWith(t)
	b.do(inputs(vouched(a.falsify(t, a.update(t, "a", 1, 1))), a.update(t, "b", 2, 1))...)
	late := replica.Checked{Log: b.r.Unchecked()[0].Log, From: 2, To: 2}
	late.False, _, _ = b.store.RowID(late.Log, 2)
	b.do(a.begin(t)...)
	b.rest()
	if l := b.log("east"); !l.Unchecked.Empty() || l.Frozen || l.Start != 4 {
		t.Errorf("the log is %+v", l)
	}
	if b.do(late); b.log("east").Frozen {
		t.Error("a check that comes late freezes the log")
	}
}

// A run beyond a gap is merged before its inner signatures were checked, and they are checked then.
func TestStagedRunVouched(t *testing.T) {
	t.Parallel()
	for _, honest := range []bool{true, false} {
		b, a := newBench(t, east), newAuthor(2, "east", 1000)
		b.open()
		a.next, a.head = 7, mesh.Sum([]byte("before"))
		entry := func(name string) event.Entry {
			return event.Entry{Kind: event.EntryLive, Object: meshtest.Object(name), Payload: []byte(`{}`), Version: 1, Epoch: 1, Birth: 1}
		}
		run := a.parts(t, !honest, entry("a"), entry("b"))
		b.do(run...)
		b.rest()
		if b.owner("a") != "east" || b.owner("b") != "east" {
			t.Fatalf("a, b are of %q, %q", b.owner("a"), b.owner("b"))
		}
		if l := b.log("east"); l.Staged != nil || !l.StagedUnchecked.Empty() || l.Unchecked != (oplog.Range{From: 8, To: 10}) {
			t.Fatalf("the log is %+v", l)
		}
		got := b.look()
		if l := b.log("east"); honest && (!l.Unchecked.Empty() || l.Frozen) || !honest && (!l.False || l.Limit.Height != 8) {
			t.Errorf("honest %v: after the check %v the log is %+v", honest, got, l)
		}
	}
}

// parts writes a snapshot run of one chunk for each entry, vouched for; the second one false.
func (a *author) parts(t testing.TB, lie bool, entries ...event.Entry) []replica.Input {
	t.Helper()
	out := []replica.Input{a.write(t, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}})}
	d := event.NewDigest()
	for i, e := range entries {
		if err := d.Add(e); err != nil {
			t.Fatal(err)
		}
		in := a.write(t, &event.Event{Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: []event.Entry{e}}})
		if lie && i == 1 {
			in = a.falsify(t, in)
		}
		out = append(out, vouched(in))
	}
	count, digest := d.Sum()
	return append(out, a.write(t, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: digest}}))
}
