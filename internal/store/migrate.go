package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// lastBare is the last format whose records have no sums and are not counted.
const lastBare = 3

// migration brings a store of bare records from one version to the next, within a transaction.
type migration struct {
	from uint32
	run  func(*bbolt.Tx) error
}

// migrations lead from every older version to lastBare, one step each.
var migrations = []migration{
	{from: 1, run: addJoining},
	{from: 2, run: func(*bbolt.Tx) error { return nil }}, // of records of logs without the new flags all was verified
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

// migrate brings an older store up to date: to lastBare in one transaction, and from there by a copy in which every
// record is sealed. It looks whose store it is first: another node's is left as it was.
func (s *Store) migrate() error {
	var version uint32
	err := s.view(func(tx *txn) (err error) {
		version, err = readFormat(tx.bolt)
		return err
	})
	if err != nil || version >= formatVersion {
		return err
	}
	if err := s.fault(onMigrate); err != nil {
		return err
	}
	if version == lastBare {
		err = s.view(func(tx *txn) error { return s.checkBareOwner(tx.bolt) })
	} else {
		err = s.write(func(bolt *bbolt.Tx) error { return s.toLastBare(bolt, version) })
	}
	if err == nil {
		err = s.sealAll()
	}
	if err == nil {
		s.o.Log.Info("brought the store up to date; earlier versions of mesh can't read it any more", "path", s.path, "from", version, "format", formatVersion)
	}
	return err
}

func (s *Store) toLastBare(bolt *bbolt.Tx, version uint32) error {
	for ; version < lastBare; version++ {
		step, ok := s.migration(version)
		if !ok {
			return corrupt("no way from format %d to %d", version, formatVersion)
		}
		if err := step.run(bolt); err != nil {
			return fmt.Errorf("migrate from format %d: %w", version, err)
		}
	}
	return errors.Join(putFormat(bolt, lastBare), s.checkBareOwner(bolt))
}

func (s *Store) migration(from uint32) (migration, bool) {
	for _, m := range s.o.migrations {
		if m.from == from {
			return m, true
		}
	}
	return migration{}, false
}

func (s *Store) checkBareOwner(bolt *bbolt.Tx) error {
	v := bolt.Bucket(bucketMeta).Get(keyNode)
	if v == nil {
		return nil
	}
	meta, err := decodeMeta(v)
	if err != nil {
		return err
	}
	return s.checkOwner(&meta)
}

// sealAll goes on with a copy of the store, in which every record is sealed and counted. The old file is what it was
// until the copy is whole, so that a crash, or a disk without room for it, costs nothing.
func (s *Store) sealAll() error {
	free, total := s.usage()
	if err := s.roomForCopy(total - free); err != nil {
		return fmt.Errorf("bring the store up to date: %w", err)
	}
	db, f, err := s.copy(func(dst *bbolt.DB) error {
		return s.db.View(func(src *bbolt.Tx) error { return sealInto(dst, src) })
	})
	if err != nil {
		return fmt.Errorf("bring the store up to date: %w", err)
	}
	return s.swap(db, f)
}

// sealInto copies bucket by bucket, with no more of the copy in memory than a batch.
func sealInto(dst *bbolt.DB, src *bbolt.Tx) error {
	if err := dst.Update(createBuckets); err != nil {
		return err
	}
	for _, name := range buckets {
		from := src.Bucket(name)
		if from == nil {
			return corrupt("bucket %s is missing", name)
		}
		for next, more := []byte(nil), true; more; {
			err := dst.Update(func(bolt *bbolt.Tx) (err error) {
				tx := &txn{bolt: bolt}
				to := tx.bucket(name)
				to.bolt.FillPercent = 1 // in key order
				next, more, err = sealSome(to, from, next, src.Bucket(bucketPayloads))
				return errors.Join(err, to.bolt.SetSequence(from.Sequence()), tx.saveCounts())
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sealSome copies a batch of records from a key on, and returns the key to go on with.
func sealSome(to bucket, from *bbolt.Bucket, key []byte, payloads *bbolt.Bucket) (next []byte, more bool, err error) {
	meta, claims := countAt(bucketMeta), countAt(bucketClaims)
	c := from.Cursor()
	k, v := c.Seek(key)
	for size := 0; k != nil && size < compactBatch; k, v = c.Next() {
		if to.at == meta && string(k) != string(keyNode) {
			continue // createBuckets made it
		}
		v := append(make([]byte, 0, len(v)+sumSize), v...)
		if to.at == claims && len(v) > 0 && payloads.Get(k) != nil {
			v[0] |= claimHolds
		}
		if err := to.put(k, v); err != nil {
			return nil, false, err
		}
		size += len(k) + len(v)
	}
	return clone(k), k != nil, nil
}
