package replica_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// fuzzObjects is how many objects everybody argues about.
const fuzzObjects = 4

func fuzzObject(n byte) mesh.ObjectKey { return meshtest.Object(fmt.Sprintf("o%d", n%fuzzObjects)) }

// forger writes operations as bytes say: mostly as a node does, sometimes as none would.
type forger struct {
	*author
	live    map[mesh.ObjectKey]event.Entry
	stated  map[mesh.ObjectKey]bool               // ever
	leftOut map[mesh.Hash]map[mesh.ObjectKey]bool // by the end of a run: what was stated and doesn't stand in it
	history []author                              // where the log stood before each operation, to fork from
}

// forgers are three members, one of them in two incarnations, and a key that nobody admitted.
func forgers() []*forger {
	var out []*forger
	for _, a := range []*author{newAuthor(2, "east", 1000), newAuthor(2, "east", 900_000), newAuthor(3, "west", 1000), newAuthor(4, "north", 1000), newAuthor(9, "east", 2000)} {
		out = append(out, &forger{author: a, live: map[mesh.ObjectKey]event.Entry{}, stated: map[mesh.ObjectKey]bool{},
			leftOut: map[mesh.Hash]map[mesh.ObjectKey]bool{}})
	}
	return out
}

func (f *forger) write(t testing.TB, ev *event.Event) replica.Arrived {
	t.Helper()
	f.history = append(f.history, *f.author)
	return f.author.write(t, ev)
}

// snapshot is a run that states what is live; one with a digest that doesn't hold ends nothing.
func (f *forger) snapshot(t testing.TB, sound bool) []replica.Arrived {
	t.Helper()
	digest := event.NewDigest()
	out := []replica.Arrived{f.write(t, &event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}})}
	var entries []event.Entry
	gone := map[mesh.ObjectKey]bool{}
	for n := range byte(fuzzObjects) {
		if e, ok := f.live[fuzzObject(n)]; !ok {
			gone[fuzzObject(n)] = f.stated[fuzzObject(n)]
		} else {
			entries = append(entries, e)
			if err := digest.Add(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(entries) > 0 {
		out = append(out, f.write(t, &event.Event{Kind: event.KindSnapshotChunk, SnapshotChunk: &event.SnapshotChunk{Entries: entries}}))
	}
	count, sum := digest.Sum()
	if !sound {
		sum[0] ^= 1
	}
	end := f.write(t, &event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: sum}})
	if sound {
		f.leftOut[end.Op.ID] = gone
	}
	return append(out, end)
}

// forge makes the operations of which two bytes speak.
func (f *forger) forge(t testing.TB, what, arg byte) []replica.Arrived {
	t.Helper()
	k := fuzzObject(arg)
	v := mesh.Version(f.next+1) * 10
	epoch := mesh.Epoch(1 + arg>>2&3)
	birth := mesh.Version(1 + arg>>4)
	switch what % 12 {
	case 0, 1, 2, 3:
		payload := fmt.Appendf(nil, `{"v":%d}`, arg)
		f.stated[k] = true
		f.live[k] = event.Entry{Kind: event.EntryLive, Object: k, Payload: payload, Version: v, Epoch: epoch, Birth: birth}
		return []replica.Arrived{f.write(t, &event.Event{Kind: event.KindUpdate, Update: &event.Update{Object: k, Payload: payload, Version: v, Epoch: epoch, Birth: birth}})}
	case 4, 5:
		delete(f.live, k)
		return []replica.Arrived{f.write(t, &event.Event{Kind: event.KindDelete, Delete: &event.Delete{Object: k, Version: v, Epoch: epoch, Birth: birth}})}
	case 6:
		delete(f.live, k)
		return []replica.Arrived{f.write(t, &event.Event{Kind: event.KindRelease, Release: &event.Release{Object: k, NewOwner: []mesh.Zone{"", "west"}[arg>>7], Epoch: epoch}})}
	case 7:
		return f.snapshot(t, true)
	case 8:
		return f.snapshot(t, false)
	case 9: // of a later version
		f.history = append(f.history, *f.author)
		return []replica.Arrived{f.sign(t, []byte{0x80, arg}, nil, arg&1 == 1)}
	case 10: // two histories
		if len(f.history) > 0 {
			*f.author = f.history[int(arg)%len(f.history)]
		}
	case 11: // in the name of another zone
		inst := f.inst
		f.inst.Zone = []mesh.Zone{"west", "here", "north", "nowhere"}[arg&3]
		in := f.author.write(t, &event.Event{Kind: event.KindDelete, Delete: &event.Delete{Object: k, Version: v, Epoch: epoch, Birth: birth}})
		f.inst = inst
		f.next, f.head = in.Op.Seq, in.Op.Backlink
		return []replica.Arrived{in}
	}
	return nil
}

// half is a replica with its store and a cluster that does what it is asked to.
type half struct {
	t       *testing.T
	cfg     replica.Config
	now     time.Time
	r       *replica.Replica
	store   *oplog.Memory
	witness event.Witness
	stands  map[mesh.ObjectKey]replica.ReplicaSeen

	deleted map[mesh.ObjectKey]bool               // by an operation that was handed over, or left out by a run
	leftOut map[mesh.Hash]map[mesh.ObjectKey]bool // see forger
}

func newHalf(t *testing.T, leftOut map[mesh.Hash]map[mesh.ObjectKey]bool) *half {
	h := &half{t: t, now: meshtest.Epoch, store: oplog.NewMemory(), stands: map[mesh.ObjectKey]replica.ReplicaSeen{},
		deleted: map[mesh.ObjectKey]bool{}, leftOut: leftOut}
	h.cfg = replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), BrakeMin: 1000}
	for i, z := range []mesh.Zone{"east", "west", "north"} {
		h.cfg.Members = append(h.cfg.Members, replica.Member{Key: keyOf(byte(2 + i)).Public(), Zone: z})
	}
	h.start()
	return h
}

// start begins anew from the store, as after a crash, and lets the wait of a start pass.
func (h *half) start() {
	h.t.Helper()
	idx, err := h.store.Load()
	if err == nil {
		h.r, err = replica.New(h.cfg, idx, h.store, h.now)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	in := []replica.Input{replica.WitnessRead{Present: !h.witness.Cluster.IsZero(), Witness: h.witness}}
	for _, k := range sortedObjects() {
		if seen, ok := h.stands[k]; ok {
			in = append(in, seen)
		}
	}
	h.do(append(in, replica.Listed{})...)
	h.wait(time.Minute)
}

func sortedObjects() []mesh.ObjectKey {
	var out []mesh.ObjectKey
	for n := range byte(fuzzObjects) {
		out = append(out, fuzzObject(n))
	}
	return out
}

// do hands inputs over and has the cluster do what follows.
func (h *half) do(in ...replica.Input) {
	h.t.Helper()
	for n := 0; len(in) > 0; n++ {
		if n > 100 {
			h.t.Fatal("the replica and its cluster don't come to rest")
		}
		fx, err := h.r.Step(h.now, in...)
		if err == nil {
			err = h.store.Commit(&fx.Persist)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		in = nil
		if fx.WriteWitness != nil {
			h.witness = *fx.WriteWitness
			in = append(in, replica.WitnessWritten{Witness: h.witness})
		}
		if fx.CheckWitness {
			in = append(in, replica.WitnessRead{Present: true, Witness: h.witness})
		}
		for _, k := range fx.Probe {
			in = append(in, replica.LocalGone{Object: k})
		}
		for _, w := range fx.Apply {
			h.carryOut(w)
			in = append(in, replica.Written{Write: w})
		}
	}
}

// carryOut checks that nothing is deleted on silence.
func (h *half) carryOut(w replica.Write) {
	h.t.Helper()
	switch w.Kind {
	case replica.PutReplica:
		h.stands[w.Object] = replica.ReplicaSeen{Object: w.Object, Zone: w.Zone, Content: w.Content}
	case replica.RemoveReplica:
		if !h.deleted[w.Object] {
			h.t.Fatalf("%+v, and nobody deleted it", w)
		}
		delete(h.stands, w.Object)
	case replica.Leave:
	default:
		h.t.Fatalf("%+v of an object that was never ours", w)
	}
}

func (h *half) arrive(a replica.Arrived) {
	h.t.Helper()
	if a.Event != nil && a.Event.Delete != nil {
		h.deleted[a.Event.Delete.Object] = true
	}
	for k, gone := range h.leftOut[a.Op.ID] {
		h.deleted[k] = h.deleted[k] || gone
	}
	h.do(a)
}

func (h *half) wait(d time.Duration) {
	h.t.Helper()
	h.now = h.now.Add(d)
	h.do(replica.Tick{})
	for n := 0; ; n++ {
		if at := h.r.Deadline(); at.IsZero() || at.After(h.now) {
			return
		}
		if n > 1000 {
			h.t.Fatal("it asks to be woken without end")
		}
		h.do(replica.Tick{})
	}
}

// tells is what a replica makes of others' logs: how far it holds each, and what it says of each object.
func (h *half) tells() string {
	var b strings.Builder
	for _, l := range h.r.Haves() {
		if l.Key.Author != h.cfg.Key.Public() {
			fmt.Fprintf(&b, "%v of %s: next %d head %s frozen %v\n", l.Instance, l.Key.Author.Short(), l.Next, l.Head.Short(), l.Frozen)
		}
	}
	for _, k := range sortedObjects() {
		// One that nobody claims any more is remembered by who had a replica of it.
		if res, _ := h.r.Resource(k); res.Owner != "" {
			fmt.Fprintf(&b, "%s: %q epoch %d content %.8s claims %v\n", k, res.Owner, res.Epoch, res.Content, res.Claims)
		}
	}
	return b.String()
}

// sync has a node tell another one what that lacks, as a round of sync does: rows, and the proof of a fork.
func (h *half) sync(to *half) {
	h.t.Helper()
	sends, err := oplog.Diff(h.r.Haves(), to.r.Haves(), h.store.RowID)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range sends {
		if s.Log.Author == h.cfg.Key.Public() {
			continue // both have the same key, and never meet but here
		}
		rows, err := h.store.Rows(s.Log, s.From, s.To, 1<<30)
		if s.Evidence {
			rows = nil
			all, eerr := h.store.Evidence()
			err = eerr
			for _, e := range all {
				if e.Log == s.Log {
					rows = []oplog.Row{e.A, e.B}
				}
			}
		}
		if err != nil {
			h.t.Fatal(err)
		}
		for _, row := range rows {
			op, err := operation.Decode(row.Header)
			if err == nil {
				err = op.SetBody(row.Body)
			}
			if err != nil {
				h.t.Fatal(err)
			}
			ev, err := event.Decode(row.Body)
			if err != nil {
				ev = nil
			}
			to.arrive(replica.Arrived{Op: op, Event: ev, From: op.Author})
		}
	}
}

// FuzzReplica has two replicas take the same operations, honest and hostile ones, in different orders and any number of
// times, with crashes and time in between. Neither fails, deletes on silence or lets a log that is frozen grow; they
// end the same; and a start from the store changes nothing.
//
//fuzz:slow
func FuzzReplica(f *testing.F) {
	f.Add([]byte{0, 0, 5, 2, 1, 9, 4, 0, 5, 7, 0, 0}, []byte{3, 1, 2})
	f.Add([]byte{0, 0, 1, 0, 0, 2, 10, 0, 2, 1, 0, 3, 7, 0, 0, 2, 0, 1}, []byte{0, 0x80, 9, 9})
	f.Add([]byte{0, 2, 0x11, 0, 3, 0x21, 4, 3, 0x24, 6, 2, 0x81, 8, 2, 0, 7, 2, 0}, []byte{255, 254, 3, 7})
	f.Add([]byte{0, 4, 1, 11, 2, 1, 9, 2, 1, 0, 2, 3, 9, 3, 0, 0, 1, 2, 4, 1, 2}, []byte{9, 5, 1})
	f.Fuzz(func(t *testing.T, script, order []byte) {
		if len(script) > 90 || len(order) > 60 {
			return
		}
		var pool []replica.Arrived
		all := forgers()
		for _, a := range all {
			pool = append(pool, a.snapshot(t, true)...)
		}
		for ; len(script) >= 3; script = script[3:] {
			pool = append(pool, all[int(script[1])%len(all)].forge(t, script[0], script[2])...)
		}

		leftOut := map[mesh.Hash]map[mesh.ObjectKey]bool{}
		for _, f := range all {
			maps.Copy(leftOut, f.leftOut)
		}
		a, b := newHalf(t, leftOut), newHalf(t, leftOut)
		for _, in := range pool {
			a.arrive(in)
		}
		other := slices.Clone(pool)
		for i, x := range order {
			j, k := i%len(other), int(x)%len(other)
			other[j], other[k] = other[k], other[j]
		}
		for i, in := range other {
			b.arrive(in)
			if len(order) > 0 && order[i%len(order)] >= 0xf0 {
				b.start()
			}
			if len(order) > 0 && order[i%len(order)]&0xf0 == 0xe0 {
				b.wait(time.Minute)
			}
		}
		// What came too early is sent again by those who hold it.
		for round, quiet := 0, 0; quiet < 2; round++ {
			if round > 50 {
				t.Fatal("no rest")
			}
			before := a.tells() + b.tells()
			for _, x := range []*half{a, b} {
				frozen := x.frozen()
				x.wait(2 * time.Minute)
				for _, in := range pool {
					x.arrive(in)
				}
				a.sync(b)
				b.sync(a)
				for _, l := range x.r.Haves() {
					if was, ok := frozen[l.Key]; ok && l.Frozen && l.Next > was {
						t.Fatalf("log %v is frozen and grew from %d to %d", l.Instance, was, l.Next)
					}
				}
			}
			if a.tells()+b.tells() == before {
				quiet++
			} else {
				quiet = 0
			}
		}
		switch fa, fb := a.frozen(), b.frozen(); {
		case len(fa) != len(fb):
			t.Fatalf("in one order\n%s\nin the other\n%s", a.tells(), b.tells())
		case len(fa) > 0: // how much of a forked log is known to be common depends on what of it was held
			for k := range fa {
				if _, both := fb[k]; !both {
					t.Fatalf("in one order\n%s\nin the other\n%s", a.tells(), b.tells())
				}
			}
		case a.tells() != b.tells():
			t.Fatalf("in one order\n%s\nin the other\n%s", a.tells(), b.tells())
		}
		a.shows()
		b.shows()
		before := b.tells()
		if b.start(); b.tells() != before {
			t.Fatalf("before it was started again\n%s\nafterwards\n%s", before, b.tells())
		}
	})
}

// shows checks that the cluster holds what the claims say: of each object the owner's content, and nothing of one that is
// deleted by whom it stood for. What was released stays, unmanaged.
func (h *half) shows() {
	h.t.Helper()
	for _, k := range sortedObjects() {
		res, _ := h.r.Resource(k)
		seen, stands := h.stands[k]
		live := res.Content != ""
		if live && (!stands || seen.Content.String() != res.Content) || stands && !live && (res.State != "Unmanaged" || seen.Zone == res.Owner) {
			h.t.Fatalf("%+v, and in the cluster %v %+v", res, stands, seen)
		}
	}
}

// frozen lists the logs that are frozen, and how far they go.
func (h *half) frozen() map[mesh.LogKey]uint32 {
	out := map[mesh.LogKey]uint32{}
	for _, l := range h.r.Haves() {
		if l.Frozen {
			out[l.Key] = l.Next
		}
	}
	return out
}
