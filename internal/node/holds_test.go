package node

import (
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// A node knows how much of a log its neighbours hold by what they say, and of the others by their heartbeats.
func TestHoldings(t *testing.T) {
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	a.knows(b)
	b.knows(a, c)
	c.knows(b)
	a.cfg.Nodes = append(a.cfg.Nodes, Peer{c.public(), c.zone(), nil})
	c.cfg.Nodes = append(c.cfg.Nodes, Peer{a.public(), a.zone(), nil})
	sa := newShelf()
	a.startReal(sa)
	b.startReal(newShelf())
	c.startReal(newShelf())
	key := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "x"}
	sa.put(key, []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default"}}`))
	var at *mesh.Position
	until(t, "the object is stated", func() bool {
		var tr replica.Trace
		if err := a.node.Inspect(t.Context(), func(r *replica.Replica) { tr = r.Trace(key) }); err != nil {
			return false
		}
		at = tr.At
		return at != nil
	})
	until(t, "the neighbour holds it, and so does who is no neighbour", func() bool {
		of, announced := a.node.Holdings(at.Log)
		near, far := of[b.public()], of[c.public()]
		return announced > at.Seq && near.Known && near.Next > at.Seq && (far.Same || far.Known && far.Next > at.Seq)
	})
	until(t, "who isn't the author sees how far the author is", func() bool {
		of, announced := c.node.Holdings(at.Log)
		author := of[a.public()]
		return announced > at.Seq && author.Known && author.Next > at.Seq
	})
}
