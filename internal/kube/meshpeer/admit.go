package meshpeer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/keys"
)

// proveDelay is how long after an admitted object vanished its withdrawal is examined. When a definition or a
// namespace goes, its objects go one by one, and the API server needs a moment to know everywhere why.
const proveDelay = 2 * time.Second

// announce tells the node what is admitted. What vanished stays admitted until that is proven to be meant.
func (k *Keeper) announce(ctx context.Context, v view) {
	now := k.cfg.Now()
	missing, since := k.registry.missing()
	for key := range missing {
		if !slices.ContainsFunc(k.told, func(a Admitted) bool { return a.Key == key }) {
			k.registry.withdrawn(key) // it never counted
			delete(missing, key)
		}
	}
	switch {
	case len(missing) == 0:
		k.worked(opProve)
	case now.Sub(since) >= proveDelay && k.pacing.may(opProve, now):
		proven, err := k.prove(ctx, missing)
		for _, key := range proven {
			k.registry.withdrawn(key)
			k.withdrew[key] = now
			delete(missing, key)
		}
		if err != nil && ctx.Err() == nil {
			k.failed(opProve, err)
		}
	}
	set, _ := v.admissions(k.cfg.Self)
	for _, a := range k.told {
		if _, unproven := missing[a.Key]; unproven && !slices.ContainsFunc(set, func(b Admitted) bool { return b.Key == a.Key }) {
			set = append(set, a)
		}
	}
	slices.SortFunc(set, func(a, b Admitted) int { return a.Key.Compare(b.Key) })
	if k.toldOnce && slices.EqualFunc(set, k.told, Admitted.equal) {
		return
	}
	// An empty first list may be one of a namespace that isn't there: the own MeshPeer shows that it is.
	if !k.toldOnce && len(set) == 0 && v.first()[k.cfg.Self] == nil {
		return
	}
	k.told, k.toldOnce = set, true
	out := make([]Admitted, len(set))
	for i, a := range set {
		out[i] = Admitted{a.Key, a.Zone, slices.Clone(a.Endpoints)}
	}
	k.cfg.OnAdmitted(out)
}

func (a Admitted) equal(b Admitted) bool {
	return a.Key == b.Key && a.Zone == b.Zone && slices.Equal(a.Endpoints, b.Endpoints)
}

// errUnproven: what vanished may have vanished with everything else.
var errUnproven = errors.New("not proven to be meant")

// prove returns those of the keys that have no object any more although namespace and definition are the same as
// before and there to stay. Each key comes with the UIDs of our own objects that stood beside its object.
func (k *Keeper) prove(ctx context.Context, missing map[keys.Public][]string) (proven []keys.Public, err error) {
	list, _, err := k.list(ctx)
	if err != nil {
		return nil, err
	}
	there := map[keys.Public]bool{}
	var own *object
	for _, o := range list {
		if o.keyErr != "" {
			continue
		}
		there[o.key] = true
		if o.key == k.cfg.Self && !o.deleting && (own == nil || o.created.Before(own.created)) {
			own = o
		}
	}
	if own == nil {
		return nil, fmt.Errorf("%w: the MeshPeer of this node is gone as well", errUnproven)
	}
	if err := k.lives(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := k.peers.Get(ctx, own.name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read MeshPeer %s: %w", own.name, err)
	}
	for key, beside := range missing {
		switch {
		case there[key]: // again: the watch tells what it says
		case slices.Contains(beside, own.uid) && string(u.GetUID()) == own.uid:
			proven = append(proven, key)
		default:
			err = fmt.Errorf("%w: the MeshPeer of this node was made anew; a MeshPeer with spec.admitted false withdraws key %s",
				errUnproven, key.Short())
		}
	}
	return proven, err
}

// lives asks the API server whether it would make a MeshPeer here: it wouldn't in a namespace or for a definition
// that is missing or being deleted. Nothing is made.
func (k *Keeper) lives(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u := k.body("", k.cfg.Self, nil, nil)
	u.SetGenerateName(namePrefix)
	_, err := k.peers.Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return fmt.Errorf("ask whether MeshPeers can be made in namespace %s: %w", k.cfg.Conn.Namespace, err)
	}
	return nil
}
