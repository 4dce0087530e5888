package event

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

// Caps on what one body may hold. Encode and Decode apply the same.
const (
	// MaxPayload is the longest payload, in bytes. It leaves room for the longest object key and all numbers,
	// so that an object that fits an Update also fits a snapshot chunk of its own.
	MaxPayload = operation.MaxBody - 1<<10
	// MaxHeights bounds the logs acknowledged at once: 1,000 zones with 4 logs each.
	MaxHeights = 4096
	// MaxCuts bounds the logs of one key that a removal or hand-over cuts: 8 uncovered ones are kept at a time.
	MaxCuts = 64
	// MaxEntries bounds the entries of a chunk, above what MaxChunk bytes of the shortest ones come to.
	MaxEntries = MaxChunk / 8
	// MaxTrustBody is the longest body of a trust operation, in bytes: 64 cuts come to less than 5 KiB.
	MaxTrustBody = 8 << 10
)

// Shortest encodings, in bytes: they turn a stated count into a bound on memory.
const (
	minEntry  = 11         // a released claim with a key of two letters
	minHeight = 1 + 68 + 1 // author, log and one digit
)

// fieldCounts holds the number of items after the head, per kind that is known.
var fieldCounts = map[Kind]int{
	KindUpdate: 5, KindDelete: 4, KindRelease: 3, KindReport: 4, KindAck: 1,
	KindSnapshotBegin: 4, KindSnapshotChunk: 1, KindSnapshotEnd: 2,
	KindAdmit: 2, KindBind: 2, KindRemove: 2, KindHandOver: 5,
}

// entryItems holds the number of items of an entry, its kind included.
var entryItems = map[EntryKind]int{EntryLive: 6, EntryDeleted: 5, EntryReleased: 4, EntryReport: 5, EntryTrust: 3}

func (k Kind) String() string {
	switch k {
	case KindUpdate:
		return "update"
	case KindDelete:
		return "delete"
	case KindRelease:
		return "release"
	case KindReport:
		return "report"
	case KindAck:
		return "ack"
	case KindSnapshotBegin:
		return "snapshot-begin"
	case KindSnapshotChunk:
		return "snapshot-chunk"
	case KindSnapshotEnd:
		return "snapshot-end"
	case KindAdmit:
		return "admit"
	case KindBind:
		return "bind"
	case KindRemove:
		return "remove"
	case KindHandOver:
		return "hand-over"
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

func (u *Update) validate() error {
	return cmp.Or(u.Object.Validate(), validPayload(u.Payload), validNumbers(u.Version, u.Epoch, u.Birth))
}

func (d *Delete) validate() error {
	return cmp.Or(d.Object.Validate(), validNumbers(d.Version, d.Epoch, d.Birth))
}

func (r *Release) validate() error {
	return cmp.Or(r.Object.Validate(), validOptionalZone(r.NewOwner), validEpoch(r.Epoch))
}

func (r *Report) validate() error {
	return cmp.Or(r.Object.Validate(), validZone(r.Entry), validVersion(r.Version), validPayload(r.Payload))
}

func (e *Entry) validate() error {
	switch e.Kind {
	case EntryLive:
		return cmp.Or(e.Object.Validate(), validPayload(e.Payload), validNumbers(e.Version, e.Epoch, e.Birth))
	case EntryDeleted:
		return cmp.Or(e.Object.Validate(), validNumbers(e.Version, e.Epoch, e.Birth))
	case EntryReleased:
		return cmp.Or(e.Object.Validate(), validOptionalZone(e.NewOwner), validEpoch(e.Epoch))
	case EntryReport:
		return cmp.Or(e.Object.Validate(), validZone(e.Zone), validVersion(e.Version), validPayload(e.Payload))
	case EntryTrust:
		return e.validateTrust()
	}
	return fmt.Errorf("unknown entry kind %d", e.Kind)
}

// validateTrust holds the sizes only: whether the operation is one, and of whom, is judged where it is used.
func (e *Entry) validateTrust() error {
	if len(e.Header) == 0 || len(e.Header) > operation.MaxHeader {
		return fmt.Errorf("trust operation with a header of %d bytes, want 1 to %d", len(e.Header), operation.MaxHeader)
	}
	if len(e.Body) == 0 || len(e.Body) > MaxTrustBody {
		return fmt.Errorf("trust operation with a body of %d bytes, want 1 to %d", len(e.Body), MaxTrustBody)
	}
	return nil
}

func (c *Cover) validate() error {
	if c.Incarnation == 0 {
		return errors.New("cover of incarnation 0")
	}
	return cmp.Or(validKey(c.Log.Author), validFloor(c.Incarnation), validHead(c.Head))
}

func (c *Cut) validate() error { return validHead(c.Head) }

func (h *HandOver) validate() error {
	switch {
	case h.Generation == 0:
		return errors.New("hand-over of generation 0")
	case h.From == h.To:
		return errors.New("hand-over of a key to itself")
	}
	return cmp.Or(validZone(h.Zone), validKey(h.From), validKey(h.To))
}

func validInstance(i mesh.Instance) error {
	if i.Incarnation == 0 {
		return errors.New("incarnation 0")
	}
	return cmp.Or(validZone(i.Zone), validFloor(i.Incarnation))
}

func validFloor(i mesh.Incarnation) error {
	if i > mesh.MaxIncarnation {
		return fmt.Errorf("incarnation %d, at most %d", i, mesh.MaxIncarnation)
	}
	return nil
}

func validZone(z mesh.Zone) error {
	_, err := mesh.ParseZone(string(z))
	return err
}

func validOptionalZone(z mesh.Zone) error {
	if z == "" {
		return nil
	}
	return validZone(z)
}

func validPayload(p []byte) error {
	if len(p) == 0 {
		return errors.New("empty payload")
	}
	if len(p) > MaxPayload {
		return fmt.Errorf("payload of %d bytes: %w", len(p), ErrTooLarge)
	}
	return nil
}

func validNumbers(v mesh.Version, e mesh.Epoch, birth mesh.Version) error {
	return cmp.Or(validVersion(v), validEpoch(e), validVersion(birth))
}

func validVersion(v mesh.Version) error {
	if v == 0 || v > mesh.MaxVersion {
		return fmt.Errorf("version %d, want 1 to %d", v, mesh.MaxVersion)
	}
	return nil
}

func validEpoch(e mesh.Epoch) error {
	if e == 0 || e > mesh.MaxEpoch {
		return fmt.Errorf("epoch %d, want 1 to %d", e, mesh.MaxEpoch)
	}
	return nil
}

func validKey(k keys.Public) error {
	_, err := keys.PublicFromBytes(k[:])
	return err
}

// validAuthor checks the author of heights[i] unless the one before has the same.
func validAuthor(heights []Height, i int) error {
	if i > 0 && heights[i].Log.Author == heights[i-1].Log.Author {
		return nil
	}
	return validKey(heights[i].Log.Author)
}

func validHead(h mesh.Hash) error {
	if h.IsZero() {
		return errors.New("position without a head hash")
	}
	return nil
}

func compareHeights(a, b Height) int { return a.Log.Compare(b.Log) }
func compareCovers(a, b Cover) int   { return a.Log.Compare(b.Log) }
func compareCuts(a, b Cut) int       { return bytes.Compare(a.Log[:], b.Log[:]) }
