package node

import (
	"bytes"
	"context"
	"slices"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/replica"
)

// gossipers are the judge, the member and the outsider of FuzzValidateGossip, gossiperZones where each is at home.
var (
	gossipers     = []keys.Private{testKey(1), testKey(2), testKey(3)}
	gossiperZones = []mesh.Zone{"z1", "z2", "z3"}
)

// named is a host that is asked for nothing but its name.
type named struct {
	host.Host
	id peer.ID
}

func (h named) ID() peer.ID { return h.id }

// gossipJudge is node 1, which isn't on a network, knows node 2 and holds the beginning of its log.
func gossipJudge(t testing.TB, holds []opMsg) *Node {
	t.Helper()
	m, other := newMember(t, 1), newMember(t, 2)
	m.knows(other)
	if err := m.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	core := newChains(m.key, m.zone(), m.store)
	for _, msg := range holds {
		op, err := operation.Decode(msg.Header)
		if err == nil {
			err = op.TakeBody(msg.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		ev, err := event.Decode(op.Body)
		if err != nil {
			t.Fatal(err)
		}
		fx, _ := core.Step(m.cfg.Now(), replica.Arrived{Op: op, Event: ev, From: other.public()}) // chains never fail
		if err := m.store.Commit(&fx.Persist); err != nil {
			t.Fatal(err)
		}
	}
	n, err := newNode(m.cfg, core, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.host = named{id: idOf(t, n.self)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.verifier.run(ctx, 1) }()
	t.Cleanup(func() { cancel(); <-done })
	return n
}

func idOf(t testing.TB, k keys.Public) peer.ID {
	t.Helper()
	id, err := peerIDOf(k)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// FuzzValidateGossip gives the validator bytes as they stand, what a key says of itself in a heartbeat, and what it says
// in an operation; the latter two are signed as they should be. Whoever passes a message on, the verdict is the same. What
// is accepted is a member's, comes with what was read out of it, and that is written as the very same bytes.
func FuzzValidateGossip(f *testing.F) {
	member, outsider := newScribe(f, 2), newScribe(f, 3)
	held := member.open()
	frame := func(m opMsg) []byte { return encodeOp(kindLive, m.Header, m.Body) }
	update := member.update("a", true)
	for _, m := range []opMsg{held[0], held[1], {held[0].Header, nil}, update, {update.Header, nil}, {falsified(update.Header), update.Body},
		{update.Header, held[0].Body}, member.update("b", false), outsider.open()[0]} {
		f.Add(frame(m), uint8(0), uint8(0))
	}
	beat := sampleBeat()
	beat.Network = testNetwork
	forged := encodeHeartbeat(beat, gossipers[0])
	forged[10] ^= 1
	f.Add(forged, uint8(0), uint8(0))
	for i, k := range gossipers {
		beat.Key, beat.Instance.Zone = k.Public(), gossiperZones[i]
		whole := encodeHeartbeat(beat, k)
		f.Add(whole, uint8(0), uint8(i))
		f.Add(whole[5+keys.SignatureSize+keys.PublicSize:], uint8(1), uint8(i))
		f.Add(update.Body, uint8(2), uint8(i))
		f.Add(held[0].Body, uint8(2), uint8(i))
	}
	f.Add([]byte{}, uint8(0), uint8(0))
	f.Add([]byte{0, 0, 0, 1, byte(kindLive)}, uint8(0), uint8(0))
	f.Add([]byte{0, 0, 0, 9, byte(kindPing), 0, 0, 0, 0, 0, 0, 0, 7}, uint8(0), uint8(0))
	f.Add(append([]byte{0, 1, 0, 0, byte(kindLive)}, make([]byte, gossipMax)...), uint8(0), uint8(0))
	f.Add([]byte{0xff}, uint8(2), uint8(1)) // no event: it may be one of a later version

	n := gossipJudge(f, held)
	peers := []peer.ID{idOf(f, member.key.Public()), idOf(f, outsider.key.Public()), "nobody"}
	f.Fuzz(func(t *testing.T, data []byte, signed, by uint8) {
		k := gossipers[int(by)%len(gossipers)]
		switch signed % 3 {
		case 1:
			data = signedBeat(k, data)
		case 2:
			if data = signedOp(k, data); data == nil {
				return
			}
		}
		as := func(from peer.ID) (pubsub.ValidationResult, any) {
			m := &pubsub.Message{Message: &pb.Message{Data: bytes.Clone(data)}, ReceivedFrom: from}
			verdict := n.validateGossip(t.Context(), from, m)
			if !bytes.Equal(m.Data, data) {
				t.Fatalf("%x became %x", data, m.Data)
			}
			return verdict, m.ValidatorData
		}
		if verdict, read := as(n.host.ID()); verdict != pubsub.ValidationAccept || read != nil {
			t.Fatalf("of our own: %v, %v", verdict, read)
		}
		verdict, read := as(peers[0])
		for _, from := range peers[1:] {
			if other, _ := as(from); other != verdict {
				t.Fatalf("%x is %v from a member and %v from %q", data, verdict, other, from)
			}
		}
		switch verdict {
		case pubsub.ValidationAccept:
			checkGossiped(t, n, data, read, held)
		case pubsub.ValidationReject, pubsub.ValidationIgnore:
			if read != nil {
				t.Fatalf("%x is %v and handed on", data, verdict)
			}
		default:
			t.Fatalf("%x is %v, which is no verdict", data, verdict)
		}
	})
}

// checkGossiped looks at what was read out of a message that was accepted; nothing was if it is held.
func checkGossiped(t *testing.T, n *Node, data []byte, read any, held []opMsg) {
	t.Helper()
	g, ok := read.(gossiped)
	switch {
	case !ok:
		m, err := decodeOp(data[5:])
		if err != nil || !slices.ContainsFunc(held, func(h opMsg) bool { return bytes.Equal(h.Header, m.Header) }) {
			t.Fatalf("%x is taken for held: %v", data, err)
		}
	case g.beat != nil:
		h := g.beat
		i := slices.IndexFunc(gossipers, func(k keys.Private) bool { return k.Public() == h.Key })
		if i < 0 || i > 1 || h.Instance.Zone != gossiperZones[i] || h.Network != testNetwork || g.job != nil {
			t.Fatalf("%+v was accepted", h)
		}
		if !bytes.Equal(encodeHeartbeat(h, gossipers[i]), data) {
			t.Fatalf("%x was taken for %+v", data, h)
		}
	default:
		op := g.job.op
		if !bytes.Equal(encodeOp(kindLive, op.Raw, op.Body), data) {
			t.Fatalf("%x was taken for %x with %x", data, op.Raw, op.Body)
		}
		if n.peers.get(op.Author) == nil || op.Verify() != nil {
			t.Fatalf("an operation of %s was accepted", op.Author)
		}
	}
}

// signedBeat is a heartbeat that says something of a key.
func signedBeat(k keys.Private, said []byte) []byte {
	public := k.Public()
	body := slices.Concat([]byte(heartbeatDomain), public[:], said)
	sig := k.Sign(body)
	return seal(slices.Concat(begin(kindHeartbeat), sig[:], body[len(heartbeatDomain):]))
}

// signedOp is the first operation of whichever log a body is for; nil: nobody can sign that.
func signedOp(k keys.Private, body []byte) []byte {
	inst, err := event.Instance(body)
	if err != nil {
		inst = mesh.Instance{Zone: "z2", Incarnation: 1}
	}
	ev, err := event.Decode(body)
	op, err := operation.Sign(k, operation.Header{Log: mesh.LogIDOf(testNetwork, inst), Timestamp: 1, Prune: err == nil && ev.SnapshotBegin != nil}, body)
	if err != nil {
		return nil
	}
	return encodeOp(kindLive, op.Raw, op.Body)
}
