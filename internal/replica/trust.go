package replica

import (
	"bytes"
	"cmp"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// trustState is the trust set with the bytes of its operations, and the view of it that is in force here. The
// operations are kept outside any log's retention: neither a prune nor a new incarnation of their author drops
// them.
type trustState struct {
	set     *trust.Set
	view    *trust.View                 // in force
	ops     map[mesh.Hash]oplog.TrustOp // of all statements that the set holds or sets aside
	changed bool                        // something was added since the view was made
	urgent  bool                        // something else than admissions was
	stated  *trust.View                 // for which this node has stated what it admits and binds by itself
}

func newTrustState(self Member, local []Member) trustState {
	t := trustState{
		set: trust.NewSet(trust.Member{Key: self.Key, Zone: self.Zone}), ops: make(map[mesh.Hash]oplog.TrustOp),
	}
	t.set.SetLocal(trustMembers(local))
	t.view = t.set.View()
	return t
}

func trustMembers(ms []Member) []trust.Member {
	out := make([]trust.Member, 0, len(ms))
	for _, m := range ms {
		out = append(out, trust.Member{Key: m.Key, Zone: m.Zone})
	}
	return out
}

// load takes in the stored operations.
func (t *trustState) load(stored []oplog.TrustOp) {
	var sts []trust.Statement
	for _, op := range stored {
		if st, err := trust.Read(op.Header, op.Body); err == nil {
			sts = append(sts, st)
			t.ops[op.ID] = op
		}
	}
	t.set.Load(sts)
	t.view = t.set.View()
}

// keepTrust adds an operation to the set. One whose author is not known here yet waits: whoever admitted it may
// be heard next.
func (r *Replica) keepTrust(op oplog.TrustOp) Reason {
	if _, held := r.trust.ops[op.ID]; held {
		return ""
	}
	st, err := trust.Read(op.Header, op.Body)
	if err != nil {
		return RefusedUnreadable
	}
	if r.madeUp(&st) {
		return RefusedVoid
	}
	outcome := r.trust.set.Add(st)
	if outcome == trust.Full || outcome == trust.Refused {
		return RefusedTrust
	}
	r.trust.ops[op.ID] = op
	r.trust.changed = true
	r.trust.urgent = r.trust.urgent || st.Event.Admit == nil
	if outcome == trust.Waiting {
		return RefusedNotAdmitted
	}
	return ""
}

// madeUp reports whether a statement of an expelled key can't be from before its end: whoever has the key can sign one with
// a position below the cut at any time. But at that position another operation is held, or there is none any more and
// the key's own snapshot, which restates what it stated about trust, didn't restate this.
func (r *Replica) madeUp(st *trust.Statement) bool {
	if _, expelled := r.trust.view.Expelled(st.Author); !expelled {
		return false
	}
	l := r.logs[mesh.LogKey{Author: st.Author, Log: st.Log}]
	if l == nil || st.Seq >= l.Next {
		return false
	}
	if st.Seq < l.Start {
		return true
	}
	id, held, err := r.rowID(l.Key, st.Seq)
	if err != nil {
		r.fail(err)
	}
	return held && id != st.ID
}

// followTrust follows the statements that came in, if any did.
func (r *Replica) followTrust() {
	if r.trust.changed {
		r.trustChanged()
	}
}

// followBefore follows the statements that came in, as far as what comes next is judged by them. An admission by a
// member is not judged by the admissions before it: a thousand of them that come together are followed once, where
// each of them costs a pass over all members.
func (r *Replica) followBefore(next Arrived) {
	if ev := next.Event; r.trust.urgent || ev == nil || ev.Admit == nil || !r.trust.view.Speaks(next.Op.Author) {
		r.followTrust()
	}
}

// trustChanged brings everything that follows from the trust set up to date.
func (r *Replica) trustChanged() {
	r.trust.changed, r.trust.urgent = false, false
	taken, dropped := r.trust.set.Changes()
	for _, st := range taken {
		r.fx.Persist.Trust = append(r.fx.Persist.Trust, r.trust.ops[st.ID])
	}
	for _, id := range dropped {
		delete(r.trust.ops, id)
	}
	r.fx.Persist.DropTrust = append(r.fx.Persist.DropTrust, dropped...)
	before, now := r.trust.view, r.trust.set.View()
	if before == now {
		return
	}
	r.trust.view = now
	r.membersChanged()
	r.limitLogs()
	r.rankAnew(before)
	r.tellTrust(before)
}

// arrivedTrust takes in a trust operation that came outside its log. It never enters a log by that way.
func (r *Replica) arrivedTrust(in ArrivedTrust) {
	op := in.Op
	why := RefusedUnreadable
	if in.Event.AboutTrust() {
		why = RefusedLogID
		if mesh.LogIDOf(r.cfg.Network, in.Event.Instance) == op.Log {
			why = r.keepTrust(oplog.TrustOp{ID: op.ID, Header: op.Raw, Body: op.Body})
		}
	}
	if why != "" {
		r.report(Decision{Reason: why, Log: mesh.LogKey{Author: op.Author, Log: op.Log}, Seq: op.Seq, Peer: in.From})
	}
}

// restatedTrust takes in a trust operation from another zone's snapshot. It was wrapped there, so nobody has
// verified it yet.
func (r *Replica) restatedTrust(e *event.Entry) {
	if _, held := r.trust.ops[mesh.Sum(e.Header)]; held {
		return
	}
	st, err := trust.Verify(r.cfg.Network, e.Header, e.Body)
	if err != nil {
		return
	}
	_ = r.keepTrust(oplog.TrustOp{ID: st.ID, Header: bytes.Clone(e.Header), Body: bytes.Clone(e.Body)}) // said by its author, if anybody cares
}

// stateTrust signs what this node admits and binds by itself, unless the mesh can tell from what is stated already. What
// contradicts the mesh is not stated: it counts here alone, and the findings tell.
func (r *Replica) stateTrust() {
	for n := 0; r.canSign() && r.trust.stated != r.trust.view && n < 2; n++ { // to say it changes the view
		r.trust.stated = r.trust.view
		diverging := r.trust.view.Diverging()
		known := r.vouched()
		for _, m := range r.admits {
			odd := slices.ContainsFunc(diverging, func(d trust.Member) bool { return d.Key == m.Key })
			ev := &event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: m.Key, Zone: m.Zone}}
			if !odd && !(known[m.Key] && r.trust.view.Says(ev)) {
				r.signTrust(ev)
				known = r.vouched()
			}
		}
		for _, k := range r.sortedMembers() {
			if b, ok := r.bindings[k]; ok && !b.Conflict && r.members[k] == "" {
				r.state(&event.Event{Kind: event.KindBind, Bind: &event.Bind{Key: k, Zone: b.Zone}})
			}
		}
	}
}

// vouched lists the keys that somebody who trusts this node alone knows to belong to the mesh: those that it admitted,
// those that these admitted, and so on.
func (r *Replica) vouched() map[keys.Public]bool {
	by := make(map[keys.Public][]keys.Public)
	for _, st := range r.trust.set.Statements() {
		if !r.trust.view.Standing(st.ID) {
			continue
		}
		if k := st.Event.Admits(); !k.IsZero() {
			by[st.Author] = append(by[st.Author], k)
		}
	}
	known := map[keys.Public]bool{r.self: true}
	for edge := []keys.Public{r.self}; len(edge) > 0; {
		k := edge[len(edge)-1]
		edge = edge[:len(edge)-1]
		for _, n := range by[k] {
			if !known[n] {
				known[n] = true
				edge = append(edge, n)
			}
		}
	}
	return known
}

// state signs a statement about trust that nobody has made yet.
func (r *Replica) state(ev *event.Event) {
	if !r.trust.view.Says(ev) {
		r.signTrust(ev)
	}
}

// signTrust signs a statement about trust, which is in force at once.
func (r *Replica) signTrust(ev *event.Event) {
	r.sign(ev)
	r.followTrust()
}

// TrustDigest is equal on two nodes that hold the same trust operations.
func (r *Replica) TrustDigest() mesh.Hash { return r.trust.set.Digest() }

// Trust returns the trust operations that are passed on, in order of their ids. The slice is the caller's.
func (r *Replica) Trust() []oplog.TrustOp {
	sts := r.trust.set.Statements()
	out := make([]oplog.TrustOp, 0, len(sts))
	for _, st := range sts {
		if op, ok := r.trust.ops[st.ID]; ok {
			out = append(out, op)
		}
	}
	return out
}

// TrustView is the trust set as it is judged now. It never changes; a new one takes its place.
func (r *Replica) TrustView() *trust.View { return r.trust.view }

// Credentials returns what proves to others that this node was admitted, newest first.
func (r *Replica) Credentials() []oplog.TrustOp { return r.credentialsOf(r.self) }

func (r *Replica) credentialsOf(k keys.Public) []oplog.TrustOp {
	var sts []trust.Statement
	for _, st := range r.trust.set.Statements() {
		if st.Event.Admits() == k && st.Author != k && r.trust.view.Standing(st.ID) {
			sts = append(sts, st)
		}
	}
	slices.SortStableFunc(sts, func(a, b trust.Statement) int { return cmp.Compare(b.Time, a.Time) })
	out := make([]oplog.TrustOp, 0, len(sts))
	for _, st := range sts {
		out = append(out, r.trust.ops[st.ID])
	}
	return out
}
