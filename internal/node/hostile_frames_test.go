package node

import (
	"math"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// onslaught is how long an attack that floods goes on at least.
const onslaught = 500 * time.Millisecond

// frameAttacks break the rules of the long stream, or keep them and ask for too much.
func frameAttacks() []attack {
	return []attack{
		{name: "garbage in frames", counts: []string{"malformed", "too_large", "unexpected_message", "invalid_heartbeat"}, assault: func(a *assailant) {
			garbage := func(k kind, n int) []byte { return seal(append(begin(k), make([]byte, n)...)) }
			for _, frame := range [][]byte{
				{0xff, 0xff, 0xff, 0xff, byte(kindOperation)},
				{0, 0, 0, 0, byte(kindPing)},
				garbage(200, 10),
				encodeHello(a.hello()),
				garbage(kindPing, 900),
				{0, 0, 0, 9, byte(kindHave), 0, 0, 0, 1, 0, 0, 15, 255},
				garbage(kindHeartbeat, 500),
				{0, 0, 0, 5, byte(kindHeads), 0, 0, 1, 0},
				garbage(kindTrustOps, 64),
				garbage(kindRecords, 64),
				encodeRedeem(redeemMsg{Versions: protocolVersions, Network: testNetwork, ID: "12345678"}),
			} {
				st := a.linkMute()
				_ = a.say(st, frame)
				if code := ended(a.t, st); code != codeProtocol {
					a.t.Errorf("frame %.8x: reset with %#x, want %#x", frame, code, codeProtocol)
				}
				a.conn.Close()
			}
		}},
		{name: "a frame of 4 MiB that never ends", over: "tcp", counts: []string{"malformed"}, assault: func(a *assailant) {
			st := a.linkMute()
			frame := append(begin(kindOperation), make([]byte, maxBody)...)
			_ = a.say(st, seal(frame)) // one operation that isn't one, as large as one may be
			ended(a.t, st)
		}},
		{name: "pings without end", counts: []string{"too_fast"}, assault: func(a *assailant) {
			st := a.link()
			many := slices.Repeat(encodePing(1), 100)
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return many }) })
			time.Sleep(onslaught)
		}},
		{name: "a sync asked for again and again", counts: []string{"too_fast"}, assault: func(a *assailant) {
			st := a.link()
			a.goOn(func() {
				a.flood(st, math.MaxInt, func(i int) []byte { return encodeHave(haveMsg{Round: uint32(i)}) })
			})
			time.Sleep(onslaught)
		}},
		{name: "comparisons of thousands of logs", over: "tcp", counts: []string{"too_fast"}, assault: func(a *assailant) {
			st := a.link()
			m := encodeHave(haveMsg{1, a.madeUpLogs(maxHaves)})
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return m }) })
			time.Sleep(onslaught)
		}},
		{name: "heights that nobody serves", counts: []string{"not_served"}, assault: func(a *assailant) {
			st := a.link()
			var hs []head
			for _, h := range a.madeUpLogs(maxHeads) {
				hs = append(hs, head{h.Key, h.Instance, h.Next, h.Head})
			}
			b := a.beat(1)
			b.Next, b.Head = math.MaxUint32, fill(0x66)
			_ = a.say(st, append(encodeHeads(hs), encodeHeartbeat(b, a.key)...))
		}},
		{name: "records forged, and too many", counts: []string{"invalid_record", "not_admitted", "too_fast"}, assault: func(a *assailant) {
			st := a.link()
			good, err := sealRecord(a.key, math.MaxUint64, []string{"127.0.0.1:1"})
			if err != nil {
				a.t.Fatal(err)
			}
			forged := slices.Clone(good.raw)
			forged[len(forged)-1] ^= 1
			foreign, _ := sealRecord(hostileKey(9999), 1, []string{"127.0.0.1:1"})
			frame, _ := encodeRecords(slices.Repeat([][]byte{forged, foreign.raw, good.raw, make([]byte, oplog.MaxRecord)}, 8))
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return frame }) })
			time.Sleep(onslaught)
		}},
	}
}

// madeUpLogs are those of the attacker's zone that nobody holds, in order.
func (a *assailant) madeUpLogs(n int) (out []oplog.Have) {
	for i := range n {
		inst := mesh.Instance{Zone: a.zone, Incarnation: mesh.Incarnation(5000 + i)}
		out = append(out, oplog.Have{Key: mesh.LogKey{Author: a.key.Public(), Log: mesh.LogIDOf(testNetwork, inst)}, Instance: inst, Next: math.MaxUint32, Head: fill(1)})
	}
	sortHaves(out)
	return out
}

// answerRounds ends every round that the victim asks for, and serves nothing.
func (a *assailant) answerRounds(st stream) {
	r := newFrameReader(st, st)
	for a.ctx.Err() == nil {
		k, b, err := r.next()
		if err != nil {
			return
		}
		switch k {
		case kindHave:
			m, err := decodeHave(b)
			if err != nil {
				return
			}
			_ = a.say(st, append(encodePreSync(preSyncMsg{Round: m.Round, Count: math.MaxUint64, Bytes: math.MaxUint64}), encodeDone(m.Round)...))
		case kindPing:
			id, _ := decodePing(b)
			_ = a.say(st, encodePong(pongMsg{id, math.MinInt64}))
		}
	}
}

// operationAttacks send operations that must not be taken.
func operationAttacks() []attack {
	return []attack{
		{name: "operations forged or altered", counts: []string{"malformed", "signature_mismatch", "payload_mismatch", "log_id_mismatch",
			"body_missing", "zone_mismatch", "not_admitted", "log_start", "unreadable"}, assault: func(a *assailant) {
			st := a.link()
			ops := a.pen(1000).begin()
			forged, loose := slices.Clone(ops[0].Raw), append(slices.Clone(ops[0].Raw), 0)
			forged[60] ^= 1
			other, outsider := a.pen(1000), a.pen(1000)
			other.inst.Zone = "z2" // the honest peer's
			outsider.key = hostileKey(9999)
			astray, err := operation.Sign(a.key, operation.Header{Log: mesh.LogIDOf("another", other.inst)}, ops[0].Body)
			if err != nil {
				a.t.Fatal(err)
			}
			headless := a.pen(2000)
			var frames []byte
			for _, f := range [][]byte{
				encodeOp(kindLive, []byte("rubbish"), nil),
				encodeOp(kindLive, loose, ops[0].Body), // not canonical
				encodeOp(kindLive, forged, ops[0].Body),
				encodeOp(kindLive, ops[0].Raw, []byte("another body")),
				live(astray),
				encodeOp(kindLive, ops[0].Raw, nil),
				live(headless.update("headless", 10)),
				live(a.pen(3000).sign([]byte("no event"), false)),
				live(outsider.begin()...),
				live(other.begin()...), // another zone's name, and a snapshot in it: last, for it disputes the zone
			} {
				frames = append(frames, f...)
			}
			_ = a.say(st, frames)
		}},
		{name: "absurd numbers", counts: []string{"unreadable"}, assault: func(a *assailant) {
			st := a.link()
			p := a.pen(1000)
			p.time = math.MaxUint64
			_ = a.say(st, live(p.begin()...))
			// Beyond the caps: the encoder refuses them, so they are made of what it takes.
			for _, patch := range []func(u *event.Update){
				func(u *event.Update) { u.Version = mesh.MaxVersion },
				func(u *event.Update) { u.Epoch = mesh.MaxEpoch },
				func(u *event.Update) { u.Birth = mesh.MaxVersion },
			} {
				u := &event.Update{Object: victimObject("far"), Payload: []byte("{}"), Version: 1, Epoch: 1, Birth: 1}
				patch(u)
				body, err := event.Encode(&event.Event{Instance: mesh.Instance{Zone: a.zone, Incarnation: 4000}, Kind: event.KindUpdate, Update: u})
				if err != nil {
					a.t.Fatal(err)
				}
				far := a.pen(4000)
				_ = a.say(st, live(far.sign(oneMore(body), false)))
			}
			late := a.pen(mesh.MaxIncarnation + 1)
			_ = a.say(st, live(late.sign([]byte{0x80}, false)))
		}},
		{name: "operations replayed", counts: []string{"mesh_operations_repeated_total"}, assault: func(a *assailant) {
			st := a.link()
			again := live(a.pen(1000).begin()...)
			for range 1000 {
				if a.say(st, again) != nil {
					return
				}
			}
		}},
		{name: "forged operations without end", over: "tcp", counts: []string{"signature_mismatch", "too_fast"}, assault: func(a *assailant) {
			st := a.link()
			op := a.pen(1000).begin()[0]
			forged := slices.Clone(op.Raw)
			forged[60] ^= 1
			many := slices.Repeat(encodeOp(kindLive, forged, op.Body), 20)
			a.goOn(func() { a.flood(st, math.MaxInt, func(int) []byte { return many }) })
			time.Sleep(onslaught)
		}},
		{name: "a forked log", counts: []string{"mesh_log_forks_total"}, assault: func(a *assailant) {
			st := a.link()
			p := a.pen(1000)
			_ = a.say(st, live(p.begin()...))
			fork := *p
			_ = a.say(st, live(p.update("one", 10), fork.update("two", 10)))
		}},
		{name: "snapshots that lie", counts: []string{"mesh_snapshots_total invalid"}, assault: func(a *assailant) {
			st := a.link()
			p := a.pen(1000)
			_ = a.say(st, live(p.begin()...))
			p.next, p.head = 5000, fill(7) // a run beyond a gap, that claims to replace what stands before it
			_ = a.say(st, live(
				p.write(&event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{Floor: mesh.MaxIncarnation}}),
				p.write(&event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: math.MaxUint32, Digest: fill(1)}})))
		}},
		{name: "thousands of logs", over: "tcp", counts: []string{"incarnation_delayed"}, assault: func(a *assailant) {
			st := a.link()
			for i := range 1000 {
				_ = a.say(st, live(a.pen(mesh.Incarnation(1_000_000 + i)).begin()[0]))
			}
		}},
		{name: "operations whose predecessors never come", over: "tcp", counts: []string{"gap"}, most: cost{memory: 96 << 20, goroutines: 400, streams: 300, conns: 16, disk: 1 << 20, log: 64 << 10}, assault: func(a *assailant) {
			st := a.link()
			p := a.pen(1000)
			_ = a.say(st, live(p.begin()...))
			p.next++
			for range 200 {
				_ = a.say(st, live(p.update("gap", 64<<10)))
			}
		}},
	}
}

// oneMore raises the last number of a body that ends with the largest one its field may hold.
func oneMore(body []byte) []byte {
	b := slices.Clone(body)
	for _, largest := range [][]byte{{0x1b, 0x3f, 255, 255, 255, 255, 255, 255, 255}, {0x1a, 0x7f, 255, 255, 255}} {
		for i := range b {
			if len(b)-i >= len(largest) && slices.Equal(b[i:i+len(largest)], largest) {
				copy(b[i+1:], append([]byte{largest[1] + 1}, make([]byte, len(largest)-2)...))
				return b
			}
		}
	}
	return b
}
