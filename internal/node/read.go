package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// batchOps and batchBytes bound how many operations are checked together. What has arrived is taken, and nothing
	// waited for: a single one goes on alone, at once.
	batchOps   = 64
	batchBytes = 256 << 10
	// pipeItems bounds what a link has in verification, in number; inFlightBytes bounds it for all links
	// together, in bytes: one group being committed, one gathered, and a few of the largest bodies in between.
	pipeItems     = 256
	inFlightBytes = 64 << 20
	itemOverhead  = 1 << 10 // what an operation costs beside its bytes
	diskLowRetry  = 30 * time.Second
	hintDelay     = 150 * time.Millisecond
)

// item is one thing read from a link, in the order of reading. Exactly one of ops and in is set, or neither.
type item struct {
	ops   *batch
	trust bool // they came in a frame of trust operations
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
			if err = l.afford(ctx, unitsOf(k, b)); err == nil {
				err = l.take(ctx, k, b)
			}
		} else {
			l.node.refuseLate(err)
		}
		if err == nil && len(l.gathered) > 0 && !(l.mayGather() && r.ready(kindOperation)) {
			err = l.queueGathered(ctx)
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
		if err != nil {
			return err
		}
		left := l.node.loop.view.Load().lacked(ops)
		l.node.metrics.repeated.Add(float64(len(ops) - len(left)))
		for some := range slices.Chunk(left, batchOps) {
			if err := l.queueOps(ctx, &batch{jobs: jobsOf(some...), each: true}, true); err != nil {
				return err
			}
		}
		return nil
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
		if k == kindOperation {
			l.gathered = append(l.gathered, job{msg: m})
			l.gatheredBytes += m.size()
			return nil
		}
		return l.queueOps(ctx, &batch{jobs: jobsOf(m)}, false)
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

func jobsOf(ms ...opMsg) []job {
	jobs := make([]job, len(ms))
	for i, m := range ms {
		jobs[i].msg = m
	}
	return jobs
}

// size is what an operation counts for while it is on its way.
func (m opMsg) size() int64 { return int64(len(m.Header) + len(m.Body) + itemOverhead) }

// mayGather reports whether another operation may be added to those gathered.
func (l *link) mayGather() bool { return len(l.gathered) < batchOps && l.gatheredBytes < batchBytes }

// queueGathered sends the operations gathered to the workers.
func (l *link) queueGathered(ctx context.Context) error {
	b := &batch{jobs: l.gathered}
	l.gathered, l.gatheredBytes = make([]job, 0, len(b.jobs)), 0 // the next ones may well be as many
	return l.queueOps(ctx, b, false)
}

// queueOps sends operations to the workers and remembers their place.
func (l *link) queueOps(ctx context.Context, b *batch, trust bool) error {
	if l.node.diskLow() {
		for range b.jobs {
			l.node.metrics.refused(refusedDiskLow)
		}
		l.ask.spoil()
		return nil
	}
	var size int64
	for i := range b.jobs {
		size += b.jobs[i].msg.size()
	}
	if err := l.node.inFlight.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	if err := l.node.verifier.submit(ctx, b); err != nil {
		l.node.inFlight.Release(size)
		return err
	}
	return l.queue(ctx, item{ops: b, trust: trust, size: size})
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
	it := item{after: func() {
		if !l.ask.finish(round, func(k mesh.LogKey) uint32 { return l.node.loop.view.Load().next(k) }) {
			l.node.metrics.refused(refusedNotServed)
		}
	}}
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
	ins := []replica.Input{it.in}
	if it.ops != nil {
		select {
		case <-it.ops.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		ins = l.verdicts(it.ops, it.trust)
		refused := 0
		for i := range it.ops.jobs {
			if it.ops.jobs[i].reason != "" {
				refused++
			}
		}
		if refused > 0 {
			if err := l.afford(ctx, refused); err != nil { // no node that checks what it passes on sends such
				return err
			}
		}
	}
	if len(ins) == 0 || ins[0] == nil {
		if it.after == nil {
			l.giveBack(it)
			return nil
		}
		ins = []replica.Input{replica.Tick{}} // carries after through the loop
	}
	l.ask.moved(0)
	for _, in := range ins[:len(ins)-1] { // of a frame of trust operations
		if err := l.node.loop.put(ctx, l.node.loop.remote, entry{in: in}); err != nil {
			return err
		}
	}
	e := entry{in: ins[len(ins)-1], size: int(it.size), done: it.after}
	if it.size > 0 {
		e.done = func() { l.node.inFlight.Release(it.size) }
	}
	return l.node.loop.put(ctx, l.node.loop.remote, e)
}

// verdicts turns checked operations into inputs, in their order; none if there is nothing for the replica in them.
func (l *link) verdicts(b *batch, trust bool) []replica.Input {
	var ins []replica.Input
	run := make(replica.ArrivedRun, 0, len(b.jobs))
	for i := range b.jobs {
		switch j := &b.jobs[i]; {
		case !l.wanted(j):
		case trust:
			ins = append(ins, replica.ArrivedTrust{Op: j.op, Event: j.event, From: l.key()})
		default:
			run = append(run, replica.Arrived{Op: j.op, Event: j.event, From: l.key(), Vouched: j.vouched})
		}
	}
	if n := len(run); n > 0 {
		l.known.learnAll(run)
		if n == 1 {
			return []replica.Input{run[0]}
		}
		return []replica.Input{run}
	}
	return ins
}

// wanted reports whether there is something for the replica in a checked operation, and counts it if not.
func (l *link) wanted(j *job) bool {
	switch {
	case j.reason != "":
		l.node.metrics.refused(j.reason)
		l.node.log.Debug("refused an operation", "peer", l.key(), "reason", string(j.reason))
		return false
	case j.held:
		l.node.metrics.repeated.Inc()
		return false
	case j.hint:
		l.node.metrics.refused(refusedNoBody)
		l.ask.soon(hintDelay)
		return false
	}
	return true
}
