package replica_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/trust"
)

// invite adds an invitation whose secret is sixteen zeros, for a zone or, where that is empty, any.
func (b *bench) invite(id string, zone mesh.Zone, uses int) {
	b.t.Helper()
	b.do(replica.Invited{Invite: oplog.Invite{ID: id, Secret: sha256.Sum256(make([]byte, 16)), Zone: zone, Uses: uses, Expires: b.now.UnixMilli() + 60_000}})
}

// redeem asks as the join protocol does, and returns the answer.
func (b *bench) redeem(q replica.Redeem) replica.Grant {
	b.t.Helper()
	b.do(replica.Redeemed{Redeem: q})
	return b.r.Redemption(b.now, q)
}

// As many invitations as are remembered: those that expired make room, the open ones don't.
func TestExpiredInvitationsMakeRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	const most = 1024
	for n := range most {
		b.invite(fmt.Sprintf("%04d", n), "", 1)
	}
	if got := b.do(replica.Invited{Invite: oplog.Invite{ID: "more", Uses: 1, Expires: b.now.UnixMilli() + 60_000}}); !slices.Contains(got, replica.RefusedInvite) {
		t.Errorf("one more open invitation was answered with %v", got)
	}
	b.now = b.now.Add(time.Minute)
	b.invite("more", "", 1)
	all := b.r.Invites()
	if len(all) != most || all[0].ID != "0001" || !slices.ContainsFunc(all, func(in oplog.Invite) bool { return in.ID == "more" }) {
		t.Errorf("%d invitations, the oldest is %s, want %d, 0001 and the new one", len(all), all[0].ID, most)
	}
}

// Whoever stole a key must not answer its removal with a hand-over to a key of theirs.
func TestNoHandOverWhileARemovalIsOnItsWay(t *testing.T) {
	t.Parallel()
	stolen, other, thief := keyOf(2).Public(), keyOf(3).Public(), keyOf(9).Public()
	b := newBench(t, replica.Member{Key: stolen, Zone: "west"}, replica.Member{Key: other, Zone: "south"})
	b.open()
	west := newAuthor(2, "west", 1000)
	b.do(west.begin(t)...)
	b.do(replica.Expel{Key: stolen})
	if len(b.r.TrustView().Proposals()) != 1 {
		t.Fatal("the removal counts already, the test shows nothing")
	}
	if got := b.do(replica.HandedOver{From: stolen, To: thief}); !slices.Contains(got, replica.RefusedHandOver) {
		t.Errorf("the hand-over was answered with %v", got)
	}
	if k, _ := b.r.TrustView().Key("west"); k == thief || slices.ContainsFunc(b.r.TrustView().Members(), isKey(thief)) {
		t.Error("the thief has the zone")
	}
}

func isKey(k keys.Public) func(trust.Member) bool {
	return func(m trust.Member) bool { return m.Key == k }
}

// A zone that two keys dispute is bound to neither, and nobody's for the taking all the same.
func TestNobodyJoinsAsADisputedZone(t *testing.T) {
	t.Parallel()
	one, two, guest := keyOf(2).Public(), keyOf(3).Public(), keyOf(4).Public()
	b := newBench(t, replica.Member{Key: one, Zone: "west"}, replica.Member{Key: two})
	b.open()
	west := newAuthor(2, "west", 1000)
	b.do(west.begin(t)...)
	b.do(west.write(t, &event.Event{Kind: event.KindBind, Bind: &event.Bind{Key: two, Zone: "west"}}))
	if c := b.r.TrustView().Conflicts(); len(c) != 1 {
		t.Fatalf("conflicts: %v", c)
	}
	b.invite("anyzone1", "", 2)
	b.invite("westzone", "west", 1)
	for _, q := range []replica.Redeem{{ID: "anyzone1", Key: guest, Zone: "west"}, {ID: "westzone", Key: guest}, {ID: "westzone", Key: guest, Dead: one}} {
		if g := b.redeem(q); g.Denial != replica.DenialZone || g.By != one && g.By != two {
			t.Errorf("%+v was answered with %+v", q, g)
		}
	}
	// Nor do those who dispute it get another one meanwhile.
	if g := b.redeem(replica.Redeem{ID: "anyzone1", Key: one, Zone: "north"}); g.Denial != replica.DenialBound {
		t.Errorf("one of the two joined as another zone: %+v", g)
	}
	if len(b.r.Invites()[0].Taken)+len(b.r.Invites()[1].Taken) != 0 {
		t.Error("a use was taken")
	}
}

// The use goes to the first of two keys, also when both ask at once; it stays with that key.
func TestOneUseForOneKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	b.invite("k7q2m9xd", "", 1)
	first := replica.Redeem{ID: "k7q2m9xd", Key: keyOf(2).Public(), Zone: "west"}
	second := replica.Redeem{ID: "k7q2m9xd", Key: keyOf(3).Public(), Zone: "south"}
	b.do(replica.Redeemed{Redeem: first}, replica.Redeemed{Redeem: second})
	if g := b.r.Redemption(b.now, first); g.Denial != replica.DenialNone || g.Zone != "west" || len(g.Trust) != 1 {
		t.Errorf("the first key was answered with %+v", g)
	}
	if g := b.r.Redemption(b.now, second); g.Denial != replica.DenialUsed || g.By != first.Key {
		t.Errorf("the second key was answered with %+v", g)
	}
	// What was admitted and is removed again is not admitted by asking again.
	b.do(replica.Expel{Key: first.Key})
	if g := b.redeem(first); g.Denial != replica.DenialRemoved {
		t.Errorf("after its removal the first key was answered with %+v", g)
	}
	if g := b.redeem(second); g.Denial != replica.DenialUsed {
		t.Errorf("after the removal of the first the second key was answered with %+v", g)
	}
}

// Whoever has the zone of the inviter, or of a member that isn't known to be gone, keeps it, whatever is asked for.
func TestZonesAreNotTaken(t *testing.T) {
	t.Parallel()
	west, guest := keyOf(2).Public(), keyOf(4).Public()
	b := newBench(t, replica.Member{Key: west, Zone: "west"})
	b.open()
	b.do(newAuthor(2, "west", 1000).begin(t)...)
	b.invite("anyzone1", "", 5)
	b.invite("westzone", "west", 5)
	b.invite("herezone", "here", 5)
	for _, q := range []replica.Redeem{
		{ID: "anyzone1", Key: guest, Zone: "west"},
		{ID: "anyzone1", Key: guest, Zone: "west", Dead: west}, // who made the invitation named no zone, and so gave none away
		{ID: "westzone", Key: guest},
		{ID: "westzone", Key: guest, Dead: keyOf(3).Public()},
		{ID: "anyzone1", Key: guest, Zone: "here"},
		{ID: "herezone", Key: guest, Dead: keyOf(1).Public()},
	} {
		if g := b.redeem(q); g.Denial != replica.DenialZone {
			t.Errorf("%+v was answered with %+v", q, g)
		}
	}
	if g := b.redeem(replica.Redeem{ID: "anyzone1", Key: west, Zone: "north"}); g.Denial != replica.DenialBound {
		t.Errorf("a member joined as a second zone: %+v", g)
	}
	if g := b.redeem(replica.Redeem{ID: "anyzone1", Key: keyOf(1).Public(), Zone: "north"}); g.Denial == replica.DenialNone {
		t.Errorf("the inviter admitted itself: %+v", g)
	}
	if g := b.redeem(replica.Redeem{ID: "westzone", Key: guest, Dead: west}); g.Denial != replica.DenialNone || g.Zone != "west" {
		t.Errorf("the zone of a lost key was refused: %+v", g)
	}
	if k, _ := b.r.TrustView().Key("west"); k != guest {
		t.Errorf("west has the key %s", k)
	}
}
