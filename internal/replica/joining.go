package replica

import (
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// What joining and leaving a mesh is about.
type (
	// Invited adds an invitation.
	Invited struct{ Invite oplog.Invite }
	// Revoked cancels an invitation by its id. What it admitted stays admitted.
	Revoked struct{ ID string }
	// Redeemed asks for the admission of a key by an invitation. Whether it was granted, Redemption tells
	// afterwards. The caller authenticated the key.
	Redeemed struct{ Redeem }
	// Acknowledged says that a key knows of its admission: its use of the invitation is spent.
	Acknowledged struct {
		ID  string
		Key keys.Public
	}
	// HandedOver asks for the hand-over of From's zone to To. The caller verified From's signature on it.
	HandedOver struct{ From, To keys.Public }
	// Expel removes a key from the mesh. It becomes effective everywhere once a majority of the other zones was
	// compared with; until then it is a proposal.
	Expel struct{ Key keys.Public }
)

// Redeem is what a stranger presents.
type Redeem struct {
	ID     string
	Secret [16]byte
	Key    keys.Public
	Zone   mesh.Zone // that it asks for; empty: the invitation's
	// Dead is the key that the zone is bound to if that one is known not to be alive, else zero: an invitation
	// that names the zone then hands it over.
	Dead keys.Public
}

// Denial says why an invitation is not redeemed; empty: it is. The set is closed.
type Denial string

const (
	DenialNone    Denial = ""
	DenialUnknown Denial = "unknown"     // no such invitation, or a wrong secret
	DenialExpired Denial = "expired"     // by this node's clock
	DenialUsed    Denial = "used"        // by other keys, as often as it may be
	DenialRevoked Denial = "revoked"     //
	DenialFor     Denial = "for_another" // it is for another key
	DenialZone    Denial = "zone_taken"  // the zone is bound to another key
	DenialNoZone  Denial = "no_zone"     // neither the invitation nor the request names one
	DenialOther   Denial = "other_zone"  // the request names another zone than the invitation
	DenialRemoved Denial = "removed"     // the key was removed from the mesh
	DenialBound   Denial = "bound"       // the key is a member of another zone already
	DenialNotYet  Denial = "not_ready"   // this node doesn't sign yet: ask again
)

// Grant is what became of a request.
type Grant struct {
	Denial Denial
	By     keys.Public     // with DenialUsed and DenialZone: who has it
	Zone   mesh.Zone       // admitted as
	Trust  []oplog.TrustOp // what proves the admission to others: this node's statement about the key
}

func (Invited) input()      {}
func (Revoked) input()      {}
func (Redeemed) input()     {}
func (Acknowledged) input() {}
func (HandedOver) input()   {}
func (Expel) input()        {}
