package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/quic-go/quic-go"
	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// Lanes of a link. Control frames are small and go first; a lane that is full drops, and whatever was
	// dropped is said again later. Bulk frames answer a Have and wait instead.
	controlLane = 64
	liveLane    = 1024
	bulkLane    = 8
	// liveLaneBytes bounds the live lane: two of the largest operations.
	liveLaneBytes = 2 * maxBody
	// writeBuffer is how much is gathered into one write.
	writeBuffer = 64 << 10
	// writeTimeout is how long a write may make no progress, plus what its size is allowed at slowestPeer.
	writeTimeout = 15 * time.Second
	// goodbyeWait is how long the other side gets to read our goodbye.
	goodbyeWait = time.Second
)

var (
	errGoodbye    = errors.New("the other side said goodbye")
	errReplaced   = errors.New("another link to the peer is kept")
	errSilent     = errors.New("nothing was heard for too long")
	errUnexpected = errors.New("unexpected message")
)

// link is the one long stream between two nodes. Reader and writer are independent of each other, so that
// two sides with much to say cannot block each other.
//
//	stream -> read -> (workers verify) -> feed -> loop
//	                      |
//	                      +-> serve -> bulk lane ----+
//	          ask, probe, heads, heartbeats -> control lane -> write -> stream
//	                        own operations  -> live lane ----+
type link struct {
	node  *Node
	peer  *peerEntry
	s     network.Stream
	ours  bool // we opened it
	hello hello
	since time.Time

	in, out meter
	reading atomic.Bool // the reader waits for the peer, not for our own loop

	control, live chan []byte // never closed
	bulk          chan outgoing
	liveBytes     atomic.Int64
	pipe          chan item // from read to feed; never closed

	gathered      []job // operations read and not sent to the workers yet; of read alone
	gatheredBytes int64

	known heights
	ask   asker
	serve server
	pings pings
	vigil vigil      // of whoever watches the links
	quic  *quic.Conn // below s; nil: it is TCP

	records teller
	pace    pace
	loss    lossMeter

	once  sync.Once
	ended chan struct{} // closed by end
	why   error         // set before ended is closed
	gone  chan struct{} // closed when run has returned
}

func newLink(n *Node, p *peerEntry, s network.Stream, h hello, ours bool) *link {
	l := &link{
		node: n, peer: p, s: s, ours: ours, hello: h, since: n.cfg.Now(),
		control: make(chan []byte, controlLane),
		live:    make(chan []byte, liveLane),
		bulk:    make(chan outgoing, bulkLane),
		pipe:    make(chan item, pipeItems),
		ended:   make(chan struct{}),
		gone:    make(chan struct{}),
	}
	l.ask.wake, l.serve.wake, l.records.wake = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	l.in.total, l.out.total = &n.received, &n.sent
	began := time.Now()
	l.vigil = vigil{every: n.cfg.ProbeInterval, pings: &l.pings, heard: began, spoke: began}
	return l
}

// key of the peer.
func (l *link) key() keys.Public { return l.peer.key }

// end makes run return err. Only the first call counts; it may come before run.
func (l *link) end(err error) {
	l.once.Do(func() {
		l.why = err
		close(l.ended)
	})
}

// run works the link until it ends and says why. Nothing of it is left afterwards.
func (l *link) run(ctx context.Context) error {
	defer close(l.gone)
	g, ctx := errgroup.WithContext(ctx)
	unblock := context.AfterFunc(ctx, func() { _ = l.s.ResetWithError(l.code(context.Cause(ctx))) })
	defer unblock()
	for _, part := range []func(context.Context) error{l.read, l.feed, l.write, l.serveRounds, l.askRounds, l.passRecords, l.awaitEnd} {
		g.Go(func() error { return part(ctx) })
	}
	err := g.Wait()
	for len(l.pipe) > 0 { // reader and feeder have returned, in whatever order
		l.giveBack(<-l.pipe)
	}
	return err
}

func (l *link) awaitEnd(ctx context.Context) error {
	select {
	case <-l.ended:
		return l.why
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *link) code(err error) network.StreamErrorCode {
	switch {
	case errors.Is(err, errMalformed), errors.Is(err, errFrameTooLarge), errors.Is(err, errUnexpected):
		return codeProtocol
	case errors.Is(err, errReplaced):
		return codeDuplicate
	}
	return codeStopped
}

// send puts a control frame on its lane and reports whether there was room.
func (l *link) send(frame []byte) bool {
	select {
	case l.control <- frame:
		return true
	default:
		return false
	}
}

// sendLive puts a frame on the live lane and reports whether there was room.
func (l *link) sendLive(frame []byte) bool {
	if l.liveBytes.Add(int64(len(frame))) > liveLaneBytes {
		l.liveBytes.Add(-int64(len(frame)))
		return false
	}
	select {
	case l.live <- frame:
		return true
	default:
		l.liveBytes.Add(-int64(len(frame)))
		return false
	}
}

// outgoing is a bulk frame, or several of operations of one log that follow each other. What the peer holds is only
// noted when it is written: a live operation must not overtake those before it.
type outgoing struct {
	frames []byte      // whole ones
	log    mesh.LogKey // of operations
	next   uint32      // that follows the last of them; 0: none
	count  int         // how many frames; 0: one
}

// sendBulk waits for room on the bulk lane.
func (l *link) sendBulk(ctx context.Context, o outgoing) error {
	select {
	case l.bulk <- o:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write empties the lanes into the stream, control before live before bulk. What is at hand goes out in one
// write.
func (l *link) write(ctx context.Context) error {
	w := bufio.NewWriterSize(deadlineWriter{l.s, &l.out, l.node}, writeBuffer)
	for {
		frame, count, ok := l.nextFrame()
		if !ok {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			select {
			case frame = <-l.control:
			case frame = <-l.live:
				l.liveBytes.Add(-int64(len(frame)))
			case o := <-l.bulk:
				frame, count = l.takeBulk(o)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if _, err := w.Write(frame); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		l.out.frames.Add(uint64(count))
		k := kind(frame[4])
		l.node.metrics.sent(typeOf(k), count)
		if k == kindGoodbye {
			return l.part(ctx, w)
		}
	}
}

// nextFrame takes what goes out next, if anything waits: a frame, or count frames in one piece.
func (l *link) nextFrame() (frame []byte, count int, ok bool) {
	select {
	case f := <-l.control:
		return f, 1, true
	default:
	}
	select {
	case f := <-l.live:
		l.liveBytes.Add(-int64(len(f)))
		return f, 1, true
	default:
	}
	select {
	case o := <-l.bulk:
		frame, count = l.takeBulk(o)
		return frame, count, true
	default:
	}
	return nil, 1, false
}

func (l *link) takeBulk(o outgoing) ([]byte, int) {
	if o.next > 0 {
		l.known.learn(o.log, o.next)
	}
	return o.frames, max(1, o.count)
}

// part ends a link after our goodbye was written: the other side answers by ending it.
func (l *link) part(ctx context.Context, w *bufio.Writer) error {
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := l.s.CloseWrite(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	t := time.NewTimer(goodbyeWait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return errStopped
}

// deadlineWriter gives every write a deadline of its own.
type deadlineWriter struct {
	s network.Stream
	m *meter
	n *Node
}

func (w deadlineWriter) Write(b []byte) (int, error) {
	d := writeTimeout + time.Duration(len(b))*time.Second/slowestPeer
	if err := w.s.SetWriteDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	n, err := w.s.Write(b)
	w.m.count(n)
	w.n.refuseLate(err)
	return n, err
}

// isClosed reports errors that only say that the stream ended.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, network.ErrReset) || errors.Is(err, context.Canceled) ||
		errors.Is(err, errStopped) || errors.Is(err, errGoodbye) || errors.Is(err, errReplaced)
}
