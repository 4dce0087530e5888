package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

func TestLocked(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	if _, err := Open(s.Path(), small); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	if _, err := OpenReadOnly(s.Path()); !errors.Is(err, ErrLocked) {
		t.Errorf("OpenReadOnly beside a node = %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	one, err := OpenReadOnly(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := OpenReadOnly(s.Path())
	if err != nil {
		t.Fatalf("second reader: %v", err)
	}
	defer two.Close()
	if _, err := Open(s.Path(), small); !errors.Is(err, ErrLocked) {
		t.Errorf("Open beside readers = %v, want ErrLocked", err)
	}
}

// TestOpenRace lets many make the same store: one gets it, and what it writes stays.
func TestOpenRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "mesh.db")
		stores, errs := make([]*Store, 8), make([]error, 8)
		var wg sync.WaitGroup
		for i := range stores {
			wg.Go(func() {
				if stores[i], errs[i] = Open(path, small); errs[i] == nil {
					errs[i] = stores[i].Commit(&oplog.Batch{Meta: &oplog.Meta{Zone: "eu", Author: storetest.Key(1).Public()}})
				}
			})
		}
		wg.Wait()
		var winner *Store
		for i, s := range stores {
			switch {
			case s != nil && winner == nil && errs[i] == nil:
				winner = s
			case s != nil:
				t.Fatalf("two stores on one file, or %v", errs[i])
			case !errors.Is(errs[i], ErrLocked):
				t.Fatalf("Open = %v, want ErrLocked", errs[i])
			}
		}
		if winner == nil {
			// Everyone met somebody else's lock: possible, and the next one gets it.
			continue
		}
		if err := winner.Close(); err != nil {
			t.Fatal(err)
		}
		if x, err := openTest(t, path, small).Load(); err != nil || x.Meta == nil {
			t.Fatalf("Load = %+v, %v: the winner's record is gone", x, err)
		}
	}
}

func TestFilesAreOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path+newSuffix, []byte("half a store"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, path, Options{Ballast: 1 << 20})
	for _, name := range []string{path, s.ballast()} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("Stat(%s) = %v, %v, want mode 0600", name, info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+newSuffix, []byte("half a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	openTest(t, path, small)
	if _, err := os.Stat(path + newSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	ours := Identity{Network: "net", Zone: "eu", Author: storetest.Key(1).Public()}
	s := openTest(t, path, Options{Ballast: -1, Owner: ours})
	if err := s.Commit(&oplog.Batch{Meta: &oplog.Meta{Network: "net", Zone: "eu", Author: ours.Author}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		who  Identity
		ok   bool
	}{
		{"same", ours, true},
		{"anyone", Identity{}, true},
		{"zone only", Identity{Zone: "eu"}, true},
		{"other zone", Identity{Network: "net", Zone: "us", Author: ours.Author}, false},
		{"other key", Identity{Network: "net", Zone: "eu", Author: storetest.Key(2).Public()}, false},
		{"other network", Identity{Network: "other", Zone: "eu", Author: ours.Author}, false},
	} {
		s, err := Open(path, Options{Ballast: -1, Owner: test.who})
		if (err == nil) != test.ok {
			t.Errorf("%s: Open = %v, want ok %v", test.name, err, test.ok)
		}
		if err == nil {
			_ = s.Close()
			continue
		}
		var foreign *ForeignError
		if !errors.Is(err, ErrForeign) || !errors.As(err, &foreign) || foreign.Have != ours || foreign.Want != test.who {
			t.Errorf("%s: Open = %#v, want a ForeignError naming both", test.name, err)
		}
	}
}

func setFormat(t *testing.T, path string, version uint32) {
	t.Helper()
	s := openTest(t, path, small)
	if err := s.db.Update(func(tx *bbolt.Tx) error { return putFormat(tx, version) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	setFormat(t, path, formatVersion+1)
	before, _ := os.ReadFile(path)
	for _, open := range []func() (*Store, error){
		func() (*Store, error) { return Open(path, small) },
		func() (*Store, error) { return OpenReadOnly(path) },
	} {
		if _, err := open(); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "move the file aside") {
			t.Errorf("Open = %v, want ErrNewer with the way out", err)
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the refused file changed")
	}
}

// TestJoiningBounds commits what would not be read back: it is refused instead.
func TestJoiningBounds(t *testing.T) {
	t.Parallel()
	key := storetest.Key(1).Public()
	for name, b := range map[string]*oplog.Batch{
		"no uses":            {Invites: []oplog.Invite{{ID: "invite01"}}},
		"more than its uses": {Invites: []oplog.Invite{{ID: "invite01", Uses: 1, Taken: make([]oplog.Redemption, 2)}}},
		"many endpoints":     {Contacts: []oplog.Contact{{Key: key, Endpoints: make([]string, oplog.MaxEndpoints+1)}}},
		"a long endpoint":    {Contacts: []oplog.Contact{{Key: key, Endpoints: []string{strings.Repeat("a", oplog.MaxEndpoint+1)}}}},
		"a large record":     {Contacts: []oplog.Contact{{Key: key, Record: make([]byte, oplog.MaxRecord+1)}}},
	} {
		if err := newTest(t).Commit(b); err == nil {
			t.Errorf("%s: Commit = nil, want an error", name)
		}
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	if _, err := OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReadOnly of nothing = %v, want not exist", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("OpenReadOnly made a file")
	}
	_ = openTest(t, path, small).Close()
	s, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(&oplog.Batch{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Commit = %v, want ErrReadOnly", err)
	}
	if r, err := s.Check(t.Context()); err != nil || len(r.Problems) > 0 {
		t.Errorf("Check = %+v, %v", r, err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, loadErr := s.Load()
	_, _, rowErr := s.RowID(storetest.Log(1, 1), 0)
	for _, err := range []error{loadErr, rowErr, s.Commit(&oplog.Batch{})} {
		if !errors.Is(err, ErrClosed) || errors.Is(err, ErrFailed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	}
}

// TestKeysFromDisk feeds a key that is no curve point: it is refused at this door too.
func TestKeysFromDisk(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	if err := s.Commit(&oplog.Batch{Bindings: []oplog.Binding{{Key: keys.Public{2}, Zone: "eu"}}}); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if _, err := s.Load(); !errors.As(err, &damaged) {
		t.Errorf("Load = %v, want a DamagedError", err)
	}
}
