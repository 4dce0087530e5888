package node

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

var update = flag.Bool("update", false, "rewrite testdata/frames.golden")

// sample is one message of each kind, with every field set to something that can be told apart.
type sample struct {
	name  string
	frame []byte
	// again decodes the payload and encodes it anew.
	again func(payload []byte) ([]byte, error)
}

func fill(b byte) (h mesh.Hash) {
	for i := range h {
		h[i] = b
	}
	return h
}

func sampleLog() (mesh.LogKey, mesh.Instance) {
	return mesh.LogKey{Author: testKey(1).Public(), Log: mesh.LogID(fill(0x44))}, mesh.Instance{Zone: "east", Incarnation: 0x0102030405}
}

func again[T any](decode func([]byte) (T, error), encode func(T) []byte) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		v, err := decode(b)
		if err != nil {
			return nil, err
		}
		return encode(v), nil
	}
}

func sampleBeat() *heartbeat {
	_, inst := sampleLog()
	return &heartbeat{Key: testKey(1).Public(), Network: "n", Instance: inst, Run: runID{0xaa}, Life: 1, Started: 2, Counter: 3, Clock: -4,
		Next: 5, Head: fill(0x55), Digest: fill(0x66), Version: "1.0", Addresses: []string{"h:1"},
		View:   []sight{{"west", mesh.NotReady, false, 0, 7}, {"north", mesh.Ready, true, 19, 8}},
		Echoes: []echo{{testKey(2).Public(), runID{0xbb}, 9}}}
}

func samples() []sample {
	key, inst := sampleLog()
	records, _ := encodeRecords([][]byte{{1, 2}, {3}})
	trust, _ := encodeTrustOps([]oplog.TrustOp{{Header: []byte{1, 2}, Body: []byte{3}}})
	return []sample{
		{"Hello", encodeHello(hello{Versions: []uint16{1}, Software: "0.4.0", Network: "n", Instance: inst, Run: runID{0xaa}, Started: 2}),
			again(decodeHello, encodeHello)},
		{"Refusal", encodeRefusal(refusalMsg{refusedZone, "no"}), again(decodeRefusal, encodeRefusal)},
		{"TrustDigest", encodeTrustDigest(fill(0x77)), again(decodeTrustDigest, encodeTrustDigest)},
		{"TrustOps", trust, again(decodeTrustOps, func(ops []opMsg) []byte {
			var in []oplog.TrustOp
			for _, o := range ops {
				in = append(in, oplog.TrustOp{Header: o.Header, Body: o.Body})
			}
			b, _ := encodeTrustOps(in)
			return b
		})},
		{"Have", encodeHave(haveMsg{7, []oplog.Have{
			{Key: key, Instance: inst, Start: 1, Next: 2, Head: fill(0x55), Frozen: true, Staged: &oplog.Run{Begin: 3, Next: 4, Head: fill(0x66)}}}}),
			again(decodeHave, encodeHave)},
		{"PreSync", encodePreSync(preSyncMsg{7, 8, 9}), again(decodePreSync, encodePreSync)},
		{"Operation", encodeOp(kindOperation, []byte{1, 2}, []byte{3}),
			again(decodeOp, func(m opMsg) []byte { return encodeOp(kindOperation, m.Header, m.Body) })},
		{"Done", encodeDone(7), again(decodeDone, encodeDone)},
		{"Live", encodeOp(kindLive, []byte{1, 2}, nil),
			again(decodeOp, func(m opMsg) []byte { return encodeOp(kindLive, m.Header, m.Body) })},
		{"Heads", encodeHeads([]head{{key, inst, 2, fill(0x55)}}), again(decodeHeads, encodeHeads)},
		{"Heartbeat", encodeHeartbeat(sampleBeat(), testKey(1)),
			again(decodeHeartbeat, func(h *heartbeat) []byte { return encodeHeartbeat(h, testKey(1)) })},
		{"Ping", encodePing(7), again(decodePing, encodePing)},
		{"Pong", encodePong(pongMsg{7, 8}), again(decodePong, encodePong)},
		{"Goodbye", encodeGoodbye("stopping"), again(decodeGoodbye, encodeGoodbye)},
		{"Redeem", encodeRedeem(redeemMsg{true, []uint16{1}, "0.4.0", "n", "k7q2m9xd", [16]byte{0xcc}, "west"}), again(decodeRedeem, encodeRedeem)},
		{"Granted", encodeGranted(grantMsg{"west", "east", []opMsg{{[]byte{1, 2}, []byte{3}}},
			[]contactMsg{{testKey(2).Public(), "north", []string{"h:1", "[::1]:2"}}, {testKey(3).Public(), "", nil}}}), again(decodeGranted, encodeGranted)},
		{"Denied", encodeDenied(denialMsg{"used", "no", testKey(2).Public()}), again(decodeDenied, encodeDenied)},
		{"Ack", encodeAck(), again(decodeNothing, func(struct{}) []byte { return encodeAck() })},
		{"Present", encodePresent(presentMsg{"meshhand1_", []opMsg{{[]byte{1, 2}, []byte{3}}}}), again(decodePresent, encodePresent)},
		{"Accepted", encodeAccepted(), again(decodeNothing, func(struct{}) []byte { return encodeAccepted() })},
		{"DialBack", encodeDialBack(), again(decodeNothing, func(struct{}) []byte { return encodeDialBack() })},
		{"DialedBack", encodeDialedBack([]BackTry{{"h:1", ReachAnswered, ReachSilent}, {"[::1]:2", ReachRefused, ReachOther}}), again(decodeDialedBack, encodeDialedBack)},
		{"Records", records, again(decodeRecords, func(raws [][]byte) []byte {
			b, _ := encodeRecords(raws)
			return b
		})},
	}
}

// The bytes on the wire are a contract between versions: they are written down here.
func TestFramesOnTheWire(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, s := range samples() {
		fmt.Fprintf(&b, "%s %x\n", s.name, s.frame)
	}
	path := filepath.Join("testdata", "frames.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("frames differ from %s; if that is meant, the protocol version changes, too:\n%s", path, b.String())
	}
}

func TestDecodeEncodeIsIdentity(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		k, payload, err := newFrameReader(bytes.NewReader(s.frame), nil).next()
		if err != nil || k != kind(s.frame[4]) {
			t.Fatalf("%s: next() = kind %d, %v", s.name, k, err)
		}
		if got, err := s.again(payload); err != nil || !bytes.Equal(got, s.frame) {
			t.Errorf("%s: decoded and encoded again = %x, %v, want %x", s.name, got, err, s.frame)
		}
		for n := range payload {
			if _, err := s.again(payload[:n]); !errors.Is(err, errMalformed) {
				t.Errorf("%s: the first %d bytes = %v, want %v", s.name, n, err, errMalformed)
			}
		}
		if _, err := s.again(append(bytes.Clone(payload), 0)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: a byte too many = %v, want %v", s.name, err, errMalformed)
		}
	}
}

func TestEveryKindHasACapAndFits(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		if c := frameCap(kind(s.frame[4])); c == 0 || c > maxFrame || len(s.frame)-4 > c {
			t.Errorf("%s: cap %d", s.name, c)
		}
	}
	full := sampleBeat()
	full.Network, full.Version = mesh.NetworkID(strings.Repeat("n", mesh.MaxNetworkID)), strings.Repeat("v", 64)
	full.Addresses = slicesOf(maxBeatAddresses, strings.Repeat("a", maxText))
	full.View = slicesOf(maxBeatView, sight{mesh.Zone(strings.Repeat("z", 63)), mesh.Ready, true, 1, 1})
	full.Echoes = slicesOf(maxBeatEchoes, full.Echoes[0])
	if n := len(encodeHeartbeat(full, testKey(1))); n-4 > maxBeat {
		t.Errorf("the largest heartbeat has %d bytes, more than %d", n, maxBeat)
	}
	key, inst := sampleLog()
	inst.Zone = mesh.Zone(strings.Repeat("z", 63))
	h := oplog.Have{Key: key, Instance: inst, Staged: &oplog.Run{}}
	if n := len(encodeHave(haveMsg{1, slicesOf(maxHaves, h)})); n-4 > haveFrame {
		t.Errorf("the largest Have has %d bytes, more than %d", n, haveFrame)
	}
	if n := len(encodeHeads(slicesOf(maxHeads, head{Key: key, Instance: inst}))); n-4 > headFrame {
		t.Errorf("the largest Heads has %d bytes, more than %d", n, headFrame)
	}
}

func slicesOf[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestHeartbeatIsBoundToItsBytes(t *testing.T) {
	t.Parallel()
	frame := encodeHeartbeat(sampleBeat(), testKey(1))
	h, err := decodeHeartbeat(frame[5:])
	if err != nil || !reflect.DeepEqual(h, sampleBeat()) {
		t.Fatalf("decodeHeartbeat = %+v, %v", h, err)
	}
	for i := 5; i < len(frame); i++ {
		bad := bytes.Clone(frame)
		bad[i] ^= 1
		if _, err := decodeHeartbeat(bad[5:]); err == nil {
			t.Errorf("a heartbeat with byte %d changed was accepted", i)
		}
	}
	if _, err := decodeHeartbeat(encodeHeartbeat(sampleBeat(), testKey(2))[5:]); err == nil {
		t.Error("a heartbeat signed by another key was accepted")
	}
}

// FuzzFrames feeds arbitrary bytes to the frame reader and every decoder. What is accepted is the one
// encoding of what it means, and costs memory in proportion to its bytes.
func FuzzFrames(f *testing.F) {
	byKind := map[kind]sample{}
	for _, s := range samples() {
		f.Add(s.frame)
		byKind[kind(s.frame[4])] = s
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &frameReader{r: bufio.NewReader(bytes.NewReader(b))}
		at := 0
		for {
			k, payload, err := r.next()
			if err != nil {
				return
			}
			whole := b[at : at+5+len(payload)]
			at += len(whole)
			s, ok := byKind[k]
			if !ok {
				t.Fatalf("kind %d was let through", k)
			}
			got, err := s.again(payload)
			if k == kindHeartbeat && err == nil {
				continue // signed by its own key, which the sample's encoder doesn't have
			}
			if err == nil && !bytes.Equal(got, whole) {
				t.Fatalf("kind %d: %x was taken for %x", k, whole, got)
			}
		}
	})
}

// FuzzJoinMessages feeds what a stranger may send, and what an inviter may answer, to its decoder: the first byte
// chooses the message. What is accepted is the one encoding of what it means, and keeps the caps.
func FuzzJoinMessages(f *testing.F) {
	byKind := map[kind]sample{}
	for _, s := range samples() {
		if k := kind(s.frame[4]); k >= kindRedeem {
			byKind[k] = s
			f.Add(s.frame[4:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > maxGranted {
			return
		}
		s, ok := byKind[kind(b[0])]
		if !ok {
			return
		}
		got, err := s.again(b[1:])
		if err == nil && !bytes.Equal(got[4:], b) {
			t.Fatalf("kind %d: %x was taken for %x", b[0], b, got)
		}
		if g, err := decodeGranted(b[1:]); kind(b[0]) == kindGranted && err == nil && (len(g.Trust) > maxGrantedOps || len(g.Contacts) > maxContacts) {
			t.Fatalf("%d operations, %d contacts", len(g.Trust), len(g.Contacts))
		}
		if d, err := decodeDenied(b[1:]); kind(b[0]) == kindDenied && err == nil && strings.ContainsAny(d.Text+d.Code, "\x1b\n\r") {
			t.Fatalf("a text for a terminal: %q", d.Text)
		}
	})
}

// The largest answers fit.
func TestGrantsFit(t *testing.T) {
	t.Parallel()
	z := mesh.Zone(strings.Repeat("z", 63))
	ops := slicesOf(maxGrantedOps+10, oplog.TrustOp{Header: make([]byte, 300), Body: make([]byte, 2000)})
	m := grantMsg{z, z, proof(ops, maxProof), slicesOf(maxContacts, contactMsg{testKey(1).Public(), z, slicesOf(maxContactEndpoints, strings.Repeat("h", 249)+":65535")})}
	b := encodeGranted(m)
	if len(b)-4 > maxGranted {
		t.Errorf("the largest grant has %d bytes", len(b))
	}
	if got, err := decodeGranted(b[5:]); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("it is read as %v", err)
	}
	p := presentMsg{strings.Repeat("h", maxText), proof(ops, maxAsked-64-maxText)}
	if n := len(encodePresent(p)); n > maxAsked || len(p.Ops) != 1 {
		t.Errorf("the largest Present has %d bytes and %d operations", n, len(p.Ops))
	}
}
