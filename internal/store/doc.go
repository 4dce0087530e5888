// Package store keeps a node's state in one bbolt file: it is the oplog.Store that survives.
//
// The one idea: Commit is one transaction, synced before it returns. What it acknowledged is there after a
// kill or a power cut at any instant; what it did not acknowledge is there as a whole or not at all. After an
// error the handle is finished: every later call answers ErrFailed, and the way on is to open the file anew.
//
// A file is never repaired, reset or overwritten behind the operator's back. One that is damaged, that another
// node made, or that a newer version wrote is refused with the way out. Panics of bbolt and faults on mapped
// pages, which is how a damaged file may show up, come back as *DamagedError.
//
// A bit that flips on the disk is noticed where it is read, or makes no difference: every record has a sum, the records
// of a bucket are counted, and pages are looked at before bbolt follows them.
//
// # Files
//
//	mesh.db       the store, mode 0600, locked with flock while it is open
//	mesh.db.new   a store in the making (first start, compaction, migration); renamed onto mesh.db when synced, else removed
//	mesh.ballast  64 MiB of allocated nothing, deleted when the disk is full so that pruning has room
//
// # Format, version 4
//
// A bbolt file of 4096-byte pages with the buckets below. Integers are big-endian and of fixed size: u8, u32,
// u64, and i64 in two's complement. hash, key and log id are 32 bytes. str is a u16 length and that many
// bytes; "rest" is what is left of the value. A logkey is an author's key and a log id, 64 bytes. An objkey is
// group, kind, namespace and name, each followed by a zero byte, so that the order of keys is the order of
// objects. A logno is a u32 that stands for a logkey: it makes rows and claims some 60 bytes smaller.
//
// Every value but the format's ends in a seal, which the table leaves out: u32 CRC-32C of the bucket's name, the key
// and the value before it.
//
//	bucket    key              value
//	meta      "format"         u32 version
//	          "counts"         u32 number of records per bucket, in the order of this table; meta's is that of
//	                           "node" alone, those of rows and payloads are zero: nobody counts these
//	          "node"           str network, str zone, key author, u64 created, u64 incarnation,
//	                           u64 last version, hash cluster, u64 counter, u64 next counter,
//	                           i64 last ack, i64 last run, u8 replaced, u8 behind
//	lognos    logno            logkey
//	rows      logno, u32 seq   hash id, u32 header length, header, rest body
//	logs      logkey           str zone, u64 incarnation, u32 start, u32 next, hash head, u32 pruned,
//	                           u32 absent below, u8 flags, u64 ops, u64 bytes, i64 updated,
//	                           then by flag: run (1), staged (2), limit (4), unchecked (32), unchecked
//	                           of the staged run (64); 8: nothing stands, 16: frozen, 128: by a false signature.
//	                           A run is u32 begin, u32 next, hash head; a limit is u32 height, hash;
//	                           unchecked is u32 from, u32 to.
//	claims    objkey, zone     u8 kind, plus 128 if it has a payload, u64 version, u32 epoch, u64 birth, u32 size,
//	                           hash content, logno, u64 incarnation, u32 seq, i64 since, rest new owner
//	payloads  objkey, zone     the payload of a live claim
//	placed    objkey           u8 state, u8 local, u32 epoch, u64 birth, u64 version, hash content, hash expect,
//	                           hash base content, str base uid, rest zone
//	trust     hash id          u32 header length, header, rest body
//	lost      u64 id           i64 at, u64 version, str zone, str reason, str objkey, rest payload
//	evidence  logkey           two rows, each u32 seq, hash id, u32 length, header, u32 length, body
//	bindings  key              u8 conflict, rest zone
//	brakes    zone             ten times i64 slot, u32 count; then u8 held
//	acked     zone, 0, logkey  u32 height
//	covers    key              u64 floor, hash cluster, u64 counter, then per cover
//	                           logkey, u64 incarnation, u32 height, hash head
//	invites   rest id          hash secret, str zone, i64 created, i64 expires, u32 uses, u8 flags, then by flag: key
//	                           of the only redeemer (1); 2: revoked. Then per redemption
//	                           key, str zone, i64 at, u8 spent
//	contacts  key              str zone, i64 seen, u8 inviter, u32 record length, record, then per endpoint str
//
// Of an invitation's secret only the hash is kept, and of a contact at most 16 endpoints and 5 KiB of record.
// Version 1 had neither invites nor contacts; version 2 neither flag 32 nor 64 nor 128, for it verified every
// signature before it took an operation in; version 3 neither seals nor counts, nor the 128 of a claim.
//
// Payloads live apart from claims, so that a start reads the index without touching their pages. It can't count them,
// nor rows: which there must be the index says, and a read that doesn't find one refuses.
//
// # Choices
//
// The free list is written with every commit (no NoFreelistSync): without it an open would scan all pages, in
// a goroutine of bbolt's whose panics nobody can catch. It is kept as a map, for a list searched in order is
// slow once a prune freed many pages. The file is mapped with room to grow, for remapping waits for readers.
package store
