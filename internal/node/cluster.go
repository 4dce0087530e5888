package node

import (
	"context"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Cluster is the place where this zone's objects live. The loop calls Apply, Probe, CheckWitness and
// WriteWitness, which must return at once whatever Run is doing: an adapter queues them, before Run as well.
// It must not hold a lock that they need while it waits in sink, for the loop may be the one that has to
// make room. All methods are safe for concurrent use.
type Cluster interface {
	// Restore hands over, once and before Run, which replicas stand in the cluster as far as the store knows.
	// The slice is shared and must not be changed.
	Restore(placed []oplog.Placed)
	// Run reports what happens in the cluster through sink until ctx ends, and leaves no goroutine behind.
	// sink blocks while the loop is busy and returns an error when the node stops. An error of Run that is
	// not the end of ctx ends the node.
	Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error
	// Apply hands over writes. The slice is the adapter's. Each is answered with replica.Written.
	Apply(writes []replica.Write)
	// Probe asks for a fresh report of each object from a live read.
	Probe(objects []mesh.ObjectKey)
	// CheckWitness asks for replica.WitnessRead.
	CheckWitness()
	// WriteWitness is answered with replica.WitnessWritten, or WitnessRead where another one stands than was known.
	WriteWitness(w event.Witness)
	// Status tells how the cluster is doing.
	Status() mesh.ClusterStatus
}
