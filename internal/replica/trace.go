package replica

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// This file and trace_here.go tell the way of one object: who states it, where that stands, what it means here and what
// became of it. They decide nothing and change nothing.

// Trace is what a replica knows about the way of one object. How far other nodes are is known to the network.
type Trace struct {
	Resource mesh.Resource // with the object's key alone when nobody ever stated it
	// Stated says who states the object, and in which log; Here what follows from it in this zone.
	Stated, Here []mesh.TraceStep
	At           *mesh.Position // of the statement that decides; nil: there is none
	Author       mesh.Zone      // whose statement that is
	Zones        []Recipient    // the other zones, by name
}

// Recipient is a zone that is to hold the statement that decides.
type Recipient struct {
	Member
	Acked *uint32 // the highest operation of the log that it is known to hold; nil: nothing is known. For own logs only
}

// Reasons in a trace that no decision has.
const (
	traceUnclaimed = "unclaimed"
	tracePending   = "pending"
	traceVoid      = "void"
	traceLeft      = "not_restated"
	traceMissing   = "missing"
	traceOutside   = "outside"
	traceUnmanaged = "unmanaged"
)

// Trace tells the way of an object; of one that nobody knows too.
func (r *Replica) Trace(k mesh.ObjectKey) Trace {
	o, known := r.objects[k]
	if !known {
		o = &object{key: k}
	}
	t := Trace{Resource: r.resource(o)}
	if !known {
		t.Resource.State, t.Resource.Detail = "Unknown", "no zone states it"
	}
	win, ok := merge.Winner(o.claims)
	if !ok {
		t.Stated = append(t.Stated, r.traceUnclaimed(o), r.traceUnpublished(o))
		if o.placed != nil {
			t.Here = append(t.Here, r.traceApplied(o, merge.Nothing, win))
		}
		return t
	}
	at := win.At
	t.At, t.Author = &at, win.Zone
	t.Stated = append(t.Stated, r.traceOwner(o, &win))
	if r.unpublished(o) || o.withheld {
		t.Stated = append(t.Stated, r.traceUnpublished(o))
	}
	t.Stated = append(t.Stated, r.traceLog(&win))
	act, decides := merge.Decide(r.cfg.Zone, o.claims, merge.Policy{Oldest: r.cfg.OnConflict == Oldest})
	t.Here = append(t.Here, r.traceMerged(o, act, decides))
	if !r.cfg.Clusterless {
		t.Here = append(t.Here, r.traceApplied(o, act, decides))
	}
	t.Zones = r.recipients(at.Log)
	return t
}

// recipients lists the other members with what they acknowledged of a log.
func (r *Replica) recipients(log mesh.LogKey) []Recipient {
	var out []Recipient
	for _, k := range r.sortedMembers() {
		m := Recipient{Member: Member{Key: k, Zone: r.ZoneOf(k)}}
		if h, ok := r.acked[m.Zone][log]; ok && m.Zone != "" {
			m.Acked = &h
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Recipient) int { return strings.Compare(string(a.Zone), string(b.Zone)) })
	return out
}

// traceUnclaimed says that nobody states an object, and who did.
func (r *Replica) traceUnclaimed(o *object) mesh.TraceStep {
	s := mesh.TraceStep{Name: "owner", Status: mesh.CheckFail, Reason: traceUnclaimed, Message: "no zone states it, as far as this node knows"}
	var released []string
	for i := range o.claims {
		c := &o.claims[i]
		text := string(c.Zone) + " released it"
		if c.NewOwner != "" {
			text += " to " + string(c.NewOwner)
		}
		released = append(released, text)
	}
	if len(released) > 0 {
		s.Message = "no zone states it: " + strings.Join(released, ", ") + "; copies of it stay as they are"
		s.Next = []string{"mesh adopt " + o.key.String()}
	}
	return s
}

// traceUnpublished says why the object is not stated by this zone, or not as it stands here.
func (r *Replica) traceUnpublished(o *object) mesh.TraceStep {
	s := mesh.TraceStep{Name: "published", Status: mesh.CheckFail}
	adopt := []string{"mesh adopt " + o.key.String()}
	waits, why := r.Waiting()
	switch {
	case r.cfg.Clusterless:
		s.Status, s.Message = mesh.CheckSkip, "this node has no cluster of its own that it could come from"
	case !r.cfg.Publishes(o.key):
		s.Reason, s.Message = traceOutside, "this zone doesn't publish it: "+r.outsideText(o.key)
		s.Next = []string{"mesh help config", "mesh run --print-config"}
	case !r.rules.own.Allows(o.key):
		s.Reason, s.Message = string(NotAllowed), "this zone doesn't publish it: nodes[].allow of this node's own entry doesn't name it"
		s.Next = []string{"mesh help config"}
	case o.withheld:
		s.Reason, s.Message, s.Next = string(Withheld), "the copy here carries labels that name another zone which states or stated it; an operator must say whose it is", adopt
	case o.local == nil && o.placed != nil:
		s.Reason, s.Message, s.Next = traceUnmanaged, "what stands here was written for "+orZone(o.placed.Zone)+" and is nobody's now", adopt
	case o.local == nil && !r.start.listed:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "this zone's cluster was not read wholly yet, so it may still be found there"
		s.Next = []string{"mesh status --wait"}
	case o.local == nil:
		s.Reason, s.Message = traceMissing, "it is not among the objects of this zone's own cluster, as far as the cluster could be read"
	case waits:
		s.Reason, s.Message, s.Next = tracePending, "the copy here is recorded and not announced yet: "+why, []string{"mesh status"}
	case o.placed != nil && o.placed.State == oplog.PlacedUnmanaged:
		s.Reason, s.Message, s.Next = traceUnmanaged, "the copy here was withdrawn in favour of "+orZone(o.placed.Zone)+" and is not this zone's to state", adopt
	default:
		s.Reason, s.Message, s.Next = tracePending, "the copy here is not announced yet", []string{"mesh status --wait"}
	}
	return s
}

// outsideText says why the configuration doesn't name an object.
func (r *Replica) outsideText(k mesh.ObjectKey) string {
	if r.cfg.Outside != nil {
		if text := r.cfg.Outside(k); text != "" {
			return text
		}
	}
	return "the configuration doesn't name it"
}

func orZone(z mesh.Zone) string {
	if z == "" {
		return "another zone"
	}
	return string(z)
}

// traceOwner says whose statement decides, and who else states the object.
func (r *Replica) traceOwner(o *object, win *mesh.Claim) mesh.TraceStep {
	s := mesh.TraceStep{Name: "owner", Status: mesh.CheckOK}
	which := fmt.Sprintf("epoch %d, version %d, born as version %d", win.Epoch, win.Version, win.Birth)
	if win.Kind == mesh.Deleted {
		s.Message = fmt.Sprintf("%s deleted it: %s", win.Zone, which)
		if win.Zone == r.cfg.Zone {
			until := time.UnixMilli(win.Since).Add(r.cfg.TombstoneRetention).UTC().Format(time.RFC3339)
			s.Message += "; that is kept until every zone acknowledged it, at least until " + until
		}
	} else {
		s.Message = fmt.Sprintf("%s states it: %s", win.Zone, which)
	}
	var others []string
	for i := range o.claims {
		if c := &o.claims[i]; c.Zone != win.Zone {
			others = append(others, fmt.Sprintf("%s says %s at epoch %d", c.Zone, c.Kind, c.Epoch))
		}
	}
	if len(others) > 0 {
		s.Message += "; " + strings.Join(others, ", ")
	}
	return s
}

// traceLog says where the deciding statement stands, and what is wrong with that log.
func (r *Replica) traceLog(win *mesh.Claim) mesh.TraceStep {
	s := mesh.TraceStep{Name: "log", Status: mesh.CheckOK}
	began := time.UnixMilli(int64(win.At.Incarnation)).UTC().Format(time.RFC3339)
	s.Message = fmt.Sprintf("operation %d of %s's log of %s, signed by key %s", win.At.Seq, win.Zone, began, win.At.Log.Author.Short())
	verify := []string{"mesh log verify " + string(win.Zone)}
	l := r.logs[win.At.Log]
	_, expelled := r.trust.view.Expelled(win.At.Log.Author)
	switch {
	case r.void(win.At) && l != nil && l.Frozen:
		s.Status, s.Reason, s.Next = mesh.CheckWarn, traceVoid, verify
		s.Message += "; that is above the fork of this log, and nobody holds what stood before"
	case r.void(win.At):
		s.Status, s.Reason = mesh.CheckWarn, traceVoid
		s.Message += "; the key signed it after its end in the mesh, and nobody holds what stood before"
		s.Next = []string{"mesh adopt " + win.Object.String()}
	case l != nil && l.False:
		s.Status, s.Reason, s.Next = mesh.CheckWarn, string(FalseSignature), verify
		s.Message += "; this log is frozen, for its key signed what follows an operation that it never signed: what was said later is not taken"
	case l != nil && l.Frozen:
		s.Status, s.Reason, s.Next = mesh.CheckWarn, string(Forked), verify
		s.Message += "; this log is frozen, for its key signed two histories: what was said later is not taken"
	case expelled && win.Kind == mesh.Live:
		s.Status, s.Reason = mesh.CheckWarn, string(Removed)
		s.Message += "; that key doesn't speak for " + string(win.Zone) + " any more, and no other one has stated it since"
		s.Next = []string{"mesh adopt " + win.Object.String()}
	case l == nil || r.notRestated(win):
		s.Status, s.Reason = mesh.CheckWarn, traceLeft
		s.Message += "; the zone has begun another log since and didn't state it there"
		s.Next = []string{"mesh adopt " + win.Object.String()}
	}
	return s
}
