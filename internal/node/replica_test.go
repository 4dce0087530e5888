package node

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// shelf is a cluster in memory: it reports what the test puts on it and confirms every write.
type shelf struct {
	answers chan []replica.Input // what the loop asked for, answered; capacity far beyond what a test makes

	mu       sync.Mutex
	local    map[mesh.ObjectKey][]byte
	replicas map[mesh.ObjectKey]mesh.Hash
	witness  *event.Witness
}

func newShelf() *shelf {
	return &shelf{answers: make(chan []replica.Input, 10_000), local: map[mesh.ObjectKey][]byte{}, replicas: map[mesh.ObjectKey]mesh.Hash{}}
}

func (s *shelf) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// put places an object among the zone's own; nil removes it.
func (s *shelf) put(k mesh.ObjectKey, payload []byte) {
	s.locked(func() {
		if s.local[k] = payload; payload == nil {
			delete(s.local, k)
		}
	})
	s.Probe([]mesh.ObjectKey{k})
}

func (s *shelf) Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error {
	s.CheckWitness()
	s.answers <- []replica.Input{replica.Listed{}}
	for {
		var batch []replica.Input
		select {
		case batch = <-s.answers:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := sink(ctx, batch...); err != nil {
			return err
		}
	}
}

func (s *shelf) Apply(ws []replica.Write) {
	for _, w := range ws {
		s.locked(func() {
			if w.Kind == replica.RemoveReplica {
				delete(s.replicas, w.Object)
			} else {
				s.replicas[w.Object] = w.Content
			}
		})
		s.answers <- []replica.Input{replica.Written{Write: w}}
	}
}

func (s *shelf) Probe(ks []mesh.ObjectKey) {
	for _, k := range ks {
		s.locked(func() {
			if payload, ok := s.local[k]; ok {
				s.answers <- []replica.Input{replica.Local{Object: k, Payload: payload}}
			} else {
				s.answers <- []replica.Input{replica.LocalGone{Object: k}}
			}
		})
	}
}

func (s *shelf) Restore([]oplog.Placed) {}

func (s *shelf) CheckWitness() {
	s.locked(func() {
		r := replica.WitnessRead{Present: s.witness != nil}
		if s.witness != nil {
			r.Witness = *s.witness
		}
		s.answers <- []replica.Input{r}
	})
}

func (s *shelf) WriteWitness(w event.Witness) {
	s.locked(func() { s.witness = &w })
	s.answers <- []replica.Input{replica.WitnessWritten{Witness: w}}
}

func (s *shelf) Status() mesh.ClusterStatus { return mesh.ClusterStatus{Kind: "test"} }

func (s *shelf) has(k mesh.ObjectKey) (ok bool) {
	s.locked(func() { _, ok = s.replicas[k] })
	return ok
}

// startReal runs a member with the real replica and a shelf.
func (m *member) startReal(s *shelf) {
	m.t.Helper()
	m.cfg.Cluster = s
	m.startNode(func() (*Node, error) { return New(m.cfg) })
}

// The whole way: a change in one cluster is signed, synced and written into two others that are linked
// through the second only, and so is its deletion.
func TestRealReplicasConvergeInAChain(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	a.knows(b)
	b.knows(a, c)
	c.knows(b)
	// Everybody admits everybody: operations are taken from admitted keys only, whoever relays them.
	a.cfg.Nodes = append(a.cfg.Nodes, Peer{c.public(), c.zone(), nil})
	c.cfg.Nodes = append(c.cfg.Nodes, Peer{a.public(), a.zone(), nil})
	sa, sb, sc := newShelf(), newShelf(), newShelf()
	for _, m := range []*member{a, b, c} {
		m.startReal(map[*member]*shelf{a: sa, b: sb, c: sc}[m])
	}
	key := func(i int) mesh.ObjectKey {
		return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: fmt.Sprintf("o%d", i)}
	}
	const n = 20
	for i := range n {
		sa.put(key(i), fmt.Appendf(nil, `{"apiVersion":"v1","data":{"i":"%d"},"kind":"ConfigMap","metadata":{"name":"o%d","namespace":"default"}}`, i, i))
	}
	until(t, "all objects everywhere", func() bool {
		for i := range n {
			if !sb.has(key(i)) || !sc.has(key(i)) {
				return false
			}
		}
		return true
	})
	sa.put(key(0), nil)
	until(t, "the deletion everywhere", func() bool { return !sb.has(key(0)) && !sc.has(key(0)) })
	until(t, "in sync", func() bool {
		s, err := c.node.Status(t.Context())
		return err == nil && len(s.Replication) > 0 && s.Replication[0].LagOperations == 0 && s.Resources.Live == n-1
	})
}
