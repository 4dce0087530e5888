package node

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// What gossip says is protobuf; these are the few fields of it that the attacks need.

func field(n int, v []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n<<3|2)), uint64(len(v))), v...)
}

func number(n int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n<<3)), v)
}

func cat(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// rpc is one message of gossip.
func rpc(parts ...[]byte) []byte {
	b := cat(parts...)
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

func gossipTopic() []byte {
	return []byte(strings.TrimSuffix(string(protocolOf(testNetwork, "hello")), "hello/1.0.0") + "gossip/1.0.0")
}

func publish(data []byte) []byte { return field(2, cat(field(2, data), field(4, gossipTopic()))) }

func subscribe(topic []byte) []byte { return field(1, cat(number(1, 1), field(2, topic))) }

// gossip becomes a linked member that gossips, and returns the stream to the victim.
func (a *assailant) gossip() network.Stream {
	id := protocol.ID(strings.TrimSuffix(string(protocolOf(testNetwork, "hello")), "hello/1.0.0") + "meshsub/1.2.0")
	a.host.SetStreamHandler(id, func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	a.link()
	var st network.Stream
	until(a.t, "a gossip stream", func() bool {
		var err error
		st, err = a.open(id)
		return err == nil
	})
	_, _ = st.Write(rpc(subscribe(gossipTopic())))
	return st
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// gossipAttacks misuse gossip.
func gossipAttacks() []attack {
	return []attack{
		{name: "gossip of forged operations and heartbeats", counts: []string{"signature_mismatch", "invalid_heartbeat", "unexpected_message", "wrong_network", "not_admitted", "body_missing"}, assault: func(a *assailant) {
			st := a.gossip()
			mine, outsider := a.pen(1000), a.pen(1000)
			outsider.key = hostileKey(9999)
			for i := range uint64(3) { // what is judged too late is not counted
				op := mine.begin()[0]
				forged := append([]byte(nil), op.Raw...)
				forged[60] ^= 1
				elsewhere := a.beat(2*i + 1)
				elsewhere.Network = "another"
				bad := encodeHeartbeat(a.beat(2*i+2), a.key)
				bad[10] ^= 1
				for _, f := range [][]byte{
					encodeHeartbeat(elsewhere, a.key), live(outsider.begin()[0]), encodeOp(kindLive, op.Raw, nil),
					encodeOp(kindLive, forged, op.Body), bad, encodePing(i),
				} {
					_, _ = st.Write(rpc(publish(f)))
				}
			}
		}},
		{name: "gossip control without end", over: "tcp", counts: []string{"too_fast"}, assault: func(a *assailant) {
			st := a.gossip()
			topic := field(1, gossipTopic())
			var ids, wants []byte
			for range 200 {
				ids = append(ids, field(2, randomBytes(32))...)
				wants = append(wants, field(1, randomBytes(32))...)
			}
			one := rpc(
				subscribe(gossipTopic()), subscribe(randomBytes(40)),
				field(3, cat(field(1, cat(topic, ids)), field(2, wants), field(3, topic), field(4, cat(topic, number(3, math.MaxUint64))), field(5, wants))))
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return one }) })
			time.Sleep(onslaught)
		}},
	}
}
