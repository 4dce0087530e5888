package replica

import (
	"cmp"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// This file is about removing a key. It begins as a proposal, which counts for its author alone; whoever was compared
// with a majority of the other zones since it heard of it signs the removal with a cut, which counts everywhere.

const (
	// cutAfter is how long whoever proposed a removal waits for members beyond the majority before it cuts: what only
	// they hold of the key's logs is lost otherwise.
	cutAfter = 5 * time.Second
	// cutForOthers is how long a proposal may stand before somebody else than its author cuts.
	cutForOthers = 30 * time.Second
)

// proposal is a removal on its way, as seen from here.
type proposal struct {
	since    time.Time
	compared map[keys.Public]bool // members compared with since
}

// expel proposes the removal of a key.
func (r *Replica) expel(k keys.Public) {
	_, gone := r.trust.view.Expelled(k)
	if k == r.self || gone || !r.trust.view.Speaks(k) || !r.canSign() {
		r.report(Decision{Reason: RefusedExpel, Peer: k})
		return
	}
	if !r.proposed(k, r.self) {
		r.signTrust(&event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: k}})
	}
	delete(r.proposals, k) // whoever is compared from now on counts
}

// proposed reports whether somebody in particular proposed the removal of a key that is still a member.
func (r *Replica) proposed(k, by keys.Public) bool {
	return slices.ContainsFunc(r.trust.view.Proposals(), func(p trust.Proposal) bool { return p.Key == k && p.By == by })
}

// comparedFor notes a completed sync round for the removals on their way.
func (r *Replica) comparedFor(from keys.Public) {
	for _, p := range r.proposals {
		p.compared[from] = true
	}
}

// cut signs the removals that a majority was compared for.
func (r *Replica) cut() {
	open := r.trust.view.Proposals()
	for k := range r.proposals {
		if !slices.ContainsFunc(open, func(p trust.Proposal) bool { return p.Key == k }) {
			delete(r.proposals, k)
		}
	}
	for _, p := range open {
		if p.Key == r.self {
			continue
		}
		if r.proposals[p.Key] == nil {
			r.proposals[p.Key] = &proposal{since: r.now, compared: map[keys.Public]bool{}}
			r.requestAll()
		}
		if r.canSign() && r.mayCut(p.Key) {
			r.signTrust(&event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: p.Key, Cuts: r.removalCuts(p.Key)}})
		}
	}
}

// cutAt is when time alone lets a removal be cut, once a majority was compared with.
func (r *Replica) cutAt(k keys.Public, p *proposal) time.Time {
	if r.proposed(k, r.self) {
		return p.since.Add(cutAfter)
	}
	return p.since.Add(cutForOthers)
}

// mayCut reports whether enough is known of what a key signed: more than half of the other zones were compared with,
// and all of them or time for the rest has passed.
func (r *Replica) mayCut(k keys.Public) bool {
	p := r.proposals[k]
	reached, all := r.reached(k)
	return 2*reached > all && (reached == all && r.proposed(k, r.self) || !r.now.Before(r.cutAt(k, p)))
}

// reached counts the zones compared with since the removal of k was proposed, and those there are, ours included and
// that of k left out.
func (r *Replica) reached(k keys.Public) (reached, all int) {
	p := r.proposals[k]
	zones := map[mesh.Zone]bool{r.cfg.Zone: true}
	unnamed := 0 // a key without a zone counts as one of its own
	for m := range r.members {
		if m == k {
			continue
		}
		met := p != nil && p.compared[m]
		if z := r.ZoneOf(m); z != "" {
			zones[z] = zones[z] || met
			continue
		}
		all++
		if met {
			unnamed++
		}
	}
	for _, met := range zones {
		all++
		if met {
			reached++
		}
	}
	return reached + unnamed, all
}

// cutDeadline is when the next removal that only waits for time can be cut; zero: none does.
func (r *Replica) cutDeadline() (at time.Time) {
	for k, p := range r.proposals {
		t := r.cutAt(k, p)
		if reached, all := r.reached(k); 2*reached > all && t.After(r.now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// cutsOf names the last operation held of each log of a key: what it signed beyond is void once it is removed or its
// zone handed over.
func (r *Replica) cutsOf(k keys.Public) []event.Cut {
	var cuts []event.Cut
	logs := r.sortedLogs()
	slices.SortStableFunc(logs, func(a, b *oplog.Log) int { return cmp.Compare(b.Instance.Incarnation, a.Instance.Incarnation) })
	for _, l := range logs {
		if l.Key.Author != k || len(cuts) == event.MaxCuts {
			continue
		}
		l := *l
		l.Cut = nil // what others cut may turn out not to count
		if h := l.State(); h.Next > 0 {
			cuts = append(cuts, event.Cut{Log: l.Key.Log, Height: h.Next - 1, Head: h.Head})
		}
	}
	slices.SortFunc(cuts, func(a, b event.Cut) int { return slices.Compare(a.Log[:], b.Log[:]) })
	return cuts
}

// removalCuts are the cuts of a removal, which has to have one. That of a key of which nothing is held names a log that
// cannot be.
func (r *Replica) removalCuts(k keys.Public) []event.Cut {
	if cuts := r.cutsOf(k); len(cuts) > 0 {
		return cuts
	}
	return []event.Cut{event.NothingStands}
}

// removalProposed reports whether somebody proposed to remove a key that is still a member.
func (r *Replica) removalProposed(k keys.Public) bool {
	return slices.ContainsFunc(r.trust.view.Proposals(), func(p trust.Proposal) bool { return p.Key == k })
}

// handOver moves the zone of a key to another one, because its own key said so. Not while the key is about to be
// removed: whoever stole it would be first to answer a removal with a new key of theirs.
func (r *Replica) handOver(from, to keys.Public) {
	z := r.ZoneOf(from)
	key, ok := r.trust.view.Key(z)
	if z == "" || ok && key != from || !r.admitted(from) || r.removalProposed(from) || !r.canSign() || !r.knows(from) || r.mayJoin(to, z) != DenialNone {
		r.report(Decision{Reason: RefusedHandOver, Zone: z, Peer: to})
		return
	}
	r.signHandOver(z, from, to)
}

// knows reports whether enough is known of what a key signed to cut its logs: something is held, or everybody else who
// might hold something was compared with. If not, the others are asked.
func (r *Replica) knows(k keys.Public) bool {
	for _, l := range r.logs {
		if l.Key.Author == k && !l.Empty() {
			return true
		}
	}
	others := 0
	for m := range r.members {
		if m == k {
			continue
		}
		if others++; !r.start.compared[m] {
			r.requestAll()
			return false
		}
	}
	return others > 0 // who just came in through this very key knows nothing of it
}

func (r *Replica) signHandOver(z mesh.Zone, from, to keys.Public) {
	r.signTrust(&event.Event{Kind: event.KindHandOver, HandOver: &event.HandOver{
		Zone: z, From: from, To: to, Generation: r.trust.view.NextGeneration(z), Cuts: r.cutsOf(from),
	}})
}

// tellTrust reports what a new view of the trust set means.
func (r *Replica) tellTrust(before *trust.View) {
	now := r.trust.view
	speakers := map[keys.Public]bool{r.self: true}
	for _, m := range before.Members() {
		speakers[m.Key] = true
	}
	var gone []keys.Public
	for k := range speakers {
		_, already := before.Expelled(k)
		if _, expelled := now.Expelled(k); expelled && !already {
			gone = append(gone, k)
		}
	}
	slices.SortFunc(gone, keys.Public.Compare)
	for _, k := range gone {
		x, _ := now.Expelled(k)
		d := Decision{Reason: Removed, Zone: before.Zone(k), Peer: k, Detail: "by " + x.By.Short()}
		if !x.To.IsZero() {
			d.Reason, d.Detail = HandedOverTo, "to "+x.To.Short()+" by "+x.By.Short()
		}
		if k == r.self {
			d.Zone = r.cfg.Zone
		}
		r.report(d)
	}
	for _, c := range now.Conflicts() {
		old := slices.ContainsFunc(before.Conflicts(), func(o trust.Conflict) bool {
			return o.Kind == c.Kind && slices.Equal(o.Zones, c.Zones) && slices.Equal(o.Keys, c.Keys)
		})
		if !old {
			r.report(Decision{Reason: IdentityClash, Zone: c.Zones[0], Peer: c.Keys[0], Detail: c.Kind.String()})
		}
	}
}
