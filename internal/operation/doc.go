// Package operation holds the signed unit that everything in mesh is made of: a header, which names its
// author, its place in a log and, by size and hash, a body.
//
// The bytes are those of p2panda v0.7.0 with its Node extensions, so that both programs accept the same
// operations. What is accepted here is a subset of what p2panda accepts: only canonical bytes, only the
// extensions below, only authors that are usable keys, bodies only up to MaxBody. Of several byte strings
// that stand for one header, p2panda takes all and means one; here the other ones are refused, so that a
// stored and relayed header is always the one that was signed and hashed.
//
// Decode, Verify and SetBody are three steps on purpose: a receiver drops what is malformed before it pays
// for a signature, and holds many headers without body.
//
// # Bytes
//
// A header is one CBOR array without tags or field names, in the only form that package cbor knows. What is
// absent is left out, and the length of the array says so:
//
//	1  version       unsigned, 1
//	2  author        32 bytes, an Ed25519 public key
//	3  signature     64 bytes
//	4  payload size  unsigned, 0 to MaxBody
//	5  payload hash  32 bytes, BLAKE3 of the body; only if the size is not 0
//	6  seq           unsigned, below 2^32
//	7  backlink      32 bytes, id of the operation before; only if seq is not 0
//	8  extensions    array(5): 1, 0, log id (32 bytes), timestamp (unsigned, below 2^64), prune (boolean)
//
// The signature is Ed25519 over the same array without item 3, its length one less. The id of the operation
// is BLAKE3 of the whole. A body is covered by size and hash alone; an empty body is no body.
//
// For example, sequence number 70000 with a body of 300 bytes, at most 227 bytes in all:
//
//	88                               array(8)
//	01                               version
//	58 20 <32 bytes>                 author
//	58 40 <64 bytes>                 signature
//	19 012c                          payload size 300
//	58 20 <32 bytes>                 payload hash
//	1a 00011170                      seq 70000
//	58 20 <32 bytes>                 backlink
//	85 01 00                         extensions: version 1, variant 0
//	   58 20 <32 bytes>              log id
//	   1b 00060a24181e4000           timestamp 1700000000000000
//	   f4                            do not prune
//
// What is signed begins with 87 instead of 88 and lacks the line of the signature.
package operation
