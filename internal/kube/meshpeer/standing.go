package meshpeer

import (
	"context"
	"maps"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Ruling is what the mesh says about a key, whatever this node admits.
type Ruling struct {
	Reason  string // ReasonRemoved, ReasonHandedOver or ReasonConflict
	Message string // one sentence
}

// out reports whether the key is no member and cannot become one again.
func (r Ruling) out() bool { return r.Reason == ReasonRemoved || r.Reason == ReasonHandedOver }

// askStanding asks the node what the mesh says about the keys that have a MeshPeer. While it is too busy to answer, what
// it told last holds.
func (k *Keeper) askStanding(ctx context.Context, v view) {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	of := slices.SortedFunc(maps.Keys(v.first()), keys.Public.Compare)
	if rulings, err := k.cfg.Standing(ctx, of); err == nil {
		k.rulings = rulings
	}
}

// Remembers lists the MeshPeers of the cluster once and reports whether this node had one before, and whether any
// admits somebody. It may be called before Run.
func (k *Keeper) Remembers(ctx context.Context) (before, admits bool, err error) {
	list, _, err := k.list(ctx)
	if err != nil {
		return false, false, err
	}
	v := view{objects: list, listed: true}
	slices.SortFunc(v.objects, k.registry.byPrecedence)
	set, _ := v.admissions(k.cfg.Self)
	return v.first()[k.cfg.Self] != nil, len(set) > 0, nil
}

// rule brings what the mesh says about a key into its status.
func (f facts) rule(o *object, s *status) {
	r := f.ruling
	if r.Reason == "" || o.keyErr != "" || f.first != "" {
		return
	}
	if !r.out() {
		if s.Status == mesh.Ready {
			s.Status = mesh.NotReady
		}
		s.set(Ready, "False", r.Reason, r.Message)
		return
	}
	s.Status = mesh.NotReady
	if f.self == nil {
		s.Status = mesh.Unavailable
		s.unknown(r.Reason, r.Message)
		s.set(Connected, "False", r.Reason, r.Message)
	}
	s.set(Ready, "False", r.Reason, r.Message)
}

// tellRulings puts an Event on each MeshPeer whose key the mesh has said something new about.
func (k *Keeper) tellRulings(r *round) {
	for key, o := range r.first {
		x := k.rulings[key]
		if x.Reason != "" && o.status.condition(Ready).Reason == x.Reason {
			k.flagged(key, eventOf(x)) // told in an earlier run
		}
		k.flag(o, PeerRemoved, x.out(), x.Message)
		if x.Reason == ReasonConflict {
			k.flag(o, IdentityConflict, true, x.Message)
		}
	}
	for key := range k.flags {
		if _, ruled := k.rulings[key]; !ruled && r.known[key] == nil {
			delete(k.flags, key)
		}
	}
}

func eventOf(x Ruling) string {
	if x.out() {
		return PeerRemoved
	}
	return IdentityConflict
}

// flagged notes that an Event was told.
func (k *Keeper) flagged(key keys.Public, reason string) {
	if k.flags[key] == nil {
		k.flags[key] = map[string]bool{}
	}
	k.flags[key][reason] = true
}
