package node

import (
	"encoding/binary"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/replica"
)

// A member that admits keys without end doesn't crowd out those that are known, nor cost more than so many.
func TestMembersWithoutEnd(t *testing.T) {
	a, known, local := newMember(t, 1), testKey(2).Public(), testKey(3).Public()
	a.cfg.Nodes = []Peer{{Key: local}}
	n, err := New(a.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.addPeer(Peer{Key: known}); err != nil {
		t.Fatal(err)
	}
	var flood []replica.Member
	for i := range uint32(maxNodes + 10) {
		var seed [keys.SeedSize]byte
		binary.BigEndian.PutUint32(seed[:], i)
		seed[10] = 0x55
		flood = append(flood, replica.Member{Key: keys.FromSeed(seed).Public()})
	}
	flood = append(flood, replica.Member{Key: local}, replica.Member{Key: known})
	n.members.Lock()
	n.enforce(flood)
	n.members.Unlock()
	if got := n.peers.len(); got != maxNodes {
		t.Errorf("%d members are dealt with, want %d", got, maxNodes)
	}
	if n.peers.get(known) == nil || n.peers.get(local) == nil {
		t.Error("somebody who is known was crowded out")
	}
	n.members.Lock()
	n.enforce(flood[len(flood)-2:])
	n.members.Unlock()
	if got := n.peers.len(); got != 2 {
		t.Errorf("%d members are left, want 2", got)
	}
}
