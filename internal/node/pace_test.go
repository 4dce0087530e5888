package node

import (
	"strconv"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// What a peer uses comes back at the rate of its allowance; what it is refused isn't held against it.
func TestPace(t *testing.T) {
	t.Parallel()
	a := allowance{rate: 10, burst: 20}
	now := time.Unix(1000, 0)
	var p pace
	if !p.take(a, now, 20) || p.take(a, now, 1) {
		t.Error("want 20 at once and no more")
	}
	for range 100 {
		p.take(a, now, 20)
	}
	if now = now.Add(time.Second); !p.take(a, now, 10) || p.take(a, now, 1) {
		t.Error("want 10 more a second later, and no more")
	}
	if d := p.spend(a, now, 5); d != 500*time.Millisecond {
		t.Errorf("spend(5) beyond the allowance waits %s, want 500ms", d)
	}
	if now = now.Add(-time.Hour); p.take(a, now, 1) {
		t.Error("a clock that was set back gives something away")
	}
	if now = now.Add(3 * time.Second); p.spend(a, now, 20) != 0 {
		t.Error("after a pause the whole of it is there again")
	}
	var fresh pace
	if fresh.spend(a, now, 20) != 0 || fresh.spend(a, now, 1) == 0 {
		t.Error("the zero value is a full allowance")
	}
	var deep pace
	if d := deep.spend(a, now, 50); d != 3*time.Second {
		t.Errorf("a cost of more than may be spent at once waits %s, want 3s", d)
	}
}

// A frame costs what it makes us do, and no frame costs more than an allowance holds.
func TestUnits(t *testing.T) {
	t.Parallel()
	for k, want := range map[kind]int{kindOperation: 0, kindLive: 0, kindTrustOps: 0, kindPing: 1, kindHeartbeat: 1, kindHave: 10, kindHeads: 1} {
		if got := unitsOf(k, make([]byte, 100)); got != want {
			t.Errorf("unitsOf(%d) = %d, want %d", k, got, want)
		}
	}
	if got := unitsOf(kindRecords, []byte{0, 0, 0, 3}); got != 4 {
		t.Errorf("three records cost %d, want 4", got)
	}
	for k := range 256 {
		if n := frameCap(kind(k)); n > 0 && float64(unitsOf(kind(k), append([]byte{255, 255, 255, 255}, make([]byte, n)...))) > linkPace.burst {
			t.Errorf("the largest frame of kind %d costs more than may be spent at once", k)
		}
	}
}

type remoteAt struct{ at string }

func (remoteAt) LocalMultiaddr() ma.Multiaddr    { return nil }
func (r remoteAt) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast(r.at) }

// An address may have so many TCP handshakes under way, until they are done or their time is up. QUIC's are done.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	h := newHalfOpen(func() time.Time { return now })
	at := func(port int) remoteAt { return remoteAt{at: "/ip4/203.0.113.7/tcp/" + strconv.Itoa(port)} }
	for i := range maxHalfOpen {
		if !h.begin(at(1000 + i)) {
			t.Fatalf("handshake %d may not begin", i)
		}
	}
	if h.begin(at(1)) {
		t.Error("one handshake too many")
	}
	if !h.begin(remoteAt{"/ip4/203.0.113.8/tcp/1"}) || !h.begin(remoteAt{"/ip4/203.0.113.7/udp/1/quic-v1"}) {
		t.Error("another address, or QUIC, has to wait for them")
	}
	h.done(at(1000))
	if !h.begin(at(1)) {
		t.Error("no room although one is done")
	}
	now = now.Add(handshakeTime)
	if !h.begin(at(2)) || len(h.at) != 1 {
		t.Errorf("%d addresses are remembered after their time, want the newest", len(h.at))
	}
}
