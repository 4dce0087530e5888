package node

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// slowAttacks take their time, or make the victim take it. All of them run beside each other: assault returns when the
// victim has put an end to it.
func slowAttacks() []attack {
	never := func(protocol string, begun []byte) func(a *assailant) {
		return func(a *assailant) {
			a.connect()
			var sts []network.Stream
			for range 10 {
				if st, err := a.open(protocolOf(testNetwork, protocol)); err == nil {
					_, _ = st.Write(begun)
					sts = append(sts, st)
				}
			}
			for _, st := range sts {
				ended(a.t, st)
			}
		}
	}
	return []attack{
		{name: "a hello never finished", over: "tcp", assault: never("hello", []byte{0, 0, 1, 0, byte(kindHello), 0})},
		{name: "a join never finished", over: "udp", assault: never("join", []byte{0, 0, 1, 0, byte(kindRedeem), 0})},
		{name: "a dial-back never asked for", over: "tcp", assault: never("dialback", []byte{0, 0, 0, 1})},
		{name: "a stranger's join never finished", over: "udp", stranger: true, assault: never("join", []byte{0, 0, 1, 0, byte(kindRedeem), 0})},
		{name: "a frame sent byte by byte", over: "tcp", assault: func(a *assailant) {
			st := a.linkMute()
			a.trickle(st, append([]byte{0, 0, 0x80, 1, byte(kindOperation)}, make([]byte, 0x8000)...))
		}},
		{name: "a length and nothing more", over: "udp", assault: func(a *assailant) {
			st := a.linkMute()
			_, _ = st.Write([]byte{0, 0, 1})
			ended(a.t, st)
		}},
		{name: "a link that is silent", over: "tcp", assault: func(a *assailant) {
			a.linkMute()
			until(a.t, "the silent connection is closed", a.conn.IsClosed)
		}},
		{name: "a link that asks and doesn't read", over: "udp", assault: func(a *assailant) { a.askAndNotRead() }},
		{name: "a link that asks and doesn't read, over TCP", over: "tcp", assault: func(a *assailant) { a.askAndNotRead() }},
		{name: "dial-backs to look around", over: "tcp", assault: func(a *assailant) { a.lookAround() }},
		{name: "gossip of garbage", over: "udp", assault: func(a *assailant) {
			st := a.gossip()
			a.flood(st, 50, func(int) []byte { return rpc(publish(randomBytes(100))) })
			until(a.t, "the connection is closed", a.conn.IsClosed)
		}},
	}
}

// trickle writes a byte at a time, as long as the victim has patience.
func (a *assailant) trickle(st network.Stream, b []byte) {
	a.t.Helper()
	until(a.t, "the stream is ended", func() bool {
		_, err := st.Write(b[:1])
		b = b[1:]
		time.Sleep(20 * time.Millisecond)
		return err != nil
	})
}

// askAndNotRead asks for all that the victim holds and seems to be alive, but reads nothing of it.
func (a *assailant) askAndNotRead() {
	a.t.Helper()
	st := a.linkMute()
	for i := range asks { // and asks again: no answer must wait behind another
		_, _ = st.Write(encodeHave(haveMsg{Round: uint32(i + 1)}))
	}
	until(a.t, "the stream is ended", func() bool {
		_, err := st.Write(encodePong(pongMsg{}))
		time.Sleep(200 * time.Millisecond)
		return err != nil
	})
}

// lookAround tells the victim of addresses and has it dial them.
func (a *assailant) lookAround() {
	open, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		a.t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		a.t.Fatal(err)
	}
	shut.Close()
	st := a.link()
	r, err := sealRecord(a.key, 1, []string{open.Addr().String(), shut.Addr().String()})
	if err != nil {
		a.t.Fatal(err)
	}
	frame, _ := encodeRecords([][]byte{r.raw})
	_ = a.say(st, frame)
	until(a.t, "both ways are tried, and told alike", func() bool {
		tried, err := a.askBack()
		if err != nil || len(tried) != 2 {
			time.Sleep(backEvery) // sooner it would be refused
			return false
		}
		for _, w := range tried {
			if w.QUIC != ReachOther || w.TCP != ReachOther {
				a.t.Errorf("the victim told of %s: %s, %s, want nothing", w.At, w.QUIC, w.TCP)
			}
		}
		return true
	})
	for range 5 {
		_, _ = a.askBack()
	}
}

// askBack asks the victim to dial back.
func (a *assailant) askBack() ([]BackTry, error) {
	st, err := a.open(protocolOf(testNetwork, "dialback"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Reset() }()
	if _, err := st.Write(encodeDialBack()); err != nil {
		return nil, err
	}
	_, b, err := newFrameReader(st, st).next()
	if err != nil {
		return nil, err
	}
	return decodeDialedBack(b)
}

// fills is how many objects of fillSize bytes the victim has to serve to those who don't read, asks how often each of
// them asks for all of it: answers that wait behind each other would be half a gigabyte, and the collector's share.
const (
	fills    = 200
	fillSize = 32 << 10
	asks     = 40
)

// Whoever is slow is ended in time, and costs little until then. Honest traffic goes on meanwhile.
func TestHostileSlowPeers(t *testing.T) {
	t.Parallel()
	attacks := slowAttacks()
	for i := range attacks {
		attacks[i].number = 100 + i
	}
	r := newArena(t, false, attacks)
	for range fills { // far more than fits the windows of a stream
		r.v.ask("fill", "")
	}
	until(t, "the honest peer has all of it", func() bool { return r.shelf.has(victimObject(fmt.Sprint("fill", fills))) })
	r.traffic()
	before := r.v.ask("begin", "")
	var left atomic.Int32
	left.Store(int32(len(attacks)))
	var wg sync.WaitGroup
	for _, at := range attacks {
		a := newAssailant(t, r.v, at.number, at.over)
		wg.Go(func() { // what fails in it ends it alone, and the test is failed
			defer left.Add(-1)
			defer a.end()
			began := time.Now()
			at.assault(a)
			t.Logf("%s: ended after %s", at.name, time.Since(began).Round(100*time.Millisecond))
		})
	}
	for left.Load() > 0 {
		r.traffic()
		time.Sleep(100 * time.Millisecond)
	}
	wg.Wait()
	after := r.v.ask("gauge", "")
	for _, reason := range []string{"too_slow", "busy", "malformed"} {
		if after.Counts[reason] <= before.Counts[reason] {
			t.Errorf("%s was not counted", reason)
		}
	}
	if n := after.Counts["too_slow"] - before.Counts["too_slow"]; n < 12 {
		t.Errorf("%.0f streams were refused as too slow, want most", n)
	}
	c := costOf(before, after)
	t.Logf("all of them: %+v, %s of processor time, %s", c, after.CPU-before.CPU, countedBetween(before, after))
	c.check(t, cost{memory: 128 << 20, goroutines: 800, streams: 300, conns: 32, disk: 1 << 20, log: 64 << 10})
	until(t, "the victim is at rest again", func() bool {
		now := r.v.ask("gauge", "")
		return now.Goroutines <= before.Goroutines+20 && now.Conns <= before.Conns+1
	})
}
