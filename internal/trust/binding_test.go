package trust_test

import (
	"reflect"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

func wantConflict(t *testing.T, v *trust.View, kind trust.Dispute, zones []mesh.Zone, names ...string) {
	t.Helper()
	got := v.Conflicts()
	if len(got) != 1 || got[0].Kind != kind || !reflect.DeepEqual(got[0].Zones, zones) || len(got[0].Keys) != len(names) {
		t.Fatalf("conflicts: %v, want %s about %v", got, kind, zones)
	}
	for _, n := range names {
		if !v.InConflict(key(n)) || v.Zone(key(n)) != "" {
			t.Errorf("%s has zone %q although it is part of a conflict", n, v.Zone(key(n)))
		}
	}
}

func TestAKeyAdmittedWithoutAZoneIsBoundLater(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.admit("root", "A", "")
	wantZone(t, w.view(), "a", "")
	w.bindTo("root", "A", "a")
	w.bindTo("A", "A", "a")
	wantZone(t, w.view(), "a", "A")
}

func TestAClaimOfAnAdmittedZoneInAPartition(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "C", "c")
	w.admit("B", "D", "c")
	v := w.view()
	wantMembers(t, v, "A", "B", "C", "D")
	wantConflict(t, v, trust.TwoKeys, []mesh.Zone{"c"}, "C", "D")
	wantZone(t, v, "c", "")
	// Whose zone it is learns of it too.
	own := trust.NewSet(trust.Member{Key: key("C"), Zone: "c"})
	own.SetLocal(members("root"))
	for _, st := range w.all {
		own.Add(st)
	}
	if !own.View().InConflict(key("C")) {
		t.Error("C doesn't know that its zone is disputed")
	}
	w.remove("A", "D") // the way out
	v = w.view()
	wantZone(t, v, "c", "C")
	if len(v.Conflicts()) != 0 || !v.Former(key("D"), "c") {
		t.Errorf("conflicts: %v", v.Conflicts())
	}
}

func TestAKeyOfTwoZonesIsBoundToNeither(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("B", "A", "b") // B's own zone stays B's
	v := w.view()
	wantConflict(t, v, trust.TwoZones, []mesh.Zone{"a", "b"}, "A")
	wantZone(t, v, "a", "")
	wantZone(t, v, "b", "B")
	own := trust.NewSet(trust.Member{Key: key("A"), Zone: "a"})
	own.SetLocal(members("root"))
	for _, st := range w.all {
		own.Add(st)
	}
	wantConflict(t, own.View(), trust.TwoZones, []mesh.Zone{"a", "b"}, "A")
}

func TestAHandOverByAnAdministrator(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "C", "c")
	st := w.handOver("B", "a", "A", "A2", 1)
	w.admit("A", "late", "")
	w.admit("A2", "D", "")
	v := w.view()
	wantMembers(t, v, "B", "C", "A2", "D")
	wantZone(t, v, "a", "A2")
	wantExpelled(t, v, "A", trust.HandedOver, "B")
	e, _ := v.Expelled(key("A"))
	if e.To != key("A2") || e.Zone != "a" || e.Generation != 1 || e.ID != st.ID {
		t.Errorf("expulsion: %+v", e)
	}
	if v.NextGeneration("a") != 2 || v.NextGeneration("b") != 1 || !v.Former(key("A"), "a") || v.Former(key("A2"), "a") {
		t.Error("the hand-over is not in the zone's history")
	}
	// The present key ranks above the former, whatever their generations.
	now, before := v.Rank(key("A2"), "a"), v.Rank(key("A"), "a")
	if now.Compare(before) <= 0 || before.Compare(now) >= 0 || now.Compare(now) != 0 || !now.Current || now.Generation != 1 {
		t.Errorf("ranks: %+v, %+v", now, before)
	}
	w.admit("B", "A", "a") // never again
	wantZone(t, w.view(), "a", "A2")
}

func TestAHandOverByTheOldKeyItself(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "C", "")
	w.handOver("A", "a", "A", "A2", 1) // lies above the cut that it carries
	w.admit("A", "thief", "")          // by whoever has the old key now
	w.handOver("A", "a", "A", "thief", 2)
	v := w.view()
	wantMembers(t, v, "B", "C", "A2")
	wantZone(t, v, "a", "A2")
	wantExpelled(t, v, "A", trust.HandedOver, "A")
}

func TestHandOversFollowEachOther(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.handOver("B", "a", "A", "A2", 1)
	w.handOver("A2", "a", "A2", "A3", 2)
	w.admit("B", "other", "a") // a zone with a hand-over is not to be had by an admission
	v := w.view()
	wantZone(t, v, "a", "A3")
	if len(v.Conflicts()) != 0 || v.Former(key("other"), "a") {
		t.Errorf("conflicts: %v; is the other a former key? %v", v.Conflicts(), v.Former(key("other"), "a"))
	}
	h := v.History("a")
	if len(h) != 3 {
		t.Fatalf("history: %+v", h)
	}
	first := trust.Tenure{Key: key("A"), AdmittedBy: key("root"), Since: w.all[0].Time, Ended: trust.HandedOver,
		Until: w.all[2].Time, EndedBy: key("B"), To: key("A2")}
	last := trust.Tenure{Key: key("A3"), Generation: 2, AdmittedBy: key("A2"), Since: w.all[3].Time}
	if h[0] != first || h[2] != last || h[1].Key != key("A2") {
		t.Errorf("history: %+v", h)
	}
	w.remove("B", "A3") // then the admitted one has it
	wantZone(t, w.view(), "a", "other")
}

func TestTwoHandOversOfOneGeneration(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C")
	w.handOver("B", "a", "A", "A2", 1)
	w.handOver("C", "a", "A", "A3", 1)
	v := w.view()
	wantMembers(t, v, "B", "C", "A2", "A3")
	wantConflict(t, v, trust.TwoHandOvers, []mesh.Zone{"a"}, "A2", "A3")
	w.handOver("B", "a", "A3", "A4", v.NextGeneration("a")) // one way out; the removal of a key is another
	v = w.view()
	wantZone(t, v, "a", "A4")
	if v.Former(key("A2"), "a") || v.Zone(key("A2")) != "" || v.InConflict(key("A2")) {
		t.Error("A2 has the zone, or the dispute goes on")
	}
}

func TestTheSameHandOverTwiceIsNoConflict(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C")
	st := w.handOver("B", "a", "A", "A2", 1)
	if !w.view().Says(st.Event) {
		t.Error("a hand-over is not said")
	}
	w.handOver("C", "a", "A", "A2", 1)
	wantZone(t, w.view(), "a", "A2")
}

func TestAHandOverThatIsVoidedInACircleHandsNothingOver(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C")
	st := w.handOver("B", "a", "A", "A2", 1)
	w.remove("A", "B", st)
	v := w.view()
	wantMembers(t, v, "C")
	wantZone(t, v, "a", "")
	wantExpelled(t, v, "A", trust.Removed, "B")
	wantExpelled(t, v, "B", trust.Removed, "A")
	if v.Standing(st.ID) || v.NextGeneration("a") != 1 {
		t.Error("a void hand-over stands")
	}
	w.admit("C", "A2", "a")
	wantZone(t, w.view(), "a", "A2")
}

func TestALocalBindingWinsHere(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	s := trust.NewSet(trust.Member{Key: key("me"), Zone: "me"})
	local := []trust.Member{{Key: key("root")}, {Key: key("A"), Zone: "elsewhere"}, {Key: key("B"), Zone: "b"}, {Key: key("me"), Zone: "no"}}
	s.SetLocal(local)
	for _, st := range w.all {
		s.Add(st)
	}
	v := s.View()
	wantZone(t, v, "elsewhere", "A")
	wantZone(t, v, "a", "")
	wantZone(t, v, "b", "B")
	wantZone(t, v, "me", "me")
	if d := v.Diverging(); len(d) != 1 || d[0] != local[1] {
		t.Errorf("diverging: %v, want A", d)
	}
	// What others say a second zone of a key is, doesn't matter either.
	s.Add(w.bindTo("B", "A", "elsewhere"))
	if v := s.View(); v.Zone(key("A")) != "elsewhere" || v.InConflict(key("A")) || len(v.Diverging()) != 1 {
		t.Errorf("A has zone %q, diverging: %v", v.Zone(key("A")), v.Diverging())
	}
	// A hand-over of the zone goes before: as a removal, it is no matter of opinion.
	s.Add(w.handOver("B", "elsewhere", "nobody", "A2", 1))
	v = s.View()
	wantZone(t, v, "elsewhere", "A2")
	if v.Zone(key("A")) != "" || len(v.Diverging()) != 1 {
		t.Errorf("A has zone %q, diverging: %v", v.Zone(key("A")), v.Diverging())
	}
}

func TestWhatIsSaidAlready(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "gone")
	w.admit("A", "N", "")
	one := w.admit("gone", "one", "")
	two := w.remove("B", "gone")
	v := w.view()
	bind := func(n string, z mesh.Zone) *event.Event { return &event.Event{Bind: &event.Bind{Key: key(n), Zone: z}} }
	admit := func(n string, z mesh.Zone) *event.Event {
		return &event.Event{Admit: &event.Admit{Key: key(n), Zone: z}}
	}
	remove := func(n string, cuts ...event.Cut) *event.Event {
		return &event.Event{Remove: &event.Remove{Key: key(n), Cuts: cuts}}
	}
	hand := func(to string) *event.Event {
		return &event.Event{HandOver: &event.HandOver{Zone: "a", From: key("A"), To: key(to)}}
	}
	cut := two.Event.Remove.Cuts[0]
	for _, tt := range []struct {
		name string
		ev   *event.Event
		want bool
	}{
		{"an admission", admit("A", "a"), true},
		{"an admission without its zone", admit("A", ""), true},
		{"an admission with another zone", admit("A", "b"), false},
		{"an admission with the first zone", admit("N", "n"), false},
		{"an admission of a stranger", admit("S", ""), false},
		{"an admission of a removed key", admit("gone", "gone"), true},
		{"a binding", bind("A", "a"), true},
		{"a first binding", bind("N", "n"), false},
		{"a proposal", remove("A"), false},
		{"a proposal against a removed key", remove("gone"), true},
		{"a removal", remove("gone", cut), true},
		{"a removal with a higher cut", remove("gone", event.Cut{Log: cut.Log, Height: 9, Head: cut.Head}), true},
		{"a removal that names another log too", remove("gone", cut, w.cut("A")), true},
		{"a removal with a lower cut", remove("gone", w.cut("gone", one)), false},
		{"a removal of a member", remove("A", w.cut("B")), false},
		{"a hand-over", hand("A2"), false},
		{"nothing", &event.Event{}, false},
	} {
		if got := v.Says(tt.ev); got != tt.want {
			t.Errorf("Says(%s) = %v, want %v", tt.name, got, tt.want)
		}
	}
	w.propose("A", "B")
	if v := w.view(); v.Says(remove("B")) {
		t.Error("somebody else's proposal counts for its author only")
	}
	if v := w.set("A", "root").View(); !v.Says(remove("B")) {
		t.Error("an own proposal has to be repeated")
	}
}

func TestGenerationsEnd(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	const last = 1<<64 - 1
	w.handOver("B", "a", "A", "A2", last)
	if g := w.view().NextGeneration("a"); g != last {
		t.Errorf("NextGeneration = %d", g)
	}
	w.handOver("B", "a", "A2", "A3", last)
	wantZone(t, w.view(), "a", "A3")
}

func TestHistoryOfARemovedKey(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	rm := w.remove("B", "A")
	again := w.admit("B", "A2", "a")
	got := w.view().History("a")
	want := []trust.Tenure{
		{Key: key("A"), AdmittedBy: key("root"), Since: w.all[0].Time, Ended: trust.Removed, Until: rm.Time, EndedBy: key("B")},
		{Key: key("A2"), AdmittedBy: key("B"), Since: again.Time},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("History = %+v, want %+v", got, want)
	}
	if h := w.view().History("unheard"); h != nil {
		t.Errorf("History of no zone: %v", h)
	}
	for _, k := range []keys.Public{key("A"), key("A2")} {
		if z := w.view().Zone(k); (z == "a") != (k == key("A2")) {
			t.Errorf("%s has zone %q", k.Short(), z)
		}
	}
}

// Who let a key in is known of keys without a zone, too.
func TestAdmittedBy(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "helper", "")
	w.admit("B", "helper", "")
	beyond := w.admit("B", "late", "")
	w.remove("A", "B", beyond)
	w.handOver("root", "a", "A", "A2", 1)
	by := w.view().AdmittedBy()
	for name, want := range map[string]string{"A": "root", "B": "root", "helper": "A", "A2": "root"} {
		if got := by[key(name)].Author; got != key(want) {
			t.Errorf("%s was admitted by %s, want %s", name, got.Short(), want)
		}
	}
	if st, ok := by[key("late")]; ok || len(by) != 4 {
		t.Errorf("of %d keys one was admitted by a void statement: %+v", len(by), st)
	}
}
