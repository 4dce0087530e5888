package trust_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

func TestWhomAnAdmittedKeyAdmitsIsAdmitted(t *testing.T) {
	t.Parallel()
	w := founded("A")
	w.admit("A", "B", "b")
	w.admit("stranger", "friend", "f")
	v := w.view()
	wantMembers(t, v, "A", "B")
	wantZone(t, v, "b", "B")
	wantZone(t, v, "f", "")
	if v.Speaks(key("stranger")) || v.Speaks(key("friend")) || !v.Speaks(key("B")) || !v.Admitted(key("me")) {
		t.Error("who speaks is not who was admitted")
	}
}

func TestWhomARemovedKeyHadAdmittedStays(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "early", "early")
	rm := w.remove("B", "A")
	w.admit("A", "late", "late") // beyond the cut
	v := w.view()
	wantMembers(t, v, "B", "early")
	wantExpelled(t, v, "A", trust.Removed, "B")
	if !v.Speaks(key("A")) || v.Admitted(key("A")) || v.Speaks(key("late")) {
		t.Error("what A said up to its cut is taken, and nobody it admitted later")
	}
	cut, none, limited := v.Cut(key("A"), logOf("A"))
	if want := rm.Event.Remove.Cuts[0]; cut != want || none || !limited {
		t.Errorf("Cut = %v, %v, %v, want %v", cut, none, limited, want)
	}
	if _, none, limited := v.Cut(key("A"), logOf("unnamed")); !none || !limited {
		t.Error("something stands of a log that the cut doesn't name")
	}
	if _, none, limited := v.Cut(key("B"), logOf("B")); none || limited {
		t.Error("a member's log is limited")
	}
}

func TestAStatementAtTheCutsHeightMustBeTheOneNamed(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "kept", "")
	w.remove("B", "A")
	w.next[logOf("A")] = 0 // A forks its log
	w.admit("A", "forked", "")
	wantMembers(t, w.view(), "B", "kept")
}

func TestALogThatTheCutDoesntNameIsVoid(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "kept", "")
	w.say("A", "second log of A", event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: key("lost")}})
	w.remove("B", "A")
	wantMembers(t, w.view(), "B", "kept")
}

func TestOfTwoCutsTheLowerHolds(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C")
	w.admit("A", "one", "")
	two := w.admit("A", "two", "")
	w.remove("B", "A")
	low := w.remove("C", "A", two)
	v := w.view()
	wantMembers(t, v, "B", "C", "one")
	if cut, none, _ := v.Cut(key("A"), logOf("A")); none || cut != low.Event.Remove.Cuts[0] {
		t.Errorf("Cut = %v, want %v", cut, low.Event.Remove.Cuts[0])
	}
	w.removeAt("root", "A", event.Cut{Log: logOf("another of A"), Head: mesh.Sum([]byte("head"))})
	if _, none, _ := w.view().Cut(key("A"), logOf("A")); !none {
		t.Error("a log that one of the cuts doesn't name stands")
	}
}

func TestMutualRemovalsBothStand(t *testing.T) {
	t.Parallel()
	for _, seen := range []bool{false, true} {
		w := founded("A", "B", "C")
		before := w.remove("A", "B")
		if seen { // B knows that it was removed, and leaves A's removal standing
			w.remove("B", "A")
		} else {
			w.remove("B", "A", before)
		}
		v := w.view()
		wantMembers(t, v, "C")
		wantExpelled(t, v, "A", trust.Removed, "B")
		wantExpelled(t, v, "B", trust.Removed, "A")
	}
}

func TestARemovalBeyondItsAuthorsCutCountsAgainstItsRemoversOnly(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C", "D")
	w.remove("A", "B")
	w.remove("D", "B")
	w.remove("B", "C") // C did nothing to B
	w.remove("B", "A")
	w.remove("B", "D")
	v := w.view()
	wantMembers(t, v, "C")
	wantExpelled(t, v, "A", trust.Removed, "B")
	wantExpelled(t, v, "C", 0, "")
	// Whoever removes B later is hit by what B said before.
	w.remove("C", "B")
	wantExpelled(t, w.view(), "C", trust.Removed, "B")
}

func TestACircleOfThreeRemovalsStands(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C", "D", "E")
	none := func(name string) event.Cut { return w.cut(name, trust.Statement{Seq: 0}) }
	w.removeAt("A", "B", none("B"))
	w.removeAt("B", "C", none("C"))
	w.removeAt("C", "A", none("A"))
	w.removeAt("A", "D", none("D")) // void: C removed A, and D is not in the circle
	v := w.view()
	wantMembers(t, v, "D", "E")
	for name, by := range map[string]string{"A": "C", "B": "A", "C": "B"} {
		wantExpelled(t, v, name, trust.Removed, by)
	}
}

func TestAVoidRemovalVoidsNothing(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C", "D")
	cd := w.remove("C", "D")
	bc := w.remove("B", "C", cd) // would void it, but is void
	w.remove("A", "B", bc)
	v := w.view()
	wantMembers(t, v, "A", "C")
	wantExpelled(t, v, "D", trust.Removed, "C")
	if v.Standing(bc.ID) || !v.Standing(cd.ID) {
		t.Error("B's removal stands, or C's doesn't")
	}
}

func TestARemovedKeyDoesntEscapeThroughAHelper(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "D")
	ab := w.remove("A", "B")
	w.admit("B", "helper", "h")
	w.remove("helper", "D")
	wantMembers(t, w.view(), "A", "D")
	w.remove("helper", "A") // leaves A's removal of B standing: the helper never was anybody
	wantMembers(t, w.view(), "A", "D")
	w.remove("helper", "A", ab) // takes it away: as between two who remove each other
	v := w.view()
	wantMembers(t, v, "D")
	wantExpelled(t, v, "B", trust.Removed, "A")
	wantExpelled(t, v, "A", trust.Removed, "helper")
	if v.Speaks(key("helper")) {
		t.Error("the helper is somebody")
	}
}

func TestAHelperOfTwoRemovedKeysHelpsNeither(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "D", "E")
	da := w.remove("D", "A")
	w.remove("D", "B")
	w.admit("A", "helper", "")
	w.admit("B", "helper", "")
	w.remove("helper", "D", da)
	v := w.view()
	wantMembers(t, v, "E")
	for _, name := range []string{"A", "B", "D"} {
		if _, ok := v.Expelled(key(name)); !ok {
			t.Errorf("%s is not expelled", name)
		}
	}
}

func TestWhoeverIsAdmittedByOthersTooIsNoHelper(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C", "D")
	ab := w.remove("A", "B")
	w.admit("B", "C", "") // beyond the cut, but root admitted C as well
	w.remove("C", "A", ab)
	v := w.view() // no circle: C's removal stands whatever A's does, and voids it
	wantMembers(t, v, "B", "C", "D")
	wantExpelled(t, v, "B", 0, "")
}

func TestARemovedKeyHandsNoZoneOver(t *testing.T) {
	t.Parallel()
	w := founded("A", "B", "C")
	ab := w.remove("A", "B")
	w.handOver("B", "a", "A", "evil", 1) // leaves A's removal standing
	wantMembers(t, w.view(), "A", "C")
	w.handOver("B", "a", "A", "evil", 1, ab) // would void it
	v := w.view()
	wantMembers(t, v, "C")
	wantZone(t, v, "a", "")
	wantExpelled(t, v, "A", trust.Removed, "B")
	wantExpelled(t, v, "B", trust.Removed, "A")
}

func TestARemovedKeyIsNeverAdmittedAgain(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.remove("A", "B")
	w.admit("root", "B", "b")
	w.bindTo("A", "B", "b")
	wantMembers(t, w.view(), "A")
	s := w.set("me", "root", "B") // and not through a configuration either
	wantMembers(t, s.View(), "A")
	if d := s.View().Diverging(); len(d) != 1 || d[0].Key != key("B") {
		t.Errorf("diverging: %v, want B", d)
	}
	w.admit("B", "friend", "")
	s = w.set("me", "root", "B")
	wantMembers(t, s.View(), "A")
}

func TestARemovalBeforeTheAdmission(t *testing.T) {
	t.Parallel()
	w := founded("A")
	w.remove("A", "B")
	w.admit("root", "B", "b")
	v := w.view()
	wantMembers(t, v, "A")
	wantZone(t, v, "b", "")
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	w.admit("A", "C", "")
	w.remove("A", "A") // a statement is not voided by the cut that it carries
	w.admit("A", "late", "")
	v := w.view()
	wantMembers(t, v, "B", "C")
	wantExpelled(t, v, "A", trust.Removed, "A")
	again := w.remove("A", "A") // beyond its own end
	if w.view().Standing(again.ID) {
		t.Error("a key leaves twice")
	}
}

func TestAProposalCountsForItsAuthorOnly(t *testing.T) {
	t.Parallel()
	w := founded("A", "B")
	st := w.propose("A", "B")
	v := w.view()
	wantMembers(t, v, "A", "B")
	if p := v.Proposals(); len(p) != 1 || p[0] != (trust.Proposal{Key: key("B"), By: key("A"), ID: st.ID, Time: st.Time}) {
		t.Errorf("proposals: %v", p)
	}
	own := w.set("A", "root").View()
	if !own.Admitted(key("B")) || !own.Speaks(key("B")) || !own.Barred(key("B")) {
		t.Error("its author ends the talk with B, or takes what it signs")
	}
	if _, ok := own.Expelled(key("B")); ok {
		t.Error("B is expelled by a proposal")
	}
	w.remove("root", "B")
	for _, v := range []*trust.View{w.view(), w.set("A", "root").View()} {
		if len(v.Proposals()) != 0 || v.Barred(key("B")) {
			t.Error("the proposal is open although B was removed")
		}
		wantExpelled(t, v, "B", trust.Removed, "root")
	}
}
