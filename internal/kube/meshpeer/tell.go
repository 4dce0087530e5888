package meshpeer

import (
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// tell puts Kubernetes Events on MeshPeers for what changed since the last round. What a MeshPeer said before this
// run counts as told: a restart is no news of the others.
func (k *Keeper) tell(r *round) {
	if !k.asked {
		return
	}
	k.tellRulings(r)
	for key, p := range r.known {
		o := r.first[key]
		if o == nil {
			continue
		}
		was, told := k.noted[key]
		if !told {
			was = stateOf(o.status)
		}
		k.noted[key] = p.State
		switch {
		case p.State == was:
		case p.State == mesh.Ready:
			k.event(o, false, PeerReady, "The node is ready.")
		case p.State == mesh.NotReady:
			k.event(o, true, PeerNotReady, explain(reasonFor(p)))
		case p.State == mesh.Unavailable:
			k.event(o, true, PeerUnavailable, explain(reasonFor(p)))
		default:
			k.noted[key] = was // Unknown: nothing is known that could be told
		}
		if k.rulings[key].Reason != ReasonConflict {
			k.flag(o, IdentityConflict, slices.Contains(p.Reasons, reasonTwoInstances), "Two live instances of this node were seen.")
		}
		k.flag(o, DeletesHeld, p.DeletesHeld > 0, "Deletions of this zone are held until somebody confirms them.")
		k.flag(o, VersionSkew, p.Version != nil && release(*p.Version) != release(k.cfg.Version),
			"The node runs another release than the node of this cluster.")
	}
	for key := range k.noted {
		if r.known[key] != nil {
			continue
		}
		if o := r.first[key]; o != nil && !k.rulings[key].out() {
			k.event(o, true, PeerRemoved, "The key is in no configuration and not admitted here any more.")
		}
		delete(k.noted, key)
	}
}

// flag tells of something that holds from now on, once.
func (k *Keeper) flag(o *object, reason string, holds bool, note string) {
	if !holds {
		delete(k.flags[o.key], reason)
		return
	}
	if k.flags[o.key][reason] {
		return
	}
	k.flagged(o.key, reason)
	k.event(o, true, reason, note)
}

func reasonFor(p *mesh.Peer) string {
	if len(p.Reasons) == 0 {
		return ""
	}
	return p.Reasons[0]
}

// release is major and minor of a version: what may differ in what it does. Anything else is a release of its own.
func release(version string) string {
	dots := 0
	for i := range len(version) {
		if version[i] == '.' {
			if dots++; dots == 2 {
				return version[:i]
			}
		}
	}
	return version
}

// forget drops what is remembered of keys that the node doesn't list any more, so that nothing grows for ever.
func (k *Keeper) forget(r *round) {
	for key := range k.withdrew {
		if r.known[key] == nil {
			delete(k.withdrew, key)
		}
	}
	for key := range k.behind {
		if r.known[key] == nil {
			delete(k.behind, key)
		}
	}
}
