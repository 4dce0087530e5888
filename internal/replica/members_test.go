package replica_test

import (
	"crypto/sha256"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// A node that starts again knows whom it admitted before, from its store alone, and its first step says so.
func TestMembersAfterRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	guest := keyOf(2).Public()
	invite := oplog.Invite{ID: "k7q2m9xd", Secret: sha256.Sum256(make([]byte, 16)), Uses: 1, Expires: b.now.UnixMilli() + 1000}
	b.do(replica.Invited{Invite: invite}, replica.Redeemed{Redeem: replica.Redeem{ID: invite.ID, Key: guest, Zone: "west"}})
	if b.last.Members == nil {
		t.Fatal("nobody was admitted")
	}
	want := []replica.Member{{Key: guest, Zone: "west"}}
	index, err := b.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	b.r, err = replica.New(replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1)}, index, b.store, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.do(replica.Tick{})
	if got := b.last.Members; got == nil || !slices.Equal(*got, want) {
		t.Errorf("the first step names %v as members, want %v", got, want)
	}
	if b.do(replica.Tick{}); b.last.Members != nil {
		t.Errorf("the second one names %v again", *b.last.Members)
	}
}
