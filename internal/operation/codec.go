package operation

import (
	"math"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation/cbor"
)

const (
	headerVersion     = 1
	extensionsVersion = 1
	extensionsVariant = 0 // "basic": log id, timestamp, prune flag
	extensionsLen     = 5

	// Items of the header array: version, author, signature, payload size, sequence number and extensions
	// always stand there; payload hash and backlink may.
	minItems = 6
	maxItems = 8
)

// MaxHeader is the longest header there is, in bytes: array head, version and every field at its widest,
// then the extensions.
const MaxHeader = 1 + 1 + 34 + 66 + 5 + 34 + 5 + 34 + (1 + 1 + 1 + 34 + 9 + 1)

// MaxBody is the longest body accepted, in bytes. It lets every object through that etcd would store (1.5
// MiB by default) while a frame of 16 MiB still holds several operations.
const MaxBody = 4 << 20

// appendHeader appends the canonical header: the signed one, or the one without signature that is signed.
// The presence of hash and backlink follows from size and sequence number, as it does for a reader.
func appendHeader(dst []byte, h *Header, signed bool) []byte {
	dst = cbor.AppendArray(dst, fieldCount(h, signed)+1)
	dst = appendFields(dst, h, signed)
	return appendExtensions(dst, h)
}

// fieldCount is the number of items before the extensions.
func fieldCount(h *Header, signed bool) int {
	n := minItems - 2
	if signed {
		n++
	}
	if h.PayloadSize != 0 {
		n++
	}
	if h.Seq != 0 {
		n++
	}
	return n
}

func appendFields(dst []byte, h *Header, signed bool) []byte {
	dst = cbor.AppendUint(dst, headerVersion)
	dst = cbor.AppendBytes(dst, h.Author[:])
	if signed {
		dst = cbor.AppendBytes(dst, h.Signature[:])
	}
	dst = cbor.AppendUint(dst, uint64(h.PayloadSize))
	if h.PayloadSize != 0 {
		dst = cbor.AppendBytes(dst, h.PayloadHash[:])
	}
	dst = cbor.AppendUint(dst, uint64(h.Seq))
	if h.Seq != 0 {
		dst = cbor.AppendBytes(dst, h.Backlink[:])
	}
	return dst
}

func appendExtensions(dst []byte, h *Header) []byte {
	dst = cbor.AppendArray(dst, extensionsLen)
	dst = cbor.AppendUint(dst, extensionsVersion)
	dst = cbor.AppendUint(dst, extensionsVariant)
	dst = cbor.AppendBytes(dst, h.Log[:])
	dst = cbor.AppendUint(dst, h.Timestamp)
	return cbor.AppendBool(dst, h.Prune)
}

// readHeader parses a signed header. Bytes it accepts are exactly those that appendHeader makes of the
// result. known is a key that was checked before, or zero.
func readHeader(raw []byte, h *Header, known keys.Public) error {
	r := cbor.NewReader(raw)
	items := r.Array(maxItems)
	if err := readFields(r, h, known); err != nil {
		return err
	}
	if items != fieldCount(h, true)+1 {
		r.Fail("array length does not match the fields")
	}
	if err := readExtensions(r, h); err != nil {
		return err
	}
	if err := r.End(); err != nil {
		return malformed(err)
	}
	return nil
}

func readFields(r *cbor.Reader, h *Header, known keys.Public) error {
	version := r.Uint(math.MaxUint16)
	if r.Err() == nil && version != headerVersion {
		return &InvalidError{Reason: UnsupportedVersion}
	}
	var author keys.Public
	r.Fixed(author[:])
	r.Fixed(h.Signature[:])
	h.PayloadSize = uint32(r.Uint(math.MaxUint32))
	if r.Err() != nil {
		return malformed(r.Err())
	}
	if r.NextIsBytes() != (h.PayloadSize != 0) {
		return misplaced(r, InconsistentPayloadInfo)
	}
	if h.PayloadSize > MaxBody {
		return &InvalidError{Reason: TooLarge}
	}
	if h.PayloadSize != 0 {
		r.Fixed(h.PayloadHash[:])
	}
	h.Seq = uint32(r.Uint(math.MaxUint32))
	if r.Err() != nil {
		return malformed(r.Err())
	}
	switch {
	case h.Seq == 0 && r.NextIsBytes():
		return &InvalidError{Reason: SeqNumMismatch}
	case h.Seq != 0 && !r.NextIsBytes():
		return misplaced(r, BacklinkMissing)
	case h.Seq != 0:
		r.Fixed(h.Backlink[:])
	}
	if r.Err() != nil {
		return malformed(r.Err())
	}
	if err := h.checkShape(); err != nil {
		return err
	}
	// Last, because it is the only check that costs more than a few nanoseconds: a tenth of a signature.
	if author == known && !known.IsZero() {
		h.Author = known
		return nil
	}
	var err error
	if h.Author, err = keys.PublicFromBytes(author[:]); err != nil {
		return &InvalidError{Reason: InvalidKey, Err: err}
	}
	return nil
}

func readExtensions(r *cbor.Reader, h *Header) error {
	n := r.Array(math.MaxUint8)
	version, variant := r.Uint(math.MaxUint16), r.Uint(math.MaxUint16)
	if r.Err() != nil {
		return malformed(r.Err())
	}
	if n != extensionsLen || version != extensionsVersion || variant != extensionsVariant {
		return &InvalidError{Reason: UnsupportedExtensions}
	}
	var log mesh.LogID
	r.Fixed(log[:])
	h.Log = log
	h.Timestamp = r.Uint(math.MaxUint64)
	h.Prune = r.Bool()
	if r.Err() != nil {
		return malformed(r.Err())
	}
	return nil
}

// checkShape holds the rules on presence: hash with payload, backlink from sequence number 1 on. No hash
// is 32 zero bytes, so zero stands for absent.
func (h *Header) checkShape() error {
	switch {
	case h.PayloadHash.IsZero() != (h.PayloadSize == 0):
		return &InvalidError{Reason: InconsistentPayloadInfo}
	case h.Seq == 0 && !h.Backlink.IsZero():
		return &InvalidError{Reason: SeqNumMismatch}
	case h.Seq != 0 && h.Backlink.IsZero():
		return &InvalidError{Reason: BacklinkMissing}
	}
	return nil
}

// misplaced names an absent or surplus field, unless the input simply ends there.
func misplaced(r *cbor.Reader, reason Reason) error {
	if r.Remaining() == 0 {
		return malformed(r.EarlyEnd())
	}
	return &InvalidError{Reason: reason}
}
