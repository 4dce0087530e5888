package event

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/operation/cbor"
)

// version is the first item of every body. New events get new kinds; a new version would change what stands
// before the fields.
const version = 1

// headItems is the number of items before the fields: version, kind, zone, incarnation.
const headItems = 4

// ErrTooLarge reports an event whose body would pass operation.MaxBody, or a payload over MaxPayload.
var ErrTooLarge = errors.New("larger than an operation may be")

// Encode returns the body that states e. It refuses what Decode would refuse, so that nothing is ever signed
// that others could not read. Heights, covers and cuts may be in any order: they are written in key order.
func Encode(e *Event) ([]byte, error) {
	b, err := encode(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Kind, err)
	}
	return b, nil
}

func encode(e *Event) ([]byte, error) {
	if err := validInstance(e.Instance); err != nil {
		return nil, err
	}
	fields, known := fieldCounts[e.Kind]
	if !known {
		return nil, errors.New("unknown kind")
	}
	w := writer{b: make([]byte, 0, sizeHint(e))}
	w.array(headItems + fields)
	w.uint(version)
	w.uint(uint64(e.Kind))
	w.text(string(e.Instance.Zone))
	w.uint(uint64(e.Instance.Incarnation))
	w.fields(e)
	if w.err == nil && len(w.b) > operation.MaxBody {
		w.err = ErrTooLarge
	}
	return w.b, w.err
}

// EncodeEntry returns the bytes of one snapshot entry as they stand in a chunk: those that the digest of a
// run goes over, and whose length counts towards MaxChunk.
func EncodeEntry(e Entry) ([]byte, error) {
	w := writer{b: make([]byte, 0, entryHint(&e))}
	w.entry(&e)
	if w.err != nil {
		return nil, fmt.Errorf("encode entry: %w", w.err)
	}
	return w.b, nil
}

// writer appends items and keeps the first error, which is always one of the values handed in.
type writer struct {
	b   []byte
	err error
}

func (w *writer) array(n int)      { w.b = cbor.AppendArray(w.b, n) }
func (w *writer) uint(v uint64)    { w.b = cbor.AppendUint(w.b, v) }
func (w *writer) text(s string)    { w.b = cbor.AppendText(w.b, s) }
func (w *writer) bytes(p []byte)   { w.b = cbor.AppendBytes(w.b, p) }
func (w *writer) zone(z mesh.Zone) { w.text(string(z)) }

// check keeps the first error and reports whether there is none.
func (w *writer) check(err error) bool {
	if w.err == nil {
		w.err = err
	}
	return w.err == nil
}

// fields writes what follows the head. A nil pointer for the kind is the caller's mistake.
func (w *writer) fields(e *Event) {
	switch {
	case e.Kind == KindUpdate && e.Update != nil:
		u := e.Update
		w.check(u.validate())
		w.object(u.Object)
		w.bytes(u.Payload)
		w.uint(uint64(u.Version))
		w.uint(uint64(u.Epoch))
		w.uint(uint64(u.Birth))
	case e.Kind == KindDelete && e.Delete != nil:
		d := e.Delete
		w.check(d.validate())
		w.object(d.Object)
		w.uint(uint64(d.Version))
		w.uint(uint64(d.Epoch))
		w.uint(uint64(d.Birth))
	case e.Kind == KindRelease && e.Release != nil:
		r := e.Release
		w.check(r.validate())
		w.object(r.Object)
		w.zone(r.NewOwner)
		w.uint(uint64(r.Epoch))
	case e.Kind == KindReport && e.Report != nil:
		r := e.Report
		w.check(r.validate())
		w.object(r.Object)
		w.zone(r.Entry)
		w.uint(uint64(r.Version))
		w.bytes(r.Payload)
	case e.Kind == KindAck && e.Ack != nil:
		w.heights(e.Ack.Heights)
	case e.Kind == KindSnapshotBegin && e.SnapshotBegin != nil:
		s := e.SnapshotBegin
		w.check(validFloor(s.Floor))
		w.uint(uint64(s.Floor))
		w.covers(s.Covers)
		w.array(2)
		w.bytes(s.Witness.Cluster[:])
		w.uint(s.Witness.Counter)
		w.heights(s.Heights)
	case e.Kind == KindSnapshotChunk && e.SnapshotChunk != nil:
		w.entries(e.SnapshotChunk.Entries)
	case e.Kind == KindSnapshotEnd && e.SnapshotEnd != nil:
		w.uint(e.SnapshotEnd.Count)
		w.bytes(e.SnapshotEnd.Digest[:])
	case e.Kind == KindAdmit && e.Admit != nil:
		a := e.Admit
		w.check(cmp.Or(validKey(a.Key), validOptionalZone(a.Zone)))
		w.bytes(a.Key[:])
		w.zone(a.Zone)
	case e.Kind == KindBind && e.Bind != nil:
		b := e.Bind
		w.check(cmp.Or(validKey(b.Key), validZone(b.Zone)))
		w.bytes(b.Key[:])
		w.zone(b.Zone)
	case e.Kind == KindRemove && e.Remove != nil:
		w.check(validKey(e.Remove.Key))
		w.bytes(e.Remove.Key[:])
		w.cuts(e.Remove.Cuts)
	case e.Kind == KindHandOver && e.HandOver != nil:
		h := e.HandOver
		w.check(h.validate())
		w.zone(h.Zone)
		w.bytes(h.From[:])
		w.bytes(h.To[:])
		w.uint(h.Generation)
		w.cuts(h.Cuts)
	default:
		w.check(errors.New("kind without its fields"))
	}
}

func (w *writer) object(k mesh.ObjectKey) {
	w.array(4)
	w.text(k.Group)
	w.text(k.Kind)
	w.text(k.Namespace)
	w.text(k.Name)
}

func (w *writer) entries(list []Entry) {
	if len(list) > MaxEntries {
		w.check(fmt.Errorf("%d entries in a chunk, at most %d", len(list), MaxEntries))
	}
	w.array(len(list))
	for i := range list {
		w.entry(&list[i])
	}
}

func (w *writer) entry(e *Entry) {
	if !w.check(e.validate()) {
		return
	}
	w.array(entryItems[e.Kind])
	w.uint(uint64(e.Kind))
	if e.Kind == EntryTrust {
		w.bytes(e.Header)
		w.bytes(e.Body)
		return
	}
	w.object(e.Object)
	switch e.Kind {
	case EntryLive:
		w.bytes(e.Payload)
		w.uint(uint64(e.Version))
		w.uint(uint64(e.Epoch))
		w.uint(uint64(e.Birth))
	case EntryDeleted:
		w.uint(uint64(e.Version))
		w.uint(uint64(e.Epoch))
		w.uint(uint64(e.Birth))
	case EntryReleased:
		w.zone(e.NewOwner)
		w.uint(uint64(e.Epoch))
	case EntryReport:
		w.zone(e.Zone)
		w.uint(uint64(e.Version))
		w.bytes(e.Payload)
	}
}

func (w *writer) heights(list []Height) {
	list = w.ordered(list)
	w.array(len(list))
	for i := range list {
		w.array(3)
		w.bytes(list[i].Log.Author[:])
		w.bytes(list[i].Log.Log[:])
		w.uint(uint64(list[i].Height))
	}
}

// ordered returns heights in key order, the caller's slice untouched.
func (w *writer) ordered(list []Height) []Height {
	if len(list) > MaxHeights {
		w.check(fmt.Errorf("%d heights, at most %d", len(list), MaxHeights))
		return nil
	}
	list = sorted(list, compareHeights)
	for i := range list {
		if i > 0 && list[i].Log == list[i-1].Log {
			w.check(errRepeatedLog)
		}
		w.check(validAuthor(list, i))
	}
	return list
}

func (w *writer) covers(list []Cover) {
	if len(list) > MaxCovers {
		w.check(fmt.Errorf("%d covers, at most %d", len(list), MaxCovers))
		return
	}
	list = sorted(list, compareCovers)
	w.array(len(list))
	for i := range list {
		c := &list[i]
		if i > 0 && c.Log == list[i-1].Log {
			w.check(errRepeatedLog)
		}
		w.check(c.validate())
		w.array(5)
		w.bytes(c.Log.Author[:])
		w.bytes(c.Log.Log[:])
		w.uint(uint64(c.Incarnation))
		w.uint(uint64(c.Height))
		w.bytes(c.Head[:])
	}
}

func (w *writer) cuts(list []Cut) {
	if len(list) > MaxCuts {
		w.check(fmt.Errorf("%d cuts, at most %d", len(list), MaxCuts))
		return
	}
	list = sorted(list, compareCuts)
	w.array(len(list))
	for i := range list {
		c := &list[i]
		if i > 0 && c.Log == list[i-1].Log {
			w.check(errRepeatedLog)
		}
		w.check(c.validate())
		w.array(3)
		w.bytes(c.Log[:])
		w.uint(uint64(c.Height))
		w.bytes(c.Head[:])
	}
}

// sorted returns list in order, the caller's slice untouched.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), compare)
}

// sizeHint is the capacity that encoding starts with, so that payloads are not copied twice.
func sizeHint(e *Event) int {
	const head = 128
	switch {
	case e.Update != nil:
		return head + objectHint(&e.Update.Object) + len(e.Update.Payload)
	case e.Report != nil:
		return head + objectHint(&e.Report.Object) + len(e.Report.Payload)
	case e.SnapshotChunk != nil:
		n := head
		for i := range e.SnapshotChunk.Entries {
			n += entryHint(&e.SnapshotChunk.Entries[i])
		}
		return n
	}
	return head
}

func entryHint(e *Entry) int {
	return 64 + objectHint(&e.Object) + len(e.Payload) + len(e.Header) + len(e.Body)
}

func objectHint(k *mesh.ObjectKey) int {
	return len(k.Group) + len(k.Kind) + len(k.Namespace) + len(k.Name)
}
