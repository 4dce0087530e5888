package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
)

func mustSeal(t testing.TB, k keys.Private, seq uint64, endpoints ...string) peerRecord {
	t.Helper()
	r, err := sealRecord(k, seq, endpoints)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sealAny signs a record that sealRecord would not make.
func sealAny(t testing.TB, key crypto.PrivKey, r record.Record) []byte {
	t.Helper()
	e, err := record.Seal(r, key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordThereAndBack(t *testing.T) {
	t.Parallel()
	want := mustSeal(t, testKey(1), 7, "198.51.100.1:9102", "[2001:db8::1]:9102", "east.example:9103")
	got, err := openRecord(want.raw)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("openRecord = %+v, %v, want %+v", got, err, want)
	}
	long := slicesOf(maxOwnEndpoints, "")
	for i := range long {
		long[i] = fmt.Sprintf("%c%s:65535", 'a'+i, strings.Repeat("."+strings.Repeat("x", 62), 4)) // 253 bytes of name
	}
	if r, err := openRecord(mustSeal(t, testKey(1), 1, long...).raw); err != nil || len(r.endpoints) != len(long) {
		t.Errorf("the largest record: %d endpoints, %v", len(r.endpoints), err)
	}
	if _, err := sealRecord(testKey(1), 1, []string{"[fe80::1%eth0]:9102"}); err == nil {
		t.Error("sealed an address that only means something here")
	}
}

// otherRecord is a signed thing of another kind.
type otherRecord struct{ *peer.PeerRecord }

func (otherRecord) Codec() []byte { return []byte{9} }

func TestRecordRefusals(t *testing.T) {
	t.Parallel()
	good := mustSeal(t, testKey(1), 7, "198.51.100.1:9102")
	own, err := hostKey(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	id, other := mustID(t, testKey(1)), mustID(t, testKey(2))
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaID, err := peer.IDFromPublicKey(rsa.GetPublic())
	if err != nil {
		t.Fatal(err)
	}
	addr := func(s string) []ma.Multiaddr { return []ma.Multiaddr{ma.StringCast(s)} }
	many := slicesOf(maxRecordAddrs+1, ma.StringCast("/ip4/198.51.100.1/tcp/1"))
	for name, raw := range map[string][]byte{
		"nothing":             nil,
		"rubbish":             []byte("rubbish"),
		"cut off":             good.raw[:len(good.raw)-1],
		"too large":           append(bytes.Clone(good.raw), make([]byte, oplog.MaxRecord)...),
		"about another key":   sealAny(t, own, &peer.PeerRecord{PeerID: other, Seq: 1}),
		"of another kind":     sealAny(t, own, otherRecord{&peer.PeerRecord{PeerID: id, Seq: 1}}),
		"of an RSA key":       sealAny(t, rsa, &peer.PeerRecord{PeerID: rsaID, Seq: 1}),
		"too many addresses":  sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: many}),
		"no IP address":       sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/unix/etc")}),
		"a relay":             sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/ip4/198.51.100.1/tcp/1/p2p/" + other.String() + "/p2p-circuit")}),
		"a web socket":        sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/ip4/198.51.100.1/tcp/1/ws")}),
		"every address":       sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/ip4/0.0.0.0/tcp/1")}),
		"a multicast address": sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/ip4/224.0.0.1/udp/1/quic-v1")}),
		"a bad name":          sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/dns/a b/tcp/1")}),
		"port 0":              sealAny(t, own, &peer.PeerRecord{PeerID: id, Addrs: addr("/ip4/198.51.100.1/tcp/0")}),
	} {
		if r, err := openRecord(raw); !errors.Is(err, errRecord) {
			t.Errorf("%s: openRecord = %+v, %v, want %v", name, r, err, errRecord)
		}
	}
	// Whatever bit is changed, nothing else is read than what was signed.
	for i := range good.raw {
		bad := bytes.Clone(good.raw)
		bad[i] ^= 1
		if r, err := openRecord(bad); err == nil && !reflect.DeepEqual(r, good) {
			t.Errorf("byte %d changed: %+v", i, r)
		}
	}
	// What somebody adds to the envelope isn't passed on.
	padded := append(bytes.Clone(good.raw), 0xfa, 0x07, 3, 'x', 'y', 'z') // an unknown field
	if r, err := openRecord(padded); err != nil || !bytes.Equal(r.raw, good.raw) {
		t.Errorf("with an unknown field: %x, %v, want %x", r.raw, err, good.raw)
	}
}

func mustID(t testing.TB, k keys.Private) peer.ID {
	t.Helper()
	id, err := peerIDOf(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOwnEndpoints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ listen, want string }{
		{"/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/udp/1/quic-v1 /ip6/::1/tcp/1", "127.0.0.1:1 [::1]:1"},
		{"/ip4/127.0.0.1/tcp/1 /ip4/10.0.0.2/tcp/1 /ip4/10.0.0.2/udp/1/quic-v1", "10.0.0.2:1"},
		{"/ip4/10.0.0.2/tcp/1 /ip6/2001:db8::1/tcp/1 /ip4/198.51.100.1/tcp/1 /ip6/fe80::1/tcp/1", "198.51.100.1:1 [2001:db8::1]:1 10.0.0.2:1"},
		{"/ip6/::1/tcp/1 /ip6/fe80::1/tcp/1", "[::1]:1"},
		{"", ""},
	} {
		var listen []ma.Multiaddr
		for _, s := range strings.Fields(test.listen) {
			listen = append(listen, ma.StringCast(s))
		}
		if got := strings.Join(ownEndpoints(listen), " "); got != test.want {
			t.Errorf("ownEndpoints(%s) = %s, want %s", test.listen, got, test.want)
		}
	}
}

// A node that comes back with a clock behind its last record goes on above it.
func TestOwnRecordRises(t *testing.T) {
	t.Parallel()
	m := newMember(t, 1)
	if err := m.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(m.cfg, newChains(m.key, m.zone(), m.store), nil)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(endpoint string, above uint64) (bool, peerRecord) {
		return n.sealOwn([]string{endpoint}, above), n.own.get()
	}
	_, first := seal("a.example:1", 0)
	if again, _ := seal("a.example:1", 0); again {
		t.Error("sealed the same endpoints twice")
	}
	if moved, r := seal("b.example:1", 0); !moved || r.seq <= first.seq {
		t.Errorf("with other endpoints: %v, %d after %d", moved, r.seq, first.seq)
	}
	if raised, r := seal("b.example:1", 1<<63); !raised || r.seq != 1<<63+1 {
		t.Errorf("above another: %v, %d", raised, r.seq)
	}
	if raised, r := seal("b.example:1", 1<<64-1); raised || r.seq != 1<<63+1 {
		t.Errorf("above the last number: %v, %d", raised, r.seq)
	}
}

// FuzzRecords feeds arbitrary bytes to what judges a frame of records. What is accepted is within its bounds and
// is what its author signed: opened again it is the same.
func FuzzRecords(f *testing.F) {
	var raws [][]byte
	for i := range 3 {
		raws = append(raws, mustSeal(f, testKey(byte(i)), uint64(i), "198.51.100.1:9102", "east.example:9102").raw)
	}
	frame, _ := encodeRecords(raws)
	f.Add(frame[5:])
	frame, _ = encodeRecords([][]byte{nil, {1}, raws[0][:20]})
	f.Add(frame[5:])
	f.Fuzz(func(t *testing.T, b []byte) {
		raws, err := decodeRecords(b)
		if err != nil {
			return
		}
		for _, raw := range raws {
			r, err := openRecord(raw)
			if err != nil {
				if !errors.Is(err, errRecord) {
					t.Fatalf("openRecord = %v, want %v", err, errRecord)
				}
				continue
			}
			again, err := openRecord(r.raw)
			if err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("opened again: %+v, %v, want %+v", again, err, r)
			}
			if len(r.endpoints) > maxRecordAddrs || slices.ContainsFunc(r.endpoints, func(e string) bool { return len(e) > oplog.MaxEndpoint }) {
				t.Fatalf("endpoints %q", r.endpoints)
			}
		}
	})
}

func TestRecordFrames(t *testing.T) {
	t.Parallel()
	raws := slicesOf(3*maxRecords, []byte{1})
	raws = append(raws, slicesOf(40, make([]byte, oplog.MaxRecord))...)
	var got [][]byte
	for rest := raws; len(rest) > 0; {
		var frame []byte
		frame, rest = encodeRecords(rest)
		if len(frame)-4 > frameCap(kindRecords) {
			t.Fatalf("a frame of %d bytes", len(frame))
		}
		part, err := decodeRecords(frame[5:])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part...)
	}
	if !reflect.DeepEqual(got, raws) {
		t.Errorf("%d records came out of %d", len(got), len(raws))
	}
	large, _ := encodeRecords([][]byte{make([]byte, oplog.MaxRecord+1)})
	if _, err := decodeRecords(large[5:]); !errors.Is(err, errMalformed) {
		t.Errorf("a record that is too large: %v, want %v", err, errMalformed)
	}
}

// recordAbout is an unsigned record of a key.
func recordAbout(t testing.TB, k keys.Private) *peer.PeerRecord {
	t.Helper()
	return &peer.PeerRecord{PeerID: mustID(t, k), Seq: 1 << 62, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/203.0.113.1/tcp/1")}}
}
