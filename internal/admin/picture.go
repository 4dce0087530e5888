package admin

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// framePart is the most entries of one set in one frame.
	framePart = 500
	// relistEvery is how often all objects are listed anew while the node works.
	relistEvery = time.Minute
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
	listed    time.Time // zero: never wholly
	revision  uint64
	forgotten uint64
	steps     uint64
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

// lookObjects follows the objects: it asks for those that changed, and for all where that doesn't tell everything.
// Each question is for one page, so that the node's loop is never held up for long.
func (p *picture) lookObjects(ctx context.Context, node Inspector) (*mesh.Delta[mesh.Resource], error) {
	c, err := node.Changes(ctx, p.follow.revision, MaxPage)
	if err != nil {
		return nil, err
	}
	f := &p.follow
	stale := c.Steps != f.steps && time.Since(f.listed) >= relistEvery
	if p.resources == nil || c.Forgotten != f.forgotten || stale {
		var all []mesh.Resource
		var after mesh.ObjectKey
		for {
			page, err := node.Resources(ctx, after, MaxPage)
			if err != nil {
				return nil, err
			}
			all = append(all, page...)
			if len(page) < MaxPage {
				break
			}
			if after, err = mesh.ParseObjectKey(page[len(page)-1].Object); err != nil {
				return nil, err
			}
		}
		// What changed since the first question comes with the next one.
		*f = following{listed: time.Now(), revision: c.Newest, forgotten: c.Forgotten, steps: c.Steps}
		return update(&p.resources, all, resourceID), nil
	}
	var d mesh.Delta[mesh.Resource]
	for {
		for _, r := range c.Items {
			if old, known := p.resources[r.Object]; !known || !reflect.DeepEqual(old, r) {
				p.resources[r.Object] = r
				d.Items = append(d.Items, r)
			}
		}
		f.revision = c.Revision
		if f.revision >= c.Newest || c.Forgotten != f.forgotten {
			break
		}
		if c, err = node.Changes(ctx, f.revision, MaxPage); err != nil {
			break // what was found is told; the rest comes with the next look
		}
	}
	if len(d.Items) == 0 {
		return nil, nil
	}
	return &d, nil
}

func resourceID(r mesh.Resource) string { return r.Object }

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
