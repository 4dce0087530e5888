package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// TestFlips flips one bit somewhere in a store, many times: anywhere, and where pages say what is in them. Opened and read
// to the end it is refused, or everything in it is what was written. There is no panic and no other error.
func TestFlips(t *testing.T) {
	t.Parallel()
	data, _ := populatedPages(t)
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, path)
	const rounds = 150
	refused, same := 0, 0
	for round := range rounds {
		at := rand.Uint64N(uint64(len(data)) * 8)
		if round%2 == 0 {
			at = at/8/pageSize*pageSize*8 + rand.Uint64N(100*8)
		}
		data[at/8] ^= 1 << (at % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		data[at/8] ^= 1 << (at % 8)
		got, err := everything(path)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged), errors.Is(err, ErrNewer): // the second by a bit in the format's number
			refused++
		case err != nil:
			t.Fatalf("bit %d: %v, want a DamagedError", at, err)
		case !reflect.DeepEqual(got, want):
			t.Fatalf("bit %d: something else is read, and nobody notices", at)
		default:
			same++
		}
	}
	if refused == 0 || same == 0 {
		t.Errorf("%d refused, %d as before: the test shows nothing", refused, same)
	}
}

// contents is everything that a node can read out of a store.
type contents struct {
	index    *oplog.Index
	rows     map[mesh.LogKey][]oplog.Row
	payloads map[mesh.ClaimRef]string
	lost     []oplog.LostEntry // with payloads
	evidence []oplog.Evidence
}

// everything reads all there is, or returns the first error.
func everything(path string) (c contents, err error) {
	s, err := Open(path, small)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if c.index, err = s.Load(); err != nil {
		return c, err
	}
	c.rows, c.payloads = map[mesh.LogKey][]oplog.Row{}, map[mesh.ClaimRef]string{}
	for _, l := range c.index.Logs {
		if c.rows[l.Key], err = s.Rows(l.Key, 0, 1<<32-1, 1<<30); err != nil {
			return c, err
		}
	}
	for _, claim := range c.index.Claims {
		p, err := s.Payload(claim.Ref())
		if err != nil {
			return c, err
		}
		c.payloads[claim.Ref()] = string(p)
	}
	if c.lost, err = s.Lost(); err != nil {
		return c, err
	}
	for i := range c.lost {
		if c.lost[i], _, err = s.LostOne(c.lost[i].ID); err != nil {
			return c, err
		}
	}
	c.evidence, err = s.Evidence()
	return c, err
}

// readAll reads a store that is sound.
func readAll(t *testing.T, path string) contents {
	t.Helper()
	c, err := everything(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestHeaderFlips flips each bit of both header pages. With that of the last commit bbolt would go on from the one before,
// as if what was acknowledged had never been.
func TestHeaderFlips(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	for seq := range uint32(3) {
		if err := s.Commit(numbered(storetest.Log(1, 1), seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	refused := 0
	for at := range int64(2 * 80 * 8) {
		place := at/8%80 + at/8/80*pageSize // a header has 64 bytes behind 16 of the page
		b := make([]byte, 1)
		flip := func() {
			if _, err := f.ReadAt(b, place); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1 << (at % 8)
			if _, err := f.WriteAt(b, place); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		s, err := Open(s.Path(), small)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged):
			refused++
		case err != nil:
			t.Fatal(err)
		default:
			expectNumbered(t, s, storetest.Log(1, 1), 3)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		flip()
	}
	if want := 64 * 8; refused != want {
		t.Errorf("%d flips were refused, want the %d of the last commit's header", refused, want)
	}
}
