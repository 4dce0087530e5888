package node

import (
	"fmt"
	"net"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// strangerAttacks come from keys that are not admitted.
func strangerAttacks() []attack {
	return []attack{
		{name: "a stranger at every protocol", stranger: true, counts: []string{"not_admitted", "unexpected_message"}, assault: func(a *assailant) {
			a.connect()
			for _, id := range a.protocols() {
				if st, err := a.open(id); err == nil {
					_, _ = st.Write(encodeDialBack())
				}
			}
			if k, err := a.greet(a.hello()); err == nil && k != kindRefusal {
				a.t.Errorf("a stranger's hello was answered with kind %d", k)
			}
		}},
		{name: "a stranger that talks garbage", stranger: true, over: "udp", counts: []string{"malformed", "too_large", "unexpected_message"}, assault: func(a *assailant) {
			a.connect()
			for _, frame := range [][]byte{
				seal(append(begin(kindRedeem), randomBytes(500)...)),
				seal(append(begin(kindPresent), randomBytes(maxAsked)...)),
				encodeHello(a.hello()),
				{0xff, 0xff, 0xff, 0xff, byte(kindRedeem)},
				encodeRedeem(redeemMsg{Versions: protocolVersions, Network: testNetwork, ID: "12345678"}),
			} {
				if st, err := a.open(protocolOf(testNetwork, "join")); err == nil {
					_, _ = st.Write(frame)
					_ = st.CloseWrite()
				}
			}
		}},
		{name: "handshakes never finished", stranger: true, reconnect: true, over: "tcp", counts: []string{"half_open"}, assault: func(a *assailant) {
			for range 400 {
				c, err := net.DialTimeout("tcp", a.v.endpoint(), 5*time.Second)
				if err != nil {
					continue
				}
				a.goOn(func() { <-a.ctx.Done(); c.Close() })
			}
		}},
		{name: "unknown keys without end", stranger: true, over: "udp", reconnect: true, counts: []string{"too_many_strangers"}, most: cost{memory: 96 << 20, goroutines: 600, streams: 300, conns: 64, disk: 1 << 20, log: 64 << 10}, assault: func(a *assailant) {
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for i := range 25 {
						h := a.newHost(hostileKey(10_000 + 1000*w + i))
						_, _ = a.dial(h)
						_ = h.Close()
					}
				})
			}
			wg.Wait()
		}},
	}
}

// lastAttacks leave something behind.
func lastAttacks() []attack {
	return []attack{
		{name: "members admitted without end", over: "udp", reconnect: true, lasting: true, most: cost{memory: 384 << 20, goroutines: 3000, streams: 300, conns: 64, disk: 1 << 20, log: 64 << 10}, assault: func(a *assailant) {
			st := a.link()
			p := a.pen(1000)
			_ = a.say(st, live(p.begin()...))
			for i := range 1000 { // up to the cap of an author, 4096, it grows in step, and takes the race detector a minute
				key := hostileKey(20_000 + i).Public()
				_ = a.say(st, live(p.write(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: key, Zone: mesh.Zone(fmt.Sprintf("ally%d", i))}})))
			}
		}},
	}
}
