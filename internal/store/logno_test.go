package store

import (
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// TestLognosBounded lets a thousand logs come and go. Those that still have a row or a claim keep their number.
func TestLognosBounded(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	author := storetest.Key(1).Public()
	var logs []mesh.LogKey
	var b oplog.Batch
	for n := range 1000 {
		log := mesh.LogKey{Author: author, Log: mesh.LogID(mesh.Sum(fmt.Append(nil, n)))}
		logs = append(logs, log)
		b.Rows = append(b.Rows, oplog.Row{Log: log, Seq: 3, Header: []byte{1}})
	}
	claim := storetest.ClaimOf(object(1), "eu", 1, "x")
	claim.At.Log = logs[500]
	b.Claims = []oplog.ClaimWrite{claim}
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	reopen := func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, s.Path(), small)
	}
	reopen()
	if n := len(s.lognos.keys); n != 1000 {
		t.Fatalf("%d numbers, want all 1000: each has a row", n)
	}
	var prune oplog.Batch
	for n, log := range logs {
		if n != 700 {
			prune.Prune = append(prune.Prune, oplog.Span{Log: log, From: 0, To: 9})
		}
	}
	if err := s.Commit(&prune); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		reopen()
		x, err := s.Load()
		if err != nil || len(x.Claims) != 1 || x.Claims[0] != claim.Claim {
			t.Errorf("Load = %+v, %v", x, err)
		}
		if n := len(s.lognos.keys); n != 2 {
			t.Errorf("%d numbers, want 2", n)
		}
		expectNumbered(t, s, logs[700], 1)
		expectNumbered(t, s, logs[701], 0)
	}
	// A log that comes back gets a number nobody had.
	if err := s.Commit(numbered(logs[0], 5)); err != nil {
		t.Fatal(err)
	}
	if no, _ := s.lognos.find(logs[0]); no != 1001 {
		t.Errorf("number = %d, want 1001", no)
	}
}
