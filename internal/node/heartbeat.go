package node

import (
	"fmt"
	"math"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Bounds of a heartbeat.
const (
	maxBeatView      = 20 // zones that its sender tells about, those that are not Ready first
	maxBeatAddresses = 8
	maxBeatEchoes    = 4 // the receiver, and other processes with the sender's own key
)

var errUnexpectedHeartbeat = fmt.Errorf("%w: the heartbeat of another node", errUnexpected)

// heartbeatDomain starts what is signed, so that a heartbeat is never taken for anything else we sign.
const heartbeatDomain = "mesh heartbeat v1"

// heartbeat is the signed sign of life of one process. It proves nothing by itself, for it can be replayed:
// see package membership for what does.
type heartbeat struct {
	Key       keys.Public
	Network   mesh.NetworkID
	Instance  mesh.Instance
	Run       runID
	Life      uint64 // incarnation of the log in use when the process started, or the time if there was none
	Started   uint64 // as in hello
	Counter   uint64 // from 1, rises with every heartbeat of a run
	Clock     int64  // Unix microseconds, for display
	Next      uint32 // of the sender's own log
	Head      mesh.Hash
	Digest    mesh.Hash // of all that the sender holds, as digestHeld
	Version   string
	Addresses []string
	View      []sight
	Echoes    []echo
}

// sight is how alive a zone looks to the sender: a hint, never state.
type sight struct {
	Zone    mesh.Zone
	State   mesh.PeerState
	Direct  bool   // over a direct connection
	RTT     uint16 // of that connection, in milliseconds; 0: not measured, or not direct
	Counter uint64 // newest heard of it
}

// milliseconds rounds a round trip up, so that one that was measured is never 0.
func milliseconds(d time.Duration) uint16 {
	return uint16(min((d+time.Millisecond-1)/time.Millisecond, math.MaxUint16))
}

// echo repeats the newest counter that the sender heard of a process.
type echo struct {
	Key     keys.Public
	Run     runID
	Counter uint64
}

var stateNumbers = map[mesh.PeerState]byte{mesh.Ready: 1, mesh.NotReady: 2, mesh.Unavailable: 3, mesh.Unknown: 4}

var statesByNumber = map[byte]mesh.PeerState{1: mesh.Ready, 2: mesh.NotReady, 3: mesh.Unavailable, 4: mesh.Unknown}

// directSight marks a state number: the zone is seen over a direct connection.
const directSight = 0x80

// encodeHeartbeat signs and frames a heartbeat. The payload is signature, then body; the signature is over
// the domain and the body.
func encodeHeartbeat(h *heartbeat, k keys.Private) []byte {
	body := appendHeartbeat([]byte(heartbeatDomain), h)
	sig := k.Sign(body)
	return seal(append(append(begin(kindHeartbeat), sig[:]...), body[len(heartbeatDomain):]...))
}

func appendHeartbeat(b []byte, h *heartbeat) []byte {
	b = append(b, h.Key[:]...)
	b = appendText(b, string(h.Network))
	b = appendText(b, string(h.Instance.Zone))
	b = be.AppendUint64(b, uint64(h.Instance.Incarnation))
	b = append(b, h.Run[:]...)
	b = be.AppendUint64(b, h.Life)
	b = be.AppendUint64(b, h.Started)
	b = be.AppendUint64(b, h.Counter)
	b = be.AppendUint64(b, uint64(h.Clock))
	b = be.AppendUint32(b, h.Next)
	b = append(b, h.Head[:]...)
	b = append(b, h.Digest[:]...)
	b = appendText(b, h.Version)
	b = append(b, byte(len(h.Addresses)))
	for _, a := range h.Addresses {
		b = appendText(b, a)
	}
	b = append(b, byte(len(h.View)))
	for _, s := range h.View {
		state := stateNumbers[s.State]
		if s.Direct {
			state |= directSight
		}
		b = append(appendText(b, string(s.Zone)), state)
		if s.Direct {
			b = be.AppendUint16(b, s.RTT)
		}
		b = be.AppendUint64(b, s.Counter)
	}
	b = append(b, byte(len(h.Echoes)))
	for _, e := range h.Echoes {
		b = append(append(b, e.Key[:]...), e.Run[:]...)
		b = be.AppendUint64(b, e.Counter)
	}
	return b
}

// decodeHeartbeat parses the payload of a frame and verifies its signature.
func decodeHeartbeat(b []byte) (*heartbeat, error) {
	p := parser{b: b}
	var sig keys.Signature
	copy(sig[:], p.take(len(sig)))
	body := p.b
	h := new(heartbeat)
	copy(h.Key[:], p.take(len(h.Key)))
	h.Network = mesh.NetworkID(p.text())
	h.Instance.Zone = p.zone()
	h.Instance.Incarnation = mesh.Incarnation(p.u64())
	h.Run = p.id()
	h.Life, h.Started, h.Counter, h.Clock = p.u64(), p.u64(), p.u64(), int64(p.u64())
	h.Next, h.Head, h.Digest = p.u32(), p.hash(), p.hash()
	h.Version = p.text()
	for range p.few(maxBeatAddresses) {
		h.Addresses = append(h.Addresses, p.text())
	}
	for range p.few(maxBeatView) {
		h.View = append(h.View, p.sight())
	}
	for range p.few(maxBeatEchoes) {
		var e echo
		copy(e.Key[:], p.take(len(e.Key)))
		e.Run, e.Counter = p.id(), p.u64()
		h.Echoes = append(h.Echoes, e)
	}
	if err := p.done(); err != nil {
		return nil, err
	}
	if !keys.Verify(h.Key, append([]byte(heartbeatDomain), body...), sig) {
		return nil, fmt.Errorf("%w: heartbeat signature", errMalformed)
	}
	return h, nil
}

// few reads a one-byte count.
func (p *parser) few(limit int) int {
	n := int(p.u8())
	if p.err == nil && n > limit {
		p.err = malformed("%d items where at most %d may stand", n, limit)
	}
	if p.err != nil {
		return 0
	}
	return n
}

func (p *parser) sight() (s sight) {
	s.Zone = p.zone()
	n := p.u8()
	s.State, s.Direct = statesByNumber[n&^directSight], n&directSight != 0
	if s.State == "" && p.err == nil {
		p.err = malformed("peer state %d", n)
	}
	if s.Direct {
		s.RTT = p.u16()
	}
	s.Counter = p.u64()
	return s
}
