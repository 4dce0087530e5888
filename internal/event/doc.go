// Package event holds what the body of an operation states, and its bytes.
//
// Decoding is strict in the way operations are: a body is either exactly what Encode writes for some event,
// or refused. Every number, name, key and length is checked on the way in and on the way out, so what was
// decoded needs no second look, and nothing is signed that others could not read. What a statement means,
// and who may make it, is decided elsewhere.
//
// # Bytes
//
// A body is one CBOR item in the only form that package cbor knows: shortest heads, definite lengths, no
// tags, no maps. It is an array of
//
//	1              version
//	kind           unsigned, 1 to 255
//	zone           text, a DNS label: the zone of the log that this was written for
//	incarnation    unsigned, 1 to 253402300799999: its incarnation
//	fields...      by kind
//
// The log id of the operation must follow from zone and incarnation; that is for the caller to hold. The
// head is never going to change, so that a node can hold it for kinds that it does not know. The fields are
//
//	 1 update          object payload version epoch birth
//	 2 delete          object version epoch birth
//	 3 release         object new-owner epoch
//	 4 report          object zone version payload
//	 5 ack             heights
//	 6 snapshot-begin  floor covers witness heights
//	 7 snapshot-chunk  entries
//	 8 snapshot-end    count digest
//	 9 admit           key zone
//	10 bind            key zone
//	11 remove          key cuts
//	12 hand-over       zone from-key to-key generation cuts
//
// made of
//
//	object       array of 4 texts: group, kind, namespace, name; group and namespace may be empty
//	payload      bytes, 1 to MaxPayload: canonical JSON, not looked into here
//	version      unsigned, 1 to 2^62 - 1
//	epoch        unsigned, 1 to 2^31 - 1
//	birth        a version; after an adoption it is of another zone's counter
//	new-owner    text: a zone, or empty for nobody in particular; so is the zone of an admit
//	heights      array of at most 4096: array(3) author log height
//	floor        unsigned: an incarnation, or 0
//	covers       array of at most 8: array(5) author log incarnation height head
//	witness      array(2): 32 bytes naming the cluster, zero for none, and an unsigned counter
//	entries      array, see below
//	cuts         array of at most 64: array(3) log height head
//	author, key  32 bytes: a point of the Ed25519 curve, not of small order
//	log, digest  32 bytes
//	head         32 bytes, not zero: the id of the operation at the height beside it
//	height       unsigned, below 2^32: a sequence number
//	count        unsigned
//	generation   unsigned, not 0
//
// A removal without cuts is a proposal. One of a key of which nothing stands has one cut, of the log with the
// id zero, at height 0, whose head is BLAKE3 of "mesh: nothing stands".
//
// Heights and covers stand in the order of author and log, cuts in that of the log, bytewise, and name no
// log twice. An entry of a snapshot is an array that begins with its kind:
//
//	1 live       object payload version epoch birth
//	2 deleted    object version epoch birth
//	3 released   object new-owner epoch
//	4 report     object zone version payload
//	5 trust      header body: a trust operation, verbatim
//
// For example, zone eu, incarnation 1700000000000, deletes ConfigMap shop/a of birth 7 in version 300:
//
//	88 01 02                         array(8), version 1, kind 2
//	62 6575                          "eu"
//	1b 0000018bcfe56800              1700000000000
//	84                               object, array(4)
//	   60                               group "", the core group
//	   69 436f6e6669674d6170            kind "ConfigMap"
//	   64 73686f70                      namespace "shop"
//	   61 61                            name "a"
//	19 012c                          version 300
//	01                               epoch 1
//	07                               birth 7
//
// # Snapshot runs
//
// Over a run of chunks the entries stand in the order of Entry.Compare, each once. The digest of a run is
// BLAKE3 over the encodings of its entries, one after the other, without the heads of the chunks: where one
// chunk ends and the next begins makes no difference to it.
package event
