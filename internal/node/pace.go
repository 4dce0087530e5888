package node

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Reasons why a peer is made to wait, or given up: it keeps to the protocol and costs too much.
const (
	refusedFast      refusal = "too_fast"   // more messages than any node has to say; whoever sends them waits
	refusedSlow      refusal = "too_slow"   // begun and not gone on with in time, or not read in time
	refusedBusy      refusal = "busy"       // an exchange that comes too soon, or beside too many others
	refusedHalfOpen  refusal = "half_open"  // a connection beside too many from there whose handshake isn't done
	refusedNotServed refusal = "not_served" // a height was announced, and a round that asked for it didn't bring it
)

// allowance is what a peer may ask for: units per second, and how many at once after a pause.
type allowance struct{ rate, burst float64 }

// A unit of work is about the cost of one signature, so that a link takes 3 % of a core for as long as it likes, and not
// more. A node with nothing to hide needs a tenth of it: a round in 50 ms while logs grow, a ping and a heartbeat a
// second. Operations are not counted unless they are forged: a first sync is as fast as it can be.
var (
	linkPace   = allowance{400, 2000}
	gossipPace = allowance{400, 2000} // control messages; what is published has its own limits
	excessPace = allowance{20, 2000}  // of gossip that was dropped for it: then the connection goes
	helloPace  = allowance{1, 20}     // each makes a link, or a line in the log
)

// unitsOf is what a frame on a link costs.
func unitsOf(k kind, payload []byte) int {
	const listed = 2 << 10 // bytes of about 16 logs: looked up, hashed and compared
	switch k {
	case kindOperation, kindLive, kindTrustOps, kindGoodbye:
		return 0
	case kindHave:
		return 10 + len(payload)/listed // answered with a pass over the store
	case kindHeads:
		return 1 + len(payload)/listed
	case kindRecords:
		if len(payload) >= 4 {
			return 1 + int(min(be.Uint32(payload), maxRecords))
		}
	}
	return 1
}

// pace is what one peer has used of an allowance. The zero value is nothing. It is safe for concurrent use.
//
// The Limiter of golang.org/x/time/rate is no substitute: it refuses a cost above its burst and then takes nothing. What
// a frame costs is known when it was read and is owed by then, however much it is, or large frames would be free, or the
// link stand still for ever. With a full allowance no frame costs that much; with an eighth of it, as under test, some do.
type pace struct {
	mu    sync.Mutex
	spent float64   // units, less what has come back
	at    time.Time // of spent
}

// spend takes units and returns how long to wait until the peer could afford them.
func (p *pace) spend(a allowance, now time.Time, units int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refill(a, now)
	p.spent += float64(units)
	return time.Duration(max(0, p.spent-a.burst) / a.rate * float64(time.Second))
}

// take takes units if the peer can afford them now, and reports whether it can.
func (p *pace) take(a allowance, now time.Time, units int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refill(a, now)
	if p.spent+float64(units) > a.burst {
		return false
	}
	p.spent += float64(units)
	return true
}

func (p *pace) refill(a allowance, now time.Time) {
	if back := now.Sub(p.at); !p.at.IsZero() && back > 0 {
		p.spent = max(0, p.spent-back.Seconds()*a.rate)
	}
	p.at = now
}

// errTooFast ends the connection of a peer that says hello again and again.
var errTooFast = errors.New("too many hellos")

// afford waits until the peer of a link may cost us units more. Meanwhile nothing of it is read, so that it waits, too.
func (l *link) afford(ctx context.Context, units int) error {
	wait := l.pace.spend(linkPace, time.Now(), units)
	if wait == 0 {
		return nil
	}
	l.node.metrics.refused(refusedFast)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isLate reports whether reading or writing ended because the other side took too long. TCP and QUIC say it
// differently.
func isLate(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// refuseLate counts a stream that ended because its peer took too long.
func (n *Node) refuseLate(err error) {
	var reset *network.StreamError
	if isLate(err) && !errors.As(err, &reset) {
		n.metrics.refused(refusedSlow)
	}
}
