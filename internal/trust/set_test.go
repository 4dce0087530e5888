package trust_test

import (
	"fmt"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.set("me", "root")
	early := w.admit("A", "B", "b")
	admit := w.admit("root", "A", "a")
	for i, tt := range []struct {
		st   trust.Statement
		want trust.Outcome
	}{
		{early, trust.Waiting},
		{early, trust.Waiting},
		{admit, trust.Added},
		{admit, trust.Held},
		{w.admit("B", "C", "c"), trust.Added}, // A admitted B, whom nobody knew when it was said
		{w.bindTo("stranger", "A", "z"), trust.Waiting},
		{trust.Statement{ID: mesh.Sum([]byte("x")), Author: key("root")}, trust.Refused},
		{trust.Statement{ID: mesh.Sum([]byte("x")), Author: key("root"), Event: &event.Event{Ack: &event.Ack{}}}, trust.Refused},
		{w.remove("root", "C"), trust.Added},
	} {
		if got := s.Add(tt.st); got != tt.want {
			t.Errorf("%d: Add = %s, want %s", i, got, tt.want)
		}
	}
	wantMembers(t, s.View(), "A", "B")
	if got := s.Add(early); got != trust.Held {
		t.Errorf("Add = %s, want held", got)
	}
	if got := s.Add(w.bindTo("C", "A", "z")); got != trust.Waiting {
		t.Errorf("what a removed key says is %s, want waiting", got)
	}
}

func TestTheViewIsTheSameWhileNothingChanges(t *testing.T) {
	t.Parallel()
	w := founded("A")
	s := w.set("me", "root")
	v := s.View()
	s.SetLocal(members("root"))
	s.Add(w.all[0])
	s.Add(w.bindTo("stranger", "A", "z"))
	if s.View() != v {
		t.Error("another view although nothing changed")
	}
	s.SetLocal(members("root", "B"))
	if s.View() == v {
		t.Error("the same view although B was admitted")
	}
	wantMembers(t, v, "A")
	wantMembers(t, s.View(), "A", "B")
}

func TestChangesTellWhatToStore(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s := w.set("me", "root")
	step := func(what string, want ...trust.Statement) {
		t.Helper()
		taken, dropped := s.Changes()
		slices.SortFunc(want, func(a, b trust.Statement) int { return a.ID.Compare(b.ID) })
		if !slices.Equal(idsOf(taken), idsOf(want)) || len(dropped) != 0 {
			t.Errorf("%s: %d taken, want %d; %d dropped", what, len(taken), len(want), len(dropped))
		}
	}
	early := w.bindTo("A", "A", "a")
	s.Add(early)
	step("a stranger spoke")
	admit := w.admit("root", "A", "")
	s.Add(admit)
	step("the stranger was admitted", early, admit)
	step("nothing")
	void := w.bindTo("A", "root", "r")
	s.Add(void)
	step("more of it", void)
	rm := w.remove("root", "A", void)
	s.Add(rm)
	step("it was removed", rm)
	if slices.Contains(idsOf(s.Statements()), void.ID) || s.Add(void) != trust.Waiting {
		t.Error("what became void is exchanged")
	}
	// A restart: what is void now and was not then is stored, and is forgotten by nobody.
	again := trust.NewSet(trust.Member{Key: key("me")})
	again.SetLocal(members("root"))
	again.Load([]trust.Statement{rm, void, early, admit, {}})
	again.Load([]trust.Statement{rm})
	if again.Digest() != s.Digest() {
		t.Error("another digest after a restart")
	}
	if taken, dropped := again.Changes(); len(taken)+len(dropped) != 0 {
		t.Errorf("%d taken and %d dropped after a restart", len(taken), len(dropped))
	}
}

func TestWhoFloodsIsForgotten(t *testing.T) {
	t.Parallel()
	s := trust.NewSmallSet(trust.Member{Key: key("me")}, 10, 20, 5, 3)
	s.SetLocal(members("root"))
	w := newWorld()
	for i := range 50 {
		if got := s.Add(w.admit("stranger", fmt.Sprint(i), "")); got != trust.Waiting {
			t.Fatalf("Add = %s", got)
		}
	}
	if s.Held() != 3 {
		t.Errorf("%d statements are held, want 3", s.Held())
	}
	if taken, dropped := s.Changes(); len(taken) != 0 || len(dropped) != 47 {
		t.Errorf("%d taken, %d dropped", len(taken), len(dropped))
	}
	s.Add(w.admit("root", "stranger", ""))
	if n := len(s.View().Members()); n != 5 {
		t.Errorf("%d members, want root, the stranger and the last three whom it admitted", n)
	}
}

func TestAnAuthorKeepsItsLowestPositions(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 30 {
		w.admit("root", fmt.Sprint(i), "")
	}
	var sets []*trust.Set
	for _, order := range []int{1, -1} {
		s := trust.NewSmallSet(trust.Member{Key: key("me")}, 10, 100, 5, 3)
		s.SetLocal(members("root"))
		for _, st := range w.all {
			s.Add(st)
		}
		slices.Reverse(w.all)
		if order < 0 && s.Held() != 10 {
			t.Errorf("%d are held", s.Held())
		}
		sets = append(sets, s)
	}
	if sets[0].Digest() != sets[1].Digest() || len(sets[0].Statements()) != 10 {
		t.Error("who heard what first decides what is held")
	}
	taken, dropped := sets[1].Changes()
	if len(taken) != 10 || len(dropped) != 20 {
		t.Errorf("%d taken, %d dropped", len(taken), len(dropped))
	}
}

func TestAFullSetTakesRemovalsAndOwnStatements(t *testing.T) {
	t.Parallel()
	s := trust.NewSmallSet(trust.Member{Key: key("me")}, 100, 20, 2, 3)
	s.SetLocal(members("root"))
	w := newWorld()
	s.Add(w.admit("root", "evil", ""))
	first := w.bindTo("evil", "evil", "e")
	s.Add(first)
	for i := range 18 {
		s.Add(w.bindTo("evil", fmt.Sprint(i), "z"))
	}
	if got := s.Add(w.admit("root", "A", "")); got != trust.Full {
		t.Fatalf("Add = %s, want full", got)
	}
	if got := s.Add(w.admit("me", "B", "")); got != trust.Added {
		t.Errorf("an own statement is %s", got)
	}
	cut := w.removeAt("root", "evil", event.Cut{Log: first.Log, Head: first.ID})
	if got := s.Add(cut); got != trust.Added {
		t.Fatalf("a removal is %s", got)
	}
	if n := len(s.Statements()); n != 4 {
		t.Errorf("%d statements are exchanged, want 4", n)
	}
	if got := s.Add(w.admit("root", "A", "")); got != trust.Added { // what became void makes room
		t.Errorf("Add = %s, want added", got)
	}
	wantMembers(t, s.View(), "A", "B")
}

func TestAFloodOfVoidStatementsIsPassedOnInPart(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	rm := w.remove("B", "A")
	for i := range trust.MaxVoid + 100 {
		w.admit("A", fmt.Sprint("helper ", i), "")
		w.propose(fmt.Sprint("helper ", i), "B")
	}
	s, late := w.set("me", "root"), trust.NewSet(trust.Member{Key: key("me")})
	late.SetLocal(members("root"))
	if n := len(s.Statements()); n != 3+trust.MaxVoid {
		t.Errorf("%d statements are exchanged, want %d", n, 3+trust.MaxVoid)
	}
	for _, st := range s.Statements() {
		late.Add(st)
	}
	if late.Digest() != s.Digest() {
		t.Error("who has only what is exchanged exchanges something else")
	}
	wantMembers(t, s.View(), "B")
	if !s.View().Standing(rm.ID) {
		t.Error("the removal doesn't stand")
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(trust.Added, trust.Held, trust.Waiting, trust.Full, trust.Refused, trust.Outcome(0), "; ", trust.Removed, trust.HandedOver, trust.End(0))
	if want := "added held waiting full refused none; removed handed over "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
