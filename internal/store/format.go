package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/oplog"
)

// formatVersion is the version that this code reads and writes. To raise it, add a
// step to migrate.
const formatVersion = 4

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

	keyFormat = []byte("format") // the only record without a sum: every version has to read it
	keyNode   = []byte("node")
	keyCounts = []byte("counts")
)

// createBuckets makes what a new file holds.
func createBuckets(bolt *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := bolt.CreateBucket(name); err != nil {
			return err
		}
	}
	tx := &txn{bolt: bolt, counts: make([]uint32, len(buckets)), dirty: true}
	if err := tx.saveCounts(); err != nil {
		return err
	}
	return putFormat(bolt, formatVersion)
}

func putFormat(bolt *bbolt.Tx, version uint32) error {
	return bolt.Bucket(bucketMeta).Put(keyFormat, order.AppendUint32(nil, version))
}

func readFormat(bolt *bbolt.Tx) (uint32, error) {
	b := bolt.Bucket(bucketMeta)
	if b == nil {
		return 0, fmt.Errorf("not a store of mesh: %w", errCorrupt)
	}
	r := reader{b: b.Get(keyFormat)}
	version := r.u32()
	return version, r.end("format version")
}

// inspect checks what every later call relies on: the version, the buckets, the owner, the log numbers.
func (s *Store) inspect() error {
	return s.view(func(tx *txn) error {
		version, err := readFormat(tx.bolt)
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
			if tx.bolt.Bucket(name) == nil {
				return fmt.Errorf("bucket %s is missing: %w", name, errCorrupt)
			}
		}
		meta, err := readMeta(tx)
		if err == nil {
			err = s.checkOwner(meta)
		}
		if err != nil {
			return err
		}
		s.lognos, err = loadLognos(tx)
		return err
	})
}

func (s *Store) checkOwner(meta *oplog.Meta) error {
	if meta == nil {
		return nil
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
	err := s.view(func(tx *txn) (err error) {
		if version, verr := readFormat(tx.bolt); verr != nil || version != formatVersion {
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
	return s.update(func(tx *txn) error { return tx.bucket(bucketMeta).put(keyNode, w.b) })
}

// readMeta returns the node's record, or nil in a new store.
func readMeta(tx *txn) (*oplog.Meta, error) {
	b := tx.bucket(bucketMeta)
	v, err := b.get(keyNode)
	if err != nil {
		return nil, err
	}
	if v == nil {
		if n, err := b.size(); err != nil || n > 0 {
			return nil, errors.Join(err, corrupt("the node's record is gone"))
		}
		return nil, nil
	}
	m, err := decodeMeta(v)
	return &m, err
}
