package replica

import (
	"fmt"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// class is how an object is counted.
type class uint8

const (
	classTombstone class = 1 << iota
	classLive
	classContested
	classRejected
	classHeld
	classUnmanaged
	classNotAllowed
)

// counts keeps the numbers that are asked for often up to date.
type counts struct {
	ownLive int               // our live claims
	placed  map[mesh.Zone]int // replicas standing here, by the zone they are of
	held    int
	by      [7]int
	unacked bool // a tombstone of another zone arrived since our last acknowledgement
	own     mesh.Zone

	kinds      map[kind]int   // live objects, by kind
	namespaces map[string]int // live objects, by namespace; those of the cluster as a whole are in none
}

// kind is what objects are, whatever their version.
type kind struct{ group, name string }

func newCounts(own mesh.Zone) counts {
	return counts{own: own, placed: map[mesh.Zone]int{}, kinds: map[kind]int{}, namespaces: map[string]int{}}
}

// live counts an object that became live (1) or is so no more (-1).
func (c *counts) live(k mesh.ObjectKey, n int) {
	bump(c.kinds, kind{k.Group, k.Kind}, n)
	if k.Namespace != "" {
		bump(c.namespaces, k.Namespace, n)
	}
}

// bump keeps no zeros.
func bump[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

// replicaCount is 1 for a replica that stands in the cluster and counts for the brake.
func replicaCount(p *oplog.Placed) int {
	if p.Local || p.State == oplog.PlacedRemoving || p.State == oplog.PlacedUnmanaged {
		return 0
	}
	return 1
}

func (c *counts) add(cl *mesh.Claim, n int) {
	if cl.Zone == c.own && cl.Kind == mesh.Live {
		c.ownLive += n
	}
	if cl.Zone != c.own && cl.Kind == mesh.Deleted && n > 0 {
		c.unacked = true
	}
}

// classify says how an object counts.
func (r *Replica) classify(o *object) class {
	var c class
	win, ok := merge.Winner(o.claims)
	switch {
	case ok && win.Kind == mesh.Live:
		c |= classLive
	case ok:
		c |= classTombstone
	}
	if len(merge.Rivals(o.claims)) > 0 {
		c |= classContested
	}
	if o.rejected != "" {
		c |= classRejected
	}
	if p := o.placed; p != nil && p.State == oplog.PlacedHeld {
		c |= classHeld
	}
	if p := o.placed; p != nil && p.State == oplog.PlacedUnmanaged {
		c |= classUnmanaged
	}
	if b, _ := r.barred(o); b != noBarrier {
		c |= classNotAllowed
	}
	return c
}

// reclassify brings the counters up to date after an object changed.
func (r *Replica) reclassify(o *object) {
	c := r.classify(o)
	if c&classContested != 0 && o.class&classContested == 0 && r.cfg.OnConflict == Hold && !r.step.now.IsZero() {
		r.report(Decision{Reason: Contested, Zone: r.cfg.Zone, Object: o.key})
	}
	if c&classNotAllowed != 0 && o.class&classNotAllowed == 0 && !r.step.now.IsZero() {
		if b, z := r.barred(o); b == ownRule || !r.allowsFrom(z, o.key) {
			r.report(Decision{Reason: NotAllowed, Zone: z, Object: o.key})
		}
	}
	for i := range r.counts.by {
		bit := class(1) << i
		if c&bit != 0 {
			r.counts.by[i]++
		}
		if o.class&bit != 0 {
			r.counts.by[i]--
		}
	}
	if live := c & classLive; live != o.class&classLive {
		if live != 0 {
			r.counts.live(o.key, 1)
		} else {
			r.counts.live(o.key, -1)
		}
	}
	o.class = c
	r.counts.held = r.counts.by[4]
}

// Counts counts objects by state.
func (r *Replica) Counts() mesh.Resources {
	held := r.counts.held
	for _, g := range r.gone.of {
		if r.waitsForOperator(g) {
			held++
		}
	}
	return mesh.Resources{
		Tombstones: r.counts.by[0], Live: r.counts.by[1], Contested: r.counts.by[2],
		Rejected: r.counts.by[3], DeletesHeld: held, Unmanaged: r.counts.by[5],
		NotAllowed: r.counts.by[6], Kinds: len(r.counts.kinds), Namespaces: len(r.counts.namespaces),
	}
}

// Incarnation is that of the own log in use; 0 while nothing was signed.
func (r *Replica) Incarnation() mesh.Incarnation { return r.meta.Incarnation }

// Haves states what this node holds of each log, for a sync round. The slice is the caller's.
func (r *Replica) Haves() []oplog.Have {
	out := make([]oplog.Have, 0, len(r.logs))
	for _, l := range r.sortedLogs() {
		if !r.whollyCovered(l.Key, l.Instance.Incarnation) {
			out = append(out, l.State())
		}
	}
	return out
}

// Unchecked lists the rows of which only a later operation vouches for the bytes so far, in the order of their logs: of
// each log at most one stretch. The slice is the caller's.
func (r *Replica) Unchecked() []oplog.Span {
	var out []oplog.Span
	for _, l := range r.logs {
		if u := l.Unchecked; !u.Empty() {
			out = append(out, oplog.Span{Log: l.Key, From: u.From, To: u.To})
		}
	}
	slices.SortFunc(out, func(a, b oplog.Span) int { return a.Log.Compare(b.Log) })
	return out
}

// Resources lists objects in key order, starting after the given key (zero: from the start), at most limit.
func (r *Replica) Resources(after mesh.ObjectKey, limit int) []mesh.Resource {
	var page []*object
	first := func() { // keeps the first ones
		slices.SortFunc(page, func(a, b *object) int { return a.key.Compare(b.key) })
		page = page[:min(limit, len(page))]
	}
	var last *object // of a full page: whatever stands behind it is on a later one
	for _, o := range r.objects {
		if o.key.Compare(after) <= 0 || last != nil && o.key.Compare(last.key) > 0 {
			continue
		}
		if page = append(page, o); len(page) >= 2*limit && limit > 0 {
			first()
			last = page[limit-1]
		}
	}
	first()
	out := make([]mesh.Resource, 0, len(page))
	for _, o := range page {
		out = append(out, r.resource(o))
	}
	return out
}

// Resource tells about one object.
func (r *Replica) Resource(k mesh.ObjectKey) (mesh.Resource, bool) {
	o := r.objects[k]
	if o == nil {
		return mesh.Resource{}, false
	}
	return r.resource(o), true
}

// Resolve finds the object that a person means: the key as it is, or the only one that it may mean.
func (r *Replica) Resolve(k mesh.ObjectKey) mesh.ObjectKey {
	if r.objects[k] != nil {
		return k
	}
	var found []mesh.ObjectKey
	for c := range r.objects {
		if k.Means(c) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return k
	}
	return found[0]
}

func (r *Replica) resource(o *object) mesh.Resource {
	res := mesh.Resource{Object: o.key.String(), State: "Unmanaged", Claims: []mesh.Zone{}}
	for _, c := range o.claims {
		if c.Kind == mesh.Live {
			res.Claims = append(res.Claims, c.Zone)
		}
	}
	win, ok := merge.Winner(o.claims)
	if ok {
		res.Owner, res.Epoch, res.Version = win.Zone, win.Epoch, win.Version
		res.Since = time.UnixMilli(win.Since).UTC()
		res.State = "Live"
		if win.Kind == mesh.Deleted {
			res.State = "Deleted"
		} else {
			res.Content = win.Content.String()
		}
	}
	p := o.placed
	bar, of := r.barred(o)
	switch {
	case p != nil && p.State == oplog.PlacedHeld:
		res.State, res.Detail = "Held", fmt.Sprintf("its deletion by %s is held", r.heldBy(o))
	case r.waitsForOperator(r.gone.of[o.key]):
		res.State, res.Detail = "Held", "it is not here; its deletion is not signed until you confirm"
	case o.rejected != "":
		res.State, res.Detail = "Rejected", o.rejected
	case bar != noBarrier:
		res.State, res.Detail = "NotAllowed", r.barText(o, bar, of)
	case len(merge.Rivals(o.claims)) > 0:
		res.State, res.Detail = "Conflict", "created independently by several zones; adopt it in one of them"
	case o.withheld:
		res.State, res.Detail = "Withheld", "its labels name another zone that claims it; adopt it to publish it"
	case r.unpublished(o):
		res.State, res.Detail = "Pending", "not published yet"
	case ok && p != nil && (p.State == oplog.PlacedWanted || p.State == oplog.PlacedRemoving):
		res.State, res.Detail = "Pending", "not written here yet"
	case ok && p != nil && p.State == oplog.PlacedUnmanaged:
		res.State, res.Detail = "Unmanaged", "nobody who claims it speaks for this copy"
	case ok && r.void(win.At):
		res.State, res.Detail = "NotRestated", "its zone's key signed this after its end in the mesh; nobody holds what stood before"
	case ok && r.notRestated(&win):
		res.State, res.Detail = "NotRestated", "stated in an earlier log of its zone only"
	}
	return res
}

// notRestated reports whether a claim stands in a log that its zone has left without restating it.
func (r *Replica) notRestated(c *mesh.Claim) bool {
	for _, l := range r.logs {
		if l.Key.Author == c.At.Log.Author && l.Instance.Incarnation > c.At.Incarnation && l.Start > 0 {
			return true
		}
	}
	return false
}

// Logs lists the logs held, in zone and incarnation order. Lag is not known here.
func (r *Replica) Logs() []mesh.LogStatus {
	ls := r.sortedLogs()
	slices.SortStableFunc(ls, func(a, b *oplog.Log) int {
		if a.Instance.Zone != b.Instance.Zone {
			if a.Instance.Zone < b.Instance.Zone {
				return -1
			}
			return 1
		}
		if a.Instance.Incarnation < b.Instance.Incarnation {
			return -1
		}
		return 1
	})
	out := make([]mesh.LogStatus, 0, len(ls))
	for _, l := range ls {
		s := mesh.LogStatus{
			Name: string(l.Instance.Zone), Zone: l.Instance.Zone,
			PublicKey: l.Key.Author.String(), LogID: l.Key.Log.String(),
			Incarnation: time.UnixMilli(int64(l.Instance.Incarnation)).UTC(),
			Operations:  l.Ops, Bytes: l.Bytes, State: "OK",
		}
		if !l.Empty() {
			h := l.Height()
			s.Height, s.Applied = &h, &h
		}
		if l.Start > 0 || l.Next > 1 {
			at := l.Start
			s.Snapshot = &at
		}
		if l.Updated > 0 {
			t := time.UnixMilli(l.Updated).UTC()
			s.Updated = &t
		}
		switch {
		case l.Frozen:
			s.State = "Frozen"
		case r.logCovered(l):
			s.State = "Covered"
		case l.Staged != nil:
			s.State = "Staging"
		}
		out = append(out, s)
	}
	return out
}

// Held lists the deletions that are held, by zone.
func (r *Replica) Held() []mesh.HeldDeletes {
	sets := r.heldSets()
	if r.meta.Replaced && sets[r.cfg.Zone] == nil {
		sets[r.cfg.Zone] = []mesh.ObjectKey{}
	}
	out := make([]mesh.HeldDeletes, 0, len(sets))
	for z, ks := range sets {
		h := mesh.HeldDeletes{Zone: z, Objects: make([]string, 0, len(ks)), Digest: heldDigest(ks).String(), Reason: "Brake"}
		if z == r.cfg.Zone && r.meta.Replaced {
			h.Reason = "ClusterReplaced"
		}
		for _, k := range ks {
			h.Objects = append(h.Objects, k.String())
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b mesh.HeldDeletes) int {
		if a.Zone < b.Zone {
			return -1
		}
		return 1
	})
	return out
}

// Findings lists what an operator should know, worst first.
func (r *Replica) Findings() []mesh.Finding {
	var out []mesh.Finding
	add := func(id, status, subject, text, next string) {
		out = append(out, mesh.Finding{ID: id, Status: status, Subject: subject, Text: text, Next: next})
	}
	if r.muted {
		add("key.instance", "fail", "", "another live instance uses this node's key; this one has stopped publishing", "stop one of the two")
	}
	out = append(out, r.trustFindings()...)
	for _, l := range r.sortedLogs() {
		if _, expelled := r.trust.view.Expelled(l.Key.Author); !expelled && l.Frozen && !r.whollyCovered(l.Key, l.Instance.Incarnation) {
			text := "its key signed two histories; its log is frozen until a new one covers it"
			if l.False {
				text = "its key signed what follows an operation that it never signed; its log is frozen until a new one covers it"
			}
			add("log.fork", "fail", string(l.Instance.Zone), text, "mesh log verify "+string(l.Instance.Zone))
		}
	}
	for _, h := range r.Held() {
		next := "mesh peers accept-deletes " + string(h.Zone)
		switch {
		case h.Reason == "ClusterReplaced":
			text := "the cluster was replaced or restored; what is missing in it will not be deleted elsewhere"
			if n := len(h.Objects); n > 0 {
				text = "the cluster was replaced or restored; " + number(n, "missing object is", "missing objects are") + " not deleted elsewhere"
			}
			add("cluster.witness", "fail", string(h.Zone), text, next)
		default:
			add("deletes.held", "fail", string(h.Zone), number(len(h.Objects), "deletion is", "deletions are")+" held by the mass-delete brake", next)
		}
	}
	for _, b := range r.bindings {
		if b.Conflict {
			add("zone.binding", "fail", b.Key.Short(), "this key signed for two zones and is bound to neither", "bind it to one zone under nodes in config.yaml")
		}
	}
	c := r.Counts()
	if c.Contested > 0 {
		add("resources.contested", "warn", "", number(c.Contested, "object was", "objects were")+" created by several zones; each keeps its copy", "mesh adopt KIND/NS/NAME")
	}
	if c.Rejected > 0 {
		add("resources.rejected", "warn", "", number(c.Rejected, "object", "objects")+" could not be written here", "")
	}
	return out
}

// number puts a count before the words for one and for several.
func number(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
