package node

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// scribe writes a log by hand. It can leave a signature out that it should have made.
type scribe struct {
	t    testing.TB
	key  keys.Private
	inst mesh.Instance
	next uint32
	head mesh.Hash
}

func newScribe(t testing.TB, i byte) *scribe {
	return &scribe{t: t, key: testKey(i), inst: mesh.Instance{Zone: mesh.Zone(fmt.Sprintf("z%d", i)), Incarnation: 1000}}
}

func (s *scribe) log() mesh.LogKey {
	return mesh.LogKey{Author: s.key.Public(), Log: mesh.LogIDOf(testNetwork, s.inst)}
}

// falsified is a header whose signature doesn't hold.
func falsified(raw []byte) []byte {
	const signature = 1 + 1 + 34 + 2 // where it begins
	raw = bytes.Clone(raw)
	raw[signature+40] ^= 1
	return raw
}

// say writes the next operation; a false one isn't signed.
func (s *scribe) say(ev *event.Event, honest bool) opMsg {
	s.t.Helper()
	ev.Instance = s.inst
	body, err := event.Encode(ev)
	if err != nil {
		s.t.Fatal(err)
	}
	op, err := operation.Sign(s.key, operation.Header{Seq: s.next, Backlink: s.head, Log: s.log().Log, Timestamp: 1, Prune: ev.SnapshotBegin != nil}, body)
	if err != nil {
		s.t.Fatal(err)
	}
	m := opMsg{op.Raw, op.Body}
	if !honest {
		m.Header = falsified(m.Header)
	}
	s.next, s.head = s.next+1, mesh.Sum(m.Header)
	return m
}

func (s *scribe) update(name string, honest bool) opMsg {
	k := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name}
	return s.say(&event.Event{Kind: event.KindUpdate, Update: &event.Update{
		Object: k, Payload: []byte(`{"apiVersion":"v1","kind":"ConfigMap"}`), Version: mesh.Version(s.next + 1), Epoch: 1, Birth: 1}}, honest)
}

// open begins the log, as every log begins.
func (s *scribe) open() []opMsg {
	_, digest := event.NewDigest().Sum()
	return []opMsg{s.say(&event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}}, true),
		s.say(&event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Digest: digest}}, true)}
}

// verdictsOf checks operations as one batch: v is vouched for, s signed, x refused, h held.
func verdictsOf(v *verifier, each bool, ms ...opMsg) string {
	b := &batch{each: each, jobs: jobsOf(ms...)}
	w := worker{verifier: v}
	w.check(b)
	var out strings.Builder
	for i := range b.jobs {
		switch j := &b.jobs[i]; {
		case j.reason != "":
			out.WriteByte('x')
		case j.held:
			out.WriteByte('h')
		case j.vouched:
			out.WriteByte('v')
		default:
			out.WriteByte('s')
		}
	}
	return out.String()
}

func TestBatches(t *testing.T) {
	t.Parallel()
	empty := new(view)
	v := newVerifier(testNetwork, testKey(1).Public(), oplog.NewMemory(), func() *view { return empty })
	plain := func() []opMsg {
		s := newScribe(t, 2)
		s.open()
		return []opMsg{s.update("a", true), s.update("b", true), s.update("c", true), s.update("d", true)}
	}
	for _, tt := range []struct {
		name string
		want string
		give func() []opMsg
	}{
		{"operations that follow each other", "vvvs", plain},
		{"one alone", "s", func() []opMsg { return plain()[1:2] }},
		{"a gap", "vsvs", func() []opMsg {
			s := newScribe(t, 2)
			s.open()
			return []opMsg{s.update("a", true), s.update("b", true), func() opMsg { s.update("c", true); return s.update("d", true) }(), s.update("e", true)}
		}},
		{"two logs, each in order", "vsvs", func() []opMsg {
			other := newScribe(t, 3)
			other.open()
			return append(plain()[:2], other.update("a", true), other.update("b", true))
		}},
		{"two logs, in turns", "ssss", func() []opMsg {
			other := newScribe(t, 3)
			other.open()
			p := plain()
			return []opMsg{p[0], other.update("a", true), p[1], other.update("b", true)}
		}},
		{"the last one forged by a relay", "sssx", func() []opMsg {
			p := plain()
			p[3].Header = falsified(p[3].Header)
			return p
		}},
		{"one in the middle forged by a relay", "sxvs", func() []opMsg {
			p := plain()
			p[1].Header = falsified(p[1].Header)
			return p
		}},
		{"one in the middle that its author never signed", "vvvs", func() []opMsg {
			s := newScribe(t, 2)
			s.open()
			return []opMsg{s.update("a", true), s.update("b", false), s.update("c", true), s.update("d", true)}
		}},
		{"a body exchanged by a relay", "vxvs", func() []opMsg {
			p := plain()
			p[1].Body = p[2].Body
			return p
		}},
		{"rubbish in between", "vsxs", func() []opMsg {
			p := plain()
			return []opMsg{p[0], p[1], {Header: []byte("rubbish")}, p[3]}
		}},
		{"what opens a log", "ssvs", func() []opMsg {
			s := newScribe(t, 2)
			return append(s.open(), s.update("a", true), s.update("b", true))
		}},
		{"a statement about trust that its author never signed", "vxvs", func() []opMsg {
			s := newScribe(t, 2)
			s.open()
			return []opMsg{s.update("a", true), s.say(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: testKey(9).Public()}}, false),
				s.update("b", true), s.update("c", true)}
		}},
		{"our own key", "sxs", func() []opMsg {
			s := newScribe(t, 1)
			s.open()
			return []opMsg{s.update("a", true), s.update("b", false), s.update("c", true)}
		}},
		{"a log of another network", "xxx", func() []opMsg {
			s := newScribe(t, 2)
			s.inst.Zone = "z3"
			id := s.log().Log
			s.inst.Zone = "z2"
			var out []opMsg
			for i := range 3 {
				body, _ := event.Encode(&event.Event{Instance: s.inst, Kind: event.KindDelete, Delete: &event.Delete{
					Object: mesh.ObjectKey{Kind: "K", Name: "n"}, Version: 1, Epoch: 1, Birth: 1}})
				op, err := operation.Sign(s.key, operation.Header{Seq: uint32(i) + 1, Backlink: mesh.Sum([]byte{1}), Log: id}, body)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, opMsg{op.Raw, op.Body})
			}
			return out
		}},
	} {
		if got := verdictsOf(v, false, tt.give()...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := verdictsOf(v, true, plain()...); got != "ssss" {
		t.Errorf("each for itself: %s", got)
	}
}

// What is held is not verified again, but gossip passes nothing on that was only vouched for.
func TestHeldInABatch(t *testing.T) {
	t.Parallel()
	s := newScribe(t, 2)
	s.open()
	ms := []opMsg{s.update("a", true), s.update("b", false), s.update("c", true), s.update("d", true)}
	store := oplog.NewMemory()
	for i, m := range ms[:3] {
		row := oplog.Row{Log: s.log(), Seq: uint32(i) + 2, ID: mesh.Sum(m.Header), Header: m.Header, Body: m.Body}
		if err := store.Commit(&oplog.Batch{Rows: []oplog.Row{row}}); err != nil {
			t.Fatal(err)
		}
	}
	held := newView([]oplog.Have{{Key: s.log(), Instance: s.inst, Next: 5}}, testKey(1).Public(), "z1", 1)
	v := newVerifier(testNetwork, testKey(1).Public(), store, func() *view { return held })
	if got := verdictsOf(v, false, ms...); got != "hhhs" {
		t.Errorf("on a link: %s", got)
	}
	if got := verdictsOf(v, true, ms...); got != "hxhs" {
		t.Errorf("in gossip: %s", got)
	}
}

// An author that signs what follows an operation that it never signed: on a real connection, with the real replica.
// What it says counts until the check comes by; then its log ends before, and nobody else's does. A restart knows.
func TestFalseSignatureOverALink(t *testing.T) {
	a := newMember(t, 1)
	s := newScribe(t, 9)
	honest := newScribe(t, 8)
	for _, w := range []*scribe{s, honest} {
		a.cfg.Nodes = append(a.cfg.Nodes, Peer{Key: w.key.Public(), Zone: w.inst.Zone})
	}
	sa := newShelf()
	a.startReal(sa)
	key := func(name string) mesh.ObjectKey {
		return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name}
	}
	write := func(w *scribe, ms []opMsg) (again func(from int)) {
		st := newStranger(t, w.key, a).link(w.inst.Zone)
		again = func(from int) {
			var frames []byte
			for _, m := range ms[from:] {
				frames = append(frames, encodeOp(kindOperation, m.Header, m.Body)...)
			}
			if _, err := st.Write(frames); err != nil { // at once, so that they are checked together
				t.Fatal(err)
			}
		}
		again(0)
		return again
	}
	ms := s.open()
	for i := range 200 {
		ms = append(ms, s.update(fmt.Sprintf("false-%d", i), i != 100))
	}
	hs := honest.open()
	for i := range 200 {
		hs = append(hs, honest.update(fmt.Sprintf("honest-%d", i), true))
	}
	again := write(s, ms)
	write(honest, hs)
	state := func(w *scribe) oplog.Log {
		idx, err := a.store.Load()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(idx.Logs, func(l oplog.Log) bool { return l.Key == w.log() })
		if i < 0 {
			return oplog.Log{}
		}
		return idx.Logs[i]
	}
	check := func() {
		t.Helper()
		until(t, "the false one is found", func() bool { return state(s).False })
		if l := state(s); l.Limit == nil || l.Limit.Height != 101 {
			t.Errorf("the log is %+v, want one that ends at 101", l)
		}
		until(t, "everything is checked", func() bool { return state(honest).Next == 202 && state(honest).Unchecked.Empty() })
		if state(honest).Frozen || !sa.has(key("honest-199")) || !sa.has(key("false-99")) {
			t.Error("what is honest doesn't stand")
		}
	}
	tries := 0
	until(t, "it is taken on the word of what follows", func() bool {
		if tries++; tries%100 == 0 {
			again(102) // it was the last one of its batch, and refused
		}
		return state(s).False || state(s).Next > 103
	})
	check()
	st, err := a.node.Status(t.Context()) // waits for the loop, which counts after it has written
	if n := counterValue(t, a.node.metrics.falseSignatures); n != 1 {
		t.Errorf("%v false signatures are counted", n)
	}
	if err != nil || !slices.ContainsFunc(st.Findings, func(f mesh.Finding) bool { return f.Subject == "z9" && strings.Contains(f.Text, "never signed") }) {
		t.Errorf("Status() = %+v, %v", st.Findings, err)
	}
	a.stop()
	a.startReal(newShelf())
	check()
}

// The checker goes on where a crash left it, whatever it had found, and is at rest when nothing is left.
func TestCheckerResumes(t *testing.T) {
	t.Parallel()
	s := newScribe(t, 2)
	store := oplog.NewMemory()
	var rows []oplog.Row
	for i := range 600 {
		m := s.update(fmt.Sprint(i), i != 500)
		rows = append(rows, oplog.Row{Log: s.log(), Seq: uint32(i), ID: mesh.Sum(m.Header), Header: m.Header, Body: m.Body})
	}
	if err := store.Commit(&oplog.Batch{Rows: rows}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, to uint32
		want     replica.Checked
		moved    bool
	}{
		{1, 400, replica.Checked{Log: s.log(), From: 1, To: 400, Last: rows[399].ID}, true},
		{400, 600, replica.Checked{Log: s.log(), From: 400, To: 500, Last: rows[499].ID, False: rows[500].ID}, true},
		{500, 600, replica.Checked{Log: s.log(), From: 500, To: 500, False: rows[500].ID}, true},
		{501, 601, replica.Checked{Log: s.log(), From: 501, To: 600, Last: rows[599].ID}, true},
		{600, 700, replica.Checked{}, false}, // rows that are gone
	} {
		now := &view{unchecked: []oplog.Span{{Log: s.log(), From: tt.from, To: tt.to}}}
		var got replica.Checked
		c := newChecker(store, func() *view { return now }, func() bool { return tt.from == 1 }, nil)
		c.report = func(_ context.Context, in replica.Checked) error {
			got, now = in, new(view)
			return nil
		}
		if moved, err := c.span(t.Context(), now.unchecked[0]); err != nil || moved != tt.moved || got != tt.want {
			t.Errorf("[%d,%d): %+v, %v, %v, want %+v", tt.from, tt.to, got, moved, err, tt.want)
		}
	}
	// A store whose rows are not what they were is no author's fault.
	damaged := rows[3]
	damaged.Header = falsified(damaged.Header)
	if err := store.Commit(&oplog.Batch{Rows: []oplog.Row{damaged}}); err != nil {
		t.Fatal(err)
	}
	c := newChecker(store, func() *view { return new(view) }, func() bool { return false }, nil)
	if _, err := c.span(t.Context(), oplog.Span{Log: s.log(), From: 0, To: 10}); err == nil || !strings.Contains(err.Error(), "operation 3") {
		t.Errorf("a damaged row gives %v", err)
	}
}
