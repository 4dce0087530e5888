package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Deadlines of reading. Between two frames a link is quiet for about two seconds at most, since both sides
// probe; whoever is silent longer is found by the prober long before idleTimeout, which only bounds streams
// that nobody probes.
const (
	idleTimeout  = time.Minute
	frameTimeout = 10 * time.Second // for any frame, plus what its size is allowed at slowestPeer
	slowestPeer  = 32 << 10         // bytes per second; below it a peer is too slow to follow anyway
	readStep     = 64 << 10         // a buffer grows by at most this much ahead of the data
	shortStep    = 2 << 10          // the same for an exchange of a few small frames
	readBuffer   = 128 << 10        // what a link reads ahead: a batch of usual operations
)

// errFrameTooLarge reports a frame beyond the cap of its kind.
var errFrameTooLarge = errors.New("frame too large")

// deadliner is the part of a stream that bounds reading.
type deadliner interface{ SetReadDeadline(time.Time) error }

// frameReader takes frames off a stream. It is used by one goroutine.
type frameReader struct {
	stream deadliner // nil: no deadlines
	r      *bufio.Reader
	head   [5]byte
}

// meter counts bytes. Any byte of an authenticated stream is a sign of life, so it looks below the frames.
type meter struct {
	bytes  atomic.Uint64
	frames atomic.Uint64  // counted by whoever reads or writes them
	total  *atomic.Uint64 // of all links in this direction
}

func (m *meter) count(n int) {
	if n > 0 {
		m.bytes.Add(uint64(n))
		m.total.Add(uint64(n))
	}
}

type meteredReader struct {
	io.Reader
	m *meter
}

func (r meteredReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.m.count(n)
	return n, err
}

// newFrameReader reads a long stream, or an exchange: that has one deadline for all of it, and no deadliner.
func newFrameReader(r io.Reader, d deadliner) *frameReader {
	step := readBuffer
	if d == nil {
		step = shortStep // whoever opens many of those must not get so much for each
	}
	return &frameReader{stream: d, r: bufio.NewReaderSize(r, step)}
}

func (f *frameReader) deadline(d time.Duration) {
	if f.stream != nil {
		_ = f.stream.SetReadDeadline(time.Now().Add(d)) // a closed stream shows itself in the next read
	}
}

// ready reports whether the next frame is of a kind and has arrived already.
func (f *frameReader) ready(k kind) bool {
	return f.whole() && kind(f.peek(5)[4]) == k
}

// whole reports whether the next frame has arrived already.
func (f *frameReader) whole() bool {
	return f.r.Buffered() >= 5 && int64(be.Uint32(f.peek(4))) <= int64(f.r.Buffered()-4)
}

// peek looks at bytes that are buffered.
func (f *frameReader) peek(n int) []byte {
	b, _ := f.r.Peek(n) // of what is buffered it cannot fail
	return b
}

// next returns the kind and payload of the next frame. The payload is the caller's. io.EOF stands only
// between frames; errMalformed and errFrameTooLarge are the sender's fault.
func (f *frameReader) next() (kind, []byte, error) {
	whole := f.whole() // then there is nothing to wait for, and to set deadlines is half of the work
	if !whole {
		f.deadline(idleTimeout)
	}
	if _, err := io.ReadFull(f.r, f.head[:1]); err != nil {
		return 0, nil, err
	}
	if !whole {
		f.deadline(frameTimeout)
	}
	if _, err := io.ReadFull(f.r, f.head[1:]); err != nil {
		return 0, nil, noEOF(err)
	}
	n, k := be.Uint32(f.head[:]), kind(f.head[4])
	limit := frameCap(k)
	switch {
	case n == 0:
		return 0, nil, malformed("empty frame")
	case limit == 0:
		return 0, nil, malformed("unknown kind %d", k)
	case uint64(n) > uint64(limit):
		return 0, nil, fmt.Errorf("%w: %d bytes of kind %d, at most %d", errFrameTooLarge, n, k, limit)
	}
	left := int(n) - 1
	if !whole {
		f.deadline(frameTimeout + time.Duration(left)*time.Second/slowestPeer)
	}
	// The buffer grows while data arrives, so that a length alone makes nobody allocate megabytes.
	buf := make([]byte, 0, min(left, readStep))
	for left > 0 {
		at, c := len(buf), min(left, readStep)
		if at+c > cap(buf) {
			grown := make([]byte, at, min(max(2*cap(buf), at+c), at+left))
			copy(grown, buf)
			buf = grown
		}
		buf = buf[:at+c]
		if _, err := io.ReadFull(f.r, buf[at:]); err != nil {
			return 0, nil, noEOF(err)
		}
		left -= c
	}
	return k, buf, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
