package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.etcd.io/bbolt"
)

const (
	newSuffix   = ".new"
	ballastName = "mesh.ballast"

	// pageSize is fixed, not the machine's: a store can be moved, and small commits stay small.
	pageSize = 4096
	// mapSize is how much of the file is mapped from the start, 256 MiB of address space and no memory. A
	// larger file works; then growing waits for readers now and then.
	mapSize = 256 << 20
	// lockTries bounds how often a file that was replaced while its lock was taken is opened again.
	lockTries = 10
)

// lockFile opens a file and locks it, without waiting. The lock is on the file and not on its name: one that
// was replaced in between is opened again, or two processes would hold one store.
func lockFile(path string, flag, how int) (*os.File, error) {
	for range lockTries {
		f, err := os.OpenFile(path, flag, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: %w", path, ErrLocked)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		named, err := os.Stat(path)
		if err == nil {
			var held fs.FileInfo
			if held, err = f.Stat(); err == nil && os.SameFile(named, held) {
				return f, nil
			}
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: replaced again and again: %w", path, ErrLocked)
}

// openBolt opens bbolt on a file that is locked already. The file belongs to the DB from here on, and is closed
// when an error is returned.
func openBolt(f *os.File, o bbolt.Options) (db *bbolt.DB, err error) {
	defer func() {
		if err != nil {
			_ = release(f)
		}
	}()
	o.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return f, nil }
	o.PageSize = pageSize
	o.FreelistType = bbolt.FreelistMapType
	o.InitialMmapSize = mapSize
	err = guarded(f.Name(), func() error {
		db, err = bbolt.Open(f.Name(), 0o600, &o)
		return err
	})
	return db, err
}

// release closes a locked file that bbolt may have left mapped: a mapping keeps the lock of a file alive.
func release(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}

// openNew makes an empty bbolt file under a name beside path, whatever is left there. It refuses with ErrLocked
// while another process is at the same.
func openNew(path string, o bbolt.Options) (*bbolt.DB, *os.File, error) {
	f, err := lockFile(path+newSuffix, os.O_RDWR|os.O_CREATE, syscall.LOCK_EX)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Truncate(0)); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	db, err := openBolt(f, o)
	return db, f, err
}

// install gives the file made by openNew its name. When it returns nil a power cut cannot take it back.
func install(path string) error {
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
