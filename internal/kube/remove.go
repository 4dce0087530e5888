package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stypes "k8s.io/apimachinery/pkg/types"

	"dcp.hiro.io/mesh/internal/replica"
)

// remove deletes the object if it is the one that is meant, and waits until it is gone.
func (a *application) remove(ctx context.Context) error {
	if !a.e.known() || a.now.standing != standsNothing && a.now.uid == "" {
		if err := a.look(ctx); err != nil {
			return err
		}
	}
	for range tries {
		switch {
		case a.now.standing == standsNothing:
			return nil
		case a.w.Kind == replica.RemoveReplica && a.now.standing != standsReplica:
			return nil // the replica is gone; this is an object of ours
		case a.w.Kind == replica.RemoveLocal && (a.now.standing != standsLocal || a.now.content != a.w.Expect):
			return errAltered
		}
		err := a.delete(ctx, a.w.Kind == replica.RemoveLocal)
		if !apierrors.IsConflict(err) {
			return err
		}
		if err := a.look(ctx); err != nil {
			return err
		}
	}
	return errors.New("it changes all the time")
}

// delete deletes the very object that is known. It succeeds when the object is gone; while finalizers hold it, that
// is an error to wait for.
func (a *application) delete(ctx context.Context, unchanged bool) error {
	uid := k8stypes.UID(a.now.uid)
	pre := &metav1.Preconditions{UID: &uid}
	if unchanged {
		v := fmt.Sprint(a.now.version)
		pre.ResourceVersion = &v
	}
	background := metav1.DeletePropagationBackground
	if err := a.allowed(ctx); err != nil {
		return err
	}
	api := a.c.api(a.t, a.w.Object)
	err := api.Delete(ctx, a.w.Object.Name, metav1.DeleteOptions{Preconditions: pre, PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		live, err := api.Get(ctx, a.w.Object.Name, metav1.GetOptions{})
		if err == nil && text(section(live.Object, "metadata"), "uid") == a.now.uid {
			return waitError{text: "it is being deleted" + finalizers(section(live.Object, "metadata"))}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	} else if _, terr := a.c.types.resolve(ctx, a.e, a.e.Version, !a.e.lasting()); terr != nil {
		return terr // the type is gone: the object will be back with it, or not
	}
	a.now, a.wrote = known{standing: standsNothing}, true
	return nil
}
