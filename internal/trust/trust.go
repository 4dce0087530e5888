package trust

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Statement is an operation about trust: signature and body were verified, its log id follows from its body.
type Statement struct {
	ID     mesh.Hash
	Author keys.Public
	Log    mesh.LogID
	Seq    uint32
	Time   uint64       // Unix µs as its author claims, for people only
	Event  *event.Event // Admit, Bind, Remove or HandOver is set
}

// Member is an admitted key and the zone bound to it; empty while there is none.
type Member struct {
	Key  keys.Public
	Zone mesh.Zone
}
