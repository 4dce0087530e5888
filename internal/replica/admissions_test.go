package replica_test

import (
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

// Admissions that come together are followed together, and what comes behind them is judged with all of them.
func TestAdmissionsTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, replica.Member{Key: keyOf(2).Public(), Zone: "east"})
	b.open()
	a := newAuthor(2, "east", 1000)
	in := a.begin(t)
	for i := range 20 {
		in = append(in, a.write(t, &event.Event{Kind: event.KindAdmit, Admit: &event.Admit{
			Key: keyOf(byte(10 + i)).Public(), Zone: mesh.Zone(fmt.Sprint("zone", i))}}))
	}
	last := newAuthor(29, "zone19", 1000)
	in = append(in, last.begin(t)...)
	in = append(in, last.write(t, &event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: keyOf(40).Public(), Zone: "more"}}))
	more := newAuthor(40, "more", 1000)
	in = append(in, more.begin(t)...)
	// A key that is removed in between says nothing more.
	in = append(in, a.write(t, &event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: keyOf(10).Public(), Cuts: []event.Cut{{Log: mesh.LogIDOf(meshtest.Network, mesh.Instance{Zone: "zone0", Incarnation: 1}), Head: mesh.Sum([]byte("head"))}}}}))
	gone := newAuthor(10, "zone0", 1000)
	in = append(in, gone.begin(t)...)
	for _, r := range b.do(in...) {
		if r == replica.RefusedNotAdmitted {
			t.Error("an operation was judged without the admissions before it")
		}
	}
	held := map[keys.Public]bool{}
	for _, h := range b.r.Haves() {
		held[h.Key.Author] = true
	}
	if !held[keyOf(29).Public()] || !held[keyOf(40).Public()] {
		t.Error("the logs of those who were admitted are not held")
	}
	if held[keyOf(10).Public()] {
		t.Error("the log of a key that was removed is held")
	}
}
