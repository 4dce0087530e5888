package node

import (
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Holding is how much of one log a node is known to hold.
type Holding struct {
	Next  uint32 // the first operation that it doesn't hold, as far as it said
	Known bool   // it said anything about this log, or is connected and said that it holds none of it
	Same  bool   // it said last that it holds exactly what this node holds
}

// Holdings tells how much of a log every admitted peer holds, and the highest next that anybody announced, this node's own
// included. What is known of a peer that is not connected any more is its last heartbeat. Safe for concurrent use.
func (n *Node) Holdings(log mesh.LogKey) (of map[keys.Public]Holding, announced uint32) {
	v := n.loop.view.Load()
	announced = v.next(log)
	digest := v.digest()
	of = make(map[keys.Public]Holding)
	for _, p := range n.peers.all() {
		var h Holding
		for _, l := range p.current() {
			if next, known := l.known.of(log); known {
				h.Next, h.Known = max(h.Next, next), true
			}
		}
		p.mu.Lock()
		if b := p.beat; b != nil {
			h.Same = b.Digest == digest
			if p.key == log.Author && mesh.LogIDOf(n.cfg.Network, b.Instance) == log.Log {
				h.Next, h.Known = max(h.Next, b.Next), true
			}
		}
		p.mu.Unlock()
		of[p.key] = h
		announced = max(announced, h.Next)
	}
	return of, announced
}
