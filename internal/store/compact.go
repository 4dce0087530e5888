package store

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

const (
	// compactMin is the free space in the file that is worth a copy of the rest, 4 MiB.
	compactMin = 4 << 20
	// compactBatch is how much one transaction of the copy holds in memory, 16 MiB.
	compactBatch = 16 << 20
	// compactReserve must stay free on the disk beside the copy, 32 MiB: others use the disk too.
	compactReserve = 32 << 20
)

// compactIfDue copies the store into a new file and goes on with that, if over half of it is free and the copy
// fits on the disk. Failing to make the copy stops nothing; a half-made one is removed at the next open.
func (s *Store) compactIfDue() error {
	free, total := s.usage()
	if free < compactMin || free <= total/2 {
		return nil
	}
	if err := s.roomForCopy(total - free); err != nil {
		s.o.Log.Warn("store not compacted", "path", s.path, "err", err)
		return nil
	}
	db, f, err := s.copy(func(dst *bbolt.DB) error { return bbolt.Compact(dst, s.db, compactBatch) })
	var damaged *DamagedError
	switch {
	case errors.As(err, &damaged):
		return err
	case err != nil:
		s.o.Log.Warn("store not compacted", "path", s.path, "err", err)
		return nil
	}
	return s.swap(db, f)
}

// roomForCopy reports a disk on which a copy of so many bytes might not fit.
func (s *Store) roomForCopy(size int64) error {
	need := uint64(size) + compactReserve
	free, _, err := FreeSpace(s.path)
	if err == nil && free < need {
		err = &fullError{fmt.Errorf("a copy of the store may take %d MiB, and %d MiB are free", need>>20, free>>20)}
	}
	return err
}

// swap goes on with a copy under the store's name. An error is final: it is not known which of the files has the
// name after a power cut.
func (s *Store) swap(db *bbolt.DB, f *os.File) error {
	err := s.fault(onInstall)
	if err == nil {
		err = install(s.path)
	}
	if err == nil {
		err = s.fault(onSwap)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	old := s.db
	s.db, s.file = db, f
	return old.Close()
}

// copy makes a copy under the new file's name, synced and locked; fill writes what is in it.
func (s *Store) copy(fill func(dst *bbolt.DB) error) (db *bbolt.DB, f *os.File, err error) {
	if err := s.fault(onCompact); err != nil {
		return nil, nil, err
	}
	// Not synced on the way: nobody needs half a copy.
	if db, f, err = openNew(s.path, bbolt.Options{NoSync: true}); err != nil {
		return nil, nil, err
	}
	err = guarded(s.path, func() error { return fill(db) })
	if err == nil {
		err = s.fault(onSync)
	}
	if err == nil {
		db.NoSync = false
		err = db.Sync()
	}
	if err != nil {
		_ = os.Remove(s.path + newSuffix)
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, f, nil
}

// usage returns how many bytes of the file are free pages, and how many it uses in all.
func (s *Store) usage() (free, total int64) {
	stats := s.db.Stats()
	free = int64(stats.FreePageN+stats.PendingPageN) * pageSize
	_ = s.db.View(func(tx *bbolt.Tx) error {
		total = tx.Size()
		return nil
	})
	return free, total
}
