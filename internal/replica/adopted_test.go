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

// An object was adopted and written, and the node stopped before it saw its own copy. Somebody deletes the copy
// meanwhile: after the restart it is looked for like any other object of ours that is missed.
func TestAdoptedCopyDeletedBeforeItWasSeen(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	b := newBench(t)
	b.open()
	b.do(replica.Local{Object: x, Payload: []byte(`{}`)})
	err := b.store.Commit(&oplog.Batch{Placed: []oplog.Placed{{
		Object: x, Local: true, Zone: "here", Epoch: 1, Version: 1, Birth: 1, Content: mesh.Sum([]byte(`{}`)), State: oplog.PlacedDone,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	idx, err := b.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if b.r, err = replica.New(replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1)}, idx, b.store, b.now); err != nil {
		t.Fatal(err)
	}
	b.do(replica.WitnessRead{Present: true, Witness: idx.Meta.Witness}, replica.Listed{})
	b.do(replica.WitnessWritten{Witness: *b.last.WriteWitness})
	b.now = b.now.Add(time.Minute)
	b.do(replica.Tick{})
	if !slices.Contains(b.last.Probe, x) {
		t.Fatalf("Probe = %v, want %s", b.last.Probe, x)
	}
	b.do(replica.LocalGone{Object: x})
	if !b.last.CheckWitness {
		t.Error("no check of the witness was asked for, so no Delete will be signed")
	}
}
