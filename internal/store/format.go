package store

import (
	"fmt"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/oplog"
)

// formatVersion is the version that this code reads and writes. To raise it, append to migrations.
const formatVersion = 3

// migration brings a store from one version to the next, within a transaction.
type migration struct {
	from uint32
	run  func(*bbolt.Tx) error
}

// migrations lead from every older version to formatVersion, one step each.
var migrations = []migration{
	{from: 1, run: addJoining},
	{from: 2, run: func(*bbolt.Tx) error { return nil }}, // of records of logs without the new flags all was verified
}

var (
	bucketMeta     = []byte("meta")
	bucketLognos   = []byte("lognos")
	bucketRows     = []byte("rows")
	bucketLogs     = []byte("logs")
	bucketClaims   = []byte("claims")
	bucketPayloads = []byte("payloads")
	bucketPlaced   = []byte("placed")
	bucketTrust    = []byte("trust")
	bucketLost     = []byte("lost")
	bucketEvidence = []byte("evidence")
	bucketBindings = []byte("bindings")
	bucketBrakes   = []byte("brakes")
	bucketAcked    = []byte("acked")
	bucketCovers   = []byte("covers")
	bucketInvites  = []byte("invites")
	bucketContacts = []byte("contacts")

	buckets = [][]byte{
		bucketMeta, bucketLognos, bucketRows, bucketLogs, bucketClaims, bucketPayloads, bucketPlaced, bucketTrust,
		bucketLost, bucketEvidence, bucketBindings, bucketBrakes, bucketAcked, bucketCovers,
		bucketInvites, bucketContacts,
	}

	keyFormat = []byte("format")
	keyNode   = []byte("node")
)

func createBuckets(tx *bbolt.Tx, version uint32) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return putFormat(tx, version)
}

// addJoining makes the buckets that format 1 lacked.
func addJoining(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketInvites, bucketContacts} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

func putFormat(tx *bbolt.Tx, version uint32) error {
	return tx.Bucket(bucketMeta).Put(keyFormat, order.AppendUint32(nil, version))
}

func readFormat(tx *bbolt.Tx) (uint32, error) {
	b := tx.Bucket(bucketMeta)
	if b == nil {
		return 0, fmt.Errorf("not a store of mesh: %w", errCorrupt)
	}
	r := reader{b: b.Get(keyFormat)}
	version := r.u32()
	return version, r.end("format version")
}

// migrate brings an older store up to date, in one transaction that also looks whose store it is: another
// node's is left as it was.
func (s *Store) migrate() error {
	var version uint32
	err := s.view(func(tx *bbolt.Tx) (err error) {
		version, err = readFormat(tx)
		return err
	})
	if err != nil || version >= formatVersion {
		return err
	}
	if err := s.fault(onMigrate); err != nil {
		return err
	}
	return s.update(func(tx *bbolt.Tx) error {
		for ; version < formatVersion; version++ {
			step, ok := s.migration(version)
			if !ok {
				return fmt.Errorf("no way from format %d to %d", version, formatVersion)
			}
			if err := step.run(tx); err != nil {
				return fmt.Errorf("migrate from format %d: %w", version, err)
			}
		}
		if err := putFormat(tx, formatVersion); err != nil {
			return err
		}
		return s.checkOwner(tx)
	})
}

func (s *Store) migration(from uint32) (migration, bool) {
	for _, m := range s.o.migrations {
		if m.from == from {
			return m, true
		}
	}
	return migration{}, false
}

// inspect checks what every later call relies on: the version, the buckets, the owner, the log numbers.
func (s *Store) inspect() error {
	return s.view(func(tx *bbolt.Tx) error {
		version, err := readFormat(tx)
		switch {
		case err != nil:
			return err
		case version > formatVersion:
			return fmt.Errorf("%s has format %d and this version knows up to %d: %w; run that version again, or move the file aside: the node gets everything back from its peers",
				s.path, version, formatVersion, ErrNewer)
		case version < formatVersion:
			return fmt.Errorf("%s: %w", s.path, ErrOlder)
		}
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("bucket %s is missing: %w", name, errCorrupt)
			}
		}
		if err := s.checkOwner(tx); err != nil {
			return err
		}
		s.lognos, err = loadLognos(tx)
		return err
	})
}

func (s *Store) checkOwner(tx *bbolt.Tx) error {
	meta, err := readMeta(tx)
	if err != nil || meta == nil {
		return err
	}
	have := Identity{meta.Network, meta.Zone, meta.Author}
	if !s.o.Owner.accepts(have) && !s.ofFormer(have) {
		return &ForeignError{s.path, have, s.o.Owner}
	}
	return nil
}

// ofFormer reports whether a store is that of the key that handed over to the owner's.
func (s *Store) ofFormer(have Identity) bool {
	former := s.o.Owner
	former.Author = s.o.Former
	return !s.o.Former.IsZero() && !s.o.Owner.Author.IsZero() && former.accepts(have)
}

// inherit makes a store of the former key the owner's, in one transaction: nothing was signed with the new key yet, so
// there is no log of it to go on with. What the former key signed stays as a log of its own.
func (s *Store) inherit() error {
	var meta *oplog.Meta
	err := s.view(func(tx *bbolt.Tx) (err error) {
		if version, verr := readFormat(tx); verr != nil || version != formatVersion {
			return nil // inspect says so
		}
		meta, err = readMeta(tx)
		return err
	})
	if err != nil || meta == nil || !s.ofFormer(Identity{meta.Network, meta.Zone, meta.Author}) {
		return err
	}
	if err := s.fault(onInherit); err != nil {
		return err
	}
	meta.Author, meta.Incarnation = s.o.Owner.Author, 0
	var w writer
	w.meta(meta)
	return s.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyNode, w.b) })
}

// readMeta returns the node's record, or nil in a new store.
func readMeta(tx *bbolt.Tx) (*oplog.Meta, error) {
	v := tx.Bucket(bucketMeta).Get(keyNode)
	if v == nil {
		return nil, nil
	}
	m, err := decodeMeta(v)
	return &m, err
}
