package oplog_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t,
		func(*testing.T) storetest.Store { return oplog.NewMemory() },
		func(t *testing.T, s storetest.Store) storetest.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return s
		})
}

// TestMemoryClone changes everything after the copy was taken: the copy is what it was.
func TestMemoryClone(t *testing.T) {
	t.Parallel()
	log := storetest.Log(1, 1)
	object := mesh.ObjectKey{Kind: "ConfigMap", Name: "app"}
	batch := func(n uint32, text string) *oplog.Batch {
		meta := oplog.Meta{Zone: mesh.Zone(text)}
		return &oplog.Batch{
			Rows:   []oplog.Row{{Log: log, Seq: 0, Header: []byte(text)}, {Log: log, Seq: n, Header: []byte(text)}},
			Logs:   []oplog.Log{{Key: log, Next: n}},
			Claims: []oplog.ClaimWrite{storetest.ClaimOf(object, "eu", mesh.Version(n), text)},
			Lost:   []oplog.LostRecord{{Reason: text}},
			Meta:   &meta,
		}
	}
	state := func(m *oplog.Memory) [6]any {
		x, _ := m.Load()
		rows, _ := m.Rows(log, 0, 100, 1<<20)
		p, _ := m.Payload(mesh.ClaimRef{Object: object, Zone: "eu"})
		lost, _ := m.Lost()
		return [6]any{x.Meta.Zone, x.Logs[0].Next, len(rows), string(rows[0].Header), string(p), len(lost)}
	}
	m := oplog.NewMemory()
	if err := m.Commit(batch(1, "old")); err != nil {
		t.Fatal(err)
	}
	copied := m.Clone()
	want := state(m)
	if err := m.Commit(batch(2, "new")); err != nil {
		t.Fatal(err)
	}
	if got := state(copied); got != want {
		t.Errorf("copy after a change of the original = %v, want %v", got, want)
	}
	changed := state(m)
	if err := copied.Commit(batch(3, "other")); err != nil {
		t.Fatal(err)
	}
	if got := state(m); got != changed {
		t.Errorf("original after a change of the copy = %v, want %v", got, changed)
	}
	m.Wipe()
	if x, _ := m.Load(); x.Meta != nil || len(x.Claims)+len(x.Logs) > 0 {
		t.Errorf("after Wipe: %+v", x)
	}
	if got := state(copied); got[0] != mesh.Zone("other") {
		t.Errorf("copy after Wipe of the original = %v", got)
	}
}
