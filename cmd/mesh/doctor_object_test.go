package main

import (
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// tracedNode is a fake node that knows the ways of a few objects.
func tracedNode(t *testing.T) *fakeNode {
	t.Helper()
	node := newFakeNode(t)
	ok := func(name, message string) mesh.TraceStep {
		return mesh.TraceStep{Name: name, Status: mesh.CheckOK, Message: message}
	}
	in := func(zone mesh.Zone, s mesh.TraceStep) mesh.TraceStep {
		s.Zone = zone
		return s
	}
	held := in("west", ok("held", "its own statement"))
	app := node.adoptions["ConfigMap/default/app"].Resource
	own := node.adoptions["ConfigMap/default/own"].Resource
	late := mesh.Resource{Object: "ConfigMap/default/late", Owner: "west", State: "Pending", Epoch: 1, Version: 9, Claims: []mesh.Zone{"west"}, Detail: "not written here yet"}
	lost := mesh.Resource{Object: "ConfigMap/default/lost", State: "Unknown", Claims: []mesh.Zone{}, Detail: "no zone states it"}
	node.resources = []mesh.Resource{app, late, own, {Object: "Secret/default/token", Owner: "east", State: "Live", Content: mesh.Sum([]byte("guess")).String(), Claims: []mesh.Zone{"east"}}}
	node.traces = map[string]mesh.Trace{
		own.Object: {Resource: own, Steps: []mesh.TraceStep{
			ok("owner", "east states it: epoch 1, version 4, born as version 4"), ok("log", "operation 2 of east's log of 2026-11-19T10:03:22Z, signed by key 8a88e3dd"),
			ok("announced", "this zone's log is announced up to operation 4"), ok("held", "operation 2 is on disk here"), ok("merged", "this zone's own statement decides; its copy stands"),
			ok("applied", "it stands in this zone's cluster as its own"), in("lab", mesh.TraceStep{Name: "held", Status: mesh.CheckSkip, Message: "is not directly connected, and nobody told how much it holds"}),
			in("west", ok("held", "acknowledged the log up to operation 4")),
		}},
		app.Object: {Resource: app, Steps: []mesh.TraceStep{
			ok("owner", "west states it: epoch 2, version 17, born as version 11; east says live at epoch 2"), ok("log", "operation 40 of west's log of 2026-11-19T14:03:22Z, signed by key 8139770e"),
			ok("announced", "9 operations of west's log are announced"), ok("held", "all of them are here"),
			{Name: "merged", Status: mesh.CheckFail, Reason: "contested", Message: "created independently by east and west; each keeps its own copy until one of them adopts it", Next: []string{"mesh adopt ConfigMap/default/app"}},
			ok("applied", "it stands in this zone's cluster as its own"), held,
		}},
		late.Object: {Resource: late, Steps: []mesh.TraceStep{
			ok("owner", "west states it: epoch 1, version 9, born as version 9"), {Name: "log", Status: mesh.CheckWarn, Reason: "not_restated", Next: []string{"mesh adopt ConfigMap/default/late"},
				Message: "operation 7 of west's log of 2026-11-19T14:03:22Z, signed by key 8139770e; the zone has begun another log since and didn't state it there"},
			ok("announced", "9 operations of west's log are announced"), ok("held", "all of them are here"), ok("merged", "west's statement decides; this zone keeps a replica of it"),
			{Name: "applied", Status: mesh.CheckFail, Reason: "apply_failed", Message: "this cluster doesn't take it: admission webhook \"no\x1b[2J\" denied the request", Next: []string{"mesh status"}},
			{Name: "cluster", Status: mesh.CheckFail, Reason: "ApplyRejected", Message: "admission webhook denied the request", Next: []string{"mesh status"}}, held,
			in("south", mesh.TraceStep{Name: "held", Status: mesh.CheckFail, Reason: "behind", Message: "holds the log up to operation 3 only; it is NotReady since 14s", Next: []string{"mesh peers describe south"}}),
		}},
		lost.Object: {Resource: lost, Steps: []mesh.TraceStep{
			{Name: "owner", Status: mesh.CheckFail, Reason: "unclaimed", Message: "no zone states it, as far as this node knows"},
			{Name: "published", Status: mesh.CheckFail, Reason: "missing", Message: "it is not among the objects of this zone's own cluster, as far as the cluster could be read",
				Next: []string{"put its manifest into /srv/east/local"}},
			{Name: "cluster", Status: mesh.CheckFail, Reason: "Invalid", Message: "local/lost.yaml:7: did not find expected key; it may be defined there", Next: []string{"mesh status"}},
		}},
	}
	return node
}

func TestDoctorObjectTranscript(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, tracedNode(t))
	transcript(t, "doctor-object", dir, "doctor ConfigMap/default/own", "doctor ConfigMap/default/app", "doctor ConfigMap/default/late", "doctor ConfigMap/default/late -o short",
		"doctor ConfigMap/default/late -o json", "doctor ConfigMap/default/lost", "doctor ConfigMap/default/own -o short", "doctor configmap", "doctor ../../x/y")
	transcript(t, "doctor-object-absent", t.TempDir(), "doctor ConfigMap/default/own")
}
