package replica

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Effects is what one Step wants done. They are carried out completely and in the order of the fields before
// the next Step. A crash between any two of them is safe: what was persisted is applied again after a
// restart, and sync repeats what was not published.
type Effects struct {
	// Persist is one transaction. It is durable before anything below happens.
	Persist oplog.Batch
	// Publish holds the operations that were accepted or signed in this step, in order.
	Publish []Published
	// WriteWitness, when set, is to be written into the cluster and answered with WitnessWritten.
	WriteWitness *event.Witness
	// CheckWitness asks the cluster adapter to read its witness now and answer with WitnessRead.
	CheckWitness bool
	// Apply is for the cluster. At most one Write per object is outstanding in the adapter: a later one
	// replaces an earlier one that was not carried out yet.
	Apply []Write
	// Probe asks the cluster adapter to report these objects again from a live read: with Local, LocalGone or
	// LocalUnmatched.
	Probe []mesh.ObjectKey
	// Report tells the operator what was decided.
	Report []Decision
	// Request names peers from which a sync round is wanted.
	Request []keys.Public
	// Members, when set, are the members in force from now on, without this node: whoever is not among them is to
	// be disconnected.
	Members *[]Member
}

// Published is an operation for the other nodes. From is the peer it came from, or our own key.
type Published struct {
	oplog.Row
	Instance mesh.Instance
	From     keys.Public
}

// WriteKind says what is to be done to an object in the cluster.
type WriteKind uint8

const (
	// PutReplica makes the object a replica of Zone's claim. The payload is read from the store when the
	// write is carried out. Where the object stands as a replica of another zone, that one is replaced.
	PutReplica WriteKind = 1
	// RemoveReplica deletes the replica.
	RemoveReplica WriteKind = 2
	// YieldLocal turns our own object into a replica of Zone's claim: the replica is written and synced, then
	// the local one removed if its content is still Expect; otherwise the outcome is Altered.
	YieldLocal WriteKind = 3
	// AdoptLocal turns a replica into an object of ours: written and synced among the local ones, then the
	// replica removed. The payload is that of our own claim; where Content is zero nobody states the object, and
	// the replica counts as it stands.
	AdoptLocal WriteKind = 4
	// RemoveLocal deletes our own object if its content is still Expect; otherwise the outcome is Altered.
	RemoveLocal WriteKind = 5
	// Leave takes the place of a write that is no longer wanted: the object stays as it stands.
	Leave WriteKind = 6
)

func (k WriteKind) String() string {
	switch k {
	case PutReplica:
		return "put-replica"
	case RemoveReplica:
		return "remove-replica"
	case YieldLocal:
		return "yield-local"
	case AdoptLocal:
		return "adopt-local"
	case RemoveLocal:
		return "remove-local"
	case Leave:
		return "leave"
	}
	return "unknown"
}

// Write is one change to the cluster. It is idempotent: carrying it out twice equals once.
type Write struct {
	Kind    WriteKind
	Object  mesh.ObjectKey
	Zone    mesh.Zone // whose claim the object stands for afterwards (RemoveReplica: stood for)
	Version mesh.Version
	Epoch   mesh.Epoch
	Birth   mesh.Version
	Content mesh.Hash // of the payload; zero for removals
	Expect  mesh.Hash // YieldLocal, RemoveLocal: content hash of the local object this may replace
}

// Decision is one thing that was decided, for logs, counters and `mesh log`. Reason is one of the constants
// of reasons.go; no object content ever stands in it.
type Decision struct {
	Reason Reason
	Zone   mesh.Zone
	Object mesh.ObjectKey
	Log    mesh.LogKey
	Seq    uint32
	Peer   keys.Public
	Detail string
}
