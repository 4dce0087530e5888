package meshpeer_test

import (
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// What people admit is told, what they withdraw is withdrawn, what can't be is said.
func TestAdmissions(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	west, north := key("west"), key("north")
	f.admits()
	f.create(manifest("my-west", west, `"admitted":true,"zone":"west",`))
	f.admits(west)
	if a := f.told()[0]; a.Zone != "west" || len(a.Endpoints) != 1 || a.Endpoints[0] != "10.0.0.1:9102" {
		t.Errorf("admitted = %+v", a)
	}
	if o := f.wants(west, "Unknown", "Unknown/NotHeardYet"); o.is("Admitted") != "True/Admitted" {
		t.Errorf("Admitted = %s", o.is("Admitted"))
	}
	f.create(manifest("my-north", north, `"admitted":true,`))
	f.admits(west, north)
	f.set(peerOf(west, mesh.Ready), peerOf(north, mesh.Ready))

	f.create(manifest("me", f.self, `"admitted":true,`))
	eventually(t, func() string {
		ready := map[string]int{} // the older one counts; times are in seconds, so that may be either
		for _, o := range f.of(f.self) {
			ready[o.is("Ready")]++
			if o.Metadata.Name == "me" && o.is("Admitted") != "False/OwnKey" {
				return "Admitted is " + o.is("Admitted")
			}
		}
		if ready["True/Running"] != 1 || ready["Unknown/DuplicateKey"] != 1 {
			return fmt.Sprint(ready)
		}
		return ""
	})
	f.create(`{"apiVersion":"dcp.hiro.io/v1","kind":"MeshPeer","metadata":{"name":"bad"},"spec":{"admitted":true,
		"identity":{"publicKey":"` + key("bad").String() + `","endpoints":["0.0.0.0:1"]}}}`)
	f.wants(key("bad"), "Unavailable", "False/InvalidEndpoint")
	f.admits(west, north)

	f.patch("my-north", `{"spec":{"admitted":false}}`)
	f.admits(west)
	f.set(peerOf(west, mesh.Ready))
	f.wants(north, "Unavailable", "False/NotAdmitted")
	f.delete("my-west")
	f.admits()
	f.set()
	if n := len(f.of(west)); n != 0 {
		t.Errorf("%d MeshPeers were made of a key that was just withdrawn", n)
	}
}

// A namespace that goes takes no admission with it, nor does one that isn't there.
func TestNamespaceGoes(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	f := start(t, s, ns, s.Token)
	west := key("west")
	f.create(manifest("my-west", west, `"admitted":true,`))
	f.admits(west)
	f.wants(f.self, "Ready", "True/Running")
	if status, body := s.Do(t, "DELETE", "/api/v1/namespaces/"+ns, nil); status != 200 {
		t.Fatalf("delete the namespace: %d %s", status, body)
	}
	for _, o := range f.list() { // what the namespace controller of a cluster does
		f.delete(o.Metadata.Name)
	}
	f.problem("NamespaceMissing")
	f.problem("WithdrawalNotProven")
	f.admits(west)
	if _, _, _, err := f.keeper.ReadWitness(t.Context()); err == nil {
		t.Error("a namespace that goes is taken for one without a witness")
	}

	g := start(t, s, "nowhere", s.Token)
	g.problem("NamespaceMissing")
	if _, _, _, err := g.keeper.ReadWitness(t.Context()); err == nil {
		t.Error("a missing namespace is taken for one without a witness")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls != 0 {
		t.Error("a missing namespace is taken for one without admissions")
	}
}

// A definition that is deleted, and even made anew, withdraws nothing.
func TestDefinitionGoes(t *testing.T) {
	t.Parallel()
	s := own(t)
	install(t, s)
	f := start(t, s, "default", s.Token)
	west := key("west")
	f.create(manifest("my-west", west, `"admitted":true,`))
	f.admits(west)
	f.wants(f.self, "Ready", "True/Running")
	const crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/meshpeers.dcp.hiro.io"
	if status, body := s.Do(t, "DELETE", crd, nil); status != 200 {
		t.Fatalf("delete the definition: %d %s", status, body)
	}
	eventually(t, func() string {
		if status, _ := s.Do(t, "GET", crd, nil); status != 404 {
			return fmt.Sprint("the definition is still there: ", status)
		}
		return ""
	})
	f.problem("MeshPeersNotServed")
	if _, _, _, err := f.keeper.ReadWitness(t.Context()); err == nil {
		t.Error("a missing definition is taken for a missing witness")
	}
	f.admits(west)
	install(t, s)
	f.wants(f.self, "Ready", "True/Running")
	f.problem("WithdrawalNotProven")
	f.admits(west)

	// An object for the key says again what holds.
	f.create(manifest("again", west, `"admitted":false,`))
	f.admits()
	eventually(t, func() string {
		if p := f.keeper.Problems(); len(p) != 0 {
			return fmt.Sprint(p)
		}
		return ""
	})

	// The API server away for a while.
	f.create(manifest("north", key("north"), `"admitted":true,`))
	f.admits(key("north"))
	s.KillAPIServer(t)
	f.set(peerOf(west, mesh.Ready))
	f.problem("APIServerUnreachable")
	if _, _, _, err := f.keeper.ReadWitness(t.Context()); err == nil {
		t.Error("an API server that is away is taken for a missing witness")
	}
	s.StartAPIServer(t)
	f.wants(west, "Ready", "True/Connected")
	f.admits(key("north"))
}
