package event

import (
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Kind numbers what a body states. Numbers are on the wire and never reordered.
type Kind uint8

const (
	KindUpdate        Kind = 1
	KindDelete        Kind = 2
	KindRelease       Kind = 3
	KindReport        Kind = 4
	KindAck           Kind = 5
	KindSnapshotBegin Kind = 6
	KindSnapshotChunk Kind = 7
	KindSnapshotEnd   Kind = 8
	KindAdmit         Kind = 9
	KindBind          Kind = 10
	KindRemove        Kind = 11
	KindHandOver      Kind = 12
)

// Event is what the body of an operation carries. Exactly one of the pointers below is set for a kind that
// this version knows; none for an unknown one, which is quarantined: stored, relayed, not acted on.
type Event struct {
	Instance mesh.Instance // the log it was written for; the log id must follow from it
	Kind     Kind

	Update        *Update
	Delete        *Delete
	Release       *Release
	Report        *Report
	Ack           *Ack
	SnapshotBegin *SnapshotBegin
	SnapshotChunk *SnapshotChunk
	SnapshotEnd   *SnapshotEnd
	Admit         *Admit
	Bind          *Bind
	Remove        *Remove
	HandOver      *HandOver
}

// Known reports whether this version can read what the event says.
func (e *Event) Known() bool {
	return e.Update != nil || e.Delete != nil || e.Release != nil || e.Report != nil || e.Ack != nil ||
		e.SnapshotBegin != nil || e.SnapshotChunk != nil || e.SnapshotEnd != nil ||
		e.Admit != nil || e.Bind != nil || e.Remove != nil || e.HandOver != nil
}

// AboutTrust reports whether the event says who belongs to the mesh.
func (e *Event) AboutTrust() bool {
	return e != nil && (e.Admit != nil || e.Bind != nil || e.Remove != nil || e.HandOver != nil)
}

// Admits returns the key that the event lets into the mesh, by an admission or a hand-over, or the zero key.
func (e *Event) Admits() keys.Public {
	switch {
	case e.Admit != nil:
		return e.Admit.Key
	case e.HandOver != nil:
		return e.HandOver.To
	}
	return keys.Public{}
}

// Update states that an object is live and what it looks like.
type Update struct {
	Object  mesh.ObjectKey
	Payload []byte // canonical JSON, not empty
	Version mesh.Version
	Epoch   mesh.Epoch
	Birth   mesh.Version
}

// Delete states that an object of ours was deleted.
type Delete struct {
	Object  mesh.ObjectKey
	Version mesh.Version
	Epoch   mesh.Epoch
	Birth   mesh.Version
}

// Release withdraws a zone's claim without deleting anything.
type Release struct {
	Object   mesh.ObjectKey
	NewOwner mesh.Zone // empty when nobody in particular
	Epoch    mesh.Epoch
}

// Report is a placement zone's contribution to an object's status.
type Report struct {
	Object  mesh.ObjectKey
	Entry   mesh.Zone
	Version mesh.Version
	Payload []byte
}

// Height is a position in a log, as an acknowledgement.
type Height struct {
	Log    mesh.LogKey
	Height uint32 // highest sequence number held without a gap
}

// Ack acknowledges how far other zones' logs are held here.
type Ack struct{ Heights []Height }

// Witness ties a log to the cluster it described: the cluster's id and a counter raised there at start and
// while something was published.
type Witness struct {
	Cluster mesh.Hash // zero: no witness known
	Counter uint64
}

// Cover names an earlier log that its author read back in full, up to a height.
type Cover struct {
	Log         mesh.LogKey
	Incarnation mesh.Incarnation
	Height      uint32
	Head        mesh.Hash // id of the operation at Height
}

// MaxCovers bounds the entries beside the floor.
const MaxCovers = 8

// SnapshotBegin opens a run that restates everything its zone claims. Its operation carries the prune flag.
type SnapshotBegin struct {
	Floor   mesh.Incarnation // every incarnation below is wholly covered
	Covers  []Cover          // at most MaxCovers
	Witness Witness
	Heights []Height
}

// EntryKind numbers the sorts of snapshot entries, in the order in which they stand in a run.
type EntryKind uint8

const (
	EntryLive     EntryKind = 1
	EntryDeleted  EntryKind = 2
	EntryReleased EntryKind = 3
	EntryReport   EntryKind = 4
	EntryTrust    EntryKind = 5
)

// Entry is one statement restated by a snapshot. Claims (live, deleted, released) come first, ordered by
// object key, then reports ordered by object key and entry, then trust operations ordered by id.
type Entry struct {
	Kind     EntryKind
	Object   mesh.ObjectKey
	Payload  []byte // live, report
	Version  mesh.Version
	Epoch    mesh.Epoch
	Birth    mesh.Version
	NewOwner mesh.Zone // released
	Zone     mesh.Zone // report: the entry it stands for
	Header   []byte    // trust: the verbatim operation
	Body     []byte    // trust
}

// SnapshotChunk is a part of a run. A chunk closes before an entry that would pass MaxChunk bytes.
type SnapshotChunk struct{ Entries []Entry }

// MaxChunk is the size of entries after which a chunk closes, in bytes.
const MaxChunk = 256 << 10

// SnapshotEnd closes a run. Digest is BLAKE3 over the encoded entries of the run in their order.
type SnapshotEnd struct {
	Count  uint64
	Digest mesh.Hash
}

// Admit admits a key, bound to a zone unless Zone is empty.
type Admit struct {
	Key  keys.Public
	Zone mesh.Zone
}

// Bind binds an admitted key to a zone.
type Bind struct {
	Key  keys.Public
	Zone mesh.Zone
}

// Cut is the last position of a log that a removal or hand-over leaves standing.
type Cut struct {
	Log    mesh.LogID
	Height uint32
	Head   mesh.Hash
}

// NothingStands is the cut of a key that signed nothing as far as its remover knows: a log that cannot be, for the id of
// a real one is a hash.
var NothingStands = Cut{Head: mesh.Sum([]byte("mesh: nothing stands"))}

// Remove expels a key. Without cuts it is a proposal.
type Remove struct {
	Key  keys.Public
	Cuts []Cut
}

// HandOver moves a zone from one key to the next.
type HandOver struct {
	Zone       mesh.Zone
	From, To   keys.Public
	Generation uint64
	Cuts       []Cut
}
