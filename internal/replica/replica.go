package replica

import (
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Config is what a replica is told. It is not changed while it runs, but for Members.
type Config struct {
	Network mesh.NetworkID
	Zone    mesh.Zone
	Key     keys.Private
	Members []Member // admitted keys, without our own

	OnConflict         OnConflict
	BrakeMin           int           // deletions per window below which the brake never holds; default 10
	BrakeShare         float64       // share of a zone's objects above which it holds; default 0.5
	BrakeWindow        time.Duration // default 10 min
	SnapshotMaxLog     uint64        // operations after which a snapshot is due; default 256
	SnapshotInterval   time.Duration // after which one is due if something changed; default 5 min
	TombstoneRetention time.Duration // least life of a tombstone; default 10 min
	Bootstrap          bool          // skip the wait at the start if the store is new and no member is known

	// Publishes and Applies say which objects the configuration lets out and in. Nil: every object.
	Publishes, Applies func(mesh.ObjectKey) bool
}

// OnConflict says what happens to the copies of two zones that created one object independently.
type OnConflict string

const (
	// Hold lets each creator keep its own copy until somebody adopts the object.
	Hold OnConflict = "hold"
	// Oldest lets the winner replace the other copies.
	Oldest OnConflict = "oldest"
)

// Replica is this node's copy of everyone's claims. It is owned by one goroutine: no method may be called
// while another runs.
type Replica struct {
	cfg    Config
	reader oplog.Reader
}

// New builds a replica from what the store holds. now is the creation time of a new store.
func New(cfg Config, idx *oplog.Index, reader oplog.Reader, now time.Time) (*Replica, error) {
	return &Replica{cfg: cfg, reader: reader}, nil
}

// Step takes inputs in order and returns what is to be done, which must be carried out before the next Step.
func (r *Replica) Step(now time.Time, inputs ...Input) Effects { return Effects{} }

// Deadline is when Step wants to be called with a Tick at the latest; zero: never.
func (r *Replica) Deadline() time.Time { return time.Time{} }

// Haves states what this node holds of each log, for a sync round. The slice is the caller's.
func (r *Replica) Haves() []oplog.Have { return nil }

// TrustDigest is equal on two nodes that hold the same trust operations.
func (r *Replica) TrustDigest() mesh.Hash { return mesh.Hash{} }

// Trust returns the trust operations held, in order of their ids. The slice is the caller's.
func (r *Replica) Trust() []oplog.TrustOp { return nil }

// ZoneOf returns the zone that a key is bound to, or the empty zone.
func (r *Replica) ZoneOf(k keys.Public) mesh.Zone { return "" }

// Incarnation is that of the own log in use; 0 while nothing was signed.
func (r *Replica) Incarnation() mesh.Incarnation { return 0 }

// Counts counts objects by state.
func (r *Replica) Counts() mesh.Resources { return mesh.Resources{} }

// Resources lists objects in key order, starting after the given key (zero: from the start), at most limit.
func (r *Replica) Resources(after mesh.ObjectKey, limit int) []mesh.Resource { return nil }

// Resource tells about one object.
func (r *Replica) Resource(k mesh.ObjectKey) (mesh.Resource, bool) { return mesh.Resource{}, false }

// Logs lists the logs held, in zone and incarnation order.
func (r *Replica) Logs() []mesh.LogStatus { return nil }

// Held lists the deletions that are held, by zone.
func (r *Replica) Held() []mesh.HeldDeletes { return nil }

// Findings lists what an operator should know: conflicts, forks, held deletions, a replaced cluster.
func (r *Replica) Findings() []mesh.Finding { return nil }

// Waiting reports whether local changes are still only recorded, and why: the start waits for a comparison
// with the other nodes.
func (r *Replica) Waiting() (bool, string) { return false, "" }
