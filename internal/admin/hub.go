package admin

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// lookEvery is how often the node is looked at while somebody watches, and how often a watcher hears of it.
	lookEvery = time.Second
	// lookWithin bounds one look: a node whose loop is busy is looked at again the next time.
	lookWithin = 800 * time.Millisecond
	// gatherNotices is how long notices wait for others that follow.
	gatherNotices = 100 * time.Millisecond
	// What waits for a watcher at most: a minute of frames, and so many bytes beside the first whole state.
	maxBatches    = 64
	maxBatchBytes = 8 << 20
)

// hub looks at the node for all who watch it. It works only while somebody does: then it looks once a second, finds
// out what changed, encodes that once and hands it to every watcher. Who is slow loses its place; nobody is waited
// for.
type hub struct {
	inspector func() *Inspector
	notices   *Notices // may be nil
	log       *slog.Logger
	wake      chan struct{} // capacity 1, never closed: somebody came

	mu       sync.Mutex
	watchers map[*watcher]bool

	// Of the goroutine of run.
	picture picture
	seq     uint64 // id of the last message
}

// watcher is one reader of the stream.
type watcher struct {
	queue   chan batch // capacity maxBatches, never closed
	bytes   atomic.Int64
	dropped chan struct{} // closed when it is too slow
	begun   bool          // it was given the whole state; guarded by hub.mu
}

// batch is what is written at once. The bytes are shared by all watchers.
type batch struct {
	messages [][]byte
	size     int
}

func newHub(inspector func() *Inspector, notices *Notices, log *slog.Logger) *hub {
	return &hub{inspector: inspector, notices: notices, log: log, wake: make(chan struct{}, 1), watchers: map[*watcher]bool{}}
}

// join adds a watcher, which is given the whole state first. The caller lets it leave.
func (h *hub) join() *watcher {
	w := &watcher{queue: make(chan batch, maxBatches), dropped: make(chan struct{})}
	h.mu.Lock()
	h.watchers[w] = true
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// took notes that the reader of the queue has a batch.
func (w *watcher) took(b batch) { w.bytes.Add(-int64(b.size)) }

// give hands a batch over unless too much waits already.
func (w *watcher) give(b batch) bool {
	if w.bytes.Load() > maxBatchBytes {
		return false
	}
	w.bytes.Add(int64(b.size))
	select {
	case w.queue <- b:
		return true
	default:
		return false
	}
}

// run serves watchers until ctx ends. It sleeps while there is none.
func (h *hub) run(ctx context.Context) error {
	for {
		select {
		case <-h.wake:
			h.serve(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// serve works as long as somebody watches, and up to a second longer: who comes back at once finds what was known.
func (h *hub) serve(ctx context.Context) {
	told := make(chan struct{}, 1)
	if h.notices != nil {
		defer h.notices.follow(told)()
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	gather := time.NewTimer(time.Hour)
	gather.Stop()
	defer gather.Stop()
	h.look(ctx)
	h.begin()
	for h.count() > 0 {
		select {
		case <-tick.C:
			h.look(ctx)
			h.begin()
		case <-h.wake:
			h.begin()
		case <-told:
			gather.Reset(gatherNotices)
			select {
			case <-gather.C:
			case <-ctx.Done():
				return
			}
			h.tell(mesh.Frame{Time: now(), Notices: h.picture.fresh(h.notices)})
		case <-ctx.Done():
			return
		}
	}
	h.picture = picture{}
}

// count is how many watch.
func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers)
}

func now() time.Time { return time.Now().UTC().Round(time.Millisecond) }

// look takes a new picture of the node and tells the watchers that have one what is different.
func (h *hub) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	frame := mesh.Frame{Time: now()}
	if node := h.inspector(); node != nil {
		if err := h.picture.look(ctx, *node, &frame); err != nil {
			h.log.Debug("the node could not be looked at", "err", err) // the next look may find it less busy
		}
	}
	frame.Notices = h.picture.fresh(h.notices)
	h.tell(frame)
}

// tell gives a frame to all who were given the whole state.
func (h *hub) tell(frame mesh.Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b batch
	for w := range h.watchers {
		if !w.begun {
			continue
		}
		if b.messages == nil {
			b = h.encode(split(frame))
		}
		if !w.give(b) {
			h.drop(w)
		}
	}
}

// drop ends a watcher. The caller holds mu.
func (h *hub) drop(w *watcher) {
	delete(h.watchers, w)
	close(w.dropped)
}

// begin gives the whole state to those who are new.
func (h *hub) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b batch
	for w := range h.watchers {
		if w.begun {
			continue
		}
		if b.messages == nil {
			b = h.encode(h.picture.whole(h.notices))
			b.size = 0 // it is not counted, when it is taken neither
		}
		w.begun = true
		w.queue <- b // it is new: there is room
	}
}

// encode makes messages of frames.
func (h *hub) encode(frames []mesh.Frame) (b batch) {
	for _, f := range frames {
		h.seq++
		m, err := encodeMessage(h.seq, f)
		if err != nil { // only a number that is none could be the reason
			h.log.Error("a frame could not be encoded", "err", err)
			continue
		}
		b.messages = append(b.messages, m)
		b.size += len(m)
	}
	return b
}
