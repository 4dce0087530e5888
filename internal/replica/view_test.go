package replica_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// Kinds and namespaces are those of live objects, however they came and went.
func TestCountsKindsAndNamespaces(t *testing.T) {
	t.Parallel()
	east := newAuthor(2, "east", 1000)
	b := newBench(t, replica.Member{Key: east.key.Public(), Zone: "east"})
	b.open()
	b.do(east.begin(t)...)
	version := mesh.Version(0)
	state := func(kind, namespace, name string, live bool, wantLive, wantKinds, wantNamespaces int) {
		t.Helper()
		version++
		k := mesh.ObjectKey{Kind: kind, Namespace: namespace, Name: name}
		ev := &event.Event{Kind: event.KindDelete, Delete: &event.Delete{Object: k, Version: version, Epoch: 1, Birth: 1}}
		if live {
			ev = &event.Event{Kind: event.KindUpdate, Update: &event.Update{Object: k, Payload: []byte(`{"a":1}`), Version: version, Epoch: 1, Birth: version}}
		}
		b.do(east.write(t, ev))
		if c := b.r.Counts(); c.Live != wantLive || c.Kinds != wantKinds || c.Namespaces != wantNamespaces {
			t.Errorf("%s/%s/%s: %d live of %d kinds in %d namespaces, want %d, %d, %d", kind, namespace, name, c.Live, c.Kinds, c.Namespaces, wantLive, wantKinds, wantNamespaces)
		}
	}
	state("ConfigMap", "a", "x", true, 1, 1, 1)
	state("ConfigMap", "b", "x", true, 2, 1, 2)
	state("Namespace", "", "b", true, 3, 2, 2)
	state("ConfigMap", "b", "x", true, 3, 2, 2) // changed
	state("ConfigMap", "b", "x", false, 2, 2, 1)
	state("ConfigMap", "a", "x", false, 1, 1, 0)
	state("Namespace", "", "b", false, 0, 0, 0)
}
