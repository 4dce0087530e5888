package replica

import (
	"bytes"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// maxTrustPerAuthor bounds what one member may state about trust: a mesh of 1,000 zones whose keys are each
// admitted and handed over a few times by everybody stays below.
const maxTrustPerAuthor = 4096

// trustSet keeps trust operations verbatim, outside any log's retention: neither a prune nor a new
// incarnation of their author drops them. This version stores and exchanges them; whom it admits is decided
// by its configuration.
type trustSet struct {
	ops    map[mesh.Hash]oplog.TrustOp
	author map[keys.Public]int
	sorted []oplog.TrustOp // by id; nil when it has to be made anew
}

func newTrustSet() trustSet {
	return trustSet{ops: make(map[mesh.Hash]oplog.TrustOp), author: make(map[keys.Public]int)}
}

// load takes in a stored operation.
func (t *trustSet) load(op oplog.TrustOp) {
	if o, err := operation.Decode(op.Header); err == nil {
		t.ops[op.ID] = op
		t.author[o.Author]++
		t.sorted = nil
	}
}

func (t *trustSet) list() []oplog.TrustOp {
	if t.sorted == nil {
		for _, op := range t.ops {
			t.sorted = append(t.sorted, op)
		}
		slices.SortFunc(t.sorted, func(a, b oplog.TrustOp) int { return a.ID.Compare(b.ID) })
	}
	return t.sorted
}

func isTrust(ev *event.Event) bool {
	return ev != nil && (ev.Admit != nil || ev.Bind != nil || ev.Remove != nil || ev.HandOver != nil)
}

// judgeTrust decides about a trust operation by signature (checked by the caller), log id and authority.
func (r *Replica) judgeTrust(op *operation.Operation, ev *event.Event) Reason {
	switch {
	case !isTrust(ev):
		return RefusedUnreadable
	case mesh.LogIDOf(r.cfg.Network, ev.Instance) != op.Log:
		return RefusedLogID
	}
	return r.mayAuthor(op.Author, ev.Instance.Zone)
}

// keepTrust adds an operation to the set.
func (r *Replica) keepTrust(op oplog.TrustOp, author keys.Public) {
	if _, held := r.trust.ops[op.ID]; held {
		return
	}
	if r.trust.author[author] >= maxTrustPerAuthor {
		r.report(Decision{Reason: RefusedTrust, Peer: author})
		return
	}
	r.trust.ops[op.ID] = op
	r.trust.author[author]++
	r.trust.sorted = nil
	r.fx.Persist.Trust = append(r.fx.Persist.Trust, op)
}

// restatedTrust takes in a trust operation from another zone's snapshot. It was wrapped there, so nobody has
// verified it yet.
func (r *Replica) restatedTrust(e *event.Entry) {
	if _, held := r.trust.ops[mesh.Sum(e.Header)]; held {
		return
	}
	op, err := operation.Decode(e.Header)
	if err != nil || op.SetBody(e.Body) != nil || op.Verify() != nil {
		return
	}
	ev, err := event.Decode(op.Body)
	if err != nil || r.judgeTrust(op, ev) != "" {
		return
	}
	r.keepTrust(oplog.TrustOp{ID: op.ID, Header: bytes.Clone(op.Raw), Body: bytes.Clone(op.Body)}, op.Author)
}

// publishAdmissions states the configured members as signed admissions, once each.
func (r *Replica) publishAdmissions() {
	if !r.canSign() || r.start.admitted {
		return
	}
	r.start.admitted = true
	stated := make(map[event.Admit]bool)
	for _, t := range r.trust.list() {
		if op, err := operation.Decode(t.Header); err == nil && op.Author == r.self {
			if ev, err := event.Decode(t.Body); err == nil && ev.Admit != nil {
				stated[*ev.Admit] = true
			}
		}
	}
	for _, k := range r.sortedMembers() {
		a := event.Admit{Key: k, Zone: r.members[k]}
		if !stated[a] {
			r.sign(&event.Event{Kind: event.KindAdmit, Admit: &a})
		}
	}
}

// TrustDigest is equal on two nodes that hold the same trust operations.
func (r *Replica) TrustDigest() mesh.Hash {
	var ids []byte
	for _, op := range r.trust.list() {
		ids = append(ids, op.ID[:]...)
	}
	return mesh.Sum(ids)
}

// Trust returns the trust operations held, in order of their ids. The slice is the caller's.
func (r *Replica) Trust() []oplog.TrustOp { return slices.Clone(r.trust.list()) }
