package meshpeer

import (
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// op is one kind of request: what is refused to one may be granted to another.
type op string

const (
	opList   op = "list"
	opWatch  op = "watch"
	opCreate op = "create"
	opStatus op = "patch the status of"
	opSpec   op = "patch"
	opProve  op = "confirm the deletion of"
)

const (
	// renewEvery is how old what changes all the time may become: the time of the last sign of life.
	renewEvery = time.Minute

	// objectBurst writes of one object may come at once, later ones at most every objectEvery: whoever keeps
	// putting something else there doesn't keep this node busy.
	objectBurst = 10
	objectEvery = 10 * time.Second

	forbiddenPause = 30 * time.Second
	refusedPause   = time.Minute
)

// pacing says when what may be tried. Safe for concurrent use.
type pacing struct {
	mu      *sync.Mutex
	until   map[op]time.Time
	backoff map[op]time.Duration
	objects map[string]*objectPace // by UID
}

type objectPace struct {
	tokens  float64
	at      time.Time // of tokens
	written time.Time
	refused time.Time // until when
}

func newPacing() pacing {
	return pacing{&sync.Mutex{}, map[op]time.Time{}, map[op]time.Duration{}, map[string]*objectPace{}}
}

// may reports whether requests of a kind are worth trying.
func (p pacing) may(o op, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.until[o])
}

// pause stops a kind of requests for some time; for a longer one each time if d is 0.
func (p pacing) pause(o op, now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == 0 {
		d = min(max(time.Second, 2*p.backoff[o]), lastRetry)
		p.backoff[o] = d
	}
	p.until[o] = now.Add(d)
}

func (p pacing) resume(o op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.until, o)
	delete(p.backoff, o)
}

func (p pacing) of(uid string, now time.Time) *objectPace {
	x := p.objects[uid]
	if x == nil {
		if len(p.objects) >= 2*maxObjects {
			clear(p.objects) // those of objects that are long gone; the others begin anew
		}
		x = &objectPace{tokens: objectBurst, at: now}
		p.objects[uid] = x
	}
	return x
}

// object takes leave to write one object.
func (p pacing) object(uid string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.of(uid, now)
	x.tokens, x.at = min(objectBurst, x.tokens+now.Sub(x.at).Seconds()/objectEvery.Seconds()), now
	if x.tokens < 1 || now.Before(x.refused) {
		return false
	}
	x.tokens--
	return true
}

func (p pacing) wrote(uid string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(uid, now).written = now
}

// refused remembers that the API server doesn't take the object as it is.
func (p pacing) refused(uid string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(uid, now).refused = now.Add(refusedPause)
}

// renew reports whether a status is old enough to be written again without news.
func (p pacing) renew(o *object, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.of(o.uid, now).written
	if last.IsZero() {
		last = stamped(o.status.UpdateTime)
	}
	return now.Sub(last) >= renewEvery || last.After(now.Add(renewEvery))
}

// stateOf is the state that a status shows, empty without one.
func stateOf(s *status) mesh.PeerState {
	if s == nil {
		return ""
	}
	return s.Status
}
