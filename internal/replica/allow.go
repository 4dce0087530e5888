package replica

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Rule says which objects may flow between another node and this one. A rule decides about what is done here only:
// every log is kept and passed on whole.
type Rule struct {
	// Key is the node's: what is applied of its zone. Our own key: what this zone publishes.
	Key keys.Public
	// Zone is the one that the configuration names with the key, or empty. A rule outlives its key: it holds for
	// the zone that the key had until the next key has a rule of its own.
	Zone mesh.Zone
	// Allow is nil where every object may.
	Allow *mesh.Allow
}

// Rules replaces the rules (an input). What they allow no longer is left as it stands, here and elsewhere, and
// what they allow anew is published and applied.
type Rules struct{ Rules []Rule }

func (Rules) input() {}

// ruleSet is the rules in force.
type ruleSet struct {
	list []Rule
	own  *mesh.Allow
	of   map[mesh.Zone][]Rule // as zones are bound now: each has to allow an object
}

func newRuleSet(list []Rule, self keys.Public) ruleSet {
	s := ruleSet{list: list}
	for _, x := range list {
		if x.Key == self {
			s.own = x.Allow
		}
	}
	return s
}

// setRules takes new rules in.
func (r *Replica) setRules(in Rules) {
	of, own := r.rules.of, r.rules.own
	r.rules = newRuleSet(in.Rules, r.self)
	r.rules.of = of // what it means for zones is found out before objects are settled
	if own.Equal(r.rules.own) {
		return
	}
	for _, o := range r.objectsWhere(anyObject) {
		r.touch(o)
	}
	r.catchUp() // what may be published from now on has to be reported for that
}

// bindRules looks for which zones the rules hold now, and reports whether that changed: keys come to speak for
// zones, and zones go to other keys.
func (r *Replica) bindRules() bool {
	of := make(map[mesh.Zone][]Rule)
	for _, x := range r.rules.list {
		if z := r.ZoneOf(x.Key); z != "" && z != r.cfg.Zone {
			of[z] = append(of[z], x)
		}
	}
	former := make(map[mesh.Zone][]Rule)
	for _, x := range r.rules.list {
		gone, _ := r.trust.view.Expelled(x.Key)
		if z := cmp.Or(x.Zone, gone.Zone, r.bindings[x.Key].Zone); z != "" && z != r.cfg.Zone && of[z] == nil {
			former[z] = append(former[z], x)
		}
	}
	maps.Copy(of, former)
	maps.DeleteFunc(of, func(_ mesh.Zone, xs []Rule) bool {
		return !slices.ContainsFunc(xs, func(x Rule) bool { return x.Allow != nil })
	})
	if maps.EqualFunc(of, r.rules.of, func(a, b []Rule) bool { return slices.EqualFunc(a, b, sameRule) }) {
		return false
	}
	r.rules.of = of
	return true
}

func sameRule(a, b Rule) bool { return a.Key == b.Key && a.Allow.Equal(b.Allow) }

// followRules has every object settled anew after the rules came to mean something else.
func (r *Replica) followRules() {
	if len(r.rules.list) == 0 && len(r.rules.of) == 0 || !r.bindRules() {
		return
	}
	for _, o := range r.objectsWhere(anyObject) {
		r.touch(o)
	}
}

// allowsFrom reports whether no rule keeps what a zone states about an object from being applied here.
func (r *Replica) allowsFrom(z mesh.Zone, k mesh.ObjectKey) bool {
	for _, x := range r.rules.of[z] {
		if !x.Allow.Allows(k) {
			return false
		}
	}
	return true
}

// flowsIn reports whether what a zone states about an object is applied here. The empty zone stands for none in
// particular.
func (r *Replica) flowsIn(z mesh.Zone, k mesh.ObjectKey) bool {
	return r.cfg.Applies(k) && r.allowsFrom(z, k)
}

// outside reports whether what decides about an object is not let in here.
func (r *Replica) outside(o *object) bool {
	if !r.cfg.Applies(o.key) {
		return true
	}
	act, win := merge.Decide(r.cfg.Zone, o.claims, merge.Policy{Oldest: r.cfg.OnConflict == Oldest})
	return r.keepsOut(o, act, win)
}

// keepsOut is outside for a decision that was taken already.
func (r *Replica) keepsOut(o *object, act merge.Action, win mesh.Claim) bool {
	switch act {
	case merge.Nothing:
		return !r.flowsIn(o.ended, o.key) // the end of a claim is a statement of its zone too
	case merge.Put, merge.Remove:
		return !r.flowsIn(win.Zone, o.key)
	}
	return false
}

// withhold withdraws our claim on an object that our own rule doesn't allow any more. The object stays here, and the
// replicas of it elsewhere.
func (r *Replica) withhold(o *object) {
	mine := o.live(r.cfg.Zone)
	if mine == nil || r.rules.own.Allows(o.key) || !r.canSign() {
		return
	}
	r.forgetGone(o.key)
	r.sign(&event.Event{Kind: event.KindRelease, Release: &event.Release{Object: o.key, Epoch: mine.Epoch}})
	r.report(Decision{Reason: ReleaseSigned, Zone: r.cfg.Zone, Object: o.key})
}

// settleOutside leaves a replica as it stands: the object isn't let in here any more, so nothing is written or deleted,
// whatever its owner states.
func (r *Replica) settleOutside(o *object) {
	p := o.placed
	if p == nil || p.Local || p.State == oplog.PlacedUnmanaged || !p.Expect.IsZero() && !r.yielding(o) {
		return
	}
	underWay := p.State == oplog.PlacedWanted || p.State == oplog.PlacedRemoving
	q := *p
	q.State = oplog.PlacedUnmanaged
	switch {
	case !p.Expect.IsZero(): // our own copy was to give way
		q.Local, q.Content, q.Expect = true, p.Expect, mesh.Hash{}
		r.place(o, &q)
	case p.State == oplog.PlacedWanted && !o.seen && p.Base.UID == "":
		r.place(o, nil) // it was never written
	default:
		r.place(o, &q)
	}
	o.rejected = ""
	if underWay {
		r.apply(writeOf(Leave, o.key, p))
	}
}

// giveWay goes on with replacing or removing a copy of ours, whose claim was withdrawn while what took its place
// wasn't let in here, and now is.
func (r *Replica) giveWay(o *object) {
	p := o.placed
	if p == nil || !p.Local || p.State != oplog.PlacedUnmanaged || o.local == nil || o.local.content != p.Content {
		return
	}
	q := *p
	q.Local, q.Expect, q.Content = false, p.Content, mesh.Hash{}
	r.place(o, &q)
}

// barrier is what keeps an object from flowing.
type barrier uint8

const (
	noBarrier   barrier = iota
	ownRule             // it is not published
	zoneRule            // what its zone states is not applied
	ownConfig           // no entry of the configuration lets it in
	tombstoneIn         // its deletion is not applied, by a rule or the configuration
)

// barred says what keeps an object from flowing, and what whose statement that is. It is about objects that somebody states
// or that stand here for it: what is nobody's is kept from nothing.
func (r *Replica) barred(o *object) (barrier, mesh.Zone) {
	p := o.placed
	withdrawn := p != nil && p.Local && p.State == oplog.PlacedUnmanaged
	ours := o.local != nil && !withdrawn && !r.yielding(o)
	switch {
	case r.cfg.Clusterless:
		return noBarrier, ""
	case ours && !r.rules.own.Allows(o.key):
		return ownRule, r.cfg.Zone
	case ours:
		return noBarrier, ""
	}
	win, ok := merge.Winner(o.claims)
	switch {
	case !ok, win.Zone == r.cfg.Zone, o.live(r.cfg.Zone) != nil, r.flowsIn(win.Zone, o.key):
		return noBarrier, ""
	case win.Kind == mesh.Deleted && p == nil:
		return noBarrier, ""
	case win.Kind == mesh.Deleted:
		return tombstoneIn, win.Zone
	case !r.allowsFrom(win.Zone, o.key):
		return zoneRule, win.Zone
	}
	return ownConfig, win.Zone
}

// barText says in a sentence why an object doesn't flow.
func (r *Replica) barText(o *object, b barrier, z mesh.Zone) string {
	text := ""
	switch {
	case b == ownRule:
		return "not published: nodes[].allow of this node's own entry doesn't name it"
	case !r.allowsFrom(z, o.key):
		i := slices.IndexFunc(r.rules.of[z], func(x Rule) bool { return !x.Allow.Allows(o.key) })
		text = fmt.Sprintf("nodes[].allow of %s (key %s) doesn't name it", z, r.rules.of[z][i].Key.Short())
	case r.cfg.Outside != nil:
		text = r.cfg.Outside(o.key)
	}
	if text == "" {
		text = "the configuration doesn't let it in"
	}
	if b == tombstoneIn {
		return fmt.Sprintf("its deletion by %s is not applied: %s; what stands here stays", z, text)
	}
	if o.placed != nil {
		text += "; what stands here stays"
	}
	return "not applied: " + text
}
