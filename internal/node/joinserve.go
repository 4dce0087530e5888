package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/trust"
)

const (
	// askTimeout is how long whoever opened a stream of the join protocol may take to say all that it has to say,
	// once for its request and once for its acknowledgement.
	askTimeout = 10 * time.Second
	// signPatience is how long a request waits for this node to be able to sign, which takes until it was
	// compared with its peers; signPause lies between two looks.
	signPatience = 20 * time.Second
	signPause    = 200 * time.Millisecond
)

// Codes of a denial that are no replica.Denial.
const (
	deniedNetwork      = "wrong_network"
	deniedIncompatible = "incompatible"
	deniedTries        = "rate_limited"
	deniedProof        = "not_proven"        // what was presented admits nobody here
	deniedIdentity     = "identity_mismatch" // of the client: another node answers
)

// redeemedOK is the result of a request that was granted; all others are codes of denials.
const redeemedOK = "ok"

// redeemResults lists every result, for metrics.
func redeemResults() []string {
	out := []string{redeemedOK, deniedNetwork, deniedIncompatible, deniedTries}
	for _, d := range []replica.Denial{replica.DenialUnknown, replica.DenialExpired, replica.DenialUsed, replica.DenialRevoked,
		replica.DenialFor, replica.DenialZone, replica.DenialNoZone, replica.DenialOther, replica.DenialRemoved,
		replica.DenialBound, replica.DenialNotYet} {
		out = append(out, string(d))
	}
	return out
}

// desk is what serves the join protocol.
type desk struct {
	id protocol.ID
	// Bad tries to redeem and to present are counted apart: a node that was removed and keeps presenting itself
	// must not keep its neighbours from joining.
	redeems, presents *tries
	patience          time.Duration // signPatience
	timeout           time.Duration // askTimeout
}

func newDesk(n mesh.NetworkID, now func() time.Time) *desk {
	return &desk{id: protocolOf(n, "join"), redeems: newTries(badTriesPerMinute, now), presents: newTries(badTriesPerMinute, now),
		patience: signPatience, timeout: askTimeout}
}

// ledger is what the join protocol asks of the replica.
type ledger interface {
	// Redemption tells what became of a request, or would become of it.
	Redemption(now time.Time, q replica.Redeem) replica.Grant
	Invites() []oplog.Invite
	// Credentials are the operations of the trust set that are about this node.
	Credentials() []oplog.TrustOp
	ZoneOf(keys.Public) mesh.Zone
	TrustView() *trust.View
}

// consult runs f on the loop with the replica's ledger.
func (n *Node) consult(ctx context.Context, f func(ledger)) error {
	return n.loop.ask(ctx, func() { f(n.loop.core) })
}

// caller is who opened a stream of the join protocol.
type caller struct {
	key    keys.Public
	source netip.Prefix
}

// answerJoin serves the join protocol to strangers and to members: who was admitted and didn't hear of it asks
// again.
func (n *Node) answerJoin(s network.Stream) {
	key, err := keyOf(s.Conn().RemotePeer())
	v := n.door.of(s.Conn())
	if err != nil || v != nil && !v.begin() {
		n.metrics.refused(refusedOrder)
		_ = s.ResetWithError(codeNotAdmitted)
		return
	}
	end := func() {
		if v != nil {
			v.end()
		}
	}
	served := n.start(func(ctx context.Context) {
		defer end()
		stop := context.AfterFunc(ctx, func() { _ = s.ResetWithError(codeStopped) })
		defer stop()
		c := caller{key, sourceOf(s.Conn().RemoteMultiaddr())}
		if err := n.serveJoin(ctx, s, c); err != nil {
			n.metrics.failed(componentJoin)
			n.cfg.JoinLogger.Debug("an exchange failed", "peer", key, "err", err)
			_ = s.ResetWithError(codeProtocol)
			return
		}
		_ = s.Close()
	})
	if !served {
		end()
		_ = s.ResetWithError(codeStopped)
	}
}

// serveJoin hears what the caller wants and answers it.
func (n *Node) serveJoin(ctx context.Context, s network.Stream, c caller) error {
	_ = s.SetDeadline(time.Now().Add(n.desk.timeout)) // a closed stream shows itself below
	in := &io.LimitedReader{R: s, N: maxAsked}
	r := newFrameReader(in, nil)
	k, b, err := r.next()
	if err != nil {
		return n.badJoin(c, in, err)
	}
	switch k {
	case kindRedeem:
		m, err := decodeRedeem(b)
		if err != nil {
			return n.badJoin(c, in, err)
		}
		return n.answerRedeem(ctx, s, r, c, m)
	case kindPresent:
		m, err := decodePresent(b)
		if err != nil {
			return n.badJoin(c, in, err)
		}
		return n.answerPresent(ctx, s, c, m)
	}
	return n.badJoin(c, in, fmt.Errorf("%w: kind %d on a join stream", errUnexpected, k))
}

// badJoin counts what is no message of the join protocol as a bad try.
func (n *Node) badJoin(c caller, in *io.LimitedReader, err error) error {
	n.desk.redeems.add(c.source)
	switch {
	case in.N == 0:
		n.metrics.refused(refusedTooLarge)
	case isLate(err):
		n.metrics.refused(refusedSlow)
	case errors.Is(err, errUnexpected):
		n.metrics.refused(refusedOrder)
	default:
		n.metrics.refused(refusalOf(err))
	}
	return err
}

// answerRedeem decides about a request, says so, and hears whether the caller knows.
func (n *Node) answerRedeem(ctx context.Context, s network.Stream, r *frameReader, c caller, m redeemMsg) error {
	_ = s.SetDeadline(time.Now().Add(n.desk.patience + n.desk.timeout))
	g, no, err := n.redeem(ctx, c, m)
	if err != nil {
		return err
	}
	if !m.Dry {
		n.metrics.redeemed(no)
	}
	if no != nil {
		return n.deny(s, c, n.desk.redeems, *no)
	}
	_ = s.SetDeadline(time.Now().Add(n.desk.timeout))
	if _, err := s.Write(encodeGranted(*g)); err != nil {
		return err
	}
	if m.Dry {
		return nil
	}
	k, b, err := r.next()
	if err != nil {
		return fmt.Errorf("wait for the acknowledgement: %w", err)
	}
	if _, bad := decodeNothing(b); k != kindAck || bad != nil {
		n.metrics.refused(refusedOrder)
		return errUnexpected
	}
	if err := n.Do(ctx, replica.Acknowledged{ID: m.ID, Key: c.key}); err != nil {
		return err
	}
	_, err = s.Write(encodeAccepted())
	return err
}

// deny says no, and remembers a try that was bad and not just early.
func (n *Node) deny(s network.Stream, c caller, bad *tries, no denialMsg) error {
	switch no.Code {
	case deniedTries:
		n.metrics.refused(refusedTries)
	case string(replica.DenialNotYet):
	default:
		bad.add(c.source)
	}
	n.cfg.JoinLogger.Info("refused to admit a key", "reason", no.Code, "peer", c.key)
	_, err := s.Write(encodeDenied(no))
	return err
}

// redeem judges a request and, unless it is dry, has the admission signed and in force before it returns.
func (n *Node) redeem(ctx context.Context, c caller, m redeemMsg) (*grantMsg, *denialMsg, error) {
	switch {
	case n.desk.redeems.exhausted(c.source):
		return nil, &denialMsg{Code: deniedTries, Text: "too many bad tries from this address: wait a minute"}, nil
	case !slices.Contains(m.Versions, protocolVersion):
		return nil, &denialMsg{Code: deniedIncompatible, Text: fmt.Sprintf("it speaks protocol versions %v, this node speaks %v", m.Versions, protocolVersions)}, nil
	case m.Network != n.cfg.Network:
		return nil, &denialMsg{Code: deniedNetwork, Text: "this node serves another network id"}, nil
	}
	g, fresh, err := n.grant(ctx, c, m)
	if err != nil {
		return nil, nil, err
	}
	if g.Denial != replica.DenialNone {
		return nil, &denialMsg{Code: string(g.Denial), Text: denialText(g), By: g.By}, nil
	}
	out := &grantMsg{Zone: g.Zone, Inviter: n.cfg.Zone, Trust: proof(g.Trust, maxProof)}
	if m.Dry {
		return out, nil, nil
	}
	if !n.isMember(c.key) {
		return nil, nil, fmt.Errorf("key %s was admitted and is no member yet", c.key.Short())
	}
	if fresh {
		n.cfg.JoinLogger.Info("invite redeemed", "invite", m.ID, "peer", c.key, "zone", string(g.Zone))
	}
	out.Contacts = n.contacts(c.key)
	return out, nil, nil
}

// grant asks the replica. While it doesn't sign yet the request is repeated. fresh: the key had not redeemed the
// invitation before.
func (n *Node) grant(ctx context.Context, c caller, m redeemMsg) (g replica.Grant, fresh bool, err error) {
	q := replica.Redeem{ID: m.ID, Secret: m.Secret, Key: c.key, Zone: m.Zone}
	deadline := time.Now().Add(n.desk.patience)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for first := true; ; first = false {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return g, false, context.Cause(ctx)
		}
		zone, taken, err := n.invitation(ctx, q)
		if err != nil {
			return g, false, err
		}
		q.Dead = n.deadKeyOf(zone)
		if first {
			fresh = !taken
		}
		if !m.Dry {
			if err := n.Do(ctx, replica.Redeemed{Redeem: q}); err != nil {
				return g, false, err
			}
		}
		if err := n.consult(ctx, func(l ledger) { g = l.Redemption(n.cfg.Now(), q) }); err != nil {
			return replica.Grant{}, false, err
		}
		if m.Dry && g.Denial == replica.DenialNotYet {
			g.Denial = replica.DenialNone // nothing was reserved: it would be
		}
		if g.Denial != replica.DenialNotYet || time.Now().After(deadline) {
			return g, fresh, nil
		}
		pause.Reset(signPause)
	}
}

// invitation finds out which zone a request is about, and whether its key has redeemed the invitation before.
func (n *Node) invitation(ctx context.Context, q replica.Redeem) (zone mesh.Zone, taken bool, err error) {
	var invites []oplog.Invite
	if err := n.consult(ctx, func(l ledger) { invites = l.Invites() }); err != nil {
		return "", false, err
	}
	zone = q.Zone
	for _, i := range invites {
		if i.ID == q.ID {
			zone = cmp.Or(i.Zone, q.Zone)
			taken = slices.ContainsFunc(i.Taken, func(r oplog.Redemption) bool { return r.Key == q.Key })
		}
	}
	return zone, taken, nil
}

// deadKeyOf returns the key that a zone is bound to if that one is known not to be alive, else zero.
func (n *Node) deadKeyOf(zone mesh.Zone) keys.Public {
	if zone == "" {
		return keys.Public{}
	}
	for _, p := range n.presence.peers() {
		e := n.peers.get(p.Key)
		if e != nil && p.State == mesh.Unavailable && cmp.Or(e.boundZone(), e.saidZone(), p.Zone) == zone {
			return p.Key
		}
	}
	return keys.Public{}
}

const removedText = "the key was removed from the mesh, and a removed key is never admitted again"

// denialText is for the people on the other side.
func denialText(g replica.Grant) string {
	switch g.Denial {
	case replica.DenialUnknown:
		return "this node gave out no such invite, or its secret is wrong"
	case replica.DenialExpired:
		return "the invite has expired by this node's clock"
	case replica.DenialUsed:
		return "the invite was used already, by key " + g.By.Short()
	case replica.DenialRevoked:
		return "the invite was revoked"
	case replica.DenialFor:
		return "the invite is for another key"
	case replica.DenialZone:
		return fmt.Sprintf("zone %q belongs to key %s, which is not known to be gone", g.Zone, g.By.Short())
	case replica.DenialNoZone:
		return "neither the invite nor the request names a zone"
	case replica.DenialOther:
		return fmt.Sprintf("the invite admits as zone %q only", g.Zone)
	case replica.DenialRemoved:
		return removedText
	case replica.DenialBound:
		return "the key is a member already, as another zone"
	case replica.DenialNotYet:
		return "this node doesn't sign yet: ask again in a moment"
	}
	return "refused: " + string(g.Denial)
}

// contacts tells who joined how to reach others: members that can be dialled, those that are linked first.
func (n *Node) contacts(but keys.Public) []contactMsg {
	all := n.peers.all()
	slices.SortStableFunc(all, func(a, b *peerEntry) int {
		switch la, lb := a.linked(), b.linked(); {
		case la && !lb:
			return -1
		case lb && !la:
			return 1
		}
		return 0
	})
	var out []contactMsg
	for _, p := range all {
		if len(out) == maxContacts {
			break
		}
		if e := n.reachedAt(p); p.key != but && len(e) > 0 {
			out = append(out, contactMsg{p.key, cmp.Or(p.boundZone(), p.saidZone()), e})
		}
	}
	return out
}

// reachedAt lists where a peer can be dialled: first where a link to it goes that we opened.
func (n *Node) reachedAt(p *peerEntry) []string {
	var all []string
	for _, l := range p.current() {
		if _, hostport := describeAddr(l.s.Conn().RemoteMultiaddr()); l.ours {
			all = append(all, hostport)
		}
	}
	p.mu.Lock()
	all = append(all, p.endpoints...)
	p.mu.Unlock()
	var out []string
	for _, e := range append(all, n.book.known(p.key)...) {
		if _, err := dialAddrs(e); err == nil && len(e) <= maxText && !slices.Contains(out, e) && len(out) < maxContactEndpoints {
			out = append(out, e)
		}
	}
	return out
}
