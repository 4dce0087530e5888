package store

import (
	"errors"
	"path/filepath"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// A store goes over to the key that its owner handed its zone to, and to no other; an attempt that fails leaves it as it
// was.
func TestInherit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	former, heir, other := storetest.Key(1).Public(), storetest.Key(2).Public(), storetest.Key(3).Public()
	owner := func(k keys.Public) Identity { return Identity{"default", "eu", k} }
	s := openTest(t, path, small)
	meta := oplog.Meta{Network: "default", Zone: "eu", Author: former, Created: 1_700_000_000_000, Incarnation: 1_700_000_000_000, LastVersion: 7, LastRun: 9}
	if err := s.Commit(&oplog.Batch{Meta: &meta}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(o Options) (*oplog.Meta, error) {
		o.Ballast = small.Ballast
		s, err := Open(path, o)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		x, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		return x.Meta, nil
	}

	for name, o := range map[string]Options{
		"no former key":       {Owner: owner(heir)},
		"another former key":  {Owner: owner(heir), Former: other},
		"another zone":        {Owner: Identity{"default", "us", heir}, Former: former},
		"another network":     {Owner: Identity{"other", "eu", heir}, Former: former},
		"the heir's own heir": {Owner: owner(other), Former: heir},
	} {
		if _, err := open(o); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", name, err)
		}
	}
	broken := errors.New("broken")
	fails := func(a action) error {
		if a == onInherit {
			return broken
		}
		return nil
	}
	if _, err := open(Options{Owner: owner(heir), Former: former, fault: fails}); !errors.Is(err, broken) {
		t.Errorf("a take-over that fails: %v", err)
	}
	if m, err := open(Options{Owner: owner(former), Former: other}); err != nil || *m != meta {
		t.Errorf("the store of its own key is %+v, %v", m, err)
	}

	want := meta
	want.Author, want.Incarnation = heir, 0
	for range 2 { // the second time it is the heir's already
		if m, err := open(Options{Owner: owner(heir), Former: former}); err != nil || *m != want {
			t.Errorf("taken over it is %+v, %v", m, err)
		}
	}
	if _, err := open(Options{Owner: owner(former)}); !errors.Is(err, ErrForeign) {
		t.Errorf("the former key opens it: %v", err)
	}
}
