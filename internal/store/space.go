package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultBallast is room for a snapshot's chunks and for the pruning that follows, 64 MiB.
	DefaultBallast = 64 << 20

	// lowBytes and a tenth of the disk: below the smaller of both, other nodes' operations are refused, so that
	// what is left serves our own.
	lowBytes = 1 << 30
	lowShare = 10

	// spaceAge is how long an answer about the disk is good for. A second's worth of operations is far less
	// than what is kept free.
	spaceAge = time.Second
)

// FreeSpace returns how many bytes are free for us, and how many there are, on the disk that holds path.
func FreeSpace(path string) (free, total uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}

// isLow is the rule: below a tenth of the disk or 1 GiB, whichever is less.
func isLow(free, total uint64) bool { return free < min(total/lowShare, lowBytes) }

// space remembers the last answer about the disk.
type space struct {
	mu    sync.Mutex
	asked time.Time
	low   bool
}

// Low reports whether the disk is so full that operations of other nodes are to be refused. It asks the system
// at most once a second, and puts the ballast back when there is room again. A disk that gives no answer is not
// low. Safe for concurrent use.
func (s *Store) Low() bool {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	if now := time.Now(); s.space.asked.IsZero() || now.Sub(s.space.asked) >= spaceAge {
		s.space.asked = now
		free, total, err := FreeSpace(s.path)
		was := s.space.low
		s.space.low = err == nil && isLow(free, total)
		if was && !s.space.low {
			s.restoreBallast()
		}
	}
	return s.space.low
}

func (s *Store) ballast() string { return filepath.Join(filepath.Dir(s.path), ballastName) }

// dropBallast gives the ballast's room away, so that a restart can prune.
func (s *Store) dropBallast() {
	if err := os.Remove(s.ballast()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.o.Log.Warn("ballast not removed", "path", s.ballast(), "err", err)
	}
}

// restoreBallast allocates the ballast if it is missing and as much again stays free: a disk that was just
// full keeps the room it gained.
func (s *Store) restoreBallast() {
	if s.o.Ballast < 0 || s.readOnly || s.usable() != nil {
		return
	}
	if info, err := os.Stat(s.ballast()); err == nil && info.Size() == s.o.Ballast {
		return
	}
	free, _, err := FreeSpace(s.path)
	if err == nil && free < 2*uint64(s.o.Ballast) {
		return
	}
	if err == nil {
		err = s.fault(onBallast)
	}
	if err == nil {
		err = writeBallast(s.ballast(), s.o.Ballast)
	}
	if err != nil {
		s.dropBallast()
		s.o.Log.Warn("no ballast", "path", s.ballast(), "err", err)
	}
}

func writeBallast(path string, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if allocate(f, size) == nil {
		return nil
	}
	// Some file systems cannot reserve, and some of those compress: bytes without a pattern take real room.
	noise := rand.NewChaCha8([32]byte{})
	buf := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, int64(len(buf)))]
		_, _ = noise.Read(buf)
		if _, err := f.Write(buf); err != nil {
			return err
		}
	}
	return f.Sync()
}
