package kube_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// A witness is raised only from the value that was seen last. A cluster that was restored while the node runs carries
// an older one: written over, nothing would tell any more that what is missing there was never deleted.
func TestWitnessOfARestoredCluster(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	id := mesh.Sum([]byte("cluster"))
	write := func(counter uint64) {
		t.Helper()
		r.cluster.WriteWitness(event.Witness{Cluster: id, Counter: counter})
		next(r, "the witness written", func(in replica.WitnessWritten) bool { return in.Witness.Counter == counter })
	}
	write(5)
	write(6)
	for _, tt := range []struct {
		name string
		w    event.Witness
		has  bool
	}{
		{"restored", event.Witness{Cluster: id, Counter: 5}, true},
		{"rebuilt", event.Witness{}, false},
		{"another", event.Witness{Cluster: mesh.Sum([]byte("other")), Counter: 70}, true},
	} {
		r.witness.set(tt.w, tt.has)
		r.cluster.WriteWitness(event.Witness{Cluster: id, Counter: 7})
		in := next(r, "what stands there", func(replica.WitnessRead) bool { return true })
		if in.Witness != tt.w || in.Present != tt.has {
			t.Errorf("%s: reported %+v", tt.name, in)
		}
		if w, has, _, _ := r.witness.ReadWitness(t.Context()); w != tt.w || has != tt.has {
			t.Errorf("%s: overwritten with %+v", tt.name, w)
		}
	}
	write(7) // the engine knows what stands there and wants it replaced
	r.witness.set(event.Witness{Cluster: id, Counter: 8}, true)
	write(8) // the answer to the first attempt was lost
}

func (m *memoryWitness) set(w event.Witness, has bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.w, m.has = w, has
}
