// Package storetest holds what every oplog.Store must do, as one suite that each implementation runs.
package storetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Store is an oplog.Store together with the reads that only people need.
type Store interface {
	oplog.Store
	Lost() ([]oplog.LostEntry, error)
	LostOne(id uint64) (oplog.LostEntry, bool, error)
}

// Run runs the suite. open returns a new, empty store; reopen closes a store and opens it again, as a restart
// does.
func Run(t *testing.T, open func(t *testing.T) Store, reopen func(t *testing.T, s Store) Store) {
	for name, test := range map[string]func(*testing.T, Store, func(Store) Store){
		"empty":    testEmpty,
		"records":  testRecords,
		"rows":     testRows,
		"prune":    testPrune,
		"claims":   testClaims,
		"order":    testOrder,
		"drops":    testDrops,
		"ownBytes": testOwnBytes,
		"lost":     testLost,
		"evidence": testEvidence,
		"joining":  testJoining,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			test(t, s, func(s Store) Store { return reopen(t, s) })
		})
	}
}

// Key returns the n-th of a fixed row of keys.
func Key(n byte) keys.Private {
	return keys.FromSeed([keys.SeedSize]byte{n, 1})
}

// Log returns the key of the log that the n-th key would write in its incarnation.
func Log(n byte, incarnation mesh.Incarnation) mesh.LogKey {
	zone := mesh.Zone(fmt.Sprintf("zone%d", n))
	return mesh.LogKey{
		Author: Key(n).Public(),
		Log:    mesh.LogIDOf("test", mesh.Instance{Zone: zone, Incarnation: incarnation}),
	}
}

// Fill sets every field of the struct at p, those it points to included, to a value of its own that is not
// zero. A field that a store forgets cannot hide behind it.
func Fill(p any) {
	n := uint64(0)
	fill(reflect.ValueOf(p).Elem(), &n)
}

func fill(v reflect.Value, n *uint64) {
	*n++
	if v.Type() == reflect.TypeFor[keys.Public]() {
		v.Set(reflect.ValueOf(Key(byte(*n)).Public()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(*n%255 + 1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(*n + 1000)
	case reflect.Int: // a count
		v.SetInt(int64(*n))
	case reflect.Int64:
		v.SetInt(-int64(*n))
	default:
		panic(fmt.Sprintf("storetest: no way to fill a %v", v.Type()))
	}
}

func filled[T any]() T {
	var v T
	Fill(&v)
	return v
}

func commit(t *testing.T, s Store, b *oplog.Batch) {
	t.Helper()
	if err := s.Commit(b); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func load(t *testing.T, s Store) *oplog.Index {
	t.Helper()
	x, err := s.Load()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return x
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func row(log mesh.LogKey, seq uint32, body string) oplog.Row {
	header := []byte(fmt.Sprintf("header %d of %s", seq, log.Author.Short()))
	return oplog.Row{Log: log, Seq: seq, ID: mesh.Sum(header, []byte(body)), Header: header, Body: []byte(body)}
}

func rowRange(log mesh.LogKey, from, to uint32) []oplog.Row {
	var rows []oplog.Row
	for seq := from; seq < to; seq++ {
		rows = append(rows, row(log, seq, fmt.Sprintf("body %d", seq)))
	}
	return rows
}

func readAll(t *testing.T, s Store, log mesh.LogKey) []oplog.Row {
	t.Helper()
	rows, err := s.Rows(log, 0, 1<<32-1, 1<<30)
	if err != nil {
		t.Fatalf("Rows: %v", err)
	}
	return rows
}

func testEmpty(t *testing.T, s Store, reopen func(Store) Store) {
	for range 2 {
		x := load(t, s)
		equal(t, "Load of an empty store", x, &oplog.Index{Covers: map[keys.Public]event.SnapshotBegin{}})
		log := Log(1, 1)
		if rows := readAll(t, s, log); rows != nil {
			t.Errorf("Rows = %v, want none", rows)
		}
		if _, held, err := s.RowID(log, 0); held || err != nil {
			t.Errorf("RowID = %v, %v, want not held", held, err)
		}
		if p, err := s.Payload(mesh.ClaimRef{Object: mesh.ObjectKey{Kind: "A", Name: "a"}, Zone: "z"}); p != nil || err != nil {
			t.Errorf("Payload = %v, %v, want none", p, err)
		}
		if l, err := s.Lost(); l != nil || err != nil {
			t.Errorf("Lost = %v, %v, want none", l, err)
		}
		commit(t, s, &oplog.Batch{})
		s = reopen(s)
	}
}

// testRecords writes one record of each sort with every field set, and the bare forms of those with options.
func testRecords(t *testing.T, s Store, reopen func(Store) Store) {
	meta := filled[oplog.Meta]()
	full := filled[oplog.Log]()
	full.Cut = nil // follows from the trust set
	bare := oplog.Log{Key: Log(9, 1), Instance: mesh.Instance{Zone: "zone9", Incarnation: 1}}
	limited := bare
	limited.Key = Log(9, 2)
	limited.Limit = &oplog.Limit{Height: 7, Hash: mesh.Hash{1}}
	claim := filled[mesh.Claim]()
	claim.Kind = mesh.Released
	covers := filled[event.SnapshotBegin]()
	author, bareAuthor := Key(1).Public(), Key(2).Public()
	b := &oplog.Batch{
		Meta:     &meta,
		Logs:     []oplog.Log{full, bare, limited},
		Claims:   []oplog.ClaimWrite{{Claim: claim}},
		Placed:   []oplog.Placed{filled[oplog.Placed]()},
		Trust:    []oplog.TrustOp{filled[oplog.TrustOp](), {ID: mesh.Hash{255}, Header: []byte("h")}},
		Bindings: []oplog.Binding{filled[oplog.Binding]()},
		Brakes:   []oplog.Brake{filled[oplog.Brake]()},
		Acked:    []oplog.Acked{filled[oplog.Acked]()},
		Covers:   map[keys.Public]event.SnapshotBegin{author: covers, bareAuthor: {}},
		Invites:  []oplog.Invite{filled[oplog.Invite](), {ID: "a", Uses: 1}},
		Contacts: []oplog.Contact{filled[oplog.Contact](), {Key: Key(200).Public()}},
	}
	commit(t, s, b)
	s = reopen(s)
	x := load(t, s)
	equal(t, "Meta", x.Meta, b.Meta)
	slices.SortFunc(b.Logs, func(a, b oplog.Log) int { return a.Key.Compare(b.Key) })
	equal(t, "Logs", x.Logs, b.Logs)
	equal(t, "Claims", x.Claims, []mesh.Claim{claim})
	equal(t, "Placed", x.Placed, b.Placed)
	slices.SortFunc(b.Trust, func(a, b oplog.TrustOp) int { return a.ID.Compare(b.ID) })
	equal(t, "Trust", x.Trust, b.Trust)
	equal(t, "Bindings", x.Bindings, b.Bindings)
	equal(t, "Brakes", x.Brakes, b.Brakes)
	equal(t, "Acked", x.Acked, b.Acked)
	slices.SortFunc(b.Invites, func(a, b oplog.Invite) int { return cmp.Compare(a.ID, b.ID) })
	equal(t, "Invites", x.Invites, b.Invites)
	slices.SortFunc(b.Contacts, func(a, b oplog.Contact) int { return a.Key.Compare(b.Key) })
	equal(t, "Contacts", x.Contacts, b.Contacts)
	covers.Heights = nil
	equal(t, "Covers", x.Covers, map[keys.Public]event.SnapshotBegin{author: covers, bareAuthor: {}})

	// Covers and Meta stay when a batch says nothing about them.
	commit(t, s, &oplog.Batch{})
	equal(t, "after an empty batch", load(t, s), x)
}

func testRows(t *testing.T, s Store, reopen func(Store) Store) {
	a, b := Log(1, 1), Log(2, 1)
	commit(t, s, &oplog.Batch{Rows: append(rowRange(a, 0, 5), rowRange(b, 3, 6)...)})
	// A staged run stands beyond a gap, and grows later.
	commit(t, s, &oplog.Batch{Rows: rowRange(a, 9, 10)})
	commit(t, s, &oplog.Batch{Rows: rowRange(a, 5, 6)})
	s = reopen(s)
	want := append(rowRange(a, 0, 6), rowRange(a, 9, 10)...)
	equal(t, "rows of a", readAll(t, s, a), want)
	equal(t, "rows of b", readAll(t, s, b), rowRange(b, 3, 6))

	size := want[0].Size()
	for _, test := range []struct {
		from, to uint32
		maxBytes int
		want     []oplog.Row
	}{
		{0, 2, 1 << 20, want[:2]},
		{2, 2, 1 << 20, nil},
		{7, 20, 1 << 20, want[6:]},
		{6, 9, 1 << 20, nil},
		{0, 10, 0, want[:1]},
		{0, 10, size, want[:1]},
		{0, 10, size + 1, want[:2]},
		{10, 1<<32 - 1, 1 << 20, nil},
	} {
		got, err := s.Rows(a, test.from, test.to, test.maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("Rows(%d, %d, %d)", test.from, test.to, test.maxBytes), got, test.want)
	}
	id, held, err := s.RowID(a, 9)
	if err != nil || !held || id != want[6].ID {
		t.Errorf("RowID(9) = %v, %v, %v, want %v", id, held, err, want[6].ID)
	}
	if _, held, err := s.RowID(a, 7); held || err != nil {
		t.Errorf("RowID(7) = %v, %v, want not held", held, err)
	}

	replaced := row(a, 1, "another")
	commit(t, s, &oplog.Batch{Rows: []oplog.Row{replaced, {Log: b, Seq: 3, ID: mesh.Hash{1}, Header: []byte("no body")}}})
	want[1] = replaced
	equal(t, "rows of a after a replacement", readAll(t, s, a), want)
	if got := readAll(t, s, b)[0]; got.Body != nil || string(got.Header) != "no body" {
		t.Errorf("row without body = %+v", got)
	}
}

func testPrune(t *testing.T, s Store, reopen func(Store) Store) {
	a, b, unknown := Log(1, 1), Log(2, 1), Log(3, 1)
	commit(t, s, &oplog.Batch{Rows: append(rowRange(a, 0, 1000), rowRange(b, 0, 10)...)})
	commit(t, s, &oplog.Batch{Prune: []oplog.Span{{Log: a, From: 100, To: 200}, {Log: a, From: 300, To: 300},
		{Log: a, From: 500, To: 400}, {Log: unknown, From: 0, To: 9}}})
	s = reopen(s)
	equal(t, "a", readAll(t, s, a), append(rowRange(a, 0, 100), rowRange(a, 200, 1000)...))
	commit(t, s, &oplog.Batch{Prune: []oplog.Span{{Log: a, From: 0, To: 999}}})
	equal(t, "a", readAll(t, s, a), rowRange(a, 999, 1000))
	equal(t, "b", readAll(t, s, b), rowRange(b, 0, 10))
	// Rows come before prunes in a batch.
	commit(t, s, &oplog.Batch{Rows: rowRange(b, 10, 12), Prune: []oplog.Span{{Log: b, From: 0, To: 11}, {Log: a, From: 0, To: 1 << 31}}})
	equal(t, "b", readAll(t, s, b), rowRange(b, 11, 12))
	if rows := readAll(t, s, a); rows != nil {
		t.Errorf("a = %v, want nothing", rows)
	}
}

// firstLog spares ClaimOf the making of a key.
var firstLog = Log(1, 1)

// ClaimOf returns a live claim and its payload, stated in Log(1, 1).
func ClaimOf(object mesh.ObjectKey, zone mesh.Zone, version mesh.Version, payload string) oplog.ClaimWrite {
	return oplog.ClaimWrite{
		Claim: mesh.Claim{
			Object: object, Zone: zone, Kind: mesh.Live, Version: version, Epoch: 1, Birth: 1,
			Content: mesh.Sum([]byte(payload)), Size: uint32(len(payload)),
			At: mesh.Position{Log: firstLog, Incarnation: 1, Seq: uint32(version)},
		},
		Payload: []byte(payload),
	}
}

func payload(t *testing.T, s Store, ref mesh.ClaimRef) string {
	t.Helper()
	p, err := s.Payload(ref)
	if err != nil {
		t.Fatalf("Payload: %v", err)
	}
	return string(p)
}

func testClaims(t *testing.T, s Store, reopen func(Store) Store) {
	object := mesh.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "default", Name: "web"}
	one, two := ClaimOf(object, "eu", 1, "one"), ClaimOf(object, "us", 1, "two")
	commit(t, s, &oplog.Batch{Claims: []oplog.ClaimWrite{one, two}})
	s = reopen(s)
	equal(t, "claims", load(t, s).Claims, []mesh.Claim{one.Claim, two.Claim})
	if got := payload(t, s, one.Ref()) + payload(t, s, two.Ref()); got != "onetwo" {
		t.Errorf("payloads = %q", got)
	}
	// A snapshot restates a claim without sending the payload through the store again.
	restated := one
	restated.At.Seq, restated.Payload = 9, nil
	next := ClaimOf(object, "us", 2, "three")
	commit(t, s, &oplog.Batch{Claims: []oplog.ClaimWrite{restated, next}})
	equal(t, "claims", load(t, s).Claims, []mesh.Claim{restated.Claim, next.Claim})
	if got := payload(t, s, one.Ref()) + payload(t, s, two.Ref()); got != "onethree" {
		t.Errorf("payloads = %q", got)
	}
	// What is deleted or released has no payload, even if one is handed in.
	gone, released := one, two
	gone.Kind, released.Kind, released.NewOwner = mesh.Deleted, mesh.Released, "eu"
	commit(t, s, &oplog.Batch{Claims: []oplog.ClaimWrite{gone, released}})
	s = reopen(s)
	equal(t, "claims", load(t, s).Claims, []mesh.Claim{gone.Claim, released.Claim})
	for _, ref := range []mesh.ClaimRef{one.Ref(), two.Ref()} {
		if p, err := s.Payload(ref); p != nil || err != nil {
			t.Errorf("Payload(%v) = %q, %v, want none", ref, p, err)
		}
	}
	// A life that begins again doesn't find the old payload.
	again := one
	again.Payload = nil
	commit(t, s, &oplog.Batch{Claims: []oplog.ClaimWrite{again}})
	if p, err := s.Payload(one.Ref()); p != nil || err != nil {
		t.Errorf("Payload of the next life = %q, %v, want none", p, err)
	}
}

// testOrder looks for keys whose order differs once their parts are joined.
func testOrder(t *testing.T, s Store, _ func(Store) Store) {
	var objects []mesh.ObjectKey
	parts := []string{"", "a", "a-", "a.b", "ab", "b"}
	for _, group := range parts {
		for _, namespace := range parts {
			for _, name := range parts[1:] {
				objects = append(objects, mesh.ObjectKey{Group: group, Kind: "K", Namespace: namespace, Name: name})
			}
		}
	}
	slices.SortFunc(objects, mesh.ObjectKey.Compare)
	var b oplog.Batch
	var claims []mesh.Claim
	var placed []oplog.Placed
	for _, o := range objects {
		for _, zone := range []mesh.Zone{"a", "a-b", "ab"} {
			claims = append(claims, ClaimOf(o, zone, 1, "x").Claim)
		}
		placed = append(placed, oplog.Placed{Object: o, Zone: "a", State: oplog.PlacedDone})
	}
	for i := range claims {
		c := claims[(i*7+3)%len(claims)]
		b.Claims = append(b.Claims, oplog.ClaimWrite{Claim: c, Payload: []byte("x")})
	}
	for i := range placed {
		b.Placed = append(b.Placed, placed[(i*7+3)%len(placed)])
	}
	var logs []oplog.Log
	var acked []oplog.Acked
	for n := range byte(20) {
		logs = append(logs, oplog.Log{Key: Log(n, 1)})
		acked = append(acked, oplog.Acked{Zone: "zone", Log: Log(n, 1), Height: uint32(n)}, oplog.Acked{Zone: "zone-b", Log: Log(n, 1)})
	}
	b.Logs, b.Acked = slices.Clone(logs), slices.Clone(acked)
	commit(t, s, &b)
	x := load(t, s)
	equal(t, "claims", x.Claims, claims)
	equal(t, "placed", x.Placed, placed)
	if !slices.IsSortedFunc(x.Logs, func(a, b oplog.Log) int { return a.Key.Compare(b.Key) }) || len(x.Logs) != len(logs) {
		t.Errorf("%d logs, or not in order", len(x.Logs))
	}
	slices.SortFunc(acked, func(a, b oplog.Acked) int {
		if a.Zone != b.Zone {
			return len(a.Zone) - len(b.Zone)
		}
		return a.Log.Compare(b.Log)
	})
	equal(t, "acked", x.Acked, acked)
}

func testDrops(t *testing.T, s Store, reopen func(Store) Store) {
	log := Log(1, 1)
	object := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}
	claim := ClaimOf(object, "eu", 1, "one")
	commit(t, s, &oplog.Batch{
		Rows: rowRange(log, 0, 3), Logs: []oplog.Log{{Key: log, Next: 3}}, Claims: []oplog.ClaimWrite{claim},
		Placed: []oplog.Placed{{Object: object, Zone: "eu"}},
	})
	// The record of a log goes; claims stated in it stay and still name it.
	commit(t, s, &oplog.Batch{Prune: []oplog.Span{{Log: log, To: 3}}, DropLogs: []mesh.LogKey{log, Log(7, 7)}})
	s = reopen(s)
	x := load(t, s)
	equal(t, "logs", x.Logs, nil)
	equal(t, "claims", x.Claims, []mesh.Claim{claim.Claim})
	commit(t, s, &oplog.Batch{DropClaims: []mesh.ClaimRef{claim.Ref(), {Object: object, Zone: "us"}},
		DropPlaced: []mesh.ObjectKey{object, {Kind: "X", Name: "y"}}})
	s = reopen(s)
	x = load(t, s)
	equal(t, "claims", x.Claims, nil)
	equal(t, "placed", x.Placed, nil)
	if p, err := s.Payload(claim.Ref()); p != nil || err != nil {
		t.Errorf("Payload = %q, %v, want none", p, err)
	}
}

// testOwnBytes overwrites what was handed in and out.
func testOwnBytes(t *testing.T, s Store, _ func(Store) Store) {
	log := Log(1, 1)
	object := mesh.ObjectKey{Kind: "ConfigMap", Name: "app"}
	b := &oplog.Batch{
		Rows:   []oplog.Row{row(log, 0, "body")},
		Claims: []oplog.ClaimWrite{ClaimOf(object, "eu", 1, "payload")},
		Logs:   []oplog.Log{{Key: log, Next: 1, Run: &oplog.Run{Begin: 5}, Limit: &oplog.Limit{Height: 5}}},
		Trust:  []oplog.TrustOp{{ID: mesh.Hash{1}, Header: []byte("trust")}},
		Lost:   []oplog.LostRecord{{Object: object, Zone: "eu", Payload: []byte("lost")}},

		Invites:  []oplog.Invite{{ID: "a", Uses: 1, Taken: []oplog.Redemption{{Key: Key(1).Public(), At: 5}}}},
		Contacts: []oplog.Contact{{Key: Key(1).Public(), Endpoints: []string{"endpoint"}, Record: []byte("record")}},
	}
	commit(t, s, b)
	for range 2 {
		clear(b.Rows[0].Body)
		clear(b.Claims[0].Payload)
		clear(b.Trust[0].Header)
		clear(b.Lost[0].Payload)
		b.Invites[0].Taken[0].At, b.Contacts[0].Endpoints[0] = 0, ""
		clear(b.Contacts[0].Record)
		b.Logs[0].Run.Begin, b.Logs[0].Limit.Height = 0, 0
		x, rows := load(t, s), readAll(t, s, log)
		p, err := s.Payload(b.Claims[0].Ref())
		lost, held, lostErr := s.LostOne(1)
		if err != nil || lostErr != nil || !held {
			t.Fatal(err, lostErr, held)
		}
		equal(t, "what is held", []any{string(rows[0].Body), string(p), string(x.Trust[0].Header), x.Logs[0].Run.Begin, x.Logs[0].Limit.Height, string(lost.Payload),
			x.Invites[0].Taken[0].At, x.Contacts[0].Endpoints[0], string(x.Contacts[0].Record)},
			[]any{"body", "payload", "trust", uint32(5), uint32(5), "lost", int64(5), "endpoint", "record"})
		// What came out is ours: the second round overwrites that.
		b.Rows, b.Claims[0].Payload, b.Trust, b.Logs, b.Lost[0].Payload = rows, p, x.Trust, x.Logs, lost.Payload
		b.Invites, b.Contacts = x.Invites, x.Contacts
	}
}

func testLost(t *testing.T, s Store, reopen func(Store) Store) {
	day := int64(24 * 3600 * 1000)
	record := filled[oplog.LostRecord]()
	record.At = 100 * day
	commit(t, s, &oplog.Batch{Lost: []oplog.LostRecord{record}})
	s = reopen(s)
	e, held, err := s.LostOne(1)
	if err != nil || !held {
		t.Fatalf("LostOne = %v, %v", held, err)
	}
	equal(t, "LostOne", e, oplog.LostEntry{ID: 1, LostRecord: record, Size: len(record.Payload)})
	bare := record
	bare.Payload = nil
	list, err := s.Lost()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "Lost", list, []oplog.LostEntry{{ID: 1, LostRecord: bare, Size: len(record.Payload)}})
	if _, held, err := s.LostOne(2); held || err != nil {
		t.Errorf("LostOne(2) = %v, %v, want not held", held, err)
	}

	ids := func() (ids []uint64) {
		list, err := s.Lost()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			ids = append(ids, e.ID)
		}
		return ids
	}
	// Age: 30 days, to the millisecond.
	younger := record
	younger.At = 100*day + 1
	latest := record
	latest.At = 130*day + 1
	commit(t, s, &oplog.Batch{Lost: []oplog.LostRecord{younger, latest}})
	equal(t, "ids after a month", ids(), []uint64{2, 3})

	// Size: the oldest make room.
	big := latest
	big.Payload = make([]byte, 4<<20)
	for range oplog.LostBytes >> 22 {
		commit(t, s, &oplog.Batch{Lost: []oplog.LostRecord{big}})
	}
	s = reopen(s)
	if got := ids(); len(got) != 16 || got[0] != 4 {
		t.Errorf("ids after 64 MiB = %v, want 4 to 19", got)
	}
	commit(t, s, &oplog.Batch{Lost: []oplog.LostRecord{latest}})
	if got := ids(); len(got) != 16 || got[0] != 5 || got[15] != 20 {
		t.Errorf("ids after one more = %v, want 5 to 20", got)
	}
	// A month later only the newest is left, and its number goes on.
	latest.At = 200 * day
	commit(t, s, &oplog.Batch{Lost: []oplog.LostRecord{latest}})
	equal(t, "ids at last", ids(), []uint64{21})
	// More than one transaction's list.
	latest.Payload = []byte("x")
	commit(t, s, &oplog.Batch{Lost: slices.Repeat([]oplog.LostRecord{latest}, 1000)})
	if got := ids(); len(got) != 1001 || got[0] != 21 || got[1000] != 1021 {
		t.Errorf("%d ids, want 1001", len(got))
	}
}

func testEvidence(t *testing.T, s Store, reopen func(Store) Store) {
	a, b := Log(1, 1), Log(2, 1)
	proof := func(log mesh.LogKey, seq uint32) oplog.Evidence {
		return oplog.Evidence{Log: log, A: row(log, seq, "one"), B: row(log, seq, "other")}
	}
	commit(t, s, &oplog.Batch{Evidence: []oplog.Evidence{proof(a, 5), proof(b, 7)}})
	commit(t, s, &oplog.Batch{Evidence: []oplog.Evidence{proof(a, 3)}})
	s = reopen(s)
	want := []oplog.Evidence{proof(a, 5), proof(b, 7)}
	slices.SortFunc(want, func(a, b oplog.Evidence) int { return a.Log.Compare(b.Log) })
	got, err := s.Evidence()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "Evidence", got, want)
}

// testJoining changes and drops invitations and contacts, one by one.
func testJoining(t *testing.T, s Store, reopen func(Store) Store) {
	key := func(n byte) keys.Public { return Key(n).Public() }
	invite := oplog.Invite{ID: "invite01", Secret: mesh.Hash{1}, Uses: 2, Expires: 9}
	other := oplog.Invite{ID: "invite02", Uses: 1, Zone: "eu", For: key(3)}
	contact := oplog.Contact{Key: key(1), Zone: "eu", Endpoints: []string{"a:1", "b:2"}, Record: []byte("one")}
	inviter := oplog.Contact{Key: key(2), Inviter: true}
	commit(t, s, &oplog.Batch{Invites: []oplog.Invite{invite, other}, Contacts: []oplog.Contact{contact, inviter}})

	// What is written again replaces all of what was there.
	invite.Taken = []oplog.Redemption{{Key: key(1), Zone: "us", At: 5}, {Key: key(2), Spent: true}}
	invite.Revoked = true
	contact.Endpoints, contact.Record, contact.Seen = []string{"b:2"}, nil, 7
	commit(t, s, &oplog.Batch{Invites: []oplog.Invite{invite}, Contacts: []oplog.Contact{contact}})
	s = reopen(s)
	x := load(t, s)
	equal(t, "invites", x.Invites, []oplog.Invite{invite, other})
	want := []oplog.Contact{contact, inviter}
	slices.SortFunc(want, func(a, b oplog.Contact) int { return a.Key.Compare(b.Key) })
	equal(t, "contacts", x.Contacts, want)

	commit(t, s, &oplog.Batch{Trust: []oplog.TrustOp{{ID: mesh.Hash{1}, Header: []byte("h")}, {ID: mesh.Hash{2}, Header: []byte("h")}}, DropTrust: []mesh.Hash{{2}, {3}},
		DropInvites: []string{other.ID, "unknown1"}, DropContacts: []keys.Public{inviter.Key, key(9)}})
	s = reopen(s)
	x = load(t, s)
	equal(t, "invites", x.Invites, []oplog.Invite{invite})
	equal(t, "contacts", x.Contacts, []oplog.Contact{contact})
	equal(t, "trust", len(x.Trust), 1)
	// Drops come after writes in a batch.
	commit(t, s, &oplog.Batch{Invites: []oplog.Invite{other}, DropInvites: []string{other.ID, invite.ID},
		Contacts: []oplog.Contact{inviter}, DropContacts: []keys.Public{inviter.Key, contact.Key}})
	x = load(t, s)
	equal(t, "invites", x.Invites, nil)
	equal(t, "contacts", x.Contacts, nil)
}
