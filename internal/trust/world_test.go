package trust_test

import (
	"fmt"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

// world writes statements by people with short names, each in a log of their own unless another is named.
type world struct {
	all  []trust.Statement
	next map[mesh.LogID]uint32
}

func newWorld() *world { return &world{next: map[mesh.LogID]uint32{}} }

func key(name string) keys.Public {
	return keys.FromSeed([keys.SeedSize]byte(mesh.Sum([]byte(name)))).Public()
}

func logOf(name string) mesh.LogID { return mesh.LogID(mesh.Sum([]byte("log " + name))) }

// say adds a statement to the end of a log.
func (w *world) say(author, log string, ev event.Event) trust.Statement {
	l := logOf(log)
	st := trust.Statement{Author: key(author), Log: l, Seq: w.next[l], Time: uint64(len(w.all) + 1), Event: &ev}
	st.ID = mesh.Sum(fmt.Appendf(nil, "%s %d %d", author, st.Seq, len(w.all)), l[:])
	w.next[l]++
	w.all = append(w.all, st)
	return st
}

func (w *world) admit(author, name string, zone mesh.Zone) trust.Statement {
	return w.say(author, author, event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: key(name), Zone: zone}})
}

func (w *world) bindTo(author, name string, zone mesh.Zone) trust.Statement {
	return w.say(author, author, event.Event{Kind: event.KindBind, Bind: &event.Bind{Key: key(name), Zone: zone}})
}

func (w *world) propose(author, name string) trust.Statement { return w.removeAt(author, name) }

// remove removes a key and leaves standing what it said so far, except for the statements in without and
// what it said after the first of them.
func (w *world) remove(author, name string, without ...trust.Statement) trust.Statement {
	return w.removeAt(author, name, w.cut(name, without...))
}

func (w *world) removeAt(author, name string, cuts ...event.Cut) trust.Statement {
	return w.say(author, author, event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: key(name), Cuts: cuts}})
}

func (w *world) handOver(author string, zone mesh.Zone, from, to string, generation uint64, without ...trust.Statement) trust.Statement {
	return w.say(author, author, event.Event{Kind: event.KindHandOver, HandOver: &event.HandOver{Zone: zone,
		From: key(from), To: key(to), Generation: generation, Cuts: []event.Cut{w.cut(from, without...)}}})
}

// cut is where a log stands now, or stood before the first of without.
func (w *world) cut(name string, without ...trust.Statement) event.Cut {
	l := logOf(name)
	end := w.next[l]
	for _, st := range without {
		end = min(end, st.Seq)
	}
	if end == 0 { // a cut that leaves nothing of this log has to name another
		return event.Cut{Log: logOf("other of " + name), Height: 0, Head: mesh.Sum([]byte("nothing"))}
	}
	i := slices.IndexFunc(w.all, func(st trust.Statement) bool { return st.Log == l && st.Seq == end-1 })
	return event.Cut{Log: l, Height: end - 1, Head: w.all[i].ID}
}

// set returns a set of self's that holds what was said; local are admitted there, without a zone.
func (w *world) set(self string, local ...string) *trust.Set {
	s := trust.NewSet(trust.Member{Key: key(self)})
	s.SetLocal(members(local...))
	for _, st := range w.all {
		s.Add(st)
	}
	return s
}

func members(names ...string) []trust.Member {
	var all []trust.Member
	for _, n := range names {
		all = append(all, trust.Member{Key: key(n)})
	}
	return all
}

// view is what a node that admitted "root" by its configuration makes of everything said.
func (w *world) view() *trust.View { return w.set("me", "root").View() }

// founded is a world in which root, whom everybody knows, admitted the others with a zone of their name in
// lower case.
func founded(others ...string) *world {
	w := newWorld()
	for _, n := range others {
		w.admit("root", n, mesh.Zone(lower(n)))
	}
	return w
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// wantMembers checks who is admitted, me and root aside.
func wantMembers(t *testing.T, v *trust.View, want ...string) {
	t.Helper()
	var got, wanted []keys.Public
	for _, m := range v.Members() {
		if m.Key != key("root") {
			got = append(got, m.Key)
		}
	}
	for _, n := range want {
		wanted = append(wanted, key(n))
	}
	slices.SortFunc(wanted, keys.Public.Compare)
	if !slices.Equal(got, wanted) {
		t.Errorf("members: %v, want %v (%v)", got, wanted, want)
	}
}

func wantExpelled(t *testing.T, v *trust.View, name string, kind trust.End, by string) {
	t.Helper()
	e, ok := v.Expelled(key(name))
	if !ok && kind != 0 || e.Kind != kind || kind != 0 && e.By != key(by) {
		t.Errorf("%s is expelled: %v, %q by %s; want %q by %s", name, ok, e.Kind, e.By.Short(), kind, key(by).Short())
	}
}

func wantZone(t *testing.T, v *trust.View, zone mesh.Zone, name string) {
	t.Helper()
	k, ok := v.Key(zone)
	if name == "" {
		if ok {
			t.Errorf("zone %s is bound to %s, want nobody", zone, k.Short())
		}
		return
	}
	if !ok || k != key(name) || v.Zone(key(name)) != zone {
		t.Errorf("zone %s is bound to %s (%v), want %s; whose zone is %q", zone, k.Short(), ok, key(name).Short(), v.Zone(key(name)))
	}
}
