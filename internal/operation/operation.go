package operation

import (
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
	ID   mesh.Hash // BLAKE3 of HeaderBytes, always computed here, never taken from outside
	Raw  []byte    // canonical header bytes; owned by the operation
	Body []byte    // nil when the operation has no body or it is not at hand
}
