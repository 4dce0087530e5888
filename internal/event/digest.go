package event

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"lukechampine.com/blake3"

	"dcp.hiro.io/mesh/internal/mesh"
)

// rank puts claims of any kind first, reports second, trust operations last.
func (k EntryKind) rank() int {
	switch k {
	case EntryReport:
		return 1
	case EntryTrust:
		return 2
	}
	return 0
}

// Compare gives the order of entries within a run: claims by object key whatever they state, then reports by
// object key and zone, then trust operations by id. Two entries that compare equal cannot stand in one run.
func (e *Entry) Compare(o *Entry) int {
	rank := e.Kind.rank()
	if c := cmp.Compare(rank, o.Kind.rank()); c != 0 {
		return c
	}
	if rank == EntryTrust.rank() {
		if bytes.Equal(e.Header, o.Header) {
			return 0
		}
		return mesh.Sum(e.Header).Compare(mesh.Sum(o.Header))
	}
	c := e.Object.Compare(o.Object)
	if c == 0 && rank == EntryReport.rank() {
		return strings.Compare(string(e.Zone), string(o.Zone))
	}
	return c
}

// ErrEntryOrder reports an entry that does not stand after the one before it.
var ErrEntryOrder = errors.New("entry out of order")

// Digest computes what a SnapshotEnd states about its run. It holds none of the payloads.
// Not safe for concurrent use.
type Digest struct {
	hash  *blake3.Hasher
	count uint64
	last  Entry // what Compare looks at
	buf   []byte
}

// NewDigest returns the digest of an empty run.
func NewDigest() *Digest { return &Digest{hash: blake3.New(len(mesh.Hash{}), nil)} }

// Add takes in the next entry. One that is invalid or not strictly after the one before is refused, with
// ErrEntryOrder in the latter case, and leaves the digest as it was.
func (d *Digest) Add(e Entry) error {
	if d.count > 0 && d.last.Compare(&e) >= 0 {
		return fmt.Errorf("entry %d of the run: %w", d.count, ErrEntryOrder)
	}
	w := writer{b: d.buf[:0]}
	w.entry(&e)
	if w.err != nil {
		return fmt.Errorf("entry %d of the run: %w", d.count, w.err)
	}
	d.hash.Write(w.b)
	d.count++
	d.last = Entry{Kind: e.Kind, Object: e.Object, Zone: e.Zone, Header: bytes.Clone(e.Header)}
	// One large object must not pin its size for as long as the run is open.
	if d.buf = w.b; cap(d.buf) > MaxChunk {
		d.buf = nil
	}
	return nil
}

// Sum returns the number of entries so far and BLAKE3 over their encodings. More may be added afterwards.
func (d *Digest) Sum() (count uint64, h mesh.Hash) {
	d.hash.Sum(h[:0])
	return d.count, h
}
