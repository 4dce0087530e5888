package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// hollow makes a store of which over half is free, and returns its path and what it holds.
func hollow(t *testing.T) (string, *oplog.Index) {
	t.Helper()
	s := newTest(t)
	log := storetest.Log(1, 1)
	body := []byte(strings.Repeat("x", 10_000))
	b := &oplog.Batch{Meta: &oplog.Meta{Zone: "eu", Author: storetest.Key(1).Public()}}
	for seq := range uint32(1000) {
		b.Rows = append(b.Rows, oplog.Row{Log: log, Seq: seq, Header: []byte{1}, Body: body})
	}
	c := newChain(2)
	if err := errors.Join(s.Commit(b), s.Commit(c.next()), s.Commit(c.next())); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&oplog.Batch{Prune: []oplog.Span{{Log: log, From: 0, To: 1000}}}); err != nil {
		t.Fatal(err)
	}
	x, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path(), x
}

func expectHeld(t *testing.T, s *Store, want *oplog.Index) {
	t.Helper()
	if r, err := s.Check(t.Context()); err != nil || len(r.Problems) > 0 || r.Operations != 2 {
		t.Errorf("Check = %+v, %v", r, err)
	}
	if x, err := s.Load(); err != nil || !reflect.DeepEqual(x, want) {
		t.Errorf("Load = %+v, %v, want %+v", x, err, want)
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	path, want := hollow(t)
	s := openTest(t, path, small)
	if free, total := s.usage(); total > 1<<20 || free > total/2 {
		t.Errorf("%d bytes of %d are free after compaction", free, total)
	}
	expectHeld(t, s, want)
	// The new file is locked, written and synced as the old one was.
	if _, err := Open(path, small); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	if s.db.NoSync {
		t.Error("commits are not synced after compaction")
	}
	if err := s.Commit(numbered(storetest.Log(3, 1), 0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path, small)
	expectNumbered(t, s, storetest.Log(3, 1), 1)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("Stat = %v, %v, want mode 0600", info, err)
	}
}

// TestCompactCrash copies the folder at each step, which is what a kill leaves there, and starts from the copy.
func TestCompactCrash(t *testing.T) {
	t.Parallel()
	for _, at := range []action{onCompact, onSync, onInstall, onSwap} {
		path, want := hollow(t)
		crashed := filepath.Join(t.TempDir(), "crashed")
		openTest(t, path, Options{Ballast: -1, fault: func(a action) error {
			if a != at {
				return nil
			}
			return os.CopyFS(crashed, os.DirFS(filepath.Dir(path)))
		}})
		s := openTest(t, filepath.Join(crashed, "mesh.db"), small)
		expectHeld(t, s, want)
		if _, err := os.Stat(s.Path() + newSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("killed at %s: a file is left behind", at)
		}
	}
}

// TestCompactError lets each step fail: before the copy is installed the store goes on without, after that it
// refuses to start, and either way nothing is lost.
func TestCompactError(t *testing.T) {
	t.Parallel()
	for at, starts := range map[action]bool{onCompact: true, onSync: true, onInstall: false, onSwap: false} {
		path, want := hollow(t)
		s, err := Open(path, Options{Ballast: -1, fault: func(a action) error {
			if a == at {
				return syscall.EIO
			}
			return nil
		}})
		if (err == nil) != starts {
			t.Fatalf("failing at %s: Open = %v, want it to start: %v", at, err, starts)
		}
		if starts {
			expectHeld(t, s, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		expectHeld(t, openTest(t, path, small), want)
	}
}
