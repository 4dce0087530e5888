package store

import (
	"errors"
	"path/filepath"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/storetest"
)

// small keeps ballast out of tests that are not about it.
var small = Options{Ballast: -1}

func openTest(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func newTest(t testing.TB) *Store {
	t.Helper()
	return openTest(t, filepath.Join(t.TempDir(), "mesh.db"), small)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t,
		func(t *testing.T) storetest.Store { return newTest(t) },
		func(t *testing.T, s storetest.Store) storetest.Store {
			path := s.(*Store).Path()
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			return openTest(t, path, small)
		})
}
