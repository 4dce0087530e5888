package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
)

// seekBatch is how many addresses are dialled at once: libp2p remembers no more causes than that.
const seekBatch = 16

// seeker finds a node behind one of several endpoints, and remembers what became of each.
type seeker struct {
	host      host.Host
	id        peer.ID
	endpoints []string
	lookup    lookup

	endpoint string            // that the last connection was made to
	of       map[string]string // endpoint by address dialled
	tries    map[string]*endpointTry
}

// endpointTry is what is known of an endpoint that didn't lead to the node.
type endpointTry struct {
	resolve error // the name has no address
	udp     error
	tcp     error
	found   keys.Public // another node that answered there
}

func newSeeker(h host.Host, id peer.ID, endpoints []string) *seeker {
	return &seeker{host: h, id: id, endpoints: endpoints, lookup: lookupName}
}

// connect opens a connection to the node by whichever endpoint answers first. The error is a *JoinRefused if only
// other nodes answered, else a *JoinUnreachable.
func (s *seeker) connect(ctx context.Context) (network.Conn, error) {
	s.of, s.tries = map[string]string{}, map[string]*endpointTry{}
	addrs := s.addresses(ctx)
	if sw, ok := s.host.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(s.id)
	}
	for len(addrs) > 0 {
		n := min(len(addrs), seekBatch)
		s.host.Peerstore().ClearAddrs(s.id)
		err := s.dial(ctx, addrs[:n])
		if err == nil {
			if cs := s.host.Network().ConnsToPeer(s.id); len(cs) > 0 {
				s.endpoint = s.endpointOf(cs[0].RemoteMultiaddr())
				return cs[0], nil
			}
			err = errLost
		}
		s.note(err, addrs[:n])
		addrs = addrs[n:]
	}
	return nil, s.failure()
}

func (s *seeker) dial(ctx context.Context, addrs []ma.Multiaddr) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+time.Second)
	defer cancel()
	return s.host.Connect(ctx, peer.AddrInfo{ID: s.id, Addrs: addrs})
}

func (s *seeker) endpointOf(a ma.Multiaddr) string {
	if e, ok := s.of[a.String()]; ok {
		return e
	}
	_, e := describeAddr(a)
	return e
}

// addresses resolves every endpoint. Names are resolved here rather than by libp2p, so that it is known which of
// them fails and which endpoint an address stands for.
func (s *seeker) addresses(ctx context.Context) (out []ma.Multiaddr) {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	found := make([][]netip.AddrPort, len(s.endpoints))
	var wg sync.WaitGroup
	for i, e := range s.endpoints {
		t := &endpointTry{}
		s.tries[e] = t
		wg.Go(func() { found[i], t.resolve = resolve(ctx, s.lookup, e) })
	}
	wg.Wait()
	for i, e := range s.endpoints {
		for _, at := range found[i] {
			as, err := dialAddrs(at.String())
			if err != nil {
				s.tries[e].resolve = err
				continue
			}
			for _, a := range as {
				if _, twice := s.of[a.String()]; !twice {
					s.of[a.String()] = e
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// note spreads a dial error over the endpoints whose addresses were dialled.
func (s *seeker) note(err error, addrs []ma.Multiaddr) {
	causes := map[string]error{}
	var de *swarm.DialError
	if errors.As(err, &de) {
		for _, t := range de.DialErrors {
			causes[t.Address.String()] = t.Cause
		}
	}
	for _, a := range addrs {
		cause := causes[a.String()]
		if cause == nil {
			cause = err
		}
		t := s.tries[s.of[a.String()]]
		if k, ok := foundInstead(cause); ok {
			t.found = k
		}
		transport, _ := describeAddr(a)
		t.failed(transport, cause)
	}
}

// failed notes how the dial by one transport ended.
func (t *endpointTry) failed(transport string, cause error) {
	if transport == "quic" {
		t.udp = cause
	} else {
		t.tcp = cause
	}
}

// foundInstead is the key of another node that answered.
func foundInstead(err error) (keys.Public, bool) {
	m := mismatch.FindStringSubmatch(err.Error())
	if m == nil {
		return keys.Public{}, false
	}
	id, err := peer.Decode(m[2])
	if err != nil {
		return keys.Public{}, false
	}
	k, err := keyOf(id)
	return k, err == nil
}

// failure sums up. Another node at an endpoint outweighs endpoints that don't answer.
func (s *seeker) failure() error {
	var tries []JoinTry
	for _, e := range s.endpoints {
		t := s.tries[e]
		if !t.found.IsZero() {
			return &JoinRefused{Code: deniedIdentity, By: t.found,
				Text: fmt.Sprintf("the node at %s is not the inviter: it has key %s", e, t.found)}
		}
		tries = append(tries, JoinTry{e, t.cause()})
	}
	return &JoinUnreachable{tries}
}

// cause puts into words why an endpoint didn't lead to the node.
func (t *endpointTry) cause() string {
	if t.resolve != nil {
		var dns *net.DNSError
		switch {
		case errors.As(t.resolve, &dns) && dns.IsNotFound:
			return fmt.Sprintf("the name %s has no address", dns.Name)
		case errors.As(t.resolve, &dns):
			return fmt.Sprintf("the name %s cannot be resolved: %s", dns.Name, dns.Err)
		}
		return t.resolve.Error()
	}
	udp, tcp := failureOf(t.udp), failureOf(t.tcp)
	switch {
	case tcp == failedSelf || udp == failedSelf:
		return "that is an address of this machine, and this node itself"
	case tcp == failedLater && udp == failedSilent:
		return "UDP is blocked or not forwarded; TCP is open, but no mesh node answers there"
	case tcp == failedLater || udp == failedLater:
		return "something answers there, but it closed the connection: it may be busy, or no mesh node"
	case tcp == failedRefused:
		return "the connection was refused: no node listens there"
	case tcp == failedRoute:
		return "there is no route to it from here"
	}
	return "no answer: it is down, the address is wrong, or a firewall drops what is sent there"
}

// failed says how a dial ended.
type failed int

const (
	failedSilent  failed = iota // nothing came back
	failedRefused               // somebody said that nobody listens
	failedRoute                 // it cannot be sent there
	failedSelf                  // it is this node's own
	failedLater                 // it was open, and ended in the handshake or after
)

// failureOf reads a dial error of libp2p, which keeps the kernel's words.
func failureOf(err error) failed {
	if err == nil {
		return failedSilent
	}
	text := err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	var timeout net.Error
	switch {
	case has("connection refused"):
		return failedRefused
	case has("no route to host"), has("network is unreachable"), has("cannot assign requested address"):
		return failedRoute
	case errors.Is(err, swarm.ErrDialToSelf), has("dial to self"):
		return failedSelf
	case has("negotiate"), has("connection reset"), has("EOF"), errors.Is(err, errLost):
		return failedLater
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(), has("timeout"):
		return failedSilent
	}
	return failedLater
}
