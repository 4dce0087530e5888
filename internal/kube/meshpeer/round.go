package meshpeer

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// creationsPerRound spreads the first start of a large mesh over some rounds.
	creationsPerRound = 50
	// renewGap lies between two statuses that are only renewed: a mesh of more than 60 zones is not worth more
	// than a request a second.
	renewGap = time.Second
	// recreateAfter is how long a key whose admission was withdrawn gets no new MeshPeer: the node needs a moment
	// to let go of it.
	recreateAfter = 15 * time.Second
)

// round is one pass over everything.
type round struct {
	k        *Keeper
	v        view
	first    map[keys.Public]*object
	known    map[keys.Public]*mesh.Peer
	verdicts map[string]verdict
	now      time.Time
	created  int
}

func (k *Keeper) newRound(v view) *round {
	r := &round{k: k, v: v, first: v.first(), known: map[keys.Public]*mesh.Peer{}, now: k.cfg.Now()}
	_, r.verdicts = v.admissions(k.cfg.Self)
	for i := range k.last {
		if key, err := keys.ParsePublic(k.last[i].PublicKey); err == nil && key != k.cfg.Self {
			r.known[key] = &k.last[i]
		}
	}
	return r
}

// facts gathers what is known of an object's key.
func (r *round) facts(o *object) facts {
	k := r.k
	f := facts{now: r.now, version: k.cfg.Version, verdict: r.verdicts[o.name]}
	if o.keyErr != "" {
		return f
	}
	if first := r.first[o.key]; first != o {
		f.first = first.name
	}
	f.peer, f.behindSince, f.ruling = r.known[o.key], k.behind[o.key], k.rulings[o.key]
	if o.key == k.cfg.Self {
		f.self = &selfFacts{zone: k.cfg.Zone, incarnation: k.cfg.Incarnation(), ready: k.cfg.Ready()}
		for _, since := range k.behind {
			f.self.behind = f.self.behind || r.now.Sub(since) >= behindFor
		}
	}
	return f
}

// peer makes a MeshPeer for a peer that has none.
func (r *round) peer(ctx context.Context, p *mesh.Peer) {
	key, err := keys.ParsePublic(p.PublicKey)
	if err != nil || key == r.k.cfg.Self || r.first[key] != nil || r.created >= creationsPerRound {
		return
	}
	if t, ok := r.k.withdrew[key]; ok {
		if r.now.Sub(t) < recreateAfter {
			return
		}
		delete(r.k.withdrew, key)
	}
	for _, a := range r.k.told {
		if a.Key == key {
			return // its object is gone, and whether that withdraws it is not proven yet
		}
	}
	r.create(ctx, key, p.Endpoints, p)
}

func (r *round) create(ctx context.Context, key keys.Public, endpoints []string, p *mesh.Peer) {
	k := r.k
	if !k.pacing.may(opCreate, r.now) {
		return
	}
	r.created++
	o, err := k.create(ctx, key, endpoints, nil)
	if err != nil {
		k.failed(opCreate, err)
		return
	}
	k.worked(opCreate)
	r.first[key] = o
	r.v.objects = append(r.v.objects, o)
	r.object(ctx, o)
	if p != nil {
		k.event(o, false, PeerJoined, "The node is known here from now on.")
	}
}

// object writes what is to be written of one object.
func (r *round) object(ctx context.Context, o *object) {
	k := r.k
	if o.deleting || !k.asked && o.key != k.cfg.Self {
		return
	}
	o = r.respell(ctx, o)
	s := r.facts(o).judge(o)
	switch compare(o, s) {
	case same:
		return
	case refresh:
		if r.now.Before(k.renewAt) || !k.pacing.renew(o, r.now) {
			return
		}
		k.renewAt = r.now.Add(renewGap)
	}
	if !k.pacing.may(opStatus, r.now) || !k.pacing.object(o.uid, r.now) {
		return
	}
	fresh, err := k.patchStatus(ctx, o, s)
	switch {
	case err == nil:
		k.worked(opStatus)
		k.registry.wrote(fresh, o.rv)
		k.pacing.wrote(o.uid, r.now)
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		// Somebody was faster. The watch brings what stands there now.
	case apierrors.IsInvalid(err):
		k.pacing.refused(o.uid, r.now)
		k.failed(opStatus, err)
	default:
		k.failed(opStatus, err)
	}
}

// respell keeps the endpoints of an object that this node named in step with what it knows. What people made, and
// what they admitted, is theirs. It returns the object as it stands then.
func (r *round) respell(ctx context.Context, o *object) *object {
	k := r.k
	if o.keyErr != "" || o.admitted || !named(o) || r.first[o.key] != o {
		return o
	}
	var want []string
	if o.key == k.cfg.Self {
		want = k.cfg.Advertise()
	} else if p := r.known[o.key]; p != nil {
		want = p.Endpoints
	} else {
		return o
	}
	want = usable(want)
	if o.endpointErr == "" && sameSet(want, o.endpoints) || !k.pacing.may(opSpec, r.now) || !k.pacing.object(o.uid, r.now) {
		return o
	}
	fresh, err := k.patchEndpoints(ctx, o, want)
	switch {
	case err == nil:
		k.worked(opSpec)
		k.registry.wrote(fresh, o.rv)
		r.first[o.key] = fresh
		return fresh
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
	default:
		k.failed(opSpec, err)
	}
	return o
}
