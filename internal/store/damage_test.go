package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// populated returns the bytes of a closed store with some of everything, several levels of pages and a free
// list.
func populated(t testing.TB) []byte {
	t.Helper()
	s := newTest(t)
	s.db.NoSync = true // nobody kills it
	c := newChain(1)
	for range 400 {
		if err := s.Commit(c.next()); err != nil {
			t.Fatal(err)
		}
	}
	b := &oplog.Batch{
		Meta:  &oplog.Meta{Network: "net", Zone: "eu", Author: storetest.Key(1).Public()},
		Lost:  []oplog.LostRecord{{Object: object(1), Zone: "eu", Payload: []byte("lost")}},
		Trust: []oplog.TrustOp{{ID: mesh.Hash{1}, Header: []byte("h")}},
	}
	for n := range byte(40) {
		key := storetest.Key(n).Public()
		b.Invites = append(b.Invites, oplog.Invite{ID: fmt.Sprintf("invite%02d", n), Uses: 1, Taken: []oplog.Redemption{{Key: key, Zone: "us"}}})
		b.Contacts = append(b.Contacts, oplog.Contact{Key: key, Endpoints: []string{"198.51.100.1:9102"}, Record: make([]byte, 200)})
	}
	for n := range 1000 {
		claim := storetest.ClaimOf(object(n), "us", 1, strings.Repeat("x", n*13%2000+1))
		claim.At.Log = c.log.Key
		b.Claims = append(b.Claims, claim)
		b.Placed = append(b.Placed, oplog.Placed{Object: object(n), Zone: "us", State: oplog.PlacedDone})
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	r, err := s.Check(t.Context())
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("Check = %+v, %v", r, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// use does all that a node does with a store, with or without a check before. It returns the first error, and
// what Check found.
func use(path string, check bool) (report *Report, err error) {
	s, err := Open(path, small)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.db.NoSync = true
	if check {
		if report, err = s.Check(context.Background()); err != nil {
			return report, err
		}
	}
	x, err := s.Load()
	if err != nil {
		return report, err
	}
	for _, l := range x.Logs {
		if _, err := s.Rows(l.Key, 0, 1<<32-1, 1<<30); err != nil {
			return report, err
		}
	}
	for _, c := range x.Claims {
		if _, err := s.Payload(c.Ref()); err != nil {
			return report, err
		}
	}
	if _, err := s.Lost(); err != nil {
		return report, err
	}
	c := newChain(2)
	for range 3 {
		b := c.next()
		for n := range 50 {
			b.DropClaims = append(b.DropClaims, mesh.ClaimRef{Object: object(n * 17), Zone: "us"})
		}
		b.Prune = append(b.Prune, oplog.Span{Log: storetest.Log(1, 1), From: 0, To: c.log.Next * 60})
		if err := s.Commit(b); err != nil {
			return report, err
		}
	}
	return report, nil
}

// TestTruncated cuts a store at every kind of place: it is refused, with the way out, and left as it is.
func TestTruncated(t *testing.T) {
	t.Parallel()
	data := populated(t)
	h, err := readHeader(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	used := int(h.pages) * pageSize
	path := filepath.Join(t.TempDir(), "mesh.db")
	for _, size := range []int{0, 1, 15, 100, pageSize - 1, pageSize, 2*pageSize - 1, 2 * pageSize, 3 * pageSize, used / 2, used - pageSize, used - 1} {
		if err := os.WriteFile(path, data[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		for name, open := range map[string]func() (*Store, error){
			"Open":         func() (*Store, error) { return Open(path, small) },
			"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(path) },
		} {
			_, err := open()
			var damaged *DamagedError
			if !errors.As(err, &damaged) || damaged.Path != path || !strings.Contains(err.Error(), "Move the file aside") {
				t.Errorf("%s of the first %d bytes = %v, want a DamagedError with the way out", name, size, err)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(data[:size]) {
			t.Errorf("cut at %d: the file was changed", size)
		}
	}
	// What bbolt has reserved and never used may go.
	if err := os.WriteFile(path, data[:used], 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := use(path, true); err != nil || len(r.Problems) > 0 {
		t.Errorf("cut behind the last page: %v, %v", r, err)
	}
}

// populatedPages is what populated writes without the room that the file has behind its last page, and its header.
func populatedPages(t *testing.T) ([]byte, header) {
	t.Helper()
	data := populated(t)
	h, err := readHeader(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return data[:h.pages*pageSize], h
}

// TestDamaged writes rubbish into a store. Whatever is hit, the process survives, calls return, and each error
// says that the file is damaged.
func TestDamaged(t *testing.T) {
	t.Parallel()
	data, h := populatedPages(t)
	path := filepath.Join(t.TempDir(), "mesh.db")
	pages := int(h.pages)
	rounds := 120
	found := 0
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 7))
		bad := append([]byte(nil), data...)
		at := func() int { return rng.IntN(pages) * pageSize }
		switch kind := seed % 6; kind {
		case 0: // a flipped bit in the first bytes of some page
			bad[at()+rng.IntN(64)] ^= 1 << rng.IntN(8)
		case 1: // a page of zeroes, as a file system gives after a crash
			clear(bad[at():][:pageSize])
		case 2: // a page of another place
			copy(bad[at():][:pageSize], data[at():])
		case 3: // noise
			p := bad[at():][:pageSize]
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
		case 4: // flipped bits everywhere
			for range 200 {
				bad[2*pageSize+rng.IntN(len(bad)-2*pageSize)] ^= 1 << rng.IntN(8)
			}
		case 5: // the root and what is near it
			bad[int(h.root)*pageSize+rng.IntN(600)] ^= 1 << rng.IntN(8)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := use(path, seed%12 < 6)
		var damaged *DamagedError
		if err != nil && !errors.As(err, &damaged) {
			t.Fatalf("seed %d: %v, want a DamagedError", seed, err)
		}
		if err != nil || r != nil && len(r.Problems) > 0 {
			found++
		}
	}
	if found < rounds/3 {
		t.Errorf("%d of %d damages were noticed", found, rounds)
	}
}

// TestCircle points a branch page at its own parent, which would send bbolt round for ever.
func TestCircle(t *testing.T) {
	t.Parallel()
	data := populated(t)
	h, _ := readHeader(strings.NewReader(string(data)), int64(len(data)))
	tried := 0
	for id := uint64(2); id < h.pages; id++ {
		p := page(data[id*pageSize:])
		if p.flags() != flagBranch || p.id() != id {
			continue
		}
		for i := range p.count() {
			bad := append([]byte(nil), data[:h.pages*pageSize]...)
			native.PutUint64(bad[int(id)*pageSize+pageHeader+i*elementSize+8:], id)
			path := filepath.Join(t.TempDir(), "mesh.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := use(path, tried%2 == 0)
			var damaged *DamagedError
			if tried++; err != nil && !errors.As(err, &damaged) {
				t.Fatalf("page %d, element %d: %v", id, i, err)
			}
			if tried > 60 {
				return
			}
		}
	}
	if tried == 0 {
		t.Error("no branch page to bend")
	}
}

// held returns a copy of what is under a key.
func held(b bucket, key []byte) []byte {
	v, err := b.get(key)
	if err != nil {
		panic(err)
	}
	return clone(v)
}

func placedKey(n int) []byte {
	return written(func(w *writer) { w.object(object(n)) })
}

// TestCheck breaks one promise after the other behind the store's back.
func TestCheck(t *testing.T) {
	t.Parallel()
	data := populated(t)
	log := storetest.Log(1, 1)
	for _, test := range []struct {
		name string
		want string
		harm func(*Store, *txn) error
	}{
		{"a row is gone", "has 299 operations", func(s *Store, tx *txn) error {
			return tx.bucket(bucketRows).delete(rowKey(1, 250))
		}},
		{"a body changed", "PayloadMismatch", func(s *Store, tx *txn) error {
			b := tx.bucket(bucketRows)
			v := held(b, rowKey(1, 250))
			v[len(v)-1]++
			return b.put(rowKey(1, 250), v)
		}},
		{"an id changed", "do not have its id", func(s *Store, tx *txn) error {
			b := tx.bucket(bucketRows)
			v := held(b, rowKey(1, 250))
			v[0]++
			return b.put(rowKey(1, 250), v)
		}},
		{"two rows changed places", "belongs elsewhere", func(s *Store, tx *txn) error {
			b := tx.bucket(bucketRows)
			return b.put(rowKey(1, 250), held(b, rowKey(1, 251)))
		}},
		{"a row beyond the head", "beyond", func(s *Store, tx *txn) error {
			b := tx.bucket(bucketRows)
			return b.put(rowKey(1, 777), held(b, rowKey(1, 251)))
		}},
		{"a log without record", "without a log", func(s *Store, tx *txn) error {
			return s.apply(tx, &oplog.Batch{DropLogs: []mesh.LogKey{log}})
		}},
		{"another payload", "its payload is another", func(s *Store, tx *txn) error {
			var k writer
			k.claimKey(mesh.ClaimRef{Object: object(7), Zone: "us"})
			return tx.bucket(bucketPayloads).put(k.b, []byte("another"))
		}},
		{"no payload", "its payload is missing", func(s *Store, tx *txn) error {
			var k writer
			k.claimKey(mesh.ClaimRef{Object: object(7), Zone: "us"})
			return tx.bucket(bucketPayloads).delete(k.b)
		}},
		{"a payload of nobody", "payloads for", func(s *Store, tx *txn) error {
			return tx.bucket(bucketPayloads).put([]byte("x"), []byte("y"))
		}},
		{"an invitation that more took than it is for", "does not decode", func(s *Store, tx *txn) error {
			b := tx.bucket(bucketInvites)
			v := held(b, []byte("invite07"))
			taken := v[len(v)-(keys.PublicSize+2+len("us")+8+1):]
			return b.put([]byte("invite07"), append(v, taken...))
		}},
		{"a contact with more endpoints than are kept", "does not decode", func(s *Store, tx *txn) error {
			b, key := tx.bucket(bucketContacts), storetest.Key(7).Public()
			v := held(b, key[:])
			endpoint := v[len(v)-(2+len("198.51.100.1:9102")):]
			return b.put(key[:], append(v, bytes.Repeat(endpoint, oplog.MaxEndpoints)...))
		}},
		{"rubbish in a record", "does not decode", func(s *Store, tx *txn) error {
			return tx.bucket(bucketTrust).put([]byte("short"), nil)
		}},
		{"another number", "record ConfigMap/default/app-000007 of bucket placed is not what was written", func(s *Store, tx *txn) error {
			b, k := tx.bolt.Bucket(bucketPlaced), placedKey(7)
			v := clone(b.Get(k))
			v[5]++
			return b.Put(k, v)
		}},
		{"the record of another key", "is not what was written", func(s *Store, tx *txn) error {
			b := tx.bolt.Bucket(bucketPlaced)
			return b.Put(placedKey(7), clone(b.Get(placedKey(8))))
		}},
		{"the record of another bucket", "is not what was written", func(s *Store, tx *txn) error {
			v := clone(tx.bolt.Bucket(bucketPlaced).Get(placedKey(7)))
			return tx.bolt.Bucket(bucketTrust).Put(placedKey(7), v)
		}},
		{"a record without its sum", "is not what was written", func(s *Store, tx *txn) error {
			return tx.bolt.Bucket(bucketPlaced).Put(placedKey(7), []byte{1})
		}},
		{"a record that nobody deleted is gone", "holds 999 records, and 1000 were written", func(s *Store, tx *txn) error {
			return tx.bolt.Bucket(bucketPlaced).Delete(placedKey(7))
		}},
		{"the counts are gone", "numbers of records", func(s *Store, tx *txn) error {
			return tx.bolt.Bucket(bucketMeta).Delete(keyCounts)
		}},
		{"the node's record is gone", "the node's record is gone", func(s *Store, tx *txn) error {
			return tx.bolt.Bucket(bucketMeta).Delete(keyNode)
		}},
	} {
		path := filepath.Join(t.TempDir(), "mesh.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, path, small)
		if err := s.update(func(tx *txn) error { return test.harm(s, tx) }); err != nil {
			t.Fatal(err)
		}
		r, err := s.Check(t.Context())
		if err != nil || !strings.Contains(fmt.Sprint(r.Problems), test.want) {
			t.Errorf("%s: Check = %v, %v, want %q", test.name, r, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTest(t, path, small).Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check with a cancelled context = %v", err)
	}
}
