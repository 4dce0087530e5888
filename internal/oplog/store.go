package oplog

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Log is what is held of one log. Rows [Start, Next) are the chain that is served to others.
type Log struct {
	Key      mesh.LogKey
	Instance mesh.Instance

	Start uint32    // first retained sequence number: 0, or that of a snapshot's begin
	Next  uint32    // first sequence number not held; Next == 0 means the chain is empty
	Head  mesh.Hash // id of operation Next-1; zero when the chain is empty

	Pruned      uint32 // rows below are gone from disk; less than Start while pruning is under way
	AbsentBelow uint32 // absence mark: claims of this log stated below it and not restated are ended

	Run *Run // a snapshot run that is open in the chain, or nil

	// Staged is a run that begins beyond the chain, held until it is whole. Rows [Staged.Begin, Staged.Next).
	Staged *Run

	// Unchecked are rows of the chain whose own signatures were not verified yet: that of a later operation, which
	// names them by their hashes, vouched for their bytes when they were taken in. All other rows are verified.
	Unchecked Range
	// StagedUnchecked are such rows of the staged run.
	StagedUnchecked Range

	Limit   *Limit // of a fork or a false signature: operations above are void and not served; nil: no limit
	Frozen  bool   // either was proven: nothing more is taken until a newer incarnation covers the log
	False   bool   // Frozen for a false signature: the author signed what follows an operation that it never signed
	Cut     *Limit // that a removal or hand-over of the key sets; nil: none. It follows from the trust set and is not stored
	Ops     uint64 // operations held in the chain
	Bytes   uint64 // their header and body bytes
	Updated int64  // local Unix ms of the newest accepted operation, for display
}

// Empty reports whether the chain holds no operation.
func (l *Log) Empty() bool { return l.Next == 0 }

// Height is the highest sequence number held without a gap; only meaningful if the log is not empty.
func (l *Log) Height() uint32 { return l.Next - 1 }

// Bound is the lower one of the limits that a log has, or nil.
func (l *Log) Bound() *Limit {
	switch {
	case l.Cut == nil:
		return l.Limit
	case l.Limit == nil || l.Cut.None || !l.Limit.None && l.Cut.Height <= l.Limit.Height:
		return l.Cut
	}
	return l.Limit
}

// Verified reports whether the signature of a held operation was verified by itself.
func (l *Log) Verified(seq uint32) bool {
	return !l.Unchecked.Holds(seq) && !l.StagedUnchecked.Holds(seq)
}

// Run is a snapshot run in progress.
type Run struct {
	Begin uint32    // sequence number of its SnapshotBegin
	Next  uint32    // staged runs: first sequence number not held
	Head  mesh.Hash // staged runs: id of operation Next-1
}

// Range is the sequence numbers [From, To). The zero value is the empty range, and the only one.
type Range struct{ From, To uint32 }

// Empty reports whether there is nothing in it.
func (r Range) Empty() bool { return r == Range{} }

// Holds reports whether a sequence number is in the range.
func (r Range) Holds(seq uint32) bool { return seq >= r.From && seq < r.To }

// With is the smallest range that holds seq, which is below 2^32-1, too.
func (r Range) With(seq uint32) Range {
	if r.Empty() {
		return Range{seq, seq + 1}
	}
	return Range{min(r.From, seq), max(r.To, seq+1)}
}

// Within is what of the range lies in [from, to).
func (r Range) Within(from, to uint32) Range {
	r = Range{max(r.From, from), min(r.To, to)}
	if r.From >= r.To {
		return Range{}
	}
	return r
}

// Limit is a position above which a log is void. None is true when nothing of the log stands.
type Limit struct {
	None   bool
	Height uint32
	Hash   mesh.Hash
}

// Row is one operation as stored: the exact signed bytes.
type Row struct {
	Log    mesh.LogKey
	Seq    uint32
	ID     mesh.Hash
	Header []byte
	Body   []byte
}

// Size is the number of bytes the row counts for.
func (r Row) Size() int { return len(r.Header) + len(r.Body) }

// Meta is the node's own record: one per store.
type Meta struct {
	Network     mesh.NetworkID
	Zone        mesh.Zone
	Author      keys.Public
	Created     mesh.Incarnation // when this store was made; the least incarnation it may use
	Incarnation mesh.Incarnation // of the own log in use; 0 while nothing was signed yet
	LastVersion mesh.Version     // highest version ever issued
	Witness     event.Witness    // as last confirmed in the cluster
	WitnessNext uint64           // a raise to this counter was intended and is not confirmed; 0: none
	LastAck     int64            // local Unix ms of the last Ack or snapshot signed
	LastRun     int64            // local Unix ms of the last finished own snapshot
	Replaced    bool             // the cluster was found replaced or restored: no absence becomes a Delete until confirmed
	Behind      bool             // more was signed with our key than this store holds, and the cluster was not compared with that yet
}

// PlacedState says how far a write to the cluster has come.
type PlacedState uint8

const (
	// PlacedWanted: the write was decided and not confirmed yet.
	PlacedWanted PlacedState = 1
	// PlacedDone: the cluster confirmed it.
	PlacedDone PlacedState = 2
	// PlacedHeld: a deletion that the mass-delete brake holds back.
	PlacedHeld PlacedState = 3
	// PlacedRemoving: a deletion was decided and not confirmed yet.
	PlacedRemoving PlacedState = 4
	// PlacedUnmanaged: the object stays as it is, for nobody claims it any more.
	PlacedUnmanaged PlacedState = 5
)

// Placed records what was last written, or is to be written, to this cluster for an object: which zone's
// claim it stands for. It is what tells a replica from an object of ours.
type Placed struct {
	Object  mesh.ObjectKey
	Local   bool // the object is ours and belongs among the local ones (adopt), not a replica
	Zone    mesh.Zone
	Epoch   mesh.Epoch
	Birth   mesh.Version
	Version mesh.Version
	Content mesh.Hash
	Expect  mesh.Hash // content of the object of ours that the write replaces or removes; zero: none
	State   PlacedState
	Base    Baseline // of the replica that stands; zero: none was reported
}

// Baseline is what a cluster answered to the last write of a replica. It tells a replica from another object of
// the same name, and drift from what the cluster itself made of the write.
type Baseline struct {
	UID     string    // as the cluster names this very object; empty where clusters give none (folders)
	Content mesh.Hash // of the replicated sections as the cluster answered them
}

// ClaimWrite stores a claim. Payload accompanies live claims only; a live claim with a nil payload keeps the
// payload that is stored (the same content was restated), any other claim drops it.
type ClaimWrite struct {
	mesh.Claim
	Payload []byte
}

// TrustOp is a verbatim operation of the trust set.
type TrustOp struct {
	ID     mesh.Hash
	Header []byte
	Body   []byte
}

// LostRecord keeps content that lost to another zone's.
type LostRecord struct {
	Object  mesh.ObjectKey
	Zone    mesh.Zone // whose content it was
	Version mesh.Version
	Reason  string // yielded, oldest, adopted, deleted
	At      int64  // local Unix ms
	Payload []byte
}

// Evidence proves a fork: two verified operations that cannot both belong to one log.
type Evidence struct {
	Log  mesh.LogKey
	A, B Row
}

// Binding ties a key to the zone of its first operation. Conflict: it signed for two zones and is bound to neither.
type Binding struct {
	Key      keys.Public
	Zone     mesh.Zone
	Conflict bool
}

// Invite is an invitation that this node gave out. The secret itself is known to whoever holds the token only.
type Invite struct {
	ID      string      // 8 characters of a-z and 0-9
	Secret  mesh.Hash   // SHA-256 of the secret
	Zone    mesh.Zone   // of whoever redeems it; empty: the zone that it asks for
	For     keys.Public // the only key that may redeem it; zero: any
	Uses    int         // how many keys may redeem it, 1 to 2^31-1
	Created int64       // local Unix ms
	Expires int64       // local Unix ms
	Revoked bool
	Taken   []Redemption // at most Uses, in the order in which they came
}

// Redemption is one use of an invitation: reserved for a key, and spent when that key said that it knows.
type Redemption struct {
	Key   keys.Public
	Zone  mesh.Zone
	At    int64 // local Unix ms
	Spent bool
}

const (
	// MaxEndpoints is how many endpoints are kept of one node.
	MaxEndpoints = 16
	// MaxEndpoint is the longest endpoint, in bytes: a DNS name of 253, a colon and a port.
	MaxEndpoint = 253 + 1 + 5
	// MaxRecord is the largest signed peer record, in bytes: MaxEndpoints addresses fit, however they are written.
	MaxRecord = 5 << 10
)

// Contact is what the address book knows of how to reach a node.
type Contact struct {
	Key       keys.Public
	Zone      mesh.Zone // as it named itself; a hint
	Endpoints []string  // host:port, those that worked last first; at most MaxEndpoints of MaxEndpoint bytes
	Record    []byte    // its newest signed peer record, sealed as it came, at most MaxRecord bytes; nil: none
	Seen      int64     // local Unix ms of the last sign of life; 0: never
	// Inviter: this node joined through it. It is admitted here because its invitation named its key.
	Inviter bool
}

// BrakeSlots is how many slots the sliding window of deletions is kept in.
const BrakeSlots = 10

// Brake counts deletions of one zone's objects over the sliding window.
type Brake struct {
	Zone  mesh.Zone
	Slots [BrakeSlots]BrakeSlot
	Held  bool // of our own zone: deletions were held before they were signed, and nobody confirmed them yet
}

// BrakeSlot counts the deletions of one slot of the window.
type BrakeSlot struct {
	Slot  int64 // Unix ms divided by the slot's length
	Count uint32
}

// Acked is how far a zone acknowledged a log of ours.
type Acked struct {
	Zone   mesh.Zone
	Log    mesh.LogKey
	Height uint32
}

// Span names rows [From, To) of a log.
type Span struct {
	Log      mesh.LogKey
	From, To uint32
}

// Batch is everything one transaction makes durable. It is applied as a whole or not at all, in the order of
// the fields. The slices belong to the store until Commit returns.
type Batch struct {
	Rows         []Row // insert; an existing row with the same (log, seq) is replaced
	Prune        []Span
	Logs         []Log         // insert or replace
	DropLogs     []mesh.LogKey // the record; its rows were pruned before
	Claims       []ClaimWrite
	DropClaims   []mesh.ClaimRef
	Placed       []Placed
	DropPlaced   []mesh.ObjectKey
	Trust        []TrustOp
	DropTrust    []mesh.Hash
	Lost         []LostRecord
	Evidence     []Evidence
	Bindings     []Binding
	Brakes       []Brake
	Acked        []Acked
	Covers       map[keys.Public]event.SnapshotBegin // newest covers in force per author; only Floor, Covers and Witness are kept
	Invites      []Invite                            // insert or replace, by id
	DropInvites  []string
	Contacts     []Contact // insert or replace, by key
	DropContacts []keys.Public
	Meta         *Meta
}

// Index is all that a node needs in memory to go on: everything but rows, payloads, lost content and
// evidence.
type Index struct {
	Meta     *Meta // nil: the store is new
	Logs     []Log
	Claims   []mesh.Claim
	Placed   []Placed
	Trust    []TrustOp
	Bindings []Binding
	Brakes   []Brake
	Acked    []Acked
	Covers   map[keys.Public]event.SnapshotBegin
	Invites  []Invite
	Contacts []Contact
}

// Reader answers from committed state. Slices returned are the caller's. Safe for concurrent use.
type Reader interface {
	// Payload returns the content of a live claim; nil and no error if there is none.
	Payload(ref mesh.ClaimRef) ([]byte, error)
	// Rows returns rows of [from, to) in order, starting at the first one held, until maxBytes are passed
	// (at least one row if any is held). The read transaction is over when it returns.
	Rows(log mesh.LogKey, from, to uint32, maxBytes int) ([]Row, error)
	// RowID returns the id of the operation at seq, and whether it is held.
	RowID(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error)
	// Evidence returns the proofs of forks, in the order of their logs: the first one of each log.
	Evidence() ([]Evidence, error)
}

// Store keeps a node's state. Commit is called by one goroutine at a time; reads may run beside it.
type Store interface {
	Reader
	Load() (*Index, error)
	// Commit makes the batch durable: when it returns nil the data is synced to disk. After an error the
	// store must not be used any more.
	Commit(*Batch) error
	Close() error
}
