package node

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// maxLinks of one key: a live process, one that died and is not noticed yet, and a rival with the same key.
	maxLinks = 3
	// maxGreeted bounds the hellos of a peer that wait for their stream.
	maxGreeted = 8
)

// peerEntry is what we hold of one admitted key.
type peerEntry struct {
	key keys.Public
	id  peer.ID

	visits, gossips, excess pace // of its hellos, its gossip but for what it publishes, and what of that was dropped

	mu        sync.Mutex
	zone      mesh.Zone // bound by configuration; empty: by its first operation
	endpoints []string
	links     []*link
	wake      chan struct{} // capacity 1, never closed: the links changed
	hellos    map[string]greeting
	lastErr   string // what answered the last dial or hello
	firstSeen time.Time
	lastSeen  time.Time
	tx, rx    traffic // of links that have ended
	hello     *hello
	beat      *heartbeat // newest one that was fresh
	sights    map[mesh.Zone]seen
	offset    time.Duration
	measured  bool // offset was
	stop      context.CancelFunc
	shown     shown
	news      bool // of a way to it, since it was dialled last
	late      late
	attempts  []mesh.DialAttempt // the newest first
}

// traffic counts what went one way.
type traffic struct{ bytes, frames uint64 }

func (t *traffic) add(m *meter) {
	t.bytes += m.bytes.Load()
	t.frames += m.frames.Load()
}

type greeting struct {
	hello
	at time.Time
}

// boundZone is the zone that configuration binds the key to.
func (p *peerEntry) boundZone() mesh.Zone {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.zone
}

// saidZone is the zone that the peer's last hello named.
func (p *peerEntry) saidZone() mesh.Zone {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hello == nil {
		return ""
	}
	return p.hello.Instance.Zone
}

// failed remembers what a dial or hello ended with; nil forgets it.
func (p *peerEntry) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = ""
	if err != nil {
		p.lastErr = describeDialError(err)
	}
}

// greeted remembers an accepted hello until the stream that follows it on the same connection.
func (p *peerEntry) greeted(conn string, h hello) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hellos == nil {
		p.hellos = map[string]greeting{}
	}
	for len(p.hellos) >= maxGreeted {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(p.hellos)), func(a, b string) int {
			return p.hellos[a].at.Compare(p.hellos[b].at)
		})
		delete(p.hellos, oldest)
	}
	p.hellos[conn] = greeting{h, time.Now()}
}

func (p *peerEntry) takeGreeting(conn string) (hello, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.hellos[conn]
	delete(p.hellos, conn)
	return g.hello, ok
}

// install adds a link. Of two links with one process the one opened by the smaller key stays, whoever sees
// them in whatever order; of two opened by one side the newer, for that side knows that the older is gone.
// It returns the links that have to go, which may be l itself.
func (p *peerEntry) install(l *link, self keys.Public) (gone []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.links {
		if o.hello.Run != l.hello.Run {
			continue
		}
		smaller := bytes.Compare(self[:], p.key[:]) < 0
		if o.ours != l.ours && o.ours == smaller {
			return []*link{l}
		}
		gone = append(gone, o)
	}
	for len(p.links)-len(gone) >= maxLinks {
		gone = append(gone, p.links[0])
	}
	p.links = slices.DeleteFunc(p.links, func(o *link) bool { return slices.Contains(gone, o) })
	p.links = append(p.links, l)
	h := l.hello
	p.hello, p.lastErr = &h, ""
	if p.firstSeen.IsZero() {
		p.firstSeen = l.since
	}
	p.lastSeen = l.since
	p.poke()
	return gone
}

// remove takes a link out and reports whether others are left.
func (p *peerEntry) remove(l *link) (left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(slices.Clone(p.links), func(o *link) bool { return o == l })
	p.tx.add(&l.out)
	p.rx.add(&l.in)
	p.poke()
	return len(p.links) > 0
}

// otherLinkGrace is how long a peer that ended a link because it keeps another one is not missed: what opens that one may
// be on its way still, and behind a packet that was lost.
const otherLinkGrace = 3 * time.Second

// linkedWithin waits until there is a link, and reports whether there is one in time. The wake-up of the dialler is not
// for two, so it looks again and again; it is seldom needed.
func (p *peerEntry) linkedWithin(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !p.linked() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return p.linked()
		}
	}
	return true
}

// heardOf has the peer dialled soon if it isn't linked: there is news of how to reach it.
func (p *peerEntry) heardOf() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news = true
	p.poke()
}

// hasNews reports whether there is a reason to stop waiting for the next dial.
func (p *peerEntry) hasNews() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.news || len(p.links) > 0
}

func (p *peerEntry) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// current returns the live links, oldest first.
func (p *peerEntry) current() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.links)
}

func (p *peerEntry) linked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links) > 0
}

// sees reports whether the peer says to have a direct connection to a zone.
func (p *peerEntry) sees(z mesh.Zone) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sights[z].Direct
}

// registry is the table of admitted keys.
type registry struct {
	mu    sync.RWMutex
	byKey map[keys.Public]*peerEntry
}

func (r *registry) get(k keys.Public) *peerEntry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byKey[k]
}

// all returns the entries in key order.
func (r *registry) all() []*peerEntry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.byKey), func(a, b *peerEntry) int { return a.key.Compare(b.key) })
}

// links returns every live link.
func (r *registry) links() []*link {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []*link
	for _, p := range r.byKey {
		out = append(out, p.current()...)
	}
	return out
}

// linked reports whether a direct connection to a key is up.
func (r *registry) linked(k keys.Public) bool {
	p := r.get(k)
	return p != nil && p.linked()
}

// add makes an entry for a key unless there is one.
func (r *registry) add(k keys.Public) (*peerEntry, bool, error) {
	id, err := peerIDOf(k)
	if err != nil {
		return nil, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.byKey[k]; p != nil {
		return p, false, nil
	}
	p := &peerEntry{key: k, id: id, wake: make(chan struct{}, 1)}
	r.byKey[k] = p
	return p, true, nil
}

func (r *registry) drop(k keys.Public) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byKey, k)
}

func (r *registry) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byKey)
}
