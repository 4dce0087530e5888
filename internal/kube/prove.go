package kube

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// topicProof is what stands in the way of telling whether an object exists.
const topicProof = "proof"

// answer tells the engine about an object from a live read. It says that an object is gone only if a read says so
// while its type is served and is not being removed.
func (c *Cluster) answer(ctx context.Context, k mesh.ObjectKey, x proof) {
	e := c.entryOf(k)
	if e == nil || !e.Publish && !e.Apply {
		c.out.add(replica.LocalUnmatched{Object: k}) // nothing here lets it out any more
		c.proofs.answered(k, x)
		return
	}
	live, err := c.read(ctx, e, k)
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, errNotServed) {
		c.proofs.lose(k) // goes on below: still does not hold any more
	}
	switch {
	case err != nil && !errors.Is(err, errAbsent):
		if ctx.Err() == nil {
			c.problems.put(subject{k, topicProof}, reasonOf(err, ReasonNotProven), "whether it exists can't be told: "+quiet(k, err))
		}
		// What the watches show a list can tell, too. What they don't show it proves nothing about.
		if seen := c.index[k]; apierrors.IsForbidden(err) && x.asked && seen != nil && seen.standing == standsLocal {
			e.relist(k)
		}
		c.proofs.later(k)
	case !c.proofs.still(k, x):
		c.proofs.later(k) // answered meanwhile, or it has changed since
	case err == nil:
		c.problems.clear(subject{k, topicProof})
		if c.take(e, live, 0, x.asked) {
			c.proofs.answered(k, x)
		} else {
			c.proofs.later(k)
		}
	case x.typeGone:
		c.lost(k)
		c.proofs.park(k)
	case !e.lasting() && time.Until(x.since.Add(proofGrace)) > 0:
		c.proofs.after(k, time.Until(x.since.Add(proofGrace)))
	default:
		c.problems.clear(subject{k, topicProof})
		c.proofs.answered(k, x)
		c.gone(e, k)
	}
}

// gone reports an object that is proven not to exist. mu is held.
func (c *Cluster) gone(e *entry, k mesh.ObjectKey) {
	x := c.at(k)
	if x.busy {
		x.later = &sighting{asked: true}
		return
	}
	if x.standing == standsReplica {
		c.absent(k, x)
		x = c.at(k)
	}
	x.standing, x.told, x.uid, x.version = standsNothing, false, "", 0
	if e.Publish && c.cfg.Publishes(k) {
		c.out.add(replica.LocalGone{Object: k})
	} else { // nothing flows out here, not even a deletion
		c.out.add(replica.LocalUnmatched{Object: k})
	}
	c.problems.clear(subject{k, topicObject})
	c.forgetIfEmpty(k)
}

// lost takes in that the type of an object is back without the object. Its replicas elsewhere may be all that is left
// of it, so nobody is told that it was deleted. mu is held.
func (c *Cluster) lost(k mesh.ObjectKey) {
	if x := c.index[k]; x != nil && x.standing == standsReplica && !x.busy {
		c.absent(k, x)
	}
	c.problems.put(subject{k, topicProof}, ReasonNotProven,
		"its type was removed and came back without it; that counts as no deletion: create it again, and delete it if it is to go everywhere")
}

// errAbsent says that a live read found nothing while its type is served.
var errAbsent = errors.New("it does not exist")

// read reads an object live. The types of a custom resource are asked for before and after: as long as its
// definition stands, NotFound is about the object.
func (c *Cluster) read(ctx context.Context, e *entry, k mesh.ObjectKey) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	t, err := c.types.resolve(ctx, e, e.Version, !e.lasting())
	if err != nil {
		return nil, err
	}
	if t.namespaced != (k.Namespace != "") {
		return nil, t.misfit()
	}
	live, err := c.api(t, k).Get(ctx, k.Name, metav1.GetOptions{})
	if err == nil {
		return live.Object, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	if !e.lasting() {
		if _, err := c.types.resolve(ctx, e, e.Version, true); err != nil {
			return nil, err
		}
	}
	return nil, errAbsent
}

func (c *Cluster) api(t served, k mesh.ObjectKey) dynamic.ResourceInterface {
	if t.namespaced {
		return c.cfg.Conn.Dynamic.Resource(t.gvr).Namespace(k.Namespace)
	}
	return c.cfg.Conn.Dynamic.Resource(t.gvr)
}
