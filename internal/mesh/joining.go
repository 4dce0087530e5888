package mesh

import "time"

// This file holds what a running node tells about who joined, who may and who left: the values behind
// `mesh invite`, `mesh peers describe`, `mesh peers remove` and the HTTP API. Field names are the JSON contract;
// fields are only added.

// InviteState says what an invitation is still good for.
type InviteState string

const (
	InvitePending InviteState = "Pending" // somebody may redeem it
	InviteUsed    InviteState = "Used"    // redeemed as often as it may be
	InviteExpired InviteState = "Expired"
	InviteRevoked InviteState = "Revoked"
)

// Invite is an invitation that a node gave out, without its secret.
type Invite struct {
	ID          string       `json:"id"`
	Zone        *Zone        `json:"zone"` // null: whoever redeems it names one
	For         *string      `json:"for"`  // the only public key that may redeem it; null: any
	Uses        int          `json:"uses"` // how many keys may redeem it
	Used        int          `json:"used"` // how many did
	Created     time.Time    `json:"created"`
	Expires     time.Time    `json:"expires"`
	State       InviteState  `json:"state"`
	Redemptions []Redemption `json:"redemptions"` // in the order in which they came
}

// Redemption is one use of an invitation.
type Redemption struct {
	PublicKey    string    `json:"publicKey"`
	PeerID       string    `json:"peerId"`
	Zone         Zone      `json:"zone"`
	At           time.Time `json:"at"`
	Acknowledged bool      `json:"acknowledged"` // the node that joined said that it knows
}

// NewInvite is an invitation as it is told once, to whoever asked for it.
type NewInvite struct {
	Invite
	Endpoints []string `json:"endpoints"` // of this node, as the token names them
	// TakesOver is the key that loses the zone when the invitation is redeemed, because it doesn't answer any
	// more; null: none.
	TakesOver *TakenOver `json:"takesOver"`
	// Token admits whoever holds it. It is told nowhere else.
	Token string `json:"token"`
}

// TakenOver is a key that is unavailable and whose zone is given to another.
type TakenOver struct {
	PublicKey string     `json:"publicKey"`
	LastSeen  *time.Time `json:"lastSeen"`
}

// Admission says by whom a peer was admitted.
type Admission struct {
	By     *string    `json:"by"`     // public key of the member that signed it; null: this node's own configuration alone
	ByZone *Zone      `json:"byZone"` // that member's zone, if it is known
	At     *time.Time `json:"at"`     // by that member's clock
}

// ZoneKey is one key in the history of a zone.
type ZoneKey struct {
	PublicKey  string     `json:"publicKey"`
	Generation uint64     `json:"generation"` // 0: by admission; else by the hand-over of this number
	By         *string    `json:"by"`         // who signed that
	Since      *time.Time `json:"since"`
	Ended      string     `json:"ended,omitempty"` // Removed or HandedOver; empty: it holds the zone
	Until      *time.Time `json:"until"`
	EndedBy    *string    `json:"endedBy"` // who signed the end
}

// RemovalState says how far the removal of a key has come.
type RemovalState string

const (
	NotRemoved      RemovalState = "Member"   // nobody removed it
	RemovalProposed RemovalState = "Proposed" // it counts for its author until a majority of the zones was compared with
	KeyRemoved      RemovalState = "Removed"  // everywhere, as it becomes known
)

// Removal is how the removal of a key stands.
type Removal struct {
	PublicKey string       `json:"publicKey"`
	PeerID    string       `json:"peerId"`
	Zone      Zone         `json:"zone"`
	State     RemovalState `json:"state"`
	By        *string      `json:"by"` // public key of who signed it
	At        *time.Time   `json:"at"` // by its clock
}
