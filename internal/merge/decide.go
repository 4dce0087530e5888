package merge

import "dcp.hiro.io/mesh/internal/mesh"

// Action is what a zone has to do about an object, given all claims.
type Action uint8

const (
	// Nothing: nobody claims the object, or the claims ask nothing of this zone.
	Nothing Action = iota
	// Own: our live claim decides; our copy stands.
	Own
	// Contend: our live claim lost the tie against another creator, but each keeps its copy until adopted.
	Contend
	// Put: another zone's live claim decides and we have none; be a replica.
	Put
	// Yield: another zone's live claim beats ours; withdraw our claim and become a replica.
	Yield
	// Remove: a tombstone decides; replicas written for its zone or for a lower epoch go.
	Remove
	// YieldDeleted: a tombstone of a higher epoch names the very life of our object: it was taken over and
	// then deleted while we were away. Withdraw our claim and delete our copy.
	YieldDeleted
	// Restate: a tombstone of a higher epoch names another life; ours is an independent creation and is
	// stated again at that epoch, where live goes before deleted.
	Restate
)

// Policy is what the configuration says about two independent creators.
type Policy struct {
	Oldest bool // the winner replaces the other copies; otherwise each keeps its own
}

// Decide returns what zone own has to do, and the claim that decides; the claim is meaningless for Nothing.
func Decide(own mesh.Zone, claims []mesh.Claim, p Policy) (Action, mesh.Claim) {
	win, ok := Winner(claims)
	if !ok {
		return Nothing, mesh.Claim{}
	}
	var mine *mesh.Claim
	for i := range claims {
		if claims[i].Zone == own && claims[i].Kind == mesh.Live {
			mine = &claims[i]
		}
	}
	switch {
	case mine == nil && win.Kind == mesh.Live:
		return Put, win
	case mine == nil:
		return Remove, win
	case win.Zone == own:
		return Own, win
	case win.Kind == mesh.Live && win.Epoch > mine.Epoch:
		return Yield, win
	case win.Kind == mesh.Live && win.Content == mine.Content:
		return Own, *mine // two creators of the same thing: no conflict, and each goes on stating its own
	case win.Kind == mesh.Live && p.Oldest:
		return Yield, win
	case win.Kind == mesh.Live:
		return Contend, win
	case win.Birth == mine.Birth:
		return YieldDeleted, win
	default:
		return Restate, win
	}
}
