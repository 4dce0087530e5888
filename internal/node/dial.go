package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// Pauses between two dials of an admitted peer, from the beginning of one to the beginning of the next. There is no
	// last try. A link has to be back 15 s after the way to the peer is: the longest pause leaves 3 s of that for
	// making a connection.
	dialPauseMin = time.Second
	dialPauseMax = 12 * time.Second
	// politeness is how long the side with the larger key lets the other one dial first, so that two nodes that
	// start together make one connection.
	politeness = time.Second
	// stableAfter is how long a link must have lived for the next dial to come without a pause: less than it takes to
	// give one up for silence. A peer that doesn't want us accepts connections and drops them at once.
	stableAfter = 4 * time.Second
	// nameTimeout bounds how long names of endpoints hold up those that are addresses.
	nameTimeout = 5 * time.Second
)

// keepLinked dials a peer whenever no link to it is up.
func (n *Node) keepLinked(ctx context.Context, p *peerEntry) {
	pause := time.Duration(0)
	if bytes.Compare(n.self[:], p.key[:]) > 0 {
		pause = politeness
	}
	began := time.Now() // the last dial
	for ctx.Err() == nil {
		if p.linked() {
			up := time.Now()
			if !p.await(ctx, func() bool { return !p.linked() }, 0) {
				return
			}
			if time.Since(up) > stableAfter {
				pause = 0
			} else {
				pause = nextPause(pause)
			}
			if pause == 0 && bytes.Compare(n.self[:], p.key[:]) > 0 {
				pause = politeness
			}
			began = time.Now()
		}
		if pause > 0 {
			// A dial that waited in vain for an answer has used up some of the pause. News of a way to the peer ends the
			// wait early, but neither so early that it could drive us.
			left := pause*3/4 + rand.N(pause/4+1) - time.Since(began)
			first := min(pause, dialPauseMin)
			if p.await(ctx, p.linked, first) || left > first && p.await(ctx, p.hasNews, left-first) && p.linked() {
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		began = time.Now()
		if err := n.dial(ctx, p); err != nil && ctx.Err() == nil && !p.linked() { // else it came to us meanwhile
			p.failed(err)
			n.log.Debug("dial", "peer", p.key, "err", err)
			if wantsPapers(err) && n.introduce(ctx, p) {
				pause = 0
				continue
			}
		}
		if !p.linked() {
			pause = nextPause(pause)
		}
	}
}

func nextPause(d time.Duration) time.Duration {
	return min(max(2*d, dialPauseMin), dialPauseMax)
}

// await waits until cond holds, checked whenever the links change, and reports whether it does. It gives up
// when ctx ends or, unless it is 0, after limit.
func (p *peerEntry) await(ctx context.Context, cond func() bool, limit time.Duration) bool {
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	for !cond() {
		select {
		case <-p.wake:
		case <-late:
			return cond()
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// dial connects, says hello and opens the long stream.
func (n *Node) dial(ctx context.Context, p *peerEntry) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+helloTimeout)
	defer cancel()
	c, err := n.connect(ctx, p)
	if err != nil {
		p.attempted(n.cfg.Now(), triesOf(err)...)
		return err
	}
	if at, ok := addrPortOf(c.RemoteMultiaddr()); ok && c.Stat().Direction == network.DirOutbound {
		n.book.reached(p.key, at)
	}
	h, err := n.greet(ctx, c)
	p.attempted(n.cfg.Now(), answerOf(c, err))
	if err != nil {
		_ = c.Close() // whatever it is good for, it is not an answer
		return err
	}
	s, err := openStream(ctx, c, n.syncID)
	if err != nil {
		return fmt.Errorf("open the sync stream: %w", err)
	}
	n.startLink(p, s, h, true)
	return nil
}

// connect opens a connection to a peer, or finds the one that is open.
func (n *Node) connect(ctx context.Context, p *peerEntry) (network.Conn, error) {
	p.mu.Lock()
	configured := p.endpoints
	p.news = false
	p.mu.Unlock()
	addrs, err := n.addrsFor(ctx, p, n.book.plan(p.key, configured))
	if err != nil {
		return nil, err
	}
	if s, ok := n.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p.id) // our own schedule rules
	}
	if len(n.host.Network().ConnsToPeer(p.id)) == 0 {
		n.host.Peerstore().ClearAddrs(p.id) // of earlier attempts, and what names stood for then
	}
	if err := n.host.Connect(ctx, peer.AddrInfo{ID: p.id, Addrs: addrs}); err != nil {
		return nil, err
	}
	conns := n.host.Network().ConnsToPeer(p.id)
	if len(conns) == 0 {
		return nil, errors.New("the other side closed the connection at once: it may not admit our key")
	}
	return conns[len(conns)-1], nil
}

// addrsFor resolves the endpoints of one attempt, all at a time: names may stand for something else than at the
// last one. Those that don't resolve are left out as long as others do.
func (n *Node) addrsFor(ctx context.Context, p *peerEntry, endpoints []string) ([]ma.Multiaddr, error) {
	if len(endpoints) == 0 {
		return nil, errNoEndpoint
	}
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	found, errs := make([][]netip.AddrPort, len(endpoints)), make([]error, len(endpoints))
	var wg sync.WaitGroup
	for i, e := range endpoints {
		wg.Go(func() { found[i], errs[i] = resolve(ctx, n.cfg.lookup, e) })
	}
	wg.Wait()
	behind := map[netip.AddrPort]string{}
	var out []ma.Multiaddr
	for i, e := range endpoints {
		for _, at := range found[i] {
			if _, twice := behind[at]; twice {
				continue
			}
			behind[at] = e
			as, err := dialAddrs(at.String())
			if err != nil {
				errs[i] = err
				continue
			}
			out = append(out, as...)
		}
	}
	n.book.trying(p.key, behind)
	var nameless []mesh.DialAttempt
	for i, e := range endpoints {
		if errs[i] != nil {
			nameless = append(nameless, mesh.DialAttempt{Address: e, Error: nameCause(errs[i])})
		}
	}
	p.attempted(n.cfg.Now(), nameless...)
	if len(out) == 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func wasRefused(err error) bool {
	var r refusalMsg
	return errors.As(err, &r)
}

var errNoEndpoint = errors.New("no endpoint is configured; waiting for it to dial us")

// mismatch finds the key that answered in libp2p's words, which hide it in a long list of addresses.
var mismatch = regexp.MustCompile(`peer id mismatch: expected (\w+), but remote key matches (\w+)`)

// describeDialError puts a dial error into a sentence or two for people.
func describeDialError(err error) string {
	text := err.Error()
	if m := mismatch.FindStringSubmatch(text); m != nil {
		if id, err := peer.Decode(m[2]); err == nil {
			if k, err := keyOf(id); err == nil {
				return fmt.Sprintf("peer id mismatch: another key answers there, %s (peer id %s)", k, m[2])
			}
		}
		return m[0]
	}
	var de *swarm.DialError
	if errors.As(err, &de) && len(de.DialErrors) > 0 {
		return dialCauses(de)
	}
	if errors.Is(err, network.ErrReset) {
		return "the other side closed the connection: it may not admit our key"
	}
	const longest = 500
	if len(text) > longest {
		text = text[:longest] + " ..."
	}
	return text
}

// dialCauses says of each endpoint that was dialled what became of it, in the order in which they failed.
func dialCauses(de *swarm.DialError) string {
	var order []string
	tries := map[string]*endpointTry{}
	for _, t := range de.DialErrors {
		transport, at := describeAddr(t.Address)
		if tries[at] == nil {
			tries[at] = &endpointTry{}
			order = append(order, at)
		}
		tries[at].failed(transport, t.Cause)
	}
	const most = 3 // in one line
	var out []string
	for _, at := range order[:min(len(order), most)] {
		out = append(out, at+": "+tries[at].cause())
	}
	text := strings.Join(out, "; ")
	if n := len(order) - most; n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}
