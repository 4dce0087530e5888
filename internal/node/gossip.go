package node

import (
	"context"
	"errors"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// gossipMax is the largest message: one frame of a small operation or of a heartbeat. Larger operations
	// travel by sync alone, for every neighbour would get several copies.
	gossipMax = 64 << 10
	// gossipQueue replaces queues of 32 that lose two messages of three in a burst.
	gossipQueue = 1024
	// gossipAnyway is how many heartbeats pass between two that are gossiped for those who seem to be gone.
	gossipAnyway = 6
	// gossipBeat is how often gossip tends its mesh and its scores. What it sends of its own accord, it sends at once;
	// a neighbour that is gone is replaced this much later at most, and a process that has nothing to do wakes up
	// less often.
	gossipBeat = 3 * time.Second
	// gossipBan ends the connection to a peer whose score falls below it: nine invalid messages or so.
	gossipBan = -400
)

// gossip carries small operations and heartbeats to zones that are no direct neighbours. It loses messages
// by design and nothing depends on it. A message is one frame, as on a link, of kind Live or Heartbeat; both
// carry signatures of their own, so the layer adds none.
type gossip struct {
	topic *pubsub.Topic
	sub   *pubsub.Subscription
}

// newGossip joins the one topic of the network. It must come before the first connection: later on, some
// peers would never learn that we speak it. It ends with ctx.
func newGossip(ctx context.Context, n *Node) (*gossip, error) {
	prefix := "/mesh/" + mesh.Sum([]byte(n.cfg.Network)).String()[:16]
	// Own protocol ids keep other networks out. Features are looked up by id.
	v12, v11 := protocol.ID(prefix+"/meshsub/1.2.0"), protocol.ID(prefix+"/meshsub/1.1.0")
	feature := func(f pubsub.GossipSubFeature, p protocol.ID) bool {
		switch f {
		case pubsub.GossipSubFeatureMesh, pubsub.GossipSubFeaturePX:
			return p == v11 || p == v12
		case pubsub.GossipSubFeatureIdontwant:
			return p == v12
		}
		return false
	}
	name := prefix + "/gossip/1.0.0"
	score := &pubsub.PeerScoreParams{
		AppSpecificScore: func(peer.ID) float64 { return 0 }, AppSpecificWeight: 1,
		BehaviourPenaltyWeight: -1, BehaviourPenaltyThreshold: 6, BehaviourPenaltyDecay: 0.73, // 0.9 a second
		DecayInterval: gossipBeat, DecayToZero: 0.01, RetainScore: 10 * time.Minute,
		Topics: map[string]*pubsub.TopicScoreParams{name: {
			SkipAtomicValidation: true, TopicWeight: 1,
			TimeInMeshQuantum:              time.Second,                              // 0 makes it divide by zero
			InvalidMessageDeliveriesWeight: -10, InvalidMessageDeliveriesDecay: 0.91, // 0.97 a second
		}},
	}
	params := pubsub.DefaultGossipSubParams()
	params.HeartbeatInterval = gossipBeat
	ps, err := pubsub.NewGossipSub(ctx, insiders{n.host, n},
		pubsub.WithGossipSubParams(params),
		pubsub.WithGossipSubProtocols([]protocol.ID{v12, v11}, feature),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { h := mesh.Sum(m.GetData()); return string(h[:]) }),
		pubsub.WithMaxMessageSize(gossipMax+4096), // the envelope counts too
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(name), 8)),
		pubsub.WithPeerScore(score, &pubsub.PeerScoreThresholds{
			GossipThreshold: -100, PublishThreshold: -200, GraylistThreshold: gossipBan,
			AcceptPXThreshold: 0, OpportunisticGraftThreshold: 1}),
		pubsub.WithPeerScoreInspect(n.gossipScores, 5*time.Second),
		pubsub.WithAppSpecificRpcInspector(n.mayGossip),
	)
	if err != nil {
		return nil, err
	}
	if err := ps.RegisterTopicValidator(name, n.validateGossip,
		pubsub.WithValidatorConcurrency(64), pubsub.WithValidatorTimeout(2*time.Second)); err != nil {
		return nil, err
	}
	topic, err := ps.Join(name)
	if err != nil {
		return nil, err
	}
	sub, err := topic.Subscribe(pubsub.WithBufferSize(gossipQueue))
	if err != nil {
		return nil, err
	}
	return &gossip{topic, sub}, nil
}

// insiders is the host as gossip is shown it: libp2p tells gossip of every connection, and gossip would greet
// strangers, and listen to them.
type insiders struct {
	host.Host
	n *Node
}

// errStranger tells gossip that there is nobody to talk to.
var errStranger = errors.New("the peer is not admitted")

func (h insiders) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	if !h.n.gater.admits(p) {
		return nil, errStranger
	}
	return h.Host.NewStream(ctx, p, ids...)
}

func (h insiders) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) {
		if h.n.isStranger(s.Conn()) {
			h.n.metrics.refused(refusedNotAdmitted)
			_ = s.ResetWithError(codeNotAdmitted)
			return
		}
		handle(s)
	})
}

// gossipScores ends connections to peers that gossip rubbish: a low score alone leaves them up.
func (n *Node) gossipScores(scores map[peer.ID]float64) {
	for id, s := range scores {
		if s < gossipBan && n.host.Network().Connectedness(id) == network.Connected { // a score outlives the connection
			n.log.Warn("closing the connection to a peer that gossips invalid messages", "peer", id.String())
			n.start(func(context.Context) { _ = n.host.Network().ClosePeer(id) }) // the callback must not block
		}
	}
}

// errGossip has gossip drop what a peer said.
var errGossip = errors.New("more control messages than any node has to send")

// mayGossip is asked of everything that a peer gossips. gossip ignores most of what is beyond its own limits, but reads
// and answers the rest as fast as it comes, on the one goroutine that all peers share.
func (n *Node) mayGossip(id peer.ID, rpc *pubsub.RPC) error {
	units := len(rpc.GetSubscriptions())
	if c := rpc.GetControl(); c != nil {
		units += len(c.GetGraft()) + len(c.GetPrune())
		for _, i := range c.GetIhave() {
			units += 1 + len(i.GetMessageIDs())/64
		}
		for _, i := range c.GetIwant() {
			units += 1 + len(i.GetMessageIDs())/64
		}
	}
	if units == 0 {
		return nil
	}
	key, err := keyOf(id)
	if err != nil {
		return errGossip
	}
	p, now := n.peers.get(key), time.Now()
	if p == nil {
		n.metrics.refused(refusedNotAdmitted)
		return errGossip
	}
	if p.gossips.take(gossipPace, now, units) {
		return nil
	}
	n.metrics.refused(refusedFast)
	if !p.excess.take(excessPace, now, 1) {
		n.start(func(context.Context) { _ = n.host.Network().ClosePeer(id) }) // gossip must not wait for it
	}
	return errGossip
}

// gossiped is a message that passed the validator.
type gossiped struct {
	job  *job
	beat *heartbeat
}

// validateGossip runs every check that needs no state, so that nothing unverified is forwarded.
func (n *Node) validateGossip(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == n.host.ID() {
		return pubsub.ValidationAccept
	}
	if len(m.Data) < 5 || len(m.Data) > gossipMax || uint64(be.Uint32(m.Data)) != uint64(len(m.Data)-4) {
		n.metrics.refused(refusedMalformed)
		return pubsub.ValidationReject
	}
	switch kind(m.Data[4]) {
	case kindLive:
		op, err := decodeOp(m.Data[5:])
		if err != nil {
			n.metrics.refused(refusalOf(err))
			return pubsub.ValidationReject
		}
		if n.diskLow() {
			n.metrics.refused(refusedDiskLow)
			return pubsub.ValidationIgnore
		}
		checking := &batch{jobs: []job{{msg: op}}, each: true} // who passes on what doesn't hold is taken for its author
		if err := n.verifier.submit(ctx, checking); err != nil {
			return pubsub.ValidationIgnore
		}
		<-checking.done
		j := &checking.jobs[0]
		switch {
		case j.reason != "":
			n.metrics.refused(j.reason)
			return pubsub.ValidationReject
		case j.held:
			return pubsub.ValidationAccept // to be passed on: others may not hold it
		case j.hint:
			n.metrics.refused(refusedNoBody)
			return pubsub.ValidationIgnore
		case n.peers.get(j.op.Author) == nil:
			n.metrics.refused(refusedNotAdmitted)
			return pubsub.ValidationIgnore
		}
		m.ValidatorData = gossiped{job: j}
	case kindHeartbeat:
		h, err := decodeHeartbeat(m.Data[5:])
		if err != nil {
			n.metrics.refused(refusedHeartbeat)
			return pubsub.ValidationReject
		}
		if why := n.disbelieved(h); why != "" {
			n.metrics.refused(why)
			return pubsub.ValidationIgnore
		}
		m.ValidatorData = gossiped{beat: h}
	default:
		n.metrics.refused(refusedOrder)
		return pubsub.ValidationReject
	}
	return pubsub.ValidationAccept
}

// readGossip hands what was validated to the loop and to presence, until ctx ends.
func (n *Node) readGossip(ctx context.Context, from *gossip) error {
	for {
		m, err := from.sub.Next(ctx)
		if err != nil {
			return nil // only when ctx ends
		}
		g, ok := m.ValidatorData.(gossiped)
		if !ok {
			continue // our own, or held already
		}
		n.metrics.received("", typeGossip)
		if g.beat != nil {
			n.heard(ctx, g.beat, false)
			continue
		}
		from, err := keyOf(m.ReceivedFrom)
		if err != nil {
			continue
		}
		in := replica.Arrived{Op: g.job.op, Event: g.job.event, From: from}
		size := len(g.job.msg.Header) + len(g.job.msg.Body)
		if n.loop.put(ctx, n.loop.remote, entry{in: in, size: size}) != nil {
			return nil
		}
	}
}

// outOfReach says whom gossip has to reach because no link does; nobody where it is switched off.
func (n *Node) outOfReach() membership.Reach {
	if n.gossip.Load() == nil {
		return membership.AllLinked
	}
	return n.presence.reach()
}

// gossipOperation is for operations of our own, while somebody is out of reach.
func (n *Node) gossipOperation(op replica.Published) {
	if len(op.Header)+len(op.Body)+64 > gossipMax {
		return
	}
	n.gossipSend(encodeOp(kindLive, op.Header, op.Body))
}

// gossipHeartbeat sends one to those whom no link takes it to: several copies of it, which each node passes on, are too
// much for those who have it already. Somebody who seems to be gone may be cut off from us alone, and not know of us
// either; the first that each hears of the other is such a heartbeat that is gossiped anyway.
func (n *Node) gossipHeartbeat(h *heartbeat) {
	reach := n.outOfReach()
	if reach == membership.SomeBeyond || reach == membership.SomeGone && h.Counter%gossipAnyway == 0 {
		n.gossipSend(encodeHeartbeat(h, n.cfg.Key))
	}
}

// gossipSend publishes without waiting for anyone.
func (n *Node) gossipSend(frame []byte) {
	select {
	case n.gossipOut <- frame:
	default: // gossip may lose messages
	}
}

// writeGossip publishes what was queued: Publish runs the validators itself, which the loop need not wait for.
func (n *Node) writeGossip(ctx context.Context, to *gossip) error {
	for {
		select {
		case frame := <-n.gossipOut:
			if err := to.topic.Publish(ctx, frame); err == nil {
				n.metrics.sent(typeGossip, 1)
			} else if ctx.Err() == nil {
				n.log.Debug("gossip", "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}
