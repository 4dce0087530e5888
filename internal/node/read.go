package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// pipeItems bounds what a link has in verification, in number; inFlightBytes bounds it for all links
	// together, in bytes: one group being committed, one gathered, and a few of the largest bodies in between.
	pipeItems     = 256
	inFlightBytes = 64 << 20
	itemOverhead  = 1 << 10 // what an operation costs beside its bytes
	diskLowRetry  = 30 * time.Second
	hintDelay     = 150 * time.Millisecond
)

// item is one thing read from a link, in the order of reading. Exactly one of job and in is set, or neither.
type item struct {
	job   *job
	trust bool // the job came in a frame of trust operations
	in    replica.Input
	size  int64  // bytes to give back to the budget
	after func() // called when everything before it, and in, went through the loop
	end   error  // ends the link, after everything before it was handed in
}

// read takes frames off the stream until it ends or the peer misbehaves.
func (l *link) read(ctx context.Context) error {
	r := newFrameReader(meteredReader{l.s, &l.in}, l.s)
	for {
		l.reading.Store(true)
		k, b, err := r.next()
		l.reading.Store(false)
		if err == nil {
			l.in.frames.Add(1)
			l.node.metrics.received(l.hello.Instance.Zone, typeOf(k))
			err = l.take(ctx, k, b)
		}
		if err != nil {
			if errors.Is(err, errMalformed) || errors.Is(err, errFrameTooLarge) {
				l.node.metrics.refused(refusalOf(err))
			} else if errors.Is(err, errUnexpected) {
				l.node.metrics.refused(refusedOrder)
			}
			if errors.Is(err, errGoodbye) {
				return nil // feed ends the link when all that came before is in
			}
			return fmt.Errorf("read: %w", err)
		}
	}
}

// take handles one frame.
func (l *link) take(ctx context.Context, k kind, b []byte) error {
	switch k {
	case kindTrustDigest:
		h, err := decodeTrustDigest(b)
		if err == nil {
			l.serve.trustDigest(h)
		}
		return err
	case kindTrustOps:
		ops, err := decodeTrustOps(b)
		for i := 0; err == nil && i < len(ops); i++ {
			err = l.queueOp(ctx, ops[i], true)
		}
		return err
	case kindHave:
		m, err := decodeHave(b)
		if err != nil {
			return err
		}
		return l.takeHave(ctx, m, int64(len(b)))
	case kindPreSync:
		m, err := decodePreSync(b)
		if err == nil {
			l.ask.moved(m.Round)
		}
		return err
	case kindOperation, kindLive:
		m, err := decodeOp(b)
		if err != nil {
			return err
		}
		l.ask.moved(0)
		return l.queueOp(ctx, m, false)
	case kindDone:
		round, err := decodeDone(b)
		if err != nil {
			return err
		}
		return l.takeDone(ctx, round)
	case kindHeads:
		hs, err := decodeHeads(b)
		if err == nil {
			l.takeHeads(hs)
		}
		return err
	case kindHeartbeat:
		return l.node.takeHeartbeat(ctx, l, b)
	case kindRecords:
		raws, err := decodeRecords(b)
		if err == nil {
			l.takeRecords(raws)
		}
		return err
	case kindPing:
		id, err := decodePing(b)
		if err == nil {
			l.send(encodePong(pongMsg{id, l.node.cfg.Now().UnixMicro()}))
		}
		return err
	case kindPong:
		m, err := decodePong(b)
		if err == nil {
			l.takePong(m)
		}
		return err
	case kindGoodbye:
		reason, err := decodeGoodbye(b)
		if err != nil {
			return err
		}
		l.node.presence.goodbye(l, reason)
		if err := l.queue(ctx, item{end: errGoodbye}); err != nil {
			return err
		}
		return errGoodbye
	}
	return fmt.Errorf("%w: kind %d on a sync stream", errUnexpected, k)
}

// queue puts an item into the pipe; one that doesn't get there gives its budget back.
func (l *link) queue(ctx context.Context, it item) error {
	select {
	case l.pipe <- it:
		return nil
	case <-ctx.Done():
		l.giveBack(it)
		return context.Cause(ctx)
	}
}

// queueOp sends an operation to the workers and remembers its place.
func (l *link) queueOp(ctx context.Context, m opMsg, trust bool) error {
	if l.node.diskLow() {
		l.node.metrics.refused(refusedDiskLow)
		l.ask.spoil()
		return nil
	}
	size := int64(len(m.Header) + len(m.Body) + itemOverhead)
	if err := l.node.inFlight.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	j := &job{msg: m}
	if err := l.node.verifier.submit(ctx, j); err != nil {
		l.node.inFlight.Release(size)
		return err
	}
	return l.queue(ctx, item{job: j, trust: trust, size: size})
}

// takeHave remembers what the peer holds, tells the replica, and serves what the peer lacks. size is that of
// the frame: the largest Haves count for the budget like operations, or a peer could fill all queues with them.
func (l *link) takeHave(ctx context.Context, m haveMsg, size int64) error {
	logs := m.Logs[:0]
	for _, h := range m.Logs {
		if mesh.LogIDOf(l.node.cfg.Network, h.Instance) != h.Key.Log {
			l.node.metrics.refused(refusedLogID)
			continue
		}
		logs = append(logs, h)
	}
	l.known.replace(logs)
	l.serve.have(m.Round, logs)
	size += itemOverhead
	if err := l.node.inFlight.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	return l.queue(ctx, item{in: replica.Haves{From: l.key(), Logs: logs}, size: size})
}

// takeDone ends our round: what came before it goes through the loop first.
func (l *link) takeDone(ctx context.Context, round uint32) error {
	if !l.ask.current(round) {
		return nil // of a round that we gave up
	}
	it := item{after: func() { l.ask.finish(round) }}
	if !l.ask.spoiled() {
		it.in = replica.Compared{From: l.key()}
	}
	return l.queue(ctx, it)
}

// takeHeads looks whether the peer holds what we lack. The author itself sends its operations to its
// neighbours, so where it is one we give that way a moment.
func (l *link) takeHeads(hs []head) {
	v := l.node.loop.view.Load()
	for _, h := range hs {
		if mesh.LogIDOf(l.node.cfg.Network, h.Instance) != h.Key.Log {
			l.node.metrics.refused(refusedLogID)
			continue
		}
		l.known.learn(h.Key, h.Next)
		if v.next(h.Key) < h.Next {
			l.ask.unless(l.grace(h.Key.Author), h.Key, h.Next)
		}
	}
}

// grace is how long to wait for the direct way before asking.
func (l *link) grace(author keys.Public) time.Duration {
	if author != l.key() && !l.node.peers.linked(author) {
		return 0
	}
	return hintDelay
}

// feed hands what was read to the loop, in the order of reading.
func (l *link) feed(ctx context.Context) error {
	for {
		select {
		case it := <-l.pipe:
			if err := l.handIn(ctx, it); err != nil {
				l.giveBack(it)
				if errors.Is(err, errStopped) {
					continue // the link goes on until our goodbye is out; what nobody takes here is sent again
				}
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *link) giveBack(it item) {
	if it.size > 0 {
		l.node.inFlight.Release(it.size)
	}
}

func (l *link) handIn(ctx context.Context, it item) error {
	if it.end != nil {
		return it.end
	}
	in := it.in
	if it.job != nil {
		select {
		case <-it.job.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		in = l.verdict(it.job, it.trust)
	}
	e := entry{in: in, size: int(it.size), done: it.after}
	if it.size > 0 {
		e.done = func() { l.node.inFlight.Release(it.size) }
	}
	if in == nil {
		if it.after == nil {
			l.giveBack(it)
			return nil
		}
		e.in = replica.Tick{} // carries after through the loop
	}
	l.ask.moved(0)
	return l.node.loop.put(ctx, l.node.loop.remote, e)
}

// verdict turns a checked operation into an input; nil if there is nothing for the replica in it.
func (l *link) verdict(j *job, trust bool) replica.Input {
	switch {
	case j.reason != "":
		l.node.metrics.refused(j.reason)
		l.node.log.Debug("refused an operation", "peer", l.key(), "reason", string(j.reason))
		return nil
	case j.held:
		return nil
	case j.hint:
		l.node.metrics.refused(refusedNoBody)
		l.ask.soon(hintDelay)
		return nil
	case trust:
		return replica.ArrivedTrust{Op: j.op, Event: j.event, From: l.key()}
	}
	l.known.learn(mesh.LogKey{Author: j.op.Author, Log: j.op.Log}, j.op.Seq+1)
	return replica.Arrived{Op: j.op, Event: j.event, From: l.key()}
}
