package event

import (
	"errors"
	"fmt"
	"math"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/operation/cbor"
)

// Longest strings by the rules of mesh.ParseZone and mesh.ObjectKey.Validate, which then look closer.
const (
	maxLabel     = 63
	maxSubdomain = 253
)

// Decode reads a body. Payloads, headers and bodies inside the result are parts of body, which must not
// change afterwards; everything else is copied.
//
// A kind that this version does not know gives an Event with Instance and Kind alone and no error; what
// follows the head of such a body is not looked at. A body that is not exactly what Encode writes is an error.
func Decode(body []byte) (*Event, error) {
	if len(body) > operation.MaxBody {
		return nil, fmt.Errorf("decode event: %w", ErrTooLarge)
	}
	r := reader{Reader: cbor.NewReader(body)}
	e := new(Event)
	items := r.head(e)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	fields, known := fieldCounts[e.Kind]
	if !known {
		return e, nil
	}
	if items != headItems+fields {
		r.Fail("wrong number of fields")
	}
	r.fields(e)
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Kind, err)
	}
	return e, nil
}

// Instance reads only which log a body was written for. It works for unknown kinds, and for bodies whose
// fields cannot be read.
func Instance(body []byte) (mesh.Instance, error) {
	r := reader{Reader: cbor.NewReader(body)}
	var e Event
	r.head(&e)
	if err := r.Err(); err != nil {
		return mesh.Instance{}, fmt.Errorf("read the head of an event: %w", err)
	}
	return e.Instance, nil
}

// reader adds the nouns to the items.
type reader struct{ *cbor.Reader }

// check fails the reader with the text of err.
func (r reader) check(err error) {
	if err != nil {
		r.Fail(err.Error())
	}
}

// head reads version, kind and instance and returns the number of items of the body.
func (r reader) head(e *Event) int {
	items := r.Array(math.MaxUint8)
	if r.Err() == nil && items < headItems {
		r.Fail("no event")
	}
	if v := r.Uint(math.MaxUint64); r.Err() == nil && v != version {
		r.Fail(fmt.Sprintf("event version %d, want %d", v, version))
	}
	e.Kind = Kind(r.Uint(math.MaxUint8))
	if r.Err() == nil && e.Kind == 0 {
		r.Fail("kind 0")
	}
	e.Instance.Zone = r.zone()
	e.Instance.Incarnation = r.incarnation()
	return items
}

func (r reader) fields(e *Event) {
	switch e.Kind {
	case KindUpdate:
		e.Update = &Update{Object: r.object(), Payload: r.Bytes(MaxPayload), Version: r.version(), Epoch: r.epoch(), Birth: r.version()}
		r.check(validPayload(e.Update.Payload))
	case KindDelete:
		e.Delete = &Delete{Object: r.object(), Version: r.version(), Epoch: r.epoch(), Birth: r.version()}
	case KindRelease:
		e.Release = &Release{Object: r.object(), NewOwner: r.optionalZone(), Epoch: r.epoch()}
	case KindReport:
		e.Report = &Report{Object: r.object(), Entry: r.zone(), Version: r.version(), Payload: r.Bytes(MaxPayload)}
		r.check(validPayload(e.Report.Payload))
	case KindAck:
		e.Ack = &Ack{Heights: r.heights()}
	case KindSnapshotBegin:
		e.SnapshotBegin = r.snapshotBegin()
	case KindSnapshotChunk:
		e.SnapshotChunk = &SnapshotChunk{Entries: r.entries()}
	case KindSnapshotEnd:
		e.SnapshotEnd = &SnapshotEnd{Count: r.Uint(math.MaxUint64), Digest: r.hash()}
	case KindAdmit:
		e.Admit = &Admit{Key: r.key(), Zone: r.optionalZone()}
	case KindBind:
		e.Bind = &Bind{Key: r.key(), Zone: r.zone()}
	case KindRemove:
		e.Remove = &Remove{Key: r.key(), Cuts: r.cuts()}
	case KindHandOver:
		e.HandOver = &HandOver{Zone: r.zone(), From: r.key(), To: r.key(), Generation: r.Uint(math.MaxUint64), Cuts: r.cuts()}
		r.check(e.HandOver.validate())
	}
}

func (r reader) snapshotBegin() *SnapshotBegin {
	s := &SnapshotBegin{Floor: mesh.Incarnation(r.Uint(uint64(mesh.MaxIncarnation))), Covers: r.covers()}
	r.tuple(2)
	s.Witness = Witness{Cluster: r.hash(), Counter: r.Uint(math.MaxUint64)}
	s.Heights = r.heights()
	return s
}

// tuple reads the head of an array of exactly n items.
func (r reader) tuple(n int) {
	if got := r.Array(n); r.Err() == nil && got != n {
		r.Fail("array of too few items")
	}
}

func (r reader) hash() (h mesh.Hash) {
	r.Fixed(h[:])
	return h
}

func (r reader) log() (l mesh.LogID) {
	r.Fixed(l[:])
	return l
}

func (r reader) key() keys.Public {
	var raw keys.Public
	r.Fixed(raw[:])
	if r.Err() != nil {
		return keys.Public{}
	}
	k, err := keys.PublicFromBytes(raw[:])
	r.check(err)
	return k
}

// author reads a key of a list. Logs of one author stand side by side, and checking a point of the curve
// costs more than all the rest of an entry.
func (r reader) author(before *mesh.LogKey) keys.Public {
	var raw keys.Public
	r.Fixed(raw[:])
	if before != nil && raw == before.Author || r.Err() != nil {
		return raw
	}
	k, err := keys.PublicFromBytes(raw[:])
	r.check(err)
	return k
}

func (r reader) zone() mesh.Zone {
	text := r.Text(maxLabel)
	if r.Err() != nil {
		return ""
	}
	z, err := mesh.ParseZone(string(text))
	r.check(err)
	return z
}

func (r reader) optionalZone() mesh.Zone {
	text := r.Text(maxLabel)
	if len(text) == 0 {
		return ""
	}
	z, err := mesh.ParseZone(string(text))
	r.check(err)
	return z
}

func (r reader) incarnation() mesh.Incarnation {
	i := mesh.Incarnation(r.Uint(uint64(mesh.MaxIncarnation)))
	if r.Err() == nil && i == 0 {
		r.Fail("incarnation 0")
	}
	return i
}

func (r reader) version() mesh.Version {
	v := mesh.Version(r.Uint(uint64(mesh.MaxVersion)))
	if r.Err() == nil && v == 0 {
		r.Fail("version 0")
	}
	return v
}

func (r reader) epoch() mesh.Epoch {
	e := mesh.Epoch(r.Uint(uint64(mesh.MaxEpoch)))
	if r.Err() == nil && e == 0 {
		r.Fail("epoch 0")
	}
	return e
}

// object reads a key. Its four parts share one string, so that a claim costs one allocation for its name.
func (r reader) object() mesh.ObjectKey {
	r.tuple(4)
	start := r.Offset()
	group := r.Text(maxSubdomain)
	kind := r.Text(maxLabel)
	namespace := r.Text(maxLabel)
	name := r.Text(maxSubdomain)
	if r.Err() != nil {
		return mesh.ObjectKey{}
	}
	whole := string(r.Since(start))
	part := func(from int, text []byte) (string, int) {
		// Each text of n bytes follows a head of one byte for n < 24, of two from there on.
		from += 1
		if len(text) >= 24 {
			from++
		}
		return whole[from : from+len(text)], from + len(text)
	}
	var k mesh.ObjectKey
	at := 0
	k.Group, at = part(at, group)
	k.Kind, at = part(at, kind)
	k.Namespace, at = part(at, namespace)
	k.Name, _ = part(at, name)
	r.check(k.Validate())
	return k
}

func (r reader) entries() []Entry {
	n := r.Array(MaxEntries)
	if n == 0 {
		return nil
	}
	// The count is the sender's word: room for it is made as entries prove to be there.
	list := make([]Entry, 0, min(n, r.Remaining()/minEntry+1))
	for range n {
		e := r.entry()
		if r.Err() != nil {
			return nil
		}
		list = append(list, e)
	}
	return list
}

func (r reader) entry() Entry {
	var e Entry
	items := r.Array(math.MaxUint8)
	e.Kind = EntryKind(r.Uint(math.MaxUint8))
	if r.Err() != nil {
		return e
	}
	if want, known := entryItems[e.Kind]; !known || items != want {
		r.Fail("no entry")
		return e
	}
	if e.Kind == EntryTrust {
		e.Header, e.Body = r.Bytes(operation.MaxHeader), r.Bytes(MaxTrustBody)
		if r.Err() == nil {
			r.check(e.validateTrust())
		}
		return e
	}
	e.Object = r.object()
	switch e.Kind {
	case EntryLive:
		e.Payload, e.Version, e.Epoch, e.Birth = r.Bytes(MaxPayload), r.version(), r.epoch(), r.version()
		r.check(validPayload(e.Payload))
	case EntryDeleted:
		e.Version, e.Epoch, e.Birth = r.version(), r.epoch(), r.version()
	case EntryReleased:
		e.NewOwner, e.Epoch = r.optionalZone(), r.epoch()
	case EntryReport:
		e.Zone, e.Version, e.Payload = r.zone(), r.version(), r.Bytes(MaxPayload)
		r.check(validPayload(e.Payload))
	}
	return e
}

func (r reader) heights() []Height {
	n := r.Array(MaxHeights)
	if n == 0 {
		return nil
	}
	list := make([]Height, 0, min(n, r.Remaining()/minHeight+1))
	var before *mesh.LogKey
	for range n {
		r.tuple(3)
		h := Height{Log: mesh.LogKey{Author: r.author(before), Log: r.log()}, Height: uint32(r.Uint(math.MaxUint32))}
		r.ascending(before == nil || before.Compare(h.Log) < 0)
		if r.Err() != nil {
			return nil
		}
		list = append(list, h)
		before = &list[len(list)-1].Log
	}
	return list
}

func (r reader) covers() []Cover {
	var list []Cover
	var before *mesh.LogKey
	for range r.Array(MaxCovers) {
		r.tuple(5)
		c := Cover{
			Log:         mesh.LogKey{Author: r.author(before), Log: r.log()},
			Incarnation: r.incarnation(),
			Height:      uint32(r.Uint(math.MaxUint32)),
			Head:        r.hash(),
		}
		r.check(validHead(c.Head))
		r.ascending(before == nil || before.Compare(c.Log) < 0)
		if r.Err() != nil {
			return nil
		}
		list = append(list, c)
		before = &list[len(list)-1].Log
	}
	return list
}

func (r reader) cuts() []Cut {
	var list []Cut
	for i := range r.Array(MaxCuts) {
		r.tuple(3)
		c := Cut{Log: r.log(), Height: uint32(r.Uint(math.MaxUint32)), Head: r.hash()}
		r.check(validHead(c.Head))
		r.ascending(i == 0 || compareCuts(list[i-1], c) < 0)
		if r.Err() != nil {
			return nil
		}
		list = append(list, c)
	}
	return list
}

func (r reader) ascending(ok bool) {
	if !ok {
		r.check(errNotAscending)
	}
}

var (
	errRepeatedLog  = errors.New("a log stands there twice")
	errNotAscending = errors.New("list not in key order")
)
