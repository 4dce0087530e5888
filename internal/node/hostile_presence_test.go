package node

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"dcp.hiro.io/mesh/internal/mesh"
)

// stream is what the attacks need of one.
type stream = network.Stream

// presenceAttacks lie about who is alive and where.
func presenceAttacks() []attack {
	return []attack{
		{name: "heartbeats that lie", counts: []string{"wrong_network", "zone_mismatch", "unexpected_message", "invalid_heartbeat"}, assault: func(a *assailant) {
			was := a.v.ask("gauge", "").Counts
			st := a.link()
			huge, elsewhere, posing, late := a.beat(math.MaxUint64), a.beat(1), a.beat(2), a.beat(3)
			huge.Next, huge.Head, huge.Digest, huge.Life, huge.Started = math.MaxUint32, fill(1), fill(2), math.MaxUint64, math.MaxUint64
			for range maxBeatView {
				huge.View = append(huge.View, sight{"z2", mesh.Unavailable, true, math.MaxUint16, math.MaxUint64})
			}
			huge.Echoes = []echo{{testKey(1).Public(), runID{1}, math.MaxUint64}}
			elsewhere.Network = "another"
			posing.Instance.Zone = "z2"
			late.Instance.Incarnation = mesh.MaxIncarnation + 1
			for _, h := range []*heartbeat{elsewhere, posing, late, huge} {
				_ = a.say(st, encodeHeartbeat(h, a.key))
			}
			until(a.t, "the first ones are read", func() bool { // before another link takes the place of theirs
				now := a.v.ask("gauge", "").Counts
				return now["wrong_network"] > was["wrong_network"] && now["zone_mismatch"] > was["zone_mismatch"]
			})
			for _, frame := range [][]byte{
				encodeHeartbeat(&heartbeat{Key: honestKey().Public(), Network: testNetwork, Instance: mesh.Instance{Zone: "z2"}, Counter: math.MaxUint64}, honestKey()), // another's, replayed
				encodeHeartbeat(&heartbeat{Key: honestKey().Public(), Network: testNetwork, Instance: mesh.Instance{Zone: "z2"}}, a.key),                                // forged
			} {
				st := a.linkMute()
				_, _ = st.Write(frame)
				ended(a.t, st)
				a.conn.Close()
			}
		}},
		{name: "heartbeats without end", counts: []string{"too_fast"}, assault: func(a *assailant) {
			st := a.link()
			var many []byte
			for i := range 50 {
				many = append(many, encodeHeartbeat(a.beat(uint64(i+1)), a.key)...)
			}
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return many }) })
			time.Sleep(onslaught)
		}},
	}
}

// connectionAttacks are about what stands below the protocols.
func connectionAttacks() []attack {
	return []attack{
		{name: "hellos refused again and again", counts: []string{"zone_mismatch", "wrong_network", "protocol_version", "malformed", "too_fast"}, assault: func(a *assailant) {
			zone, netw, old, far := a.hello(), a.hello(), a.hello(), a.hello()
			zone.Instance.Zone, netw.Network, old.Versions, far.Instance.Incarnation = "z2", "another", []uint16{77}, mesh.MaxIncarnation+1
			for i := range 100 { // one a second is not too fast
				a.connect()
				_, _ = a.greet([]hello{zone, netw, old, far}[i%4])
				a.conn.Close()
			}
		}},
		{name: "connections made and dropped", over: "tcp", counts: []string{"too_fast"}, assault: func(a *assailant) {
			for range 100 {
				a.connect()
				a.tryLink()
				a.conn.Close()
			}
		}},
		{name: "one link after another, each of another process", counts: []string{"too_fast"}, assault: func(a *assailant) {
			for i := range 60 {
				a.run[3] = byte(i)
				a.connect()
				if st, err := a.tryLink(); err == nil {
					_, _ = st.Write(encodeHeartbeat(a.beat(1), a.key))
				}
			}
		}},
		{name: "thousands of streams", over: "tcp", reconnect: true, most: cost{memory: 96 << 20, goroutines: 1500, streams: 600, conns: 16, disk: 1 << 20, log: 64 << 10},
			counts: []string{"libp2p_rcmgr_blocked_resources"}, assault: func(a *assailant) {
				a.linkMute()
				for i := range 3000 {
					id := a.protocols()[i%len(a.protocols())]
					st, err := a.conn.NewStream(a.ctx)
					if err != nil {
						continue
					}
					_ = st.SetProtocol(id)
					_, _ = st.Write(offer(id)) // and nothing more
				}
			}},
	}
}

// protocols lists what a victim serves.
func (a *assailant) protocols() []protocol.ID {
	of := func(name string) protocol.ID { return protocolOf(testNetwork, name) }
	gossips := protocol.ID(strings.TrimSuffix(string(of("hello")), "hello/1.0.0") + "meshsub/1.2.0")
	return []protocol.ID{of("hello"), of("sync"), of("join"), of("dialback"), gossips, "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"}
}

// offer is how a stream says what it is for, without waiting for the answer.
func offer(id protocol.ID) []byte {
	line := func(s string) []byte { return append([]byte{byte(len(s) + 1)}, s+"\n"...) }
	return slices.Concat(line("/multistream/1.0.0"), line(string(id)))
}
