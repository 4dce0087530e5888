package store

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

var (
	// ErrLocked reports that another process has the store open.
	ErrLocked = errors.New("in use by another process")
	// ErrForeign reports a store that belongs to another node. The error is a *ForeignError.
	ErrForeign = errors.New("store of another node")
	// ErrNewer reports a store written by a newer version of mesh.
	ErrNewer = errors.New("written by a newer version of mesh")
	// ErrOlder reports a store that must be migrated and was opened read-only.
	ErrOlder = errors.New("written by an older version of mesh: start the node once to bring it up to date")
	// ErrFailed reports a store that stopped at an earlier error, which is wrapped too.
	ErrFailed = errors.New("store stopped at an earlier error")
	// ErrDiskFull reports that the file could not grow. Errors that match it match syscall.ENOSPC too.
	ErrDiskFull = errors.New("disk full")
	// ErrReadOnly reports a write to a store that was opened for reading.
	ErrReadOnly = errors.New("store is open for reading only")
	// ErrClosed reports a use after Close.
	ErrClosed = errors.New("store is closed")
)

// Identity says whose store it is. Zero fields are not compared.
type Identity struct {
	Network mesh.NetworkID
	Zone    mesh.Zone
	Author  keys.Public
}

func (i Identity) String() string {
	s := fmt.Sprintf("zone %q", i.Zone)
	if !i.Author.IsZero() {
		s += ", key " + i.Author.Short()
	}
	if i.Network != "" {
		s += fmt.Sprintf(", network %q", i.Network)
	}
	return s
}

// accepts reports whether a store of other may be opened as i.
func (i Identity) accepts(other Identity) bool {
	return (i.Network == "" || i.Network == other.Network) &&
		(i.Zone == "" || i.Zone == other.Zone) &&
		(i.Author.IsZero() || i.Author == other.Author)
}

// ForeignError says whose store was found and who wanted to open it. It matches ErrForeign.
type ForeignError struct {
	Path       string
	Have, Want Identity
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("store %s belongs to %v, and the configuration says %v: use another data_dir, or move the store aside", e.Path, e.Have, e.Want)
}

// Is makes errors.Is(err, ErrForeign) hold.
func (e *ForeignError) Is(target error) bool { return target == ErrForeign }

// DamagedError reports a file that does not read as a store.
type DamagedError struct {
	Path string
	Err  error // what was found
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("store %s is damaged: %v; nothing was changed. Move the file aside and start again: the node gets everything back from its peers, under a new incarnation", e.Path, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// fullError is a disk-full error, whatever words bbolt put around it.
type fullError struct{ cause error }

func (e *fullError) Error() string { return ErrDiskFull.Error() + ": " + e.cause.Error() }

func (e *fullError) Unwrap() []error { return []error{ErrDiskFull, syscall.ENOSPC, e.cause} }

// fullCauses are the ways in which a file can be kept from growing: no space, no quota, a size limit.
var fullCauses = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

// isFull also looks for the system's words: bbolt prints the cause of a failed growth into its text.
func isFull(err error) bool {
	for _, cause := range fullCauses {
		if errors.Is(err, cause) || strings.Contains(err.Error(), cause.Error()) {
			return true
		}
	}
	return false
}

// errCorrupt is a record that does not decode. It becomes a DamagedError.
var errCorrupt = errors.New("record does not decode")

// corruptError is what else shows that a file is damaged. It matches errCorrupt.
type corruptError string

func (e corruptError) Error() string        { return string(e) }
func (e corruptError) Is(target error) bool { return target == errCorrupt }

func corrupt(format string, args ...any) error { return corruptError(fmt.Sprintf(format, args...)) }

// classify gives errors of bbolt and of the system their type here.
func (s *Store) classify(err error) error {
	var damaged *DamagedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &damaged):
		return err
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, errCorrupt), errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrInvalidMapping):
		return &DamagedError{s.path, err}
	case isFull(err):
		return &fullError{err}
	}
	return err
}
