package kube

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// pageSize is how many objects one answer of a list carries: at 1.5 MB for the largest there are, a page
	// stays below 300 MB, at 2 KiB it is a matter of milliseconds.
	pageSize = 200
	// requestTime is how long an answer may take. Watches go on for longer.
	requestTime = 30 * time.Second
	// watchTime is how long a watch lasts before it is begun anew, so that a connection that died silently is
	// noticed.
	watchTime = 5 * time.Minute
	// missingEvery is how often a type that isn't served is looked for.
	missingEvery = 5 * time.Second
)

// watch starts all sources.
func (c *Cluster) watch(ctx context.Context, group *errgroup.Group) {
	if len(c.entries) == 0 {
		c.settle(nil)
	}
	for _, e := range c.entries {
		for _, s := range e.sources {
			group.Go(func() error { c.follow(ctx, s); return nil })
		}
	}
}

// follow lists and watches one source until ctx ends.
func (c *Cluster) follow(ctx context.Context, s *source) {
	wait := backoff{first: 250 * time.Millisecond, most: 15 * time.Second}
	for failures, first := 0, true; ctx.Err() == nil; first = false {
		if !first {
			c.cfg.Metrics.restart()
		}
		begun := time.Now()
		err := c.round(ctx, s)
		listed := s.live
		if listed {
			s.lost()
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > wait.most {
			wait.reset()
		}
		if failures++; listed {
			failures = 0
		}
		switch {
		case err == nil:
		case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
			c.problems.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: mesh.LevelInfo, Reason: "WatchRestarted",
				Text: s.what() + " restarted: what it had seen is too old, everything is listed anew"})
			if wait.next == 0 {
				wait.next = time.Millisecond // the first time at once
				continue
			}
		default:
			c.trouble(s, err, failures)
			if errors.Is(err, errNotServed) {
				wait = backoff{first: missingEvery, most: missingEvery}
			} else if wait.most == missingEvery {
				wait = backoff{first: 250 * time.Millisecond, most: 15 * time.Second}
			}
		}
		if !wait.sleep(ctx) {
			return
		}
	}
}

// trouble shows why a source can't be followed. One that has nothing to list, as far as can be told, doesn't keep the
// others waiting.
func (c *Cluster) trouble(s *source, err error, failures int) {
	away, settled := false, true
	reason := reasonOf(err, ReasonListFailed)
	switch {
	case errors.Is(err, errNotServed):
		c.typeGone(s)
	case errors.Is(err, errMisfit), apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
	default:
		away = true
		// An API server that answers others and not this one has a defect of this type: a conversion that doesn't
		// work, an aggregated API that is away.
		settled = failures >= brokenAfter && answered(err) && c.othersLive()
	}
	text := s.what() + ": " + err.Error()
	if errors.Is(err, errNotServed) {
		text = err.Error() // it names the type by itself
	}
	c.problems.put(s.about(), reason, text)
	s.entry.away.Store(away)
	if settled {
		c.settle(s)
	}
}

// brokenAfter is how many answers in a row that are none make a type a broken one: some 10 seconds.
const brokenAfter = 6

// othersLive reports whether anything at all is being watched.
func (c *Cluster) othersLive() bool {
	return slices.ContainsFunc(c.entries, func(e *entry) bool { return e.synced.Load() > 0 })
}

// typeGone takes in that the type of a source is not served any more. Its objects went with it, which is no deletion
// by anybody.
func (c *Cluster) typeGone(s *source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, x := range c.index {
		if x.standing == standsLocal && s.shows(k) && !x.busy {
			c.proofs.lose(k)
			delete(c.index, k)
		}
	}
}

// about is the subject of what keeps a source from being followed.
func (s *source) about() subject {
	return subject{topic: "watch " + s.entry.String() + " " + s.namespace + " " + s.selector}
}

func (s *source) what() string {
	if s.namespace == "" {
		return "watch " + s.entry.String()
	}
	return "watch " + s.entry.String() + " in " + s.namespace
}

func (s *source) found() {
	s.live = true
	s.entry.synced.Add(1)
}

func (s *source) lost() {
	s.live = false
	s.entry.synced.Add(-1)
}

// round lists once and then watches until the watch can't be resumed, which is no error.
func (c *Cluster) round(ctx context.Context, s *source) error {
	t, err := c.types.resolve(ctx, s.entry, s.entry.Version, true)
	if err != nil {
		return err
	}
	api, err := s.api(c.cfg.Conn.Dynamic, t)
	if err != nil {
		return err
	}
	version, err := c.list(ctx, s, api)
	if err != nil {
		return s.explain(err)
	}
	s.entry.away.Store(false)
	s.found()
	// What waits is hurried before the end of the list is told, so that what is asked in answer to that isn't.
	c.proofs.hurry()
	c.hurryAll(s.entry)
	c.settle(s)
	return s.explain(c.resume(ctx, s, api, version))
}

// explain makes the answer to a request for a type that is gone an errNotServed.
func (s *source) explain(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return s.entry.notServed(s.entry.Version)
	}
	return err
}

func (s *source) api(d dynamic.Interface, t served) (dynamic.ResourceInterface, error) {
	switch r := d.Resource(t.gvr); {
	case s.namespace == "":
		return r, nil
	case t.namespaced:
		return r.Namespace(s.namespace), nil
	}
	return nil, errMisfit
}

// errMisfit says that an entry can't be followed as it is.
var errMisfit = errors.New("its objects are in no namespace, but its entry names namespaces")

// list reports all that exists, and what is known and doesn't exist any more.
func (c *Cluster) list(ctx context.Context, s *source, api dynamic.ResourceInterface) (version string, err error) {
	listed := map[mesh.ObjectKey]struct{}{}
	select {
	case <-s.again: // this list answers it
	default:
	}
	opt := metav1.ListOptions{LabelSelector: s.selector, Limit: pageSize}
	for {
		rctx, cancel := context.WithTimeout(ctx, requestTime)
		page, err := api.List(rctx, opt)
		cancel()
		if err != nil {
			return "", err
		}
		if opt.Continue == "" {
			c.rewound(s, page.GetResourceVersion())
		}
		for i := range page.Items {
			live := page.Items[i].Object
			if k, ok := s.entry.keyOf(live); ok {
				listed[k] = struct{}{}
				c.believe(k, versionOf(live), number(page.GetResourceVersion()))
				c.observe(s.entry, live, s.bit, c.proofs.wants(k))
			}
			page.Items[i].Object = nil // so that a page is not kept whole while the engine is busy
			c.out.waitRoom(ctx)
		}
		if opt.Continue = page.GetContinue(); opt.Continue == "" {
			c.sweep(s, listed, number(page.GetResourceVersion()))
			return page.GetResourceVersion(), nil
		}
	}
}

// believe compares what a list, as of version at, shows of an object with what was seen of it before that: an older
// state means that the cluster was restored from a backup and has grown since beyond the versions seen before. Then the
// list is right.
func (c *Cluster) believe(k mesh.ObjectKey, v, at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.index[k]; x != nil && !x.busy && v < x.version && x.version <= at {
		x.version = 0
	}
}

// sweep takes in what a list of everything, as of a version, didn't show.
func (c *Cluster) sweep(s *source, listed map[mesh.ObjectKey]struct{}, at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, x := range c.index {
		if x.standing == standsNothing || !s.shows(k) {
			continue
		}
		if _, there := listed[k]; there || x.from != 0 && x.from&s.bit == 0 || x.version > at && at != 0 {
			continue // another source shows it, or it is younger than the list
		}
		c.vanished(s.entry, k, x, s.bit)
	}
}

// vanished takes in that a source doesn't show an object any more. With a selector it may only have lost a label:
// then a live read tells. mu is held.
func (c *Cluster) vanished(e *entry, k mesh.ObjectKey, x *known, bit uint8) {
	x.from &^= bit
	switch {
	case x.from != 0:
	case x.busy:
		x.keep(&sighting{})
	case e.Selector != "":
		c.proofs.suspect(k)
	default:
		c.absent(k, x)
	}
}

// resume watches from a version on, over and over, until the API server doesn't know that version any more.
func (c *Cluster) resume(ctx context.Context, s *source, api dynamic.ResourceInterface, version string) error {
	wait := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	about := subject{topic: "watch again " + s.entry.String() + " " + s.namespace + " " + s.selector}
	defer c.problems.clear(about)
	var away bool
	for again := false; ctx.Err() == nil; again = true {
		var rewound bool
		var err error
		if again {
			c.cfg.Metrics.restart()
			rewound, err = c.stillThere(ctx, s, api)
		}
		// Who was away may have come back from a backup, and have grown beyond the version seen last: then nothing
		// but a list tells what is different.
		if rewound || err == nil && away {
			s.entry.away.Store(false)
			return nil
		}
		if err == nil {
			err = c.stream(ctx, s, api, &version, func() {
				wait.reset()
				c.problems.clear(about)
				c.problems.clear(s.about())
				s.entry.away.Store(false)
			})
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, errRelist):
			return nil
		case err == nil:
			continue
		case apierrors.IsResourceExpired(err), apierrors.IsGone(err), apierrors.IsNotFound(err), apierrors.IsForbidden(err),
			apierrors.IsUnauthorized(err), apierrors.IsMethodNotSupported(err), apierrors.IsBadRequest(err):
			return err
		}
		c.problems.put(about, reasonOf(err, ReasonListFailed), s.what()+": "+err.Error())
		s.entry.away.Store(true)
		away = away || !answered(err)
		if !wait.sleep(ctx) {
			return nil
		}
	}
	return nil
}

// stream carries one watch. version follows what was seen.
func (c *Cluster) stream(ctx context.Context, s *source, api dynamic.ResourceInterface, version *string, begun func()) error {
	ctx, cancel := context.WithTimeout(ctx, watchTime+requestTime)
	defer cancel()
	most := int64(watchTime / time.Second)
	w, err := api.Watch(ctx, metav1.ListOptions{
		LabelSelector: s.selector, ResourceVersion: *version, AllowWatchBookmarks: true, TimeoutSeconds: &most,
	})
	if err != nil {
		return err
	}
	defer w.Stop()
	begun()
	for {
		var ev watch.Event
		var more bool
		select {
		case <-s.again:
			return errRelist
		case ev, more = <-w.ResultChan():
		}
		if !more {
			return nil
		}
		if ev.Type == watch.Error {
			return apierrors.FromObject(ev.Object)
		}
		u, _ := ev.Object.(*unstructured.Unstructured)
		if u == nil {
			continue
		}
		if v := u.GetResourceVersion(); v != "" {
			*version = v
			s.highest = max(s.highest, number(v))
		}
		switch ev.Type {
		case watch.Added, watch.Modified:
			c.observe(s.entry, u.Object, s.bit, false)
		case watch.Deleted:
			if k, ok := s.entry.keyOf(u.Object); ok {
				c.deleted(s.entry, k, string(u.GetUID()), s.bit)
			}
		}
		c.out.waitRoom(ctx)
	}
}

// errRelist ends a watch because everything is to be listed anew.
var errRelist = errors.New("list anew")

// deleted takes in the end of an object as a watch tells it.
func (c *Cluster) deleted(e *entry, k mesh.ObjectKey, uid string, bit uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proofs.seen(k, false)
	// While a write is under way the object may be the one that it made, whose UID is not known here yet.
	if x := c.index[k]; x != nil && (x.busy || x.uid == uid) {
		c.vanished(e, k, x, bit)
	}
}

// rewound compares the version of an answer with those seen before. One that is lower means that the cluster was
// restored from a backup: then versions of objects prove nothing any more, and watches would keep silent until the
// cluster has caught up.
func (c *Cluster) rewound(s *source, now string) bool {
	v := number(now)
	if v == 0 || v >= s.highest {
		s.highest = max(s.highest, v)
		return false
	}
	c.problems.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: mesh.LevelWarn, Reason: "ClusterRewound",
		Text: s.what() + ": the cluster went back to an earlier state"})
	c.log.Warn("the cluster went back to an earlier state", "watch", s.what(), "version", v, "before", s.highest)
	s.highest = v
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, x := range c.index {
		if s.shows(k) {
			x.version = 0
		}
	}
	return true
}

// stillThere asks for the present version of a source before it is watched again.
func (c *Cluster) stillThere(ctx context.Context, s *source, api dynamic.ResourceInterface) (rewound bool, err error) {
	rctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	page, err := api.List(rctx, metav1.ListOptions{LabelSelector: s.selector, Limit: 1})
	if err != nil {
		return false, err
	}
	return c.rewound(s, page.GetResourceVersion()), nil
}
