package node

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// roundStall is how long a round may bring nothing before it counts as lost and another is asked for.
	roundStall = 30 * time.Second
	// A round that was lost, or that brought nothing although one was asked for, is repeated after a pause
	// that doubles between these two. There is no last try.
	roundPauseMin = time.Second
	roundPauseMax = time.Minute
	// At least sparedRounds regular rounds in a row are passed over while the peer's heartbeats say that it holds what we
	// hold, and so many that of all links about comparesEach are compared in a ResyncInterval. Have frames are as long as the
	// mesh has zones: one a minute on each link would be most of what a large mesh at rest sends, and grow with the square
	// of the zones. The next round takes place all the same: a digest leaves staged runs and evidence out.
	sparedRounds = 9
	comparesEach = 4
)

// asker asks the peer for what we lack: one round at a time. Everything that makes one desirable only says
// from when on it is wanted, so a hundred reasons make one round.
type asker struct {
	wake chan struct{} // capacity 1, never closed: something below changed

	mu       sync.Mutex
	want     time.Time              // a round is wanted from then on; zero: no
	forced   bool                   // it is wanted even if nothing in news is missing by then
	news     map[mesh.LogKey]uint32 // what the peer announced and we lacked: log and next
	asked    map[mesh.LogKey]uint32 // the news that the outstanding round was to bring
	wanted   bool                   // the outstanding round was wanted, it is no regular one
	round    uint32                 // outstanding; 0: none
	last     uint32                 // newest number used
	progress time.Time              // of the outstanding round
	spoilt   bool                   // operations of the round were not taken: it compared nothing
	gained   int                    // operations accepted from this peer since the round began
	pause    time.Duration
	quiet    time.Time // no round before, because the last one brought nothing
}

func (a *asker) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// soon wants a round after d.
func (a *asker) soon(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wish(d)
	a.forced = true
}

// unless wants a round after d, unless what the peer announced came another way until then. What it announced
// beyond a Have's worth of logs waits for the next regular round.
func (a *asker) unless(d time.Duration, k mesh.LogKey, next uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.news == nil {
		a.news = map[mesh.LogKey]uint32{}
	}
	if old, ok := a.news[k]; old < next && (ok || len(a.news) < maxHaves) {
		a.news[k] = next
		a.wish(d)
	}
}

func (a *asker) wish(d time.Duration) {
	at := time.Now().Add(d)
	if a.want.IsZero() || at.Before(a.want) {
		a.want = at
	}
	a.poke()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// moved notes progress of a round; 0 stands for whatever is outstanding.
func (a *asker) moved(round uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.round != 0 && (round == 0 || round == a.round) {
		a.progress = time.Now()
	}
}

func (a *asker) current(round uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.round != 0 && a.round == round
}

// spoil says that an operation was not taken for a reason that will pass.
func (a *asker) spoil() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoilt = true
	a.want, a.forced = time.Now().Add(diskLowRetry), true
	a.poke()
}

func (a *asker) spoiled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spoilt
}

// gain counts operations of this peer that the replica accepted.
func (a *asker) gain(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gained += n
}

// finish ends a round whose operations all went through the loop. It reports whether the peer served all that it had
// announced before; held tells how far we hold a log.
func (a *asker) finish(round uint32, held func(mesh.LogKey) uint32) (served bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.round != round {
		return true
	}
	served = true
	for k, next := range a.asked {
		served = served && (a.spoilt || held(k) >= next)
	}
	a.round, a.asked = 0, nil
	switch {
	case a.gained > 0:
		a.pause, a.quiet = 0, time.Time{}
	case a.wanted:
		a.slower()
	}
	a.poke()
	return served
}

// slower doubles the pause before the next round.
func (a *asker) slower() {
	a.quiet = time.Now().Add(a.pause)
	a.pause = min(max(2*a.pause, roundPauseMin), roundPauseMax)
}

// due returns the number of a round to begin now, or how long to wait, and whether one was just given up. held
// tells how far we hold a log.
func (a *asker) due(resync time.Time, held func(mesh.LogKey) uint32) (round uint32, wait time.Duration, lost bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.round != 0 {
		if left := roundStall - now.Sub(a.progress); left > 0 {
			return 0, left, false
		}
		a.round, lost = 0, true
		a.slower()
		a.want, a.forced = a.quiet, true
	}
	at := resync
	if !a.want.IsZero() {
		if at = a.want; at.Before(a.quiet) {
			at = a.quiet
		}
		at = earlier(at, resync)
	}
	if now.Before(at) {
		return 0, at.Sub(now), lost
	}
	a.wanted = now.Before(resync)
	missing := a.forced
	for k, next := range a.news {
		missing = missing || held(k) < next
	}
	a.asked = a.news
	a.want, a.forced, a.news = time.Time{}, false, nil
	if a.wanted && !missing {
		return 0, resync.Sub(now), lost
	}
	a.last++
	if a.last == 0 {
		a.last++
	}
	a.round, a.progress = a.last, now
	a.spoilt, a.gained = false, 0
	return a.round, 0, lost
}

// lost takes back a round that was not asked for after all, until later.
func (a *asker) lost(later time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.round = 0
	a.want, a.forced = time.Now().Add(later), true
}

// spares is how many regular rounds in a row are passed over on each of a number of links.
func spares(links int) int { return max(sparedRounds, links/comparesEach-1) }

// askRounds asks for a round at once, whenever one is wanted, and every ResyncInterval unless there is nothing to ask for.
func (l *link) askRounds(ctx context.Context) error {
	l.ask.soon(0)
	resync, spared := l.nextResync(), 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !time.Now().Before(resync) && spared < spares(len(l.node.peers.links())) && l.holdsTheSame() {
			resync, spared = l.nextResync(), spared+1
		}
		round, wait, lost := l.ask.due(resync, func(k mesh.LogKey) uint32 { return l.node.loop.view.Load().next(k) })
		if lost {
			l.node.metrics.failed(componentSync)
			l.node.log.Warn("a sync round brought nothing any more and is repeated", "peer", l.key())
		}
		if round != 0 {
			resync, spared = l.nextResync(), 0
			switch {
			case l.node.diskLow():
				l.ask.lost(diskLowRetry)
				wait = diskLowRetry
			case !l.askRound(round):
				l.ask.lost(roundPauseMin)
				wait = roundPauseMin
			default:
				wait = roundStall
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.ask.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// holdsTheSame reports whether the peer's last heartbeat says that it holds what we hold by now.
func (l *link) holdsTheSame() bool {
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beat != nil && p.beat.Digest == l.node.loop.view.Load().digest()
}

// askRound says what we hold, the trust set first.
func (l *link) askRound(round uint32) bool {
	v := l.node.loop.view.Load()
	haves := v.haves
	if len(haves) > maxHaves {
		haves = haves[:maxHaves]
	}
	return l.send(encodeTrustDigest(v.trustDigest)) && l.send(encodeHave(haveMsg{round, haves}))
}

// nextResync spreads the rounds of many links and nodes over a fifth of the interval.
func (l *link) nextResync() time.Time {
	d := l.node.cfg.ResyncInterval
	return time.Now().Add(d - d/10 + rand.N(d/5+1))
}

// heights is how far the peer holds each log, as far as we know: what it said, sent, or was sent.
type heights struct {
	mu   sync.Mutex
	said bool // a Have was received
	next map[mesh.LogKey]uint32
}

// replace takes the peer's whole statement.
func (h *heights) replace(logs []oplog.Have) {
	m := make(map[mesh.LogKey]uint32, len(logs))
	for _, x := range logs {
		m[x.Key] = x.Next
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said, h.next = true, m
}

// learn raises one log. The map holds at most twice what a Have may name, so that a peer cannot fill it by
// announcing logs that nobody has.
func (h *heights) learn(k mesh.LogKey, next uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = map[mesh.LogKey]uint32{}
	}
	if old, ok := h.next[k]; ok && old >= next || !ok && len(h.next) >= 2*maxHaves {
		return
	}
	h.next[k] = next
}

// learnAll raises the logs of operations that the peer sent.
func (h *heights) learnAll(run replica.ArrivedRun) {
	for i := range run {
		k, next := mesh.LogKey{Author: run[i].Op.Author, Log: run[i].Op.Log}, run[i].Op.Seq+1
		if i+1 < len(run) && run[i+1].Op.Log == k.Log && run[i+1].Op.Author == k.Author && run[i+1].Op.Seq >= next {
			continue // the next one says more
		}
		h.learn(k, next)
	}
}

// of returns how far the peer holds a log, and whether that is known.
func (h *heights) of(k mesh.LogKey) (next uint32, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next, ok := h.next[k]
	return next, ok || h.said
}

// get returns how far the peer is known to hold a log; 0: not at all.
func (h *heights) get(k mesh.LogKey) uint32 {
	next, _ := h.of(k)
	return next
}
