package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// TestCommitError stops the store at an error: nothing of the batch is there, and no call works any more.
func TestCommitError(t *testing.T) {
	t.Parallel()
	broken := fmt.Errorf("sync: %w", syscall.EIO)
	fail := false
	s := openTest(t, filepath.Join(t.TempDir(), "mesh.db"), Options{Ballast: 1 << 20, fault: func(a action) error {
		if fail && a == onCommit {
			return broken
		}
		return nil
	}})
	log := storetest.Log(1, 1)
	if err := s.Commit(numbered(log, 0)); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := s.Commit(numbered(log, 1)); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrDiskFull) {
		t.Fatalf("Commit = %v, want EIO", err)
	}
	fail = false
	_, loadErr := s.Load()
	_, rowsErr := s.Rows(log, 0, 9, 9)
	_, _, idErr := s.RowID(log, 0)
	_, payloadErr := s.Payload(mesh.ClaimRef{Object: object(0), Zone: "eu"})
	_, lostErr := s.Lost()
	_, checkErr := s.Check(t.Context())
	for i, err := range []error{loadErr, rowsErr, idErr, payloadErr, lostErr, checkErr, s.Commit(numbered(log, 2))} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d after the error = %v, want ErrFailed and its cause", i, err)
		}
	}
	if _, err := os.Stat(s.ballast()); err != nil {
		t.Errorf("the ballast is gone, though the disk was not full: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, s.Path(), small)
	expectNumbered(t, s, log, 1)
}

// TestDiskFull gives the ballast away when a commit finds no room, and takes it back at the next start.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{
		fmt.Errorf("write: %w", syscall.ENOSPC),
		fmt.Errorf("write: %w", syscall.EDQUOT),
		errors.New("file sync error: " + syscall.ENOSPC.Error()), // as bbolt words it
	} {
		var full error
		s := openTest(t, filepath.Join(t.TempDir(), "mesh.db"), Options{Ballast: 1 << 20, fault: func(a action) error {
			if a == onCommit {
				return full
			}
			return nil
		}})
		full = cause
		err := s.Commit(&oplog.Batch{})
		if !errors.Is(err, ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Commit = %v, want ErrDiskFull and ENOSPC", err)
		}
		if _, err := os.Stat(s.ballast()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("ballast after a full disk: %v, want none", err)
		}
		_ = s.Close()
		s = openTest(t, s.Path(), Options{Ballast: 1 << 20})
		if info, err := os.Stat(s.ballast()); err != nil || info.Size() != 1<<20 {
			t.Errorf("ballast after the next start: %v, %v", info, err)
		}
	}
}

func TestBallast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ballastName)
	if err := writeBallast(path, 3<<20); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != 3<<20 {
		t.Fatalf("Stat = %v, %v", info, err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; blocks*512 < 3<<20 {
		t.Errorf("%d blocks of 512 bytes are allocated, want 3 MiB", blocks)
	}
	// More than there is: no ballast, and no error, for the node can do without.
	s := openTest(t, filepath.Join(t.TempDir(), "mesh.db"), Options{Ballast: 1 << 60})
	if _, err := os.Stat(s.ballast()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ballast: %v, want none", err)
	}
	// One that cannot be written is no reason not to start either.
	s = openTest(t, filepath.Join(t.TempDir(), "mesh.db"), Options{Ballast: 1 << 20, fault: func(a action) error {
		if a == onBallast {
			return syscall.ENOSPC
		}
		return nil
	}})
	if err := s.Commit(&oplog.Batch{}); err != nil {
		t.Error(err)
	}
}

func TestLow(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, test := range []struct {
		free, total uint64
		want        bool
	}{
		{gib, 100 * gib, false},
		{gib - 1, 100 * gib, true},
		{gib / 2, 5 * gib, false},
		{gib/2 - 1, 5 * gib, true},
		{0, 0, false},
	} {
		if got := isLow(test.free, test.total); got != test.want {
			t.Errorf("isLow(%d, %d) = %v, want %v", test.free, test.total, got, test.want)
		}
	}
	s := newTest(t)
	free, total, err := FreeSpace(s.Path())
	if err != nil || free > total || total == 0 {
		t.Fatalf("FreeSpace = %d, %d, %v", free, total, err)
	}
	if got := s.Low(); got != isLow(free, total) {
		t.Errorf("Low = %v with %d of %d free", got, free, total)
	}
}

func object(n int) mesh.ObjectKey {
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: fmt.Sprintf("app-%06d", n)}
}
