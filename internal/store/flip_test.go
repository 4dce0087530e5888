package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// TestFlips flips one bit somewhere in a store, many times. Opened and read to the end it is refused as damaged, or each
// payload is what was written and so is each operation that its reader, who checks ids and bodies, can take for one.
// There is no panic and no other error.
func TestFlips(t *testing.T) {
	t.Parallel()
	data, _ := populatedPages(t)
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := everything(path)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 60
	refused, same := 0, 0
	for range rounds {
		seed := rand.Uint64()
		at := rand.New(rand.NewPCG(seed, 9)).Uint64N(uint64(len(data)) * 8)
		data[at/8] ^= 1 << (at % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		data[at/8] ^= 1 << (at % 8)
		got, err := everything(path)
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged):
			refused++
		case err != nil:
			t.Fatalf("bit %d: %v, want a DamagedError", at, err)
		case reflect.DeepEqual(got, want):
			same++
		default:
			got.compare(t, want, at)
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
	if _, err = s.Lost(); err == nil {
		_, err = s.Evidence()
	}
	return c, err
}

// compare reports content that differs and doesn't show that it does.
func (c contents) compare(t *testing.T, want contents, bit uint64) {
	t.Helper()
	for ref, p := range c.payloads {
		if w, known := want.payloads[ref]; known && p != w && p != "" {
			t.Errorf("bit %d: the payload of %v is another", bit, ref)
		}
	}
	for log, rows := range c.rows {
		for i, row := range rows {
			if i < len(want.rows[log]) && !reflect.DeepEqual(row, want.rows[log][i]) && passes(row) {
				t.Errorf("bit %d: operation %d of a log is another", bit, row.Seq)
			}
		}
	}
}

// passes reports whether a row is taken for an operation by whoever checks what it names: its place, id and body.
func passes(row oplog.Row) bool {
	op, err := operation.Decode(row.Header)
	return err == nil && op.ID == row.ID && op.Seq == row.Seq && op.Author == row.Log.Author && op.Log == row.Log.Log && op.SetBody(row.Body) == nil
}
