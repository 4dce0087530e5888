package main

import (
	"errors"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

func inviteKey(b byte) keys.Public { return keys.FromSeed([keys.SeedSize]byte{b, 0x33}).Public() }

// inviteView is what node 1 of zone east, which admits key 2 by itself, makes of what that key says.
func inviteView(events ...*event.Event) *trust.View {
	s := trust.NewSet(trust.Member{Key: inviteKey(1), Zone: "east"})
	s.SetLocal([]trust.Member{{Key: inviteKey(2), Zone: "west"}})
	for i, ev := range events {
		s.Add(trust.Statement{ID: mesh.Sum([]byte{byte(i)}), Author: inviteKey(2), Seq: uint32(i), Time: uint64(i) + 1_000_000, Event: ev})
	}
	return s.View()
}

func TestCannotInvite(t *testing.T) {
	t.Parallel()
	i := &inspector{self: inviteKey(1), zone: "east"}
	nothing := []event.Cut{event.NothingStands}
	removed := func(k byte) *event.Event {
		return &event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: inviteKey(k), Cuts: nothing}}
	}
	for _, tt := range []struct {
		name string
		req  admin.InviteRequest
		view *trust.View
		code string
	}{
		{"anybody", admin.InviteRequest{}, inviteView(), ""},
		{"a free zone", admin.InviteRequest{Zone: "north", For: inviteKey(3)}, inviteView(), ""},
		{"itself", admin.InviteRequest{For: inviteKey(1)}, inviteView(), "MESH-2401"},
		{"its own zone", admin.InviteRequest{Zone: "east"}, inviteView(), "MESH-2401"},
		{"a removed key", admin.InviteRequest{For: inviteKey(3)}, inviteView(removed(3)), "MESH-6403"},
		{"by a removed node", admin.InviteRequest{}, inviteView(removed(1)), "MESH-6403"},
	} {
		var refused *admin.Error
		if err := i.cannotInvite(tt.view, tt.req); (tt.code == "") != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.Code != tt.code) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
	}
}

// Whom a member admitted can be found, also where the key has no zone: a thief's helpers need none.
func TestPeersTellWhoAdmittedThem(t *testing.T) {
	t.Parallel()
	view := inviteView(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: inviteKey(3)}},
		&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: inviteKey(4), Zone: "north"}})
	peers := []mesh.Peer{{PublicKey: inviteKey(3).String()}, {PublicKey: inviteKey(4).String(), Zone: "north"},
		{PublicKey: inviteKey(2).String(), Zone: "west"}, {PublicKey: inviteKey(9).String()}}
	addTrust(peers, view, inviteKey(1), "east")
	for n, p := range peers[:2] {
		if a := p.Admission; a == nil || a.By == nil || *a.By != inviteKey(2).String() || a.ByZone == nil || *a.ByZone != "west" || a.At == nil {
			t.Errorf("peer %d: admission %+v", n, a)
		}
	}
	if a := peers[2].Admission; a == nil || a.By != nil {
		t.Errorf("a peer of the configuration: admission %+v", a)
	}
	if a := peers[3].Admission; a != nil {
		t.Errorf("somebody unknown: admission %+v", a)
	}
}
