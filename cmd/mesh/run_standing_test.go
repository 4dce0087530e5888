package main

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

// What the trust set says about the key of a MeshPeer is told in whole sentences; of others nothing is said.
func TestRulings(t *testing.T) {
	t.Parallel()
	key := func(n byte) keys.Public { return keys.FromSeed([keys.SeedSize]byte{n, 0x53}).Public() }
	const self, root, gone, old, next, one, two = 1, 2, 3, 4, 5, 6, 7
	set := trust.NewSet(trust.Member{Key: key(self), Zone: "east"})
	set.SetLocal([]trust.Member{{Key: key(root), Zone: "root"}})
	cuts := []event.Cut{event.NothingStands}
	for i, ev := range []event.Event{
		{Admit: &event.Admit{Key: key(gone), Zone: "west"}},
		{Admit: &event.Admit{Key: key(old), Zone: "north"}},
		{Admit: &event.Admit{Key: key(one), Zone: "south"}},
		{Admit: &event.Admit{Key: key(two), Zone: "south"}},
		{Remove: &event.Remove{Key: key(gone), Cuts: cuts}},
		{HandOver: &event.HandOver{Zone: "north", From: key(old), To: key(next), Generation: 1, Cuts: cuts}},
	} {
		set.Add(trust.Statement{ID: mesh.Sum([]byte{byte(i)}), Author: key(root), Seq: uint32(i), Event: &ev})
	}
	of := []keys.Public{key(self), key(root), key(gone), key(old), key(next), key(one)}
	got := rulings(set.View(), of, func(keys.Public) string { return "zone root" })
	for k, want := range map[byte][2]string{
		self: {}, root: {}, next: {},
		gone: {meshpeer.ReasonRemoved, "The key was removed from the mesh by zone root, for good; its zone can come back under another key."},
		old:  {meshpeer.ReasonHandedOver, "Zone north was handed over to key " + key(next).Short() + " by zone root."},
		one:  {meshpeer.ReasonConflict, "are both bound to zone south; new operations of neither are taken until one of them is removed."},
	} {
		r := got[key(k)]
		if r.Reason != want[0] || !strings.Contains(r.Message, want[1]) || (r.Message == "") != (want[1] == "") {
			t.Errorf("key %d: %+v, want %q", k, r, want)
		}
	}
}
