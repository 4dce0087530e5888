package replica_test

import (
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// A node was given another zone's cluster, where it published that zone's object as its own. Back in its own cluster it
// finds the replica only: it gives its claim up, and cares for the replica as for any other.
func TestClaimFromAnotherCluster(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	east := newAuthor(2, "east", 1000)
	member := replica.Member{Key: east.key.Public(), Zone: "east"}
	b := newBench(t, member)
	b.open()
	b.do(east.begin(t)...)
	b.do(replica.Local{Object: x, Payload: []byte(`{}`)})
	b.do(east.update(t, "x", 1, 1))

	idx, err := b.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	b.r, err = replica.New(replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), Members: []replica.Member{member}},
		idx, b.store, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.do(replica.WitnessRead{Present: true, Witness: idx.Meta.Witness}, replica.ReplicaSeen{Object: x, Zone: "east", Content: mesh.Sum([]byte("1"))})
	b.do(replica.Listed{})
	b.now = b.now.Add(time.Minute)
	if got := b.do(replica.Tick{}); !slices.Contains(got, replica.Yielded) {
		t.Fatalf("reported %v, want %s", got, replica.Yielded)
	}
	i := slices.IndexFunc(b.last.Apply, func(w replica.Write) bool { return w.Object == x && w.Kind == replica.PutReplica && w.Zone == "east" })
	if i < 0 {
		t.Fatalf("Apply = %v, want the replica of east", b.last.Apply)
	}
	w := b.last.Apply[i]
	b.do(replica.Written{Write: w, Base: oplog.Baseline{UID: "1", Content: mesh.Sum([]byte("2"))}})
	if got := b.do(replica.ReplicaSeen{Object: x, Zone: "east", Content: mesh.Sum([]byte("3"))}); !slices.Contains(got, replica.DriftCorrected) {
		t.Errorf("reported %v, want %s", got, replica.DriftCorrected)
	}
}

// Where a cluster names its objects, one of ours under the key of a replica is proof that the replica is gone: nothing is
// removed for it, here or in the cluster that this node works on next.
func TestCopyInAReplicasPlace(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b, _, _ := replicaOfEast(t)
	b.do(replica.Local{Object: x, Payload: []byte(`{}`)})
	if len(b.last.Apply) > 0 {
		t.Errorf("Apply = %v, want nothing", b.last.Apply)
	}
	idx, err := b.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(idx.Placed) > 0 {
		t.Errorf("placed = %+v, want nothing", idx.Placed)
	}
}
