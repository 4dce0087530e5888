package operation

import (
	"bytes"
	"errors"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Header is the signed metadata of an operation, p2panda header version 1 with the Node extensions. Its
// version is always 1 and is not kept.
type Header struct {
	Author      keys.Public
	Signature   keys.Signature
	PayloadSize uint32    // bytes of the body; 0 means no body
	PayloadHash mesh.Hash // BLAKE3 of the body; zero iff PayloadSize is 0
	Seq         uint32
	Backlink    mesh.Hash // id of operation Seq-1; zero iff Seq is 0
	Log         mesh.LogID
	Timestamp   uint64 // microseconds since the Unix epoch, as its author claims; it decides nothing
	Prune       bool
}

// Operation is a decoded operation together with the exact bytes it was decoded from.
type Operation struct {
	Header
	ID   mesh.Hash // BLAKE3 of Raw, always computed here, never taken from outside
	Raw  []byte    // canonical header bytes; owned by the operation
	Body []byte    // nil when the operation has no body or it is not at hand
}

// Sign makes the operation that h describes. It fills in author, payload size and hash, and signature; an
// empty body means no body. The body is copied. Log, timestamp and prune flag are signed as they are.
//
// An InvalidError reports a backlink at sequence number 0, a missing one above it, or a body over MaxBody.
func Sign(key keys.Private, h Header, body []byte) (*Operation, error) {
	if len(body) > MaxBody {
		return nil, &InvalidError{Reason: TooLarge}
	}
	h.Author = key.Public()
	h.PayloadSize, h.PayloadHash = uint32(len(body)), mesh.Hash{}
	if len(body) > 0 {
		h.PayloadHash = mesh.Sum(body)
	}
	if err := h.checkShape(); err != nil {
		return nil, err
	}
	raw := make([]byte, 0, MaxHeader)
	h.Signature = key.Sign(appendHeader(raw, &h, false))
	raw = appendHeader(raw, &h, true)
	return &Operation{Header: h, ID: mesh.Sum(raw), Raw: raw, Body: cloneBody(body)}, nil
}

// Decode reads a signed header and nothing else: the result has no body. It accepts canonical bytes only,
// refuses authors that are no usable key, and copies what it keeps. It does not verify the signature. Every
// error is an InvalidError.
func Decode(raw []byte) (*Operation, error) {
	var d Decoder
	return d.Decode(bytes.Clone(raw))
}

// Decoder reads many headers as Decode does, with two savings: it keeps the bytes that it is given instead of copying
// them, and an author that it has just seen isn't checked to be a usable key again. Not safe for concurrent use.
type Decoder struct{ author keys.Public }

// Decode reads a signed header. The bytes belong to the operation from now on.
func (d *Decoder) Decode(raw []byte) (*Operation, error) {
	if len(raw) > MaxHeader {
		return nil, malformed(errTooLong)
	}
	o := new(Operation)
	if err := readHeader(raw, &o.Header, d.author); err != nil {
		return nil, err
	}
	d.author = o.Author
	o.Raw = raw
	o.ID = mesh.Sum(raw)
	return o, nil
}

// Verify checks the signature strictly, over the bytes that Raw holds without it. It also holds that the
// fields still say what Raw says. The body is SetBody's concern.
func (o *Operation) Verify() error {
	var buf [MaxHeader]byte
	if !bytes.Equal(appendHeader(buf[:0], &o.Header, true), o.Raw) {
		return malformed(errFieldsDiffer)
	}
	if !keys.Verify(o.Author, appendHeader(buf[:0], &o.Header, false), o.Signature) {
		return &InvalidError{Reason: SignatureMismatch}
	}
	return nil
}

// SetBody attaches a copy of the body that the header names by size and hash. An operation without payload
// takes none: an empty body is refused there and everywhere.
func (o *Operation) SetBody(b []byte) error {
	if err := o.TakeBody(b); err != nil {
		return err
	}
	o.Body = bytes.Clone(b)
	return nil
}

// TakeBody is SetBody without the copy: the bytes belong to the operation from now on.
func (o *Operation) TakeBody(b []byte) error {
	if len(b) == 0 || uint64(len(b)) != uint64(o.PayloadSize) || mesh.Sum(b) != o.PayloadHash {
		return &InvalidError{Reason: PayloadMismatch}
	}
	o.Body = b
	return nil
}

// ValidateBacklink checks that current follows past: same author, the next sequence number, a backlink that
// names past. Of past only Author, Seq and ID are looked at. That both belong to one log is not checked here,
// as in p2panda.
func ValidateBacklink(past, current *Operation) error {
	switch {
	case past.Author != current.Author:
		return &InvalidError{Reason: TooManyAuthors}
	case uint64(past.Seq)+1 != uint64(current.Seq):
		return &InvalidError{Reason: SeqNumNonIncremental}
	case current.Backlink.IsZero():
		return &InvalidError{Reason: BacklinkMissing}
	case current.Backlink != past.ID:
		return &InvalidError{Reason: BacklinkMismatch}
	}
	return nil
}

var (
	errTooLong      = errors.New("longer than any header")
	errFieldsDiffer = errors.New("fields and bytes differ")
)

func cloneBody(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}
