package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// kind is the first byte of every frame. The numbers are on the wire and never reordered.
type kind uint8

const (
	kindHello   kind = 1
	kindRefusal kind = 2

	kindTrustDigest kind = 16
	kindTrustOps    kind = 17
	kindHave        kind = 18
	kindPreSync     kind = 19
	kindOperation   kind = 20
	kindDone        kind = 21
	kindLive        kind = 22
	kindHeads       kind = 23
	kindHeartbeat   kind = 24
	kindPing        kind = 25
	kindPong        kind = 26
	kindGoodbye     kind = 27

	kindRedeem   kind = 32
	kindGranted  kind = 33
	kindDenied   kind = 34
	kindAck      kind = 35
	kindPresent  kind = 36
	kindAccepted kind = 37
	kindRecords  kind = 28
)

// Caps of the wire. A frame beyond the cap of its kind is refused when its length is read, before a byte of
// it is kept.
const (
	maxFrame    = 16 << 20 // leaves room for growth; no frame of this version comes near it
	maxHeader   = 4 << 10  // an operation header has about 300 bytes
	maxBody     = 4 << 20  // the largest body that may be published
	maxHaves    = 4096     // logs in one Have: 512 zones with eight incarnations each
	maxHeads    = 256      // announcements in one frame; more go into the next one
	maxTrust    = 4096     // trust operations in one frame
	trustBite   = 1 << 20  // a frame of trust operations closes when it passes this
	maxText     = 255      // bytes of any short text
	maxBeat     = 6 << 10  // the largest heartbeat has 4.1 KiB, most have 400 bytes
	opFrame     = maxHeader + maxBody + 64
	haveFrame   = 64 + maxHaves*(64+1+63+8+4+4+32+1+40)
	headFrame   = 64 + maxHeads*(64+1+63+8+4+32)
	recordFrame = 64 + recordBite + 4 + oplog.MaxRecord
	backFrame   = 2 + maxBackTries*(1+maxText+2)
)

// frameCap is the largest frame of a kind, counting the kind byte; 0 for kinds that this version doesn't know.
func frameCap(k kind) int {
	switch k {
	case kindHello, kindRefusal, kindGoodbye, kindTrustDigest, kindPreSync, kindDone, kindPing, kindPong,
		kindRedeem, kindDenied, kindAck, kindAccepted:
		return 1 << 10
	case kindDialBack:
		return 1
	case kindDialedBack:
		return backFrame
	case kindPresent:
		return maxAsked - 4
	case kindGranted:
		return maxGranted
	case kindTrustOps:
		return trustBite + opFrame
	case kindHave:
		return haveFrame
	case kindOperation, kindLive:
		return opFrame
	case kindHeads:
		return headFrame
	case kindHeartbeat:
		return maxBeat
	case kindRecords:
		return recordFrame
	}
	return 0
}

// errMalformed is the root of everything wrong with the bytes of a frame: the stream is reset.
var errMalformed = errors.New("malformed frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// begin opens a frame of a kind; seal fills in its length. Between both the payload is appended.
func begin(k kind) []byte { return append(make([]byte, 0, 64), 0, 0, 0, 0, byte(k)) }

func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

var be = binary.BigEndian

// appendText writes a short text: one length byte, then the text, cut where it is too long.
func appendText(b []byte, s string) []byte {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return append(append(b, byte(len(s))), s...)
}

// appendBytes writes u32 BE length, then the bytes.
func appendBytes(b, v []byte) []byte {
	return append(be.AppendUint32(b, uint32(len(v))), v...)
}

func appendLog(b []byte, k mesh.LogKey, i mesh.Instance) []byte {
	b = append(b, k.Author[:]...)
	b = append(b, k.Log[:]...)
	b = appendText(b, string(i.Zone))
	return be.AppendUint64(b, uint64(i.Incarnation))
}

// parser reads a payload from the front. The first thing wrong sticks, everything after it reads as zero.
type parser struct {
	b   []byte
	err error
}

func (p *parser) take(n int) []byte {
	if p.err == nil && n > len(p.b) {
		p.err = malformed("ends early")
	}
	if p.err != nil {
		return nil
	}
	v := p.b[:n:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) u8() uint8 {
	if v := p.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (p *parser) u16() uint16 {
	if v := p.take(2); v != nil {
		return be.Uint16(v)
	}
	return 0
}

func (p *parser) u32() uint32 {
	if v := p.take(4); v != nil {
		return be.Uint32(v)
	}
	return 0
}

func (p *parser) u64() uint64 {
	if v := p.take(8); v != nil {
		return be.Uint64(v)
	}
	return 0
}

func (p *parser) text() string { return string(p.take(int(p.u8()))) }

// bytes reads a byte string of at most limit bytes, sharing the payload's memory; nil when it is empty.
func (p *parser) bytes(limit int) []byte {
	n := p.u32()
	if p.err == nil && uint64(n) > uint64(limit) {
		p.err = malformed("%d bytes where at most %d may stand", n, limit)
	}
	if v := p.take(int(n)); len(v) > 0 {
		return v
	}
	return nil
}

func (p *parser) hash() (h mesh.Hash) { copy(h[:], p.take(len(h))); return h }

func (p *parser) id() (id runID) { copy(id[:], p.take(len(id))); return id }

// count reads a number of items that have at least size bytes each, so that it can be trusted for make.
func (p *parser) count(limit, size int) int {
	n := p.u32()
	if p.err == nil && (uint64(n) > uint64(limit) || uint64(n)*uint64(size) > uint64(len(p.b))) {
		p.err = malformed("%d items where at most %d may stand", n, limit)
	}
	if p.err != nil {
		return 0
	}
	return int(n)
}

func (p *parser) zone() mesh.Zone {
	s := p.text()
	if p.err != nil {
		return ""
	}
	z, err := mesh.ParseZone(s)
	if err != nil {
		p.err = malformed("%v", err)
	}
	return z
}

func (p *parser) log() (k mesh.LogKey, i mesh.Instance) {
	copy(k.Author[:], p.take(keys.PublicSize))
	copy(k.Log[:], p.take(len(k.Log)))
	i.Zone = p.zone()
	i.Incarnation = mesh.Incarnation(p.u64())
	return k, i
}

// done refuses what is left over and returns what went wrong.
func (p *parser) done() error {
	if p.err == nil && len(p.b) > 0 {
		p.err = malformed("%d bytes too many", len(p.b))
	}
	return p.err
}

// sortHaves puts haves into the order of their keys, in which they are sent, hashed and searched.
func sortHaves(hs []oplog.Have) {
	slices.SortFunc(hs, func(a, b oplog.Have) int { return a.Key.Compare(b.Key) })
}
