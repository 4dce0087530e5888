package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// tries is how often a write is tried anew at once because the object changed between the read and the write.
const tries = 5

// carryOut does one write. before is what is known of the object; what it returns is what is known afterwards, and
// whether anything was written.
func (c *Cluster) carryOut(ctx context.Context, w replica.Write, before known) (known, bool, error) {
	if w.Kind == replica.Leave {
		return before, false, nil
	}
	e := c.entryOf(w.Object)
	puts := w.Kind == replica.PutReplica || w.Kind == replica.YieldLocal
	if e == nil || !e.Apply && puts {
		return before, false, finalError{errors.New("no entry of the configuration lets it in")}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTime)
	defer cancel()
	t, err := c.types.resolve(ctx, e, e.Version, false)
	if err != nil {
		return before, false, err
	}
	if t.namespaced != (w.Object.Namespace != "") {
		if w.Kind == replica.RemoveReplica || w.Kind == replica.RemoveLocal {
			return before, false, nil // nothing can stand there
		}
		return before, false, finalError{t.misfit()}
	}
	if puts && (before.drifted || before.standing == standsNothing) {
		if wait, rival := c.fights.wait(w.Object); wait > 0 {
			return before, false, waitError{"it is altered again and again " + byWhom(rival) + "; it is put back less and less often", wait}
		}
	}
	a := &application{c: c, e: e, w: w, t: t, now: before}
	switch {
	case puts:
		err = a.put(ctx)
	case w.Kind == replica.AdoptLocal:
		err = a.adopt(ctx)
	case w.Kind == replica.RemoveReplica, w.Kind == replica.RemoveLocal:
		err = a.remove(ctx)
	default:
		err = finalError{fmt.Errorf("unknown kind of write %d", w.Kind)}
	}
	return a.now, a.wrote, err
}

// application is one write under way.
type application struct {
	c   *Cluster
	e   *entry
	w   replica.Write
	t   served
	now known          // of the object, kept up to date
	raw map[string]any // the live object as last read; nil: not read in this application

	wrote   bool // now is what a write of ours made of the object
	foreign bool // what stands there is neither a replica nor let out: the engine doesn't know of it
}

// put makes the object a replica of the claim.
func (a *application) put(ctx context.Context) error {
	if a.now.isReplicaOf(a.w) {
		return nil
	}
	want, err := a.wanted(a.w.Zone)
	if err != nil {
		return err
	}
	want.bookkeep(object.Bookkeeping{Zone: a.w.Zone, Version: a.w.Version, Epoch: a.w.Epoch})
	return a.make(ctx, want, func() error {
		if a.now.standing != standsLocal {
			return nil
		}
		switch {
		case a.w.Kind == replica.YieldLocal && a.now.content == a.w.Expect:
			return nil
		case a.foreign:
			return errForeign
		}
		return errAltered
	}, standsReplica)
}

// adopt makes the object one of ours. Without a claim of ours it stays as it is, and only the labels go.
func (a *application) adopt(ctx context.Context) error {
	if a.w.Content.IsZero() {
		return a.unlabel(ctx)
	}
	want, err := a.wanted(a.c.cfg.Zone)
	if err != nil {
		return err
	}
	want.bookkeep(object.Bookkeeping{Zone: a.c.cfg.Zone, Version: a.w.Version, Epoch: a.w.Epoch})
	return a.make(ctx, want, func() error {
		if a.now.standing == standsLocal {
			return errOurs
		}
		return nil
	}, standsLocal)
}

// unlabel takes the bookkeeping labels off a replica that nobody states any more.
func (a *application) unlabel(ctx context.Context) error {
	if err := a.look(ctx); err != nil || a.now.standing != standsReplica {
		return err
	}
	ops := []patchOp{{"replace", "/metadata/resourceVersion", fmt.Sprint(a.now.version)}}
	have := section(a.raw, "metadata", "labels")
	for _, l := range []string{object.LabelZone, object.LabelVersion, object.LabelEpoch} {
		if _, there := have[l]; there {
			ops = append(ops, patchOp{Op: "remove", Path: "/metadata/labels/" + escape(l)})
		}
	}
	b, err := encode(ops)
	if err != nil {
		return err
	}
	got, err := a.patch(ctx, b, "")
	if err != nil {
		return err
	}
	return a.took(got, intern(nil), standsLocal)
}

// wanted reads what the claim of a zone says, cleaned once more: the zone that signed it may not have done it.
func (a *application) wanted(zone mesh.Zone) (*wanted, error) {
	b, err := a.c.cfg.Reader.Payload(mesh.ClaimRef{Object: a.w.Object, Zone: zone})
	if err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	if b == nil || mesh.Sum(b) != a.w.Content {
		return nil, errNewer
	}
	tree, err := object.DecodeJSON(b)
	if err != nil {
		return nil, finalError{fmt.Errorf("read the payload: %w", err)}
	}
	o, root, err := object.Clean(tree, a.e.opt)
	switch {
	case err != nil:
		return nil, finalError{fmt.Errorf("read the payload: %w", err)}
	case o.Key != a.w.Object:
		return nil, finalError{errors.New("the payload names another object than its claim")}
	case a.e.excludes(o.Excluded):
		return nil, finalError{fmt.Errorf("objects of this kind are never applied: %s", o.Excluded)}
	}
	meta := section(root, "metadata")
	w := &wanted{sections: map[string]any{}, labels: section(meta, "labels"), notes: section(meta, "annotations")}
	if w.labels == nil {
		w.labels = map[string]any{}
	}
	w.owned = intern(ownedNames(w.labels, w.notes))
	_, w.version, _ = strings.Cut(text(root, "apiVersion"), "/")
	if w.version == "" {
		w.version = text(root, "apiVersion")
	}
	for k, v := range root {
		if !isHead(k) {
			w.sections[k] = v
		}
	}
	if a.e.Status {
		w.status = root["status"]
	}
	return w, nil
}

// make creates the object or changes it to what is wanted. may says whether the object that stands there, as now
// known, may be changed.
func (a *application) make(ctx context.Context, want *wanted, may func() error, becomes standing) error {
	if want.version != a.e.Version {
		t, err := a.c.types.resolve(ctx, a.e, want.version, false)
		if err != nil {
			return fmt.Errorf("it is stated in version %s: %w", want.version, err)
		}
		a.t = t
	}
	// Where the watches have not shown yet what exists, a creation finds out: it fails if something stands there.
	for range tries {
		if err := may(); errors.Is(err, errOurs) {
			return nil
		} else if err != nil {
			return err
		}
		var got map[string]any
		var err error
		if a.now.standing == standsNothing {
			got, err = a.create(ctx, want)
		} else {
			got, err = a.change(ctx, want)
		}
		switch {
		case err == nil:
			return a.finish(ctx, want, got, becomes)
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err) && a.now.standing != standsNothing,
			a.raw == nil && a.now.standing != standsNothing && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)):
			a.c.conflicted()
			if err := a.look(ctx); err != nil { // it isn't what the watch had shown
				return err
			}
		case unchangeable(err) && a.e.Recreate && a.now.standing == standsReplica:
			if err := a.delete(ctx, false); err != nil {
				return err
			}
		case apierrors.IsNotFound(err) && a.now.standing == standsNothing:
			a.c.types.forget(a.t.gvr.GroupVersion())
			return a.e.notServed(want.version)
		default:
			return err
		}
	}
	return errors.New("it changes all the time")
}
