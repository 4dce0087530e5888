package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Options say how to open a store.
type Options struct {
	// Owner is who opens it: a store of another node is refused. Zero fields are not compared.
	Owner Identity
	// Former is the key that handed its zone over to Owner's: a store of it becomes Owner's when it is opened for
	// writing, and its own log ends. Zero: there is none.
	Former keys.Public
	// Ballast is the size of the ballast in bytes; 0 means DefaultBallast, less than 0 none.
	Ballast int64
	// Log is told of what doesn't stop an open, such as a compaction that was put off. Nil: nobody is.
	Log *slog.Logger

	// fault is called before each operation that can fail, for tests: an error is taken for its outcome.
	fault func(action) error
	// migrations replaces the table, for tests.
	migrations []migration
}

// action names what a test may let fail.
type action string

const (
	onCreate  action = "create"
	onCommit  action = "commit"
	onCompact action = "compact"
	onSync    action = "sync"
	onInstall action = "install"
	onSwap    action = "swap" // after install, before the old file is let go
	onMigrate action = "migrate"
	onInherit action = "inherit"
	onBallast action = "ballast"
)

// Store is an oplog.Store on disk. Reads are safe for concurrent use, also beside a Commit; commits wait for
// each other. The zero value is not usable.
type Store struct {
	path     string
	o        Options
	readOnly bool
	lognos   *lognos

	// writing is held by whatever must not run beside a commit.
	writing   sync.Mutex
	db        *bbolt.DB
	file      *os.File // db's own
	closed    bool
	wedged    bool // bbolt panicked while writing and may hold its locks for ever
	lostBytes int  // payload bytes in the lost bucket; less than 0: not counted yet

	mu     sync.RWMutex
	failed error // why nothing works any more

	space space
}

var _ oplog.Store = (*Store)(nil)

// Open opens the store at path, and makes it if there is no file. Errors to tell apart: ErrLocked, ErrForeign,
// ErrNewer, ErrDiskFull and *DamagedError. The caller closes the store.
func Open(path string, o Options) (*Store, error) {
	return open(path, o, false)
}

// OpenReadOnly opens an existing store for reading, beside other readers and while no node runs on it. A
// missing file is fs.ErrNotExist; one that must be migrated first is ErrOlder.
func OpenReadOnly(path string) (*Store, error) {
	return open(path, Options{}, true)
}

func open(path string, o Options, readOnly bool) (*Store, error) {
	if o.Ballast == 0 {
		o.Ballast = DefaultBallast
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.migrations == nil {
		o.migrations = migrations
	}
	s := &Store{path: path, o: o, readOnly: readOnly, lostBytes: -1}
	if err := s.open(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open store: %w", s.classify(err))
	}
	return s, nil
}

func (s *Store) open() error {
	if s.readOnly {
		if err := s.openExisting(); err != nil {
			return err
		}
		return s.inspect()
	}
	err := s.openExisting()
	for tries := 0; errors.Is(err, fs.ErrNotExist) && tries < lockTries; tries++ {
		// Whoever makes the file at the same time wins, and we open theirs.
		if err = s.create(); errors.Is(err, fs.ErrExist) {
			err = s.openExisting()
		}
	}
	if err != nil {
		return err
	}
	if err := s.migrate(); err != nil {
		return err
	}
	if err := s.inherit(); err != nil {
		return err
	}
	if err := s.inspect(); err != nil {
		return err
	}
	if err := s.dropUnused(); err != nil {
		return err
	}
	if err := s.compactIfDue(); err != nil {
		return err
	}
	s.restoreBallast()
	return nil
}

// openExisting locks the file, looks at its pages and hands it to bbolt.
func (s *Store) openExisting() error {
	flag, how := os.O_RDWR, syscall.LOCK_EX
	if s.readOnly {
		flag, how = os.O_RDONLY, syscall.LOCK_SH
	}
	f, err := lockFile(s.path, flag, how)
	if err != nil {
		return err
	}
	if err := checkPages(f, shallow); err != nil {
		_ = f.Close()
		return &DamagedError{s.path, err}
	}
	if s.db, err = openBolt(f, bbolt.Options{ReadOnly: s.readOnly}); err != nil {
		return err
	}
	s.file = f
	if !s.readOnly {
		// We hold the lock, so nobody is making this file.
		_ = os.Remove(s.path + newSuffix)
	}
	return nil
}

// create makes an empty store under another name and installs it whole: a mesh.db that was cut short is always
// a damaged one and never one in the making.
func (s *Store) create() error {
	if err := s.fault(onCreate); err != nil {
		return err
	}
	db, f, err := openNew(s.path, bbolt.Options{})
	if err != nil {
		return err
	}
	if _, err = os.Lstat(s.path); err == nil {
		err = fs.ErrExist
	} else if errors.Is(err, fs.ErrNotExist) {
		err = db.Update(createBuckets)
	}
	if err == nil {
		err = s.fault(onInstall)
	}
	if err == nil {
		err = install(s.path)
	}
	if err != nil {
		_ = os.Remove(s.path + newSuffix)
		_ = db.Close()
		return err
	}
	s.db, s.file = db, f
	return nil
}

// Close lets go of the file. It waits for reads and a commit under way. Further calls do nothing.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.fail(ErrClosed)
	if s.db == nil || s.closed {
		return nil
	}
	s.closed = true
	if s.wedged {
		// bbolt would wait for its own lock for ever. The mapping stays until the process ends.
		return release(s.file)
	}
	return s.db.Close()
}

// Path is the file's name.
func (s *Store) Path() string { return s.path }

// fail ends the use of the store; the first cause stays, except that closing is final.
func (s *Store) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil || cause == ErrClosed {
		s.failed = cause
	}
}

// usable returns why the store cannot be used, or nil.
func (s *Store) usable() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch s.failed {
	case nil:
		return nil
	case ErrClosed:
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrFailed, s.failed)
}

func (s *Store) fault(a action) error {
	if s.o.fault == nil {
		return nil
	}
	return s.o.fault(a)
}

// view runs fn in a read transaction that is over when it returns.
func (s *Store) view(fn func(*txn) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	err := s.classify(guarded(s.path, func() error {
		return s.db.View(func(bolt *bbolt.Tx) error { return fn(&txn{bolt: bolt}) })
	}))
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		s.fail(err)
	}
	return err
}

// guarded turns panics and faults into a DamagedError. bbolt trusts its pages: on a damaged file it panics, or
// follows an offset out of the mapping.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &DamagedError{path, fmt.Errorf("%v", r)}
		}
	}()
	return fn()
}
