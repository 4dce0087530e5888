package replica

import (
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

const (
	// maxPendingOps is how many operations of one log wait for those before them: some seconds of a busy
	// zone. A longer gap is the business of a sync round, which sends in order.
	maxPendingOps = 128
	// maxPendingBytes bounds the buffer over all logs, maxPendingAuthor what one author may take of it: whoever
	// signs operations whose predecessors never come leaves room for the others.
	maxPendingBytes  = 32 << 20
	maxPendingAuthor = 8 << 20 // room for the largest operation
)

// pendingBuffer holds operations that arrived before their predecessors. It is a convenience, not a promise:
// what doesn't fit is dropped and comes again by sync.
type pendingBuffer struct {
	logs   map[mesh.LogKey]map[uint32]Arrived
	bytes  int
	author map[keys.Public]int // bytes of each
}

func newPendingBuffer() pendingBuffer {
	return pendingBuffer{logs: make(map[mesh.LogKey]map[uint32]Arrived), author: make(map[keys.Public]int)}
}

func pendingSize(a Arrived) int { return len(a.Op.Raw) + len(a.Op.Body) }

// add reports whether there was room.
func (p *pendingBuffer) add(k mesh.LogKey, a Arrived) bool {
	l := p.logs[k]
	if _, held := l[a.Op.Seq]; held {
		return true
	}
	size := pendingSize(a)
	if len(l) >= maxPendingOps || p.bytes+size > maxPendingBytes || p.author[k.Author]+size > maxPendingAuthor {
		return false
	}
	if l == nil {
		l = make(map[uint32]Arrived)
		p.logs[k] = l
	}
	l[a.Op.Seq] = a
	p.bytes += size
	p.author[k.Author] += size
	return true
}

// take removes and returns the operation at seq.
func (p *pendingBuffer) take(k mesh.LogKey, seq uint32) (Arrived, bool) {
	l := p.logs[k]
	a, ok := l[seq]
	if !ok {
		return a, false
	}
	delete(l, seq)
	p.bytes -= pendingSize(a)
	p.author[k.Author] -= pendingSize(a)
	if len(l) == 0 {
		delete(p.logs, k)
	}
	return a, true
}

// below drops what the chain has passed.
func (p *pendingBuffer) below(k mesh.LogKey, next uint32) {
	for seq := range p.logs[k] {
		if seq < next {
			p.take(k, seq)
		}
	}
}

// drainPending takes in what waited for the operation just accepted.
func (r *Replica) drainPending(l *oplog.Log) {
	if len(r.pending.logs[l.Key]) == 0 {
		return
	}
	if a, ok := r.pending.take(l.Key, l.Next); ok {
		r.arrived(a) // recursion is bounded by maxPendingOps
		return
	}
	r.pending.below(l.Key, l.Next)
}
