package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// serveBatch is how much is read from the store at a time, in bytes. The read transaction is over before a
// byte of it is written to the network.
const serveBatch = 256 << 10

// server holds what the peer asked for: the newest Have and the newest trust digest.
type server struct {
	wake chan struct{} // capacity 1, never closed

	mu     sync.Mutex
	round  uint32
	theirs []oplog.Have
	asked  bool
	behind bool // the peer lacks some of our own log and needn't ask
	trust  *mesh.Hash
}

// errAbandoned ends a round whose peer has begun another.
var errAbandoned = errors.New("the peer asked anew")

func (s *server) trustDigest(h mesh.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trust = &h
}

func (s *server) have(round uint32, theirs []oplog.Have) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round, s.theirs, s.asked = round, theirs, true
	s.poke()
}

// push sends the peer what it lacks of our own log.
func (s *server) push() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = true
	s.poke()
}

func (s *server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *server) takePush() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := s.behind
	s.behind = false
	return behind
}

func (s *server) take() (round uint32, theirs []oplog.Have, trust *mesh.Hash, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	round, theirs, trust, asked = s.round, s.theirs, s.trust, s.asked
	s.theirs, s.trust, s.asked = nil, nil, false
	return round, theirs, trust, asked
}

func (s *server) again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// serveRounds answers each Have with what the peer lacks.
func (l *link) serveRounds(ctx context.Context) error {
	for {
		select {
		case <-l.serve.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		round, theirs, trust, asked := l.serve.take()
		var err error
		if asked {
			err = l.serveRound(ctx, round, theirs, trust)
		}
		if err == nil && (asked || l.serve.takePush()) {
			err = l.pushOwn(ctx)
		}
		if err != nil && !errors.Is(err, errAbandoned) {
			return err
		}
	}
}

// pushOwn sends what was added to our own log while the peer was behind: after a round, or when it was too
// slow for live frames. It ends when live frames can take over.
func (l *link) pushOwn(ctx context.Context) error {
	var pushed uint32 // on its way; what is known of the peer follows when it is written
	for {
		own := l.node.loop.view.Load().own
		next, known := l.known.of(own.Key)
		if next = max(next, pushed); !known || next >= own.Next {
			return nil
		}
		pushed = own.Next
		if err := l.serveLog(ctx, oplog.Send{Log: own.Key, Instance: own.Instance, From: max(next, own.Start), To: own.Next}); err != nil {
			return err
		}
	}
}

func (l *link) serveRound(ctx context.Context, round uint32, theirs []oplog.Have, trust *mesh.Hash) error {
	v := l.node.loop.view.Load()
	if trust != nil && *trust != v.trustDigest {
		if err := l.serveTrust(ctx, v.trust); err != nil {
			return err
		}
	}
	store := l.node.cfg.Store
	sends, err := oplog.Diff(v.haves, theirs, store.RowID)
	if err != nil {
		return fmt.Errorf("compare logs: %w", err)
	}
	if err := l.sendBulk(ctx, outgoing{frames: encodePreSync(l.estimate(round, sends))}); err != nil {
		return err
	}
	for _, s := range sends {
		serve := l.serveLog
		if s.Evidence {
			serve = l.serveEvidence
		}
		if err := serve(ctx, s); err != nil {
			return err
		}
	}
	return l.sendBulk(ctx, outgoing{frames: encodeDone(round)})
}

func (l *link) serveTrust(ctx context.Context, ops []oplog.TrustOp) error {
	for len(ops) > 0 {
		var frame []byte
		frame, ops = encodeTrustOps(ops)
		if err := l.sendBulk(ctx, outgoing{frames: frame}); err != nil {
			return err
		}
	}
	return nil
}

// estimate tells the peer what is coming. Bytes are extrapolated from the first row of each stretch.
func (l *link) estimate(round uint32, sends []oplog.Send) preSyncMsg {
	m := preSyncMsg{Round: round}
	for _, s := range sends {
		if s.Evidence {
			m.Count += 2
			continue
		}
		n := uint64(s.To - s.From)
		m.Count += n
		if rows, err := l.node.cfg.Store.Rows(s.Log, s.From, s.To, 1); err == nil && len(rows) > 0 {
			m.Bytes += n * uint64(rows[0].Size())
		}
	}
	return m
}

// serveLog streams one stretch of a log. Rows that were pruned meanwhile are left out: the peer finds the
// run of snapshot operations that replaces them further on.
func (l *link) serveLog(ctx context.Context, s oplog.Send) error {
	for from := s.From; from < s.To; {
		rows, err := l.node.cfg.Store.Rows(s.Log, from, s.To, serveBatch)
		if err != nil {
			return fmt.Errorf("read log %s: %w", s.Instance, err)
		}
		if len(rows) == 0 {
			return nil
		}
		for len(rows) > 0 {
			var o outgoing
			o, rows = bundle(s.Log, rows)
			from = o.next
			if err := l.sendBulk(ctx, o); err != nil {
				return err
			}
		}
		if from == 0 || l.serve.again() {
			break
		}
	}
	if l.serve.again() {
		return errAbandoned
	}
	return nil
}

// bundle puts rows into frames that go out in one piece, at least one and about as much as one write takes, and returns
// the rest.
func bundle(log mesh.LogKey, rows []oplog.Row) (outgoing, []oplog.Row) {
	n, size := 0, 0
	for n < len(rows) && (n == 0 || size+opFrameSize(rows[n]) <= writeBuffer) {
		size += opFrameSize(rows[n])
		n++
	}
	o := outgoing{frames: make([]byte, 0, size), log: log, next: rows[n-1].Seq + 1, count: n}
	for _, row := range rows[:n] {
		o.frames = appendOp(o.frames, kindOperation, row.Header, row.Body)
	}
	return o, rows[n:]
}

// serveEvidence sends the two operations that prove the fork of a log.
func (l *link) serveEvidence(ctx context.Context, s oplog.Send) error {
	all, err := l.node.cfg.Store.Evidence()
	if err != nil {
		return fmt.Errorf("read the evidence on log %s: %w", s.Instance, err)
	}
	for _, e := range all {
		if e.Log != s.Log {
			continue
		}
		for _, row := range []oplog.Row{e.A, e.B} {
			if err := l.sendBulk(ctx, outgoing{frames: encodeOp(kindOperation, row.Header, row.Body)}); err != nil {
				return err
			}
		}
	}
	return nil
}
