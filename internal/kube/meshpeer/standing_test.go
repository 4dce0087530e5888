package meshpeer_test

import (
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

// notes lists the notes of the Events on an object, by reason; how often each was told stands before it.
func (f *fixture) notes(name, reason string) (out []string) {
	f.t.Helper()
	var l struct{ Items []happened }
	f.get("/apis/events.k8s.io/v1/namespaces/"+f.ns+"/events", &l)
	for _, e := range l.Items {
		if e.Regarding.Name == name && e.Reason == reason {
			n := 1
			if e.Series != nil {
				n = e.Series.Count
			}
			out = append(out, fmt.Sprint(n, " ", e.Note))
		}
	}
	return out
}

// A key that the mesh removed stays out, whatever its MeshPeer asks for, and both the MeshPeer and an Event say so: also
// when the object comes back from a backup. A restart tells nothing again.
func TestRemovedKeyStaysOut(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	f := start(t, s, ns, s.Token)
	west, north := key("west"), key("north")
	f.create(manifest("my-west", west, `"admitted":true,"zone":"west",`))
	f.admits(west)
	f.set(peerOf(west, mesh.Ready), peerOf(north, mesh.Ready))
	f.wants(west, "Ready", "True/Connected")
	if before, admits, err := f.keeper.Remembers(t.Context()); !before || !admits || err != nil {
		t.Errorf("Remembers = %t, %t, %v, want both", before, admits, err)
	}
	ofNorth := f.wants(north, "Ready", "True/Connected").Metadata.Name

	const text = "The key was removed from the mesh by zone north, for good."
	f.rule(west, meshpeer.ReasonRemoved, text)
	f.set(peerOf(north, mesh.Ready))
	o := f.wants(west, "Unavailable", "False/Removed")
	if o.is("Admitted") != "False/Removed" || o.is("Connected") != "False/Removed" || !o.Spec.Admitted {
		t.Errorf("conditions %+v of %+v", o.Status.Conditions, o.Spec)
	}
	told := func(name, reason, want string) {
		t.Helper()
		eventually(t, func() string {
			if got := f.notes(name, reason); len(got) != 1 || got[0] != want {
				return fmt.Sprintf("Events %s on %s: %q, want %q", reason, name, got, want)
			}
			return ""
		})
	}
	told("my-west", "PeerRemoved", "1 "+text)

	// Another object, as a restored backup brings it.
	f.delete("my-west")
	f.create(manifest("restored", west, `"admitted":true,"zone":"west",`))
	f.wants(west, "Unavailable", "False/Removed")
	f.rule(north, meshpeer.ReasonHandedOver, "Zone north was handed over.")
	f.set()
	f.wants(north, "Unavailable", "False/HandedOver")
	told(ofNorth, "PeerRemoved", "1 Zone north was handed over.")

	rulings := f.rulings
	f.stop()
	f = start(t, s, ns, s.Token, func(f *fixture) { f.rulings = rulings })
	f.looked()
	if got := f.notes(ofNorth, "PeerRemoved"); len(got) != 1 || !strings.HasPrefix(got[0], "1 ") {
		t.Errorf("a restart told it again: %q", got)
	}
	f.wants(west, "Unavailable", "False/Removed")
}

// Two keys of one zone: each is a member, and Ready is neither.
func TestIdentityConflict(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	west := key("west")
	f.set(peerOf(west, mesh.Ready))
	name := f.wants(west, "Ready", "True/Connected").Metadata.Name
	if before, admits, err := f.keeper.Remembers(t.Context()); !before || admits || err != nil {
		t.Errorf("Remembers = %t, %t, %v, want only the own MeshPeer", before, admits, err)
	}
	f.rule(west, meshpeer.ReasonConflict, "Two keys are bound to zone west.")
	if o := f.wants(west, "NotReady", "False/IdentityConflict"); o.is("Connected") != "True/Connected" {
		t.Errorf("Connected is %s", o.is("Connected"))
	}
	eventually(t, func() string {
		if got := f.notes(name, "IdentityConflict"); len(got) != 1 {
			return fmt.Sprintf("Events: %q", got)
		}
		return ""
	})
	f.mu.Lock()
	f.rulings = nil
	f.mu.Unlock()
	f.wants(west, "Ready", "True/Connected")

	// The node itself: it runs on, and its own MeshPeer says why nobody listens.
	f.rule(f.self, meshpeer.ReasonRemoved, "The key was removed.")
	f.wants(f.self, "NotReady", "False/Removed")
}
