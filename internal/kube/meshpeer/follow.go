package meshpeer

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// pageSize bounds what one answer holds: objects may have more than a MiB each.
	pageSize = 50
	// maxPages ends a list of more objects than anybody has use for.
	maxPages = 1000

	firstRetry, lastRetry = 500 * time.Millisecond, 15 * time.Second
	// watchFor is how long a watch is asked to last, half to all of it.
	watchFor = 10 * time.Minute
)

// follow keeps the registry in step with the cluster until ctx ends: a whole list, then a watch from there, then
// a watch from where that one ended, and a new list only when the API server has forgotten the place.
func (k *Keeper) follow(ctx context.Context) {
	retry := firstRetry
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(retry/2 + rand.N(retry/2)):
		}
		retry = min(2*retry, lastRetry)
	}
	for ctx.Err() == nil {
		list, rv, err := k.list(ctx)
		if err != nil {
			k.failed(opList, err)
			pause()
			continue
		}
		k.worked(opList)
		k.registry.replace(list, k.cfg.Now())
		k.nudge()
		for ctx.Err() == nil && rv != "" {
			began := time.Now()
			rv, err = k.watch(ctx, rv)
			if ctx.Err() != nil {
				return // whatever it says, the watch ended with the node
			}
			if err != nil {
				k.failed(opWatch, err)
			} else if time.Since(began) > firstRetry {
				k.worked(opWatch)
				retry = firstRetry
				continue
			}
			pause()
		}
	}
}

// list returns all MeshPeers of the namespace as of one moment.
func (k *Keeper) list(ctx context.Context) (list []*object, rv string, err error) {
	err = k.each(ctx, func(u *unstructured.Unstructured) {
		if len(list) < 2*maxObjects {
			list = append(list, readObject(u))
		}
	}, &rv)
	return list, rv, err
}

// each reads all MeshPeers live, page by page. rv, if not nil, becomes the moment of the list.
func (k *Keeper) each(ctx context.Context, do func(*unstructured.Unstructured), rv *string) error {
	next := ""
	for range maxPages {
		page, err := k.page(ctx, next)
		if err != nil {
			return err
		}
		for i := range page.Items {
			do(&page.Items[i])
		}
		if rv != nil {
			*rv = page.GetResourceVersion()
		}
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
	return errors.New("there are too many MeshPeers to list")
}

func (k *Keeper) page(ctx context.Context, next string) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return k.peers.List(ctx, metav1.ListOptions{Limit: pageSize, Continue: next})
}

// watch follows changes after rv until the watch ends. It returns from where to go on, "" if a new list is needed.
func (k *Keeper) watch(ctx context.Context, rv string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, watchFor+requestTimeout)
	defer cancel()
	seconds := int64((watchFor/2 + rand.N(watchFor/2)).Seconds())
	w, err := k.peers.Watch(ctx, metav1.ListOptions{ResourceVersion: rv, AllowWatchBookmarks: true, TimeoutSeconds: &seconds})
	if err != nil {
		if ctx.Err() == nil && !lostContact(err) {
			rv = "" // the place is forgotten, or the type is: a list tells
		}
		return rv, err
	}
	defer w.Stop()
	k.worked(opWatch)
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			err := apierrors.FromObject(e.Object)
			if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
				err = nil // no failure: the API server keeps so much history and no more
			}
			return "", err
		}
		u, ok := e.Object.(*unstructured.Unstructured)
		if !ok {
			return "", errors.New("the watch of MeshPeers sent something else")
		}
		rv = u.GetResourceVersion()
		switch e.Type {
		case watch.Added, watch.Modified:
			if k.registry.put(readObject(u), k.cfg.Now()) {
				k.nudge()
				return "", nil
			}
		case watch.Deleted:
			k.registry.remove(readObject(u), k.cfg.Now())
		default:
			continue
		}
		k.nudge()
	}
	return rv, nil
}

// lostContact reports whether nobody answered, or nobody who decides: nothing is known about the request.
func lostContact(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code == 0 || code >= 500 || code == 429
}
