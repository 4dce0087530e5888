package node

import (
	"bytes"
	"math"
	"net"
	"net/netip"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
)

// allocated is how many bytes this process has taken from the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// FuzzPayloads gives each decoder the payload of a frame as it stands, the kind in front: nothing is lost on lengths. What
// is accepted is the one encoding of what it means, is within the cap of its kind, and no payload, accepted or not,
// takes more memory than a multiple of its own size: a count must not be believed before the items are there.
func FuzzPayloads(f *testing.F) {
	byKind := map[kind]sample{}
	for _, s := range samples() {
		byKind[kind(s.frame[4])] = s
		f.Add(s.frame[4:])
	}
	f.Add([]byte{byte(kindHave), 0, 0, 0, 7, 0, 0, 0x0f, 0xff})
	f.Add([]byte{byte(kindTrustOps), 0, 0, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{byte(kindOperation), 0, 0, 0x0f, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > frameCap(kind(b[0])) {
			return
		}
		s, ok := byKind[kind(b[0])]
		if !ok {
			t.Fatalf("kind %d has a cap and no sample", b[0])
		}
		var got []byte
		var err error
		// Others in this process take memory too, and what was taken is accounted for in steps: the least of some tries counts.
		took, most := uint64(math.MaxUint64), uint64(64<<10+64*len(b))
		for range 5 {
			before := allocated()
			got, err = s.again(b[1:])
			if took = min(took, allocated()-before); took <= most {
				break
			}
		}
		if took > most {
			t.Fatalf("kind %d: %d bytes of memory for a payload of %d", b[0], took, len(b))
		}
		if err == nil && kind(b[0]) != kindHeartbeat && !bytes.Equal(got[4:], b) {
			t.Fatalf("kind %d: %x was taken for %x", b[0], b, got[4:])
		}
	})
}

// FuzzHeartbeat signs whatever a member may say of itself: what is accepted is the one encoding of what it means.
func FuzzHeartbeat(f *testing.F) {
	key := testKey(1)
	sound := encodeHeartbeat(sampleBeat(), key)[5+keys.SignatureSize+keys.PublicSize:]
	f.Add(sound)
	f.Add(bytes.Replace(sound, []byte("\x04west\x02"), []byte("\x04west\x07"), 1)) // a state that there isn't
	f.Add([]byte{1, 'n', 4, 'e', 'a', 's', 't'})
	f.Fuzz(func(t *testing.T, said []byte) {
		if len(said) > maxBeat {
			return
		}
		public := key.Public()
		body := append(append([]byte(heartbeatDomain), public[:]...), said...)
		sig := key.Sign(body)
		payload := append(sig[:], body[len(heartbeatDomain):]...)
		h, err := decodeHeartbeat(payload)
		if err != nil {
			return
		}
		if got := encodeHeartbeat(h, key); !bytes.Equal(got[5:], payload) {
			t.Fatalf("%x was taken for %x", payload, got[5:])
		}
		if len(h.Addresses) > maxBeatAddresses || len(h.View) > maxBeatView || len(h.Echoes) > maxBeatEchoes || len(h.Network) > maxText {
			t.Fatalf("%+v", h)
		}
	})
}

// FuzzEndpoint reads host:port as it may stand in heartbeats, grants and records, and addresses as libp2p reads them.
// What is accepted can be dialled, leads to the same place when it went over the wire, and leads there alone: never to
// an address that stands for many, and never through a relay.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{
		"198.51.100.1:9102", "[2001:db8::1]:9102", "east.example:9102", "[fe80::1%eth0]:9102", "[::ffff:198.51.100.1]:1", "0.0.0.0:1", "[ff02::1]:1",
		"a:0", "a:65536", "a:01", ":1", "a/b:1", "a%41:1", "[::1]", "/ip4/198.51.100.1/tcp/9102", "/dns4/east.example/udp/9102/quic-v1",
		"/ip6/2001:db8::1/tcp/1/p2p-circuit", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/unix/a", "/ip4/198.51.100.1/tcp/9102/ws",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ma.NewMultiaddr(s); err == nil {
			transport, at := describeAddr(a)
			if transport != "tcp" && transport != "quic" || at == "" && s != "" {
				t.Errorf("%q is described as %q %q", s, transport, at)
			}
			if e, err := endpointOf(a); err == nil {
				s = e // and is what it says then a place to dial?
				if as, err := dialAddrs(e); err != nil || len(as) == 0 {
					t.Errorf("%q is the endpoint %q, which can't be dialled: %v", s, e, err)
				}
			}
		}
		as, err := dialAddrs(s)
		if err != nil {
			if len(as) > 0 {
				t.Errorf("%q: %v beside %v", s, as, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(s)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || n == 0 || host == "" || len(as) < 2 || len(as) > 4 {
			t.Fatalf("%q is dialled as %v", s, as)
		}
		for _, a := range as {
			if ip, ok := addrPortOf(a); ok && (ip.Addr().IsUnspecified() || ip.Addr().IsMulticast() || ip.Port() != uint16(n)) {
				t.Errorf("%q is dialled as %v", s, a)
			}
			if strings.Contains(a.String(), "p2p-circuit") {
				t.Errorf("%q is dialled through a relay: %v", s, a)
			}
		}
		ip, perr := netip.ParseAddr(host)
		in, err := recordAddrs(s)
		if err != nil {
			if perr != nil || ip.Zone() == "" {
				t.Errorf("%q can be dialled and not be told: %v", s, err)
			}
			return
		}
		for _, a := range in {
			at, err := endpointOf(a)
			if err != nil {
				t.Errorf("%q is told as %v, which is refused: %v", s, a, err)
				continue
			}
			gotHost, gotPort, err := net.SplitHostPort(at)
			if got, gerr := strconv.ParseUint(gotPort, 10, 16); err != nil || gerr != nil || got != n {
				t.Errorf("%q went over the wire as %q", s, at)
			}
			if got, gerr := netip.ParseAddr(gotHost); perr == nil && (gerr != nil || got != ip.Unmap()) || perr != nil && gotHost != host {
				t.Errorf("%q went over the wire as %q", s, at)
			}
		}
	})
}

// FuzzRecord signs any payload as a record: what libp2p reads in it is judged like all else that members say.
func FuzzRecord(f *testing.F) {
	key := testKey(1)
	f.Add(uint64(7), "198.51.100.1:9102", "east.example:9102")
	f.Add(uint64(1<<63), "[::1]:1", "[2001:db8::1]:65535")
	f.Fuzz(func(t *testing.T, seq uint64, a, b string) {
		r, err := sealRecord(key, seq, []string{a, b})
		if err != nil {
			return
		}
		if len(r.raw) > oplog.MaxRecord {
			return
		}
		got, err := openRecord(r.raw)
		if err != nil {
			t.Fatalf("our own record of %q and %q is refused: %v", a, b, err)
		}
		if got.key != key.Public() || got.seq != seq || len(got.endpoints) == 0 || len(got.endpoints) > maxOwnEndpoints {
			t.Fatalf("%+v was read of %+v", got, r)
		}
	})
}
