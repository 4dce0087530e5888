package meshpeer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// One MeshPeer stands for each peer and one for the node; each transition shows.
func TestTransitions(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	west := key("west")
	f.set(peerOf(west, mesh.Unknown))
	o := f.wants(west, "Unknown", "Unknown/NotHeardYet")
	if want := "peer-" + west.String()[:8]; o.Metadata.Name != want {
		t.Errorf("the MeshPeer is called %s, want %s", o.Metadata.Name, want)
	}
	f.set(peerOf(west, mesh.Ready))
	o = f.wants(west, "Ready", "True/Connected")
	if i := o.Status.Instance; i == nil || i.Zone != "west" || i.StartTimestamp != 1710000000000 || i.StartTime != "2024-03-09T16:00:00.000Z" {
		t.Errorf("instance = %+v", i)
	}
	if o.is("Connected") != "True/Connected" || o.is("Synced") != "True/InSync" || o.is("VersionCompatible") != "True/SameVersion" {
		t.Errorf("conditions = %+v", o.Status.Conditions)
	}
	if o.Status.ObservedGeneration != 1 || o.Status.UpdateTime == "" || o.Status.LastSeen == "" {
		t.Errorf("status = %+v", o.Status)
	}
	f.set(peerOf(west, mesh.NotReady))
	f.wants(west, "NotReady", "False/ProbesMissed")
	f.set(peerOf(west, mesh.Unavailable))
	f.wants(west, "Unavailable", "False/TimedOut")
	f.set()
	f.wants(west, "Unavailable", "False/NotAdmitted")

	own := f.wants(f.self, "Ready", "True/Running")
	if i := own.Status.Instance; i == nil || i.Zone != "east" || i.StartTimestamp != 1700000000000 {
		t.Errorf("own instance = %+v", i)
	}
	if e := own.Spec.Identity.Endpoints; len(e) != 1 || e[0] != "east.example.org:9102" {
		t.Errorf("own endpoints = %v", e)
	}
	f.events("PeerJoined", "PeerReady", "PeerNotReady", "PeerUnavailable", "PeerRemoved")

	f.stop()
	f.wants(f.self, "NotReady", "False/Stopped")
}

// events waits until Events of these reasons stand in the namespace.
func (f *fixture) events(reasons ...string) {
	f.t.Helper()
	eventually(f.t, func() string {
		var l struct {
			Items []struct {
				Reason, ReportingController, Note string
				Regarding                         struct{ Kind string }
			}
		}
		f.get("/apis/events.k8s.io/v1/namespaces/"+f.ns+"/events", &l)
		found := map[string]bool{}
		for _, e := range l.Items {
			if e.ReportingController == "dcp.hiro.io/mesh-controller" {
				found[e.Reason] = true
			}
		}
		for _, r := range reasons {
			if !found[r] {
				return fmt.Sprintf("no Event %s, but %v", r, found)
			}
		}
		return ""
	})
}

// A quiet mesh is not written: what changes all the time is no news.
func TestNothingNewNothingWritten(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	west := key("west")
	f.set(peerOf(west, mesh.Ready))
	before := f.wants(west, "Ready", "True/Connected")
	for range 3 {
		p := peerOf(west, mesh.Ready) // heard anew, a little behind, another round trip
		lag, rtt := uint64(7), 0.01
		p.LagOperations, p.RTTSeconds = &lag, &rtt
		f.set(p)
		f.patch(f.of(f.self)[0].Metadata.Name, `{"metadata":{"labels":{"a":"b"}}}`) // wakes the keeper
		f.looked()
	}
	after := f.of(west)[0]
	written := after.Metadata.ResourceVersion != before.Metadata.ResourceVersion
	if written && after.updated(t).Sub(before.updated(t)) < time.Minute { // later the last sign of life is renewed
		t.Errorf("a status without news was written: %+v, before %+v", after.Status, before.Status)
	}
}

// updated is when the status was written last.
func (o object) updated(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, o.Status.UpdateTime)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// looked waits until the keeper has compared everything anew: it has made the MeshPeer of a peer that is new.
func (f *fixture) looked() {
	f.t.Helper()
	f.mu.Lock()
	probe := key(fmt.Sprint("probe", len(f.peers)))
	old := f.peers
	f.peers = append(append([]mesh.Peer{}, old...), peerOf(probe, mesh.Ready))
	f.mu.Unlock()
	f.wants(probe, "Ready", "True/Connected")
	f.set(old...)
	f.wants(probe, "Unavailable", "False/NotAdmitted")
}

// What was remembered is Unknown until it is heard, and a status that somebody edits is put back.
func TestRememberedAndEdited(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	west := key("west")
	f := start(t, s, ns, s.Token)
	f.set(peerOf(west, mesh.Ready))
	name := f.wants(west, "Ready", "True/Connected").Metadata.Name
	f.stop()

	f = start(t, s, ns, s.Token)
	f.set(peerOf(west, mesh.Unknown))
	o := f.wants(west, "Unknown", "Unknown/NotHeardYet")
	if o.Status.Instance == nil || o.Status.Instance.StartTimestamp != 1710000000000 {
		t.Errorf("the instance of an earlier run is lost: %+v", o.Status.Instance)
	}
	f.patch(name+"/status", `{"status":{"status":"Ready","version":"v9","conditions":[]}}`)
	f.wants(west, "Unknown", "Unknown/NotHeardYet")
	f.delete(name)
	f.wants(west, "Unknown", "Unknown/NotHeardYet")
}

// Objects are found by their key, whatever they are called: those of earlier releases stay.
func TestOriginalObjectIsServed(t *testing.T) {
	t.Parallel()
	s := server(t)
	west := key("west")
	f := start(t, s, s.Namespace(t), s.Token, func(f *fixture) {
		f.create(original(west.String()))
		f.patch(west.String()+"/status", `{"status":{"status":"Ready","instance":{"zone":"west","start_time":"2024-03-09T16:00:00Z",
			"start_timestamp":1710000000000},"updateTime":"2024-03-09T16:00:00Z","conditions":[
			{"type":"NotReady","status":"True","reason":null,"message":null,"lastTransitionTime":"2024-03-09T16:00:00Z"}]}}`)
	})
	f.set(peerOf(west, mesh.NotReady))
	o := f.wants(west, "NotReady", "False/ProbesMissed")
	if o.Metadata.Name != west.String() || len(o.Spec.Identity.Endpoints) != 0 || len(o.Status.Conditions) != 4 {
		t.Errorf("object = %+v", o)
	}
}

func original(key string) string {
	return fmt.Sprintf(`{"apiVersion":"dcp.hiro.io/v1","kind":"MeshPeer","metadata":{"name":%q},
		"spec":{"identity":{"publicKey":%q,"endpoints":[]}}}`, key, key)
}

// A name that another key has taken gets more digits; of two objects of one key the older counts, and both say so.
func TestTakenNamesAndDuplicates(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	west, other := key("west"), key("other")
	f.wants(f.self, "Ready", "True/Running")
	f.create(manifest("peer-"+west.String()[:8], other, ""))
	f.set(peerOf(west, mesh.Ready))
	if o, want := f.wants(west, "Ready", "True/Connected"), "peer-"+west.String()[:16]; o.Metadata.Name != want {
		t.Errorf("the MeshPeer is called %s, want %s", o.Metadata.Name, want)
	}
	f.create(manifest("zz-later", west, ""))
	eventually(t, func() string {
		for _, o := range f.of(west) {
			if o.Metadata.Name == "zz-later" {
				if o.is("Ready") == "Unknown/DuplicateKey" {
					return ""
				}
				return "Ready is " + o.is("Ready")
			}
		}
		return "no object"
	})
}

// A flood of MeshPeers that make no sense costs a bounded amount, and those that do stay right.
func TestHostileObjects(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	var items []string
	for i := range 120 {
		k := fmt.Sprintf("%064x", i+2) // most are no points of the curve
		items = append(items, fmt.Sprintf(`{"apiVersion":"dcp.hiro.io/v1","kind":"MeshPeer","metadata":{"name":"a-%d","annotations":{"x":%q}},
			"spec":{"admitted":%t,"identity":{"publicKey":%q,"endpoints":["0.0.0.0:1","999.1.1.1:1"]}}}`, i, strings.Repeat("x", 4000), i%2 == 0, k))
	}
	f := &fixture{t: t, s: s, ns: ns}
	for _, o := range items {
		f.create(o)
	}
	f = start(t, s, ns, s.Token)
	west := key("west")
	f.set(peerOf(west, mesh.Ready))
	f.wants(west, "Ready", "True/Connected")
	f.admits()
	eventually(t, func() string {
		for _, o := range f.list() {
			if strings.HasPrefix(o.Metadata.Name, "a-") && o.is("Ready") != "Unknown/InvalidKey" &&
				o.is("Admitted") != "False/InvalidEndpoint" {
				return o.Metadata.Name + " is " + o.is("Ready") + " " + o.is("Admitted")
			}
		}
		return ""
	})
}
