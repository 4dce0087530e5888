package replica

import (
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// traceMerged says what the claims together mean for this zone.
func (r *Replica) traceMerged(o *object, act merge.Action, win mesh.Claim) mesh.TraceStep {
	s := mesh.TraceStep{Name: "merged", Status: mesh.CheckOK}
	adopt := []string{"mesh adopt " + o.key.String()}
	if bar, of := r.barred(o); bar != noBarrier {
		s.Status, s.Reason, s.Message, s.Next = mesh.CheckFail, string(NotAllowed), r.barText(o, bar, of), []string{"mesh help config"}
		if bar == ownConfig || bar == tombstoneIn && r.allowsFrom(of, o.key) {
			s.Reason = traceOutside
		}
		return s
	}
	rivals := merge.Rivals(o.claims)
	switch act {
	case merge.Own:
		s.Reason, s.Message = "own", "this zone's own statement decides; its copy stands"
		if len(rivals) > 0 {
			s.Status, s.Reason, s.Next = mesh.CheckFail, string(Contested), adopt
			s.Message = "created independently by " + zonesText(append(rivals, win.Zone)) + "; each keeps its own copy until one of them adopts it"
		}
	case merge.Contend:
		s.Status, s.Reason, s.Next = mesh.CheckFail, string(Contested), adopt
		s.Message = "created independently by " + zonesText(append(rivals, win.Zone)) + "; each keeps its own copy until one of them adopts it"
	case merge.Put:
		s.Reason, s.Message = "replica", fmt.Sprintf("%s's statement decides; this zone keeps a replica of it", win.Zone)
		if len(rivals) > 0 {
			s.Status, s.Reason, s.Next = mesh.CheckWarn, string(Contested), adopt
			s.Message = fmt.Sprintf("created independently by %s; this zone takes that of %s until somebody adopts it", zonesText(append(rivals, win.Zone)), win.Zone)
		}
	case merge.Yield:
		s.Status, s.Reason = mesh.CheckWarn, string(Yielded)
		s.Message = fmt.Sprintf("%s's statement beats this zone's, whose own is about to be withdrawn", win.Zone)
		s.Next = []string{"mesh status"}
	case merge.Remove:
		s.Reason, s.Message = "deleted", fmt.Sprintf("%s's deletion decides", win.Zone)
	case merge.YieldDeleted:
		s.Status, s.Reason, s.Next = mesh.CheckWarn, string(Yielded), []string{"mesh status"}
		s.Message = fmt.Sprintf("it was taken over and deleted by %s; this zone's own statement is about to be withdrawn", win.Zone)
	case merge.Restate:
		s.Status, s.Reason, s.Next = mesh.CheckWarn, string(Restated), []string{"mesh status"}
		s.Message = fmt.Sprintf("%s deleted another life of it; this zone is about to state its own again", win.Zone)
	}
	return s
}

func zonesText(zones []mesh.Zone) string {
	names := make([]string, len(zones))
	for i, z := range zones {
		names[i] = string(z)
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// traceApplied says what became of the object in this zone's cluster.
func (r *Replica) traceApplied(o *object, act merge.Action, win mesh.Claim) mesh.TraceStep {
	s := mesh.TraceStep{Name: "applied", Status: mesh.CheckOK}
	p := o.placed
	switch {
	case o.rejected != "":
		s.Status, s.Reason, s.Message = mesh.CheckFail, string(ApplyFailed), "this cluster doesn't take it: "+o.rejected
		s.Next = []string{"mesh status"}
	case r.waitsForOperator(r.gone.of[o.key]):
		s.Status, s.Reason, s.Message = mesh.CheckFail, string(DeleteHeld), "it is missing here; its deletion is not signed until you confirm it"
		s.Next = []string{"mesh peers accept-deletes " + string(r.cfg.Zone), "mesh adopt " + o.key.String()}
	case p != nil && p.State == oplog.PlacedHeld:
		z := r.heldBy(o)
		s.Status, s.Reason, s.Message = mesh.CheckFail, string(DeleteHeld), fmt.Sprintf("its deletion by %s is held by the mass-delete brake; it still stands here", z)
		s.Next = []string{"mesh peers accept-deletes " + string(z)}
	case act == merge.Own || act == merge.Contend || act == merge.Yield || act == merge.YieldDeleted || act == merge.Restate:
		r.traceOwn(&s, o)
	case act == merge.Put:
		r.tracePut(&s, o, win)
	case act == merge.Remove:
		traceRemoved(&s, o, win)
	case p != nil && p.State == oplog.PlacedUnmanaged:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, traceUnmanaged, "a copy written for "+orZone(p.Zone)+" stands here for nobody; it stays as it is"
		s.Next = []string{"mesh adopt " + o.key.String()}
	case p != nil:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "a copy written for "+orZone(p.Zone)+" stands here"
	}
	return s
}

// traceOwn is about an object of this zone's own.
func (r *Replica) traceOwn(s *mesh.TraceStep, o *object) {
	p := o.placed
	switch {
	case o.local != nil && p != nil && p.State == oplog.PlacedRemoving && !p.Local:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "it stands here; a replica beside it is being removed"
	case o.local != nil:
		s.Message = "it stands in this zone's cluster as its own"
	case p != nil && p.Local && p.State == oplog.PlacedWanted:
		s.Status, s.Reason, s.Message = mesh.CheckFail, tracePending, "it was adopted, and this cluster has not confirmed the write yet"
		s.Next = []string{"mesh status"}
	case !r.start.listed:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "this zone's cluster was not read wholly yet"
		s.Next = []string{"mesh status --wait"}
	case r.gone.of[o.key] != nil:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "it is missing here, and its deletion is about to be signed"
		s.Next = []string{"mesh adopt " + o.key.String()}
	default:
		s.Status, s.Reason, s.Message = mesh.CheckFail, traceMissing, "it was not found in this zone's cluster, and that it is gone is not proven"
		s.Next = []string{"mesh status", "mesh adopt " + o.key.String()}
	}
}

// tracePut is about a replica.
func (r *Replica) tracePut(s *mesh.TraceStep, o *object, win mesh.Claim) {
	p := o.placed
	s.Status, s.Next = mesh.CheckFail, []string{"mesh status"}
	switch {
	case r.outside(o):
		s.Status, s.Reason, s.Next = mesh.CheckSkip, traceOutside, nil
		s.Message = "nothing is written, for it is not let in"
		if p != nil {
			s.Message = "what stands here stays as it is"
		}
	case o.local != nil && !r.yielding(o):
		s.Reason, s.Message = tracePending, "a copy of this zone's own stands in its place"
	case p == nil:
		s.Reason, s.Message = tracePending, "nothing was written yet"
	case p.State == oplog.PlacedUnmanaged:
		s.Reason, s.Message, s.Next = traceUnmanaged, "what stands here was written for "+orZone(p.Zone)+" and is nobody's now", []string{"mesh adopt " + o.key.String()}
	case p.State == oplog.PlacedRemoving:
		s.Reason, s.Message = tracePending, "an earlier copy is being removed"
	case p.State == oplog.PlacedWanted:
		s.Reason, s.Message = tracePending, fmt.Sprintf("the write of version %d is decided, and this cluster has not confirmed it yet", p.Version)
	case p.Version != win.Version || p.Zone != win.Zone:
		s.Reason, s.Message = tracePending, fmt.Sprintf("version %d of %s stands here", p.Version, orZone(p.Zone))
	default:
		s.Status, s.Next, s.Message = mesh.CheckOK, nil, fmt.Sprintf("version %d of %s stands in this zone's cluster", p.Version, p.Zone)
	}
}

// traceRemoved is about an object whose deletion decides.
func traceRemoved(s *mesh.TraceStep, o *object, win mesh.Claim) {
	p := o.placed
	switch {
	case p == nil && o.local == nil:
		s.Message = "it is gone from this zone's cluster"
	case p == nil:
		s.Status, s.Reason, s.Message = mesh.CheckWarn, tracePending, "a copy of this zone's own stands here"
		s.Next = []string{"mesh status"}
	case p.State == oplog.PlacedRemoving:
		s.Status, s.Reason, s.Message = mesh.CheckFail, tracePending, "the deletion is decided, and this cluster has not confirmed it yet"
		s.Next = []string{"mesh status"}
	default:
		s.Status, s.Reason = mesh.CheckWarn, traceUnmanaged
		s.Message = fmt.Sprintf("what stands here was written for %s, of which %s's deletion says nothing; it stays", orZone(p.Zone), win.Zone)
		s.Next = []string{"mesh adopt " + o.key.String()}
	}
}
