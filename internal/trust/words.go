package trust

import (
	"cmp"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Outcome is what became of a statement that was added.
type Outcome uint8

const (
	Added   Outcome = iota + 1 // new, and part of what is exchanged
	Held                       // was held before
	Waiting                    // its author has no say here, or has lost it: set aside, taken as soon as that changes
	Full                       // there is no room for more of its author, or for more at all: not held
	Refused                    // it is not about trust: not held
)

func (o Outcome) String() string {
	switch o {
	case Added:
		return "added"
	case Held:
		return "held"
	case Waiting:
		return "waiting"
	case Refused:
		return "refused"
	case Full:
		return "full"
	}
	return "none"
}

// End says how a key ceased to be a member. The zero value: it did not.
type End uint8

const (
	Removed    End = iota + 1 // a removal counts
	HandedOver                // its zone went to another key
)

func (e End) String() string {
	switch e {
	case Removed:
		return "removed"
	case HandedOver:
		return "handed over"
	}
	return ""
}

// Expulsion is why a key is no member any more: the removal or hand-over that counts. Of several, hand-overs go
// before removals, then the highest generation, then the lowest id.
//
// A hand-over and a removal by the key that it takes the zone from may void each other. Then both expel, and
// the hand-over, being void, hands nothing over: it shows as Removed.
type Expulsion struct {
	Kind       End
	By         keys.Public // who signed it
	ID         mesh.Hash   // of the statement
	To         keys.Public // to whom, if HandedOver
	Zone       mesh.Zone   // which zone, if HandedOver
	Generation uint64      // of that, if HandedOver
	Time       uint64      // Unix µs as its author claims
}

// before reports whether e is rather to be told than o.
func (e Expulsion) before(o Expulsion) bool {
	return cmp.Or(-cmp.Compare(e.Kind, o.Kind), -cmp.Compare(e.Generation, o.Generation), e.ID.Compare(o.ID)) < 0
}

// Proposal is a removal without a cut of a key that is not expelled: it counts for its author only.
type Proposal struct {
	Key  keys.Public // to be removed
	By   keys.Public
	ID   mesh.Hash
	Time uint64 // Unix µs as its author claims
}

// Dispute says what a conflict is about.
type Dispute uint8

const (
	TwoKeys      Dispute = iota + 1 // keys are bound to one zone without a hand-over between them
	TwoHandOvers                    // hand-overs of one generation name different keys
	TwoZones                        // a key is bound to several zones
)

func (d Dispute) String() string {
	switch d {
	case TwoKeys:
		return "several keys of one zone"
	case TwoHandOvers:
		return "several hand-overs of one generation"
	case TwoZones:
		return "several zones of one key"
	}
	return ""
}

// Conflict is a contradiction between standing statements: none of Keys is bound to any of Zones.
type Conflict struct {
	Kind  Dispute
	Zones []mesh.Zone   // sorted; one, except for TwoZones
	Keys  []keys.Public // sorted; several, except for TwoZones
}

// Rank orders the claims that different keys made for one zone. The zero value is the lowest.
type Rank struct {
	Current    bool   // the key is bound to the zone now
	Generation uint64 // under which it had the zone
}

// Compare orders ranks: the key bound now goes above all others, those by generation.
func (r Rank) Compare(o Rank) int {
	return cmp.Or(r.current()-o.current(), cmp.Compare(r.Generation, o.Generation))
}

func (r Rank) current() int {
	if r.Current {
		return 1
	}
	return 0
}

// Tenure is the time in which a key held a zone.
type Tenure struct {
	Key        keys.Public
	Generation uint64      // 0: by admission or binding, else by the hand-over of this generation
	AdmittedBy keys.Public // who signed that; zero: local admission only
	Since      uint64      // Unix µs as that author claims; 0 if only admitted locally
	Ended      End         // zero: it did not end
	Until      uint64      // Unix µs as the author of the end claims
	EndedBy    keys.Public // who signed the end
	To         keys.Public // to whom, if HandedOver
}
