package admin

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// framePart is the most entries of one set in one frame.
	framePart = 500
	// lookPages is how many pages of objects one look takes: at once all of a mesh as large as they get.
	lookPages = 20
	// sweepEvery is how often all objects are looked at again while the node works.
	sweepEvery = time.Minute
)

// picture is what watchers know of a node. The zero value is of a node of which nothing is known.
type picture struct {
	status    *mesh.Status
	topology  *mesh.Topology
	peers     map[string]mesh.Peer
	logs      map[string]mesh.LogStatus
	resources map[string]mesh.Resource
	noticed   uint64 // id of the newest notice that was told
	follow    following
}

// following says how far the objects were followed.
type following struct {
	at    replica.Cursor
	again sweep
}

// sweep is a walk through all objects, beside following what changes.
type sweep struct {
	begun time.Time // the last one; zero: they were not all listed yet
	steps uint64    // of the node then
	left  bool      // it goes on
	at    replica.Cursor
}

// look brings the picture up to date and puts what changed into frame. What could not be asked before ctx ended is
// left as it was.
func (p *picture) look(ctx context.Context, node Inspector, frame *mesh.Frame) error {
	status, err := node.Status(ctx)
	if err != nil {
		return err
	}
	if p.status == nil || !sameStatus(*p.status, status) {
		p.status, frame.Status = &status, &status
	}
	peers, err := node.Peers(ctx)
	if err != nil {
		return err
	}
	frame.Peers = update(&p.peers, peers, func(q mesh.Peer) string { return q.PublicKey })
	logs, err := node.Logs(ctx)
	if err != nil {
		return err
	}
	frame.Logs = update(&p.logs, logs, logID)
	topology, err := node.Topology(ctx)
	if err != nil {
		return err
	}
	if p.topology == nil || !reflect.DeepEqual(*p.topology, topology) {
		p.topology, frame.Topology = &topology, &topology
	}
	frame.Resources, err = p.lookObjects(ctx, node)
	return err
}

func logID(l mesh.LogStatus) string { return l.PublicKey + "/" + l.LogID }

// sameStatus compares all but what always changes and is known from the time of a frame.
func sameStatus(a, b mesh.Status) bool {
	a.UptimeSeconds, b.UptimeSeconds = 0, 0
	return reflect.DeepEqual(a, b)
}

// update makes a set what it is now and returns the difference; nil if there is none.
func update[T any](set *map[string]T, now []T, id func(T) string) *mesh.Delta[T] {
	var d mesh.Delta[T]
	if *set == nil {
		*set, d.Whole = make(map[string]T, len(now)), true
	}
	present := make(map[string]bool, len(now))
	for _, x := range now {
		k := id(x)
		present[k] = true
		if old, known := (*set)[k]; !known || !reflect.DeepEqual(old, x) {
			(*set)[k] = x
			d.Items = append(d.Items, x)
		}
	}
	if len(present) < len(*set) {
		for _, k := range slices.Sorted(maps.Keys(*set)) {
			if !present[k] {
				delete(*set, k)
				d.Removed = append(d.Removed, k)
			}
		}
	}
	if !d.Whole && len(d.Items)+len(d.Removed) == 0 {
		return nil
	}
	return &d
}

// lookObjects follows the objects: it asks for those that changed, a page at a time and a bounded number of pages, so
// that the node's loop is never held up for long. What is left comes with the next look. Now and then it goes through
// all of them again.
func (p *picture) lookObjects(ctx context.Context, node Inspector) (*mesh.Delta[mesh.Resource], error) {
	f := &p.follow
	t := touched{of: &p.resources, known: map[string]bool{}}
	next := func(at replica.Cursor) (c replica.Changes, err error) {
		if c, err = node.Changes(ctx, at, MaxPage); err == nil {
			t.take(c)
		}
		return c, err
	}
	var err error
	pages := 0
	for more := true; more && err == nil && pages < lookPages; pages++ {
		var c replica.Changes
		if c, err = next(f.at); err != nil {
			break
		}
		f.at, more = c.Next, c.More
		if !more {
			f.again.plan(c)
		}
	}
	for ; f.again.left && err == nil && pages < lookPages; pages++ {
		var c replica.Changes
		if c, err = next(replica.Cursor{Changed: f.again.at.Changed, Forgotten: f.at.Forgotten}); err == nil {
			f.again.at, f.again.left = c.Next, c.More
		}
	}
	return t.delta(), err
}

// plan begins a sweep when one is due. c is the last of what changed.
func (s *sweep) plan(c replica.Changes) {
	switch {
	case s.begun.IsZero(): // they have just been listed
		s.begun, s.steps = time.Now(), c.Steps
	case !s.left && c.Steps != s.steps && time.Since(s.begun) >= sweepEvery:
		*s = sweep{begun: time.Now(), steps: c.Steps, left: true}
	}
}

// touched gathers what becomes of objects within one look.
type touched struct {
	of    *map[string]mesh.Resource
	whole bool            // of was begun anew
	known map[string]bool // those that changed, and whether watchers know them
}

func (t *touched) take(c replica.Changes) {
	if *t.of == nil || c.Whole {
		*t.of, t.whole, t.known = map[string]mesh.Resource{}, true, map[string]bool{}
	}
	set := *t.of
	touch := func(key string) {
		if _, before := t.known[key]; !before {
			_, t.known[key] = set[key]
		}
	}
	for _, k := range c.Removed {
		key := k.String()
		touch(key)
		delete(set, key)
	}
	for _, r := range c.Items {
		r = withoutHash(r) // a stream is written down and handed on, and the health port may tell it to everybody
		if old, there := set[r.Object]; !there || !reflect.DeepEqual(old, r) {
			touch(r.Object)
			set[r.Object] = r
		}
	}
}

// delta is what to tell; nil: nothing.
func (t *touched) delta() *mesh.Delta[mesh.Resource] {
	d := &mesh.Delta[mesh.Resource]{Whole: t.whole}
	for _, k := range slices.Sorted(maps.Keys(t.known)) {
		if r, there := (*t.of)[k]; there {
			d.Items = append(d.Items, r)
		} else if t.known[k] && !t.whole {
			d.Removed = append(d.Removed, k)
		}
	}
	if !d.Whole && len(d.Items)+len(d.Removed) == 0 {
		return nil
	}
	return d
}

// fresh returns the notices that were not told yet.
func (p *picture) fresh(from *Notices) []mesh.Notice {
	if from == nil {
		return nil
	}
	ns := from.After(p.noticed)
	if len(ns) > 0 {
		p.noticed = ns[len(ns)-1].ID
	}
	return ns
}

// whole tells everything that was told already, in as many frames as it takes.
func (p *picture) whole(from *Notices) []mesh.Frame {
	f := mesh.Frame{Time: now(), Whole: true, Status: p.status, Topology: p.topology}
	if from != nil {
		f.Notices = slices.DeleteFunc(from.After(0), func(n mesh.Notice) bool { return n.ID > p.noticed })
	}
	if p.peers != nil {
		f.Peers = all(p.peers)
	}
	if p.logs != nil {
		f.Logs = all(p.logs)
	}
	if p.resources != nil {
		f.Resources = all(p.resources)
	}
	return split(f)
}

func all[T any](set map[string]T) *mesh.Delta[T] {
	d := &mesh.Delta[T]{Whole: true, Items: make([]T, 0, len(set))}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		d.Items = append(d.Items, set[k])
	}
	return d
}

// split spreads a frame over several where its sets are large. Together they say the same.
func split(f mesh.Frame) []mesh.Frame {
	var out []mesh.Frame
	for {
		next := mesh.Frame{Time: f.Time}
		var more bool
		f.Peers, next.Peers = cutDelta(f.Peers, &more)
		f.Logs, next.Logs = cutDelta(f.Logs, &more)
		f.Resources, next.Resources = cutDelta(f.Resources, &more)
		if len(f.Notices) > framePart {
			f.Notices, next.Notices, more = f.Notices[:framePart], f.Notices[framePart:], true
		}
		out = append(out, f)
		if !more {
			return out
		}
		f = next
	}
}

// cutDelta leaves the first part of a set and returns the rest; nil if there is none.
func cutDelta[T any](d *mesh.Delta[T], more *bool) (first, rest *mesh.Delta[T]) {
	if d == nil || len(d.Items) <= framePart && len(d.Removed) <= framePart {
		return d, nil
	}
	*more = true
	n, m := min(len(d.Items), framePart), min(len(d.Removed), framePart)
	return &mesh.Delta[T]{Whole: d.Whole, Items: d.Items[:n], Removed: d.Removed[:m]},
		&mesh.Delta[T]{Items: d.Items[n:], Removed: d.Removed[m:]}
}
