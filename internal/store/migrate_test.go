package store

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// history commits some of everything: records with every field set and bare ones, what was pruned, dropped and
// replaced, and a claim without a payload.
func history(t *testing.T, s *Store) {
	t.Helper()
	commit := func(b *oplog.Batch) {
		t.Helper()
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	c := newChain(1)
	for range 40 {
		commit(c.next())
	}
	released := *filled[mesh.Claim]()
	released.Kind = mesh.Released
	log := *filled[oplog.Log]()
	log.Cut = nil // follows from the trust set
	key := storetest.Key(2).Public()
	b := &oplog.Batch{
		Meta:     &oplog.Meta{Network: "net", Zone: "eu", Author: storetest.Key(1).Public(), Created: 7},
		Logs:     []oplog.Log{log, {Key: storetest.Log(3, 1)}},
		Claims:   []oplog.ClaimWrite{{Claim: released}},
		Trust:    []oplog.TrustOp{*filled[oplog.TrustOp](), {ID: mesh.Hash{255}, Header: []byte("h")}},
		Bindings: []oplog.Binding{*filled[oplog.Binding](), {Key: key, Zone: "us"}},
		Brakes:   []oplog.Brake{*filled[oplog.Brake](), {Zone: "us"}},
		Acked:    []oplog.Acked{*filled[oplog.Acked](), {Zone: "us", Log: c.log.Key, Height: 7}},
		Covers:   map[keys.Public]event.SnapshotBegin{key: *filled[event.SnapshotBegin]()},
		Lost: []oplog.LostRecord{{Object: object(1), Zone: "eu", Payload: []byte("lost")}, *filled[oplog.LostRecord](),
			{Object: object(2), Zone: "us", Reason: "why"}},
		Evidence: []oplog.Evidence{*filled[oplog.Evidence]()},
		Invites:  []oplog.Invite{*filled[oplog.Invite](), {ID: "invite01", Uses: 1}},
		Contacts: []oplog.Contact{*filled[oplog.Contact](), {Key: key}},
	}
	for n := range 200 {
		claim := storetest.ClaimOf(object(n), "us", 1, string(make([]byte, n*13%700+1)))
		claim.At.Log = c.log.Key
		if n%50 == 49 {
			claim.Payload = nil
		}
		b.Claims = append(b.Claims, claim)
		b.Placed = append(b.Placed, oplog.Placed{Object: object(n), Zone: "us", State: oplog.PlacedDone})
	}
	commit(b)
	restated := b.Claims[5]
	restated.Version, restated.Payload = 2, nil
	gone := b.Claims[6]
	gone.Kind = mesh.Deleted
	commit(&oplog.Batch{
		Claims:       []oplog.ClaimWrite{restated, gone},
		DropClaims:   []mesh.ClaimRef{b.Claims[7].Ref()},
		DropPlaced:   []mesh.ObjectKey{object(7)},
		DropContacts: []keys.Public{key},
	})
	commit(numbered(storetest.Log(3, 1), 0))
	commit(&oplog.Batch{Prune: []oplog.Span{{Log: storetest.Log(3, 1), From: 0, To: 1}}})
}

// fixture writes the store that the last version without sums made of history, as one of an earlier format, and
// returns where.
func fixture(t *testing.T, version uint32) string {
	t.Helper()
	f, err := os.Open("testdata/format3.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if version < lastBare {
		age(t, path, version)
	}
	return path
}

// age makes a store of an earlier format of one of the last bare one: format 1 had two buckets less.
func age(t *testing.T, path string, version uint32) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(bolt *bbolt.Tx) error {
		if version == 1 {
			if err := errors.Join(bolt.DeleteBucket(bucketInvites), bolt.DeleteBucket(bucketContacts)); err != nil {
				return err
			}
		}
		return putFormat(bolt, version)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// remembered is everything in a store to which history happened just now.
func remembered(t *testing.T) contents {
	t.Helper()
	s := newTest(t)
	history(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return readAll(t, s.Path())
}

// TestMigrateFromAll opens stores of each earlier format: every record reads as one that was written now, and the store goes
// on from there.
func TestMigrateFromAll(t *testing.T) {
	t.Parallel()
	for version := uint32(1); version < formatVersion; version++ {
		want := remembered(t)
		path := fixture(t, version)
		if version == 1 {
			want.index.Invites, want.index.Contacts = nil, nil
		}
		if _, err := OpenReadOnly(path); !errors.Is(err, ErrOlder) {
			t.Errorf("format %d: OpenReadOnly = %v, want ErrOlder", version, err)
		}
		for range 2 {
			if got := readAll(t, path); !reflect.DeepEqual(got, want) {
				t.Errorf("format %d: it holds\n%+v, want\n%+v", version, got, want)
			}
		}
		s := openTest(t, path, small)
		lost, evidence := oplog.LostRecord{Object: object(9), Zone: "eu"}, *filled[oplog.Evidence]()
		evidence.Log = storetest.Log(4, 1)
		err := s.Commit(&oplog.Batch{
			Rows: numbered(storetest.Log(4, 1), 0).Rows, Lost: []oplog.LostRecord{lost}, Evidence: []oplog.Evidence{evidence},
			Invites: []oplog.Invite{{ID: "another", Uses: 1}}, Contacts: []oplog.Contact{{Key: storetest.Key(9).Public()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if entries, err := s.Lost(); err != nil || len(entries) != len(want.lost)+1 || entries[len(want.lost)].ID != 4 {
			t.Errorf("format %d: lost content %+v, %v, want one more under 4", version, entries, err)
		}
		expectNumbered(t, s, storetest.Log(4, 1), 1)
	}
}

// TestMigrateBatches seals a store that is larger than what a transaction of the copy holds.
func TestMigrateBatches(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 700
	body := make([]byte, 64<<10)
	err = db.Update(func(bolt *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := bolt.CreateBucket(name); err != nil {
				return err
			}
		}
		var w writer
		w.logKey(storetest.Log(1, 1))
		err := bolt.Bucket(bucketLognos).Put(order.AppendUint32(nil, 1), w.b)
		for seq := range uint32(rows) {
			v, _ := encodeRow(&oplog.Row{Log: storetest.Log(1, 1), Seq: seq, Header: []byte{1}, Body: body})
			err = errors.Join(err, bolt.Bucket(bucketRows).Put(rowKey(1, seq), v))
		}
		return errors.Join(err, putFormat(bolt, lastBare))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	expectNumbered(t, openTest(t, path, small), storetest.Log(1, 1), rows)
}

// TestMigrateCrash copies the folder at each step, which is what a kill leaves there, and starts from the copy.
func TestMigrateCrash(t *testing.T) {
	t.Parallel()
	want := remembered(t)
	for _, at := range []action{onMigrate, onCompact, onSync, onInstall, onSwap} {
		path := fixture(t, lastBare)
		crashed := filepath.Join(t.TempDir(), "crashed")
		openTest(t, path, Options{Ballast: -1, fault: func(a action) error {
			if a != at {
				return nil
			}
			return os.CopyFS(crashed, os.DirFS(filepath.Dir(path)))
		}})
		path = filepath.Join(crashed, "mesh.db")
		if got := readAll(t, path); !reflect.DeepEqual(got, want) {
			t.Errorf("killed at %s: it holds %+v, want %+v", at, got, want)
		}
		if _, err := os.Stat(path + newSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("killed at %s: a file is left behind", at)
		}
	}
}

// TestMigrateError lets each step fail: the store doesn't start, the error has its type, and the next start migrates.
func TestMigrateError(t *testing.T) {
	t.Parallel()
	want := remembered(t)
	for _, at := range []action{onMigrate, onCompact, onSync, onInstall, onSwap} {
		path := fixture(t, lastBare)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(path, Options{Ballast: -1, fault: func(a action) error {
			if a == at {
				return syscall.ENOSPC
			}
			return nil
		}})
		if !errors.Is(err, ErrDiskFull) {
			t.Errorf("failing at %s: Open = %v, want ErrDiskFull", at, err)
		}
		if after, err := os.ReadFile(path); at != onSwap && (err != nil || string(after) != string(before)) {
			t.Errorf("failing at %s: the file changed, %v", at, err)
		}
		if got := readAll(t, path); !reflect.DeepEqual(got, want) {
			t.Errorf("failing at %s: it holds %+v, want %+v", at, got, want)
		}
	}
}

// spoilRows bends a page of rows, which an open doesn't look at and a copy does.
func spoilRows(data []byte) {
	for at := 2 * pageSize; at < len(data); at += pageSize {
		p := page(data[at:])
		if p.id() == uint64(at/pageSize) && p.flags() == flagLeaf && p.count() > 0 && native.Uint32(p[pageHeader+8:]) == rowKeySize {
			native.PutUint64(p, 1)
		}
	}
}

// TestMigrateRefused leaves a store alone that is another node's or damaged.
func TestMigrateRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		zone mesh.Zone
		harm func(data []byte)
		ok   func(error) bool
	}{
		"foreign": {"us", func([]byte) {}, func(err error) bool { return errors.Is(err, ErrForeign) }},
		"damaged": {"eu", spoilRows, func(err error) bool { var damaged *DamagedError; return errors.As(err, &damaged) }},
	} {
		path := fixture(t, lastBare)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		test.harm(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{Ballast: -1, Owner: Identity{Zone: test.zone}}); !test.ok(err) {
			t.Errorf("%s: Open = %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(data) {
			t.Errorf("%s: the file changed, %v", name, err)
		}
		if _, err := os.Stat(path + newSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file is left behind", name)
		}
	}
}

// TestMigration makes up a format 0 that kept the zone in a bucket of its own, and goes on from format 1.
func TestMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	setFormat(t, path, 0)
	author := storetest.Key(1).Public()
	table := func(zone string) []migration {
		return []migration{{from: 0, run: func(tx *bbolt.Tx) error {
			var w writer
			w.meta(&oplog.Meta{Zone: "eu", Author: author, Network: "net"})
			if zone == "" {
				return errors.New("cannot")
			}
			return tx.Bucket(bucketMeta).Put(keyNode, w.b)
		}}, {from: 1, run: func(*bbolt.Tx) error { return nil }}, {from: 2, run: func(*bbolt.Tx) error { return nil }}}
	}
	open := func(o Options) error {
		o.Ballast = -1
		s, err := Open(path, o)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrOlder) {
		t.Errorf("OpenReadOnly = %v, want ErrOlder", err)
	}
	if err := open(Options{}); err == nil || !strings.Contains(err.Error(), "no way from format 0") {
		t.Errorf("Open without a migration = %v", err)
	}
	if err := open(Options{migrations: table("")}); err == nil {
		t.Error("Open with a failing migration = nil")
	}
	if err := open(Options{migrations: table("eu"), Owner: Identity{Zone: "us"}}); !errors.Is(err, ErrForeign) {
		t.Errorf("Open as another zone = %v, want ErrForeign", err)
	}
	// None of these left a trace.
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrOlder) {
		t.Errorf("OpenReadOnly = %v, want ErrOlder still", err)
	}
	if err := open(Options{migrations: table("eu")}); err != nil {
		t.Fatalf("Open with migration: %v", err)
	}
	s, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if x, err := s.Load(); err != nil || x.Meta.Zone != "eu" {
		t.Errorf("Load = %+v, %v", x, err)
	}
}
