package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"dcp.hiro.io/mesh/internal/mesh"
)

// maxAttempts is how many addresses are remembered of a peer with what answered there.
const maxAttempts = 8

// attempted remembers how attempts to reach the peer ended: the newest of each address and transport.
func (p *peerEntry) attempted(now time.Time, tries ...mesh.DialAttempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now = now.UTC().Round(0)
	for _, t := range tries {
		t.At, t.Since = now, now
		i := slices.IndexFunc(p.attempts, func(o mesh.DialAttempt) bool { return o.Address == t.Address && o.Transport == t.Transport })
		if i >= 0 {
			if p.attempts[i].Error == t.Error {
				t.Since = p.attempts[i].Since
			}
			p.attempts = slices.Delete(p.attempts, i, i+1)
		}
		p.attempts = slices.Insert(p.attempts, 0, t)
	}
	p.attempts = p.attempts[:min(len(p.attempts), maxAttempts)]
}

// triesOf says of each address of a failed dial what became of it.
func triesOf(err error) []mesh.DialAttempt {
	var de *swarm.DialError
	if !errors.As(err, &de) {
		return nil
	}
	var out []mesh.DialAttempt
	for _, t := range de.DialErrors {
		transport, at := describeAddr(t.Address)
		out = append(out, mesh.DialAttempt{Address: at, Transport: transport, Error: dialCause(t.Cause)})
	}
	return out
}

// answerOf says how it went at the address that answered.
func answerOf(c network.Conn, err error) mesh.DialAttempt {
	transport, at := describeAddr(c.RemoteMultiaddr())
	t := mesh.DialAttempt{Address: at, Transport: transport}
	if err != nil {
		t.Error = describeDialError(err)
	}
	return t
}

// dialCause puts into words why one address by one transport didn't lead to the peer.
func dialCause(err error) string {
	if err == nil {
		return "no answer"
	}
	if k, ok := foundInstead(err); ok {
		return fmt.Sprintf("another key answers there: %s (peer id %s)", k, k.PeerID())
	}
	switch failureOf(err) {
	case failedRefused:
		return "connection refused: no node listens there"
	case failedRoute:
		return "there is no route to it from here"
	case failedSelf:
		return "that is this node itself"
	case failedLater:
		return "something answers there and closed the connection: it may be busy, or no mesh node"
	}
	return "no answer"
}

// nameCause says why an endpoint has no address.
func nameCause(err error) string { return (&endpointTry{resolve: err}).cause() }
