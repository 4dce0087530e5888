package admin

import (
	"context"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// LogReader is what reading logs needs. A live node has it, a Client, and the store of a stopped node.
type LogReader interface {
	// Logs lists the logs held, in zone and incarnation order.
	Logs(ctx context.Context) ([]mesh.LogStatus, error)
	// Rows returns rows of [from, to) in order, starting at the first one held, until maxBytes are passed: at
	// least one row if any is held.
	Rows(ctx context.Context, log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error)
}

// Inspector is what the server asks of a node. All methods are safe for concurrent use and return when ctx
// ends. An error that is an *Error is told to the caller as it is; any other is reported as an internal one.
type Inspector interface {
	LogReader

	Status(ctx context.Context) (mesh.Status, error)
	// Peers lists all other nodes known, in no particular order.
	Peers(ctx context.Context) ([]mesh.Peer, error)
	// Resources lists objects in key order after the given key (zero: from the start), at most limit.
	Resources(ctx context.Context, after mesh.ObjectKey, limit int) ([]mesh.Resource, error)
	// Resource tells about one object; false if no zone ever claimed it.
	Resource(ctx context.Context, key mesh.ObjectKey) (mesh.Resource, bool, error)
	// Trace tells the way of one object, known or not.
	Trace(ctx context.Context, key mesh.ObjectKey) (mesh.Trace, error)
	// Changes tells what became of objects since a cursor, at most limit of them.
	Changes(ctx context.Context, at replica.Cursor, limit int) (replica.Changes, error)
	// Content returns what a zone states about an object; an empty zone stands for its owner. False if there is no
	// such claim.
	Content(ctx context.Context, key mesh.ObjectKey, zone mesh.Zone) (Claimed, bool, error)
	// Topology tells how this node sees the others, and what they say about each other.
	Topology(ctx context.Context) (mesh.Topology, error)
	// Doctor looks for what is wrong with the node and hands every result to sink, one at a time, as soon as it is
	// there. Groups and ids that it doesn't know choose nothing.
	Doctor(ctx context.Context, q DoctorQuery, sink func(mesh.CheckResult)) error
	// Held lists the deletions that are held back, by zone.
	Held(ctx context.Context) ([]mesh.HeldDeletes, error)

	// Lost lists content that lost to another zone's, oldest first, without payloads; LostOne returns one
	// record with its payload, and whether it is held.
	Lost(ctx context.Context) ([]oplog.LostEntry, error)
	LostOne(ctx context.Context, id uint64) (oplog.LostEntry, bool, error)

	// Adopt takes ownership of an object here and returns when the claim is signed and on disk; the cluster
	// follows. With dryRun it only tells what is there.
	Adopt(ctx context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error)
	// AcceptDeletes confirms the deletions held for a zone, if digest still names exactly that set.
	AcceptDeletes(ctx context.Context, zone mesh.Zone, digest mesh.Hash) (mesh.Confirmation, error)

	// Invite makes an invitation. TTL and Uses are within their limits.
	Invite(ctx context.Context, req InviteRequest) (mesh.NewInvite, error)
	// Invites lists the invitations that are remembered, oldest first.
	Invites(ctx context.Context) ([]mesh.Invite, error)
	// Revoke cancels an invitation. Whom it admitted stays admitted.
	Revoke(ctx context.Context, id string) (mesh.Invite, error)
	// Remove expels a key from the mesh and returns when that is signed. It may still be a proposal then. With
	// dryRun it only tells how the removal stands.
	Remove(ctx context.Context, key keys.Public, dryRun bool) (mesh.Removal, error)
}

// Check is one thing that may be wrong with a node.
type Check struct {
	Name string // lower case, such as store or listeners
	Live bool   // its failure means that only a restart helps
	Note bool   // it is only told: /readyz lists its failure with [!] and does not fail because of it
	// Run returns nil or one sentence of what is wrong. It must return promptly: when ctx ends it counts as
	// failed.
	Run func(ctx context.Context) error
}
