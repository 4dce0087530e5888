package node

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// announceDelay is how long new heights are gathered before they are announced, on average. It is drawn
// anew each time, so that of many nodes with the same news most have heard it from another before their
// turn comes.
const announceDelay = 50 * time.Millisecond

// announcer gathers new heights of logs.
type announcer struct {
	wake chan struct{} // capacity 1, never closed

	mu    sync.Mutex
	heads map[mesh.LogKey]head
}

func (a *announcer) add(h head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heads[h.Key].Next < h.Next {
		a.heads[h.Key] = h
	}
}

func (a *announcer) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *announcer) take() map[mesh.LogKey]head {
	a.mu.Lock()
	defer a.mu.Unlock()
	heads := a.heads
	a.heads = map[mesh.LogKey]head{}
	return heads
}

// published sends our own operations to every neighbour that has all before them, and takes note of what is
// to be announced. It is called by the loop and doesn't block: who finds no room hears of it by a height.
func (n *Node) published(ops []replica.Published) {
	links := n.peers.links()
	gains := map[keys.Public]int{}
	gossip := n.outOfReach() == membership.SomeBeyond
	for _, op := range ops {
		n.announce.add(head{op.Log, op.Instance, op.Seq + 1, op.ID})
		if op.From != n.self {
			gains[op.From]++
			continue
		}
		var frame []byte
		for _, l := range links {
			if next, known := l.known.of(op.Log); known && next != op.Seq {
				if next < op.Seq {
					l.serve.push()
				}
				continue
			}
			if frame == nil {
				frame = encodeOp(kindLive, op.Header, op.Body)
			}
			if l.sendLive(frame) {
				l.known.learn(op.Log, op.Seq+1)
			} else {
				l.serve.push()
			}
		}
		if gossip {
			n.gossipOperation(op)
		}
	}
	for _, l := range links {
		if g := gains[l.key()]; g > 0 {
			l.ask.gain(g)
		}
	}
	n.announce.poke()
}

// announceHeads tells the neighbours new heights that they are not known to have.
func (n *Node) announceHeads(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-n.announce.wake:
		case <-ctx.Done():
			return nil
		}
		timer.Reset(announceDelay/2 + rand.N(announceDelay))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		heads := n.announce.take()
		for _, l := range n.peers.links() {
			l.tellHeads(heads)
		}
	}
}

// tellHeads announces to one peer. Operations of its own, and those of authors that it says to be connected
// to, it has from the source.
func (l *link) tellHeads(heads map[mesh.LogKey]head) {
	var out []head
	for k, h := range heads {
		if next, _ := l.known.of(k); next >= h.Next || k.Author == l.key() {
			continue
		}
		if k.Author != l.node.self && l.peer.sees(h.Instance.Zone) {
			continue
		}
		if out = append(out, h); len(out) == maxHeads {
			l.send(encodeHeads(out))
			out = nil
		}
	}
	if len(out) > 0 {
		l.send(encodeHeads(out))
	}
}

// requested asks for rounds that the replica wants.
func (n *Node) requested(peers []keys.Public) {
	for _, k := range peers {
		if p := n.peers.get(k); p != nil {
			for _, l := range p.current() {
				l.ask.soon(0)
			}
		}
	}
}
