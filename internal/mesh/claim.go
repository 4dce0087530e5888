package mesh

import "fmt"

// ClaimKind says what a zone states about an object. The numbers are stored and never reordered.
type ClaimKind uint8

const (
	// Live says: the object exists and looks like this.
	Live ClaimKind = 1
	// Deleted says: the object was ours and is deleted. Such a claim is a tombstone.
	Deleted ClaimKind = 2
	// Released says: the object is no longer ours; replicas stay.
	Released ClaimKind = 3
)

func (k ClaimKind) String() string {
	switch k {
	case Live:
		return "live"
	case Deleted:
		return "deleted"
	case Released:
		return "released"
	}
	return fmt.Sprintf("ClaimKind(%d)", uint8(k))
}

// Position is where a claim was last stated.
type Position struct {
	Log         LogKey
	Incarnation Incarnation
	Seq         uint32
}

// Claim is the newest statement of one zone about one object.
type Claim struct {
	Object   ObjectKey
	Zone     Zone
	Kind     ClaimKind
	Version  Version // 0 on a release
	Epoch    Epoch
	Birth    Version // version at which this life of the object was first published; 0 on a release
	NewOwner Zone    // on a release: who it yielded to, or empty
	Content  Hash    // BLAKE3 of the payload; live claims only
	Size     uint32  // payload bytes; live claims only
	At       Position
	Since    int64 // local Unix ms at which it was stored: for retention and display, never for decisions between zones
}

// ClaimRef names a claim.
type ClaimRef struct {
	Object ObjectKey
	Zone   Zone
}

// Ref returns the name of c.
func (c Claim) Ref() ClaimRef { return ClaimRef{c.Object, c.Zone} }
