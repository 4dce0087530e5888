package admin_test

import (
	"context"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// moving is a running node, which goes on while its log is read.
type moving struct {
	*fakeNode
	t          testing.TB
	low, start uint32 // the rows below are gone; where the chain begins
	state      string
	dropped    bool
	listed     int // how often it was asked for its logs
	pages      int // and for rows
	onLogs     func(m *moving)
	onRows     func(m *moving)
}

func (m *moving) Logs(ctx context.Context) ([]mesh.LogStatus, error) {
	m.listed++
	if m.onLogs != nil {
		m.onLogs(m)
	}
	if m.dropped {
		return nil, nil
	}
	logs, err := m.fakeNode.Logs(ctx)
	start := m.start
	logs[0].Snapshot, logs[0].State = &start, m.state
	return logs, err
}

func (m *moving) Rows(ctx context.Context, log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error) {
	m.pages++
	if m.onRows != nil {
		m.onRows(m)
	}
	return m.fakeNode.Rows(ctx, log, max(from, m.low), to, maxBytes)
}

// snapshot lets the log begin anew.
func (m *moving) snapshot() {
	m.t.Helper()
	m.start = uint32(len(m.rows))
	count, sum := event.NewDigest().Sum()
	m.append(m.t, event.Event{SnapshotBegin: &event.SnapshotBegin{}})
	m.append(m.t, event.Event{SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: sum}})
}

// TestVerifyMoves verifies the log of a node that prunes it between its list of logs and their rows. That is no fault;
// a fault that is one stays one.
func TestVerifyMoves(t *testing.T) {
	damage := func(m *moving, seq uint32) { m.rows[seq].Header[len(m.rows[seq].Header)-1] ^= 1 }
	// On the page of rows that is asked for.
	page := func(n int, f func(m *moving)) func(m *moving) {
		return func(m *moving) {
			if m.pages == n {
				f(m)
			}
		}
	}
	tests := []struct {
		name     string
		begin    func(m *moving)
		want     string // first fault; empty: none
		from, to uint32
		most     int // lists of logs, the first one included
	}{
		{name: "nothing moves", to: 5, most: 1},
		{name: "all that was listed is pruned", from: 6, to: 7, most: 2, begin: func(m *moving) {
			m.onRows = page(1, func(m *moving) { m.snapshot(); m.low = 6 })
		}},
		{name: "half of it is", from: 6, to: 7, most: 2, begin: func(m *moving) {
			m.onRows = page(1, func(m *moving) { m.snapshot(); m.low = 3 })
		}},
		{name: "half of it was, before it was listed", from: 6, to: 7, most: 1, begin: func(m *moving) { m.snapshot(); m.low = 3 }},
		{name: "between two pages", from: 6, to: 7, most: 2, begin: func(m *moving) {
			m.onRows = page(2, func(m *moving) { m.snapshot(); m.low = 4 })
		}},
		{name: "twice", from: 8, to: 9, most: 3, begin: func(m *moving) {
			m.onRows = func(m *moving) {
				if m.pages <= 2 {
					m.snapshot()
					m.low = m.start
				}
			}
		}},
		{name: "dropped", most: 2, begin: func(m *moving) {
			m.onRows = page(1, func(m *moving) { m.low, m.dropped = 6, true })
		}},
		{name: "being dropped", from: 3, to: 5, most: 1, begin: func(m *moving) { m.low, m.state = 3, "Covered" }},

		{name: "pruned, and nothing moved", want: "3 the log begins here", most: 2, begin: func(m *moving) { m.low = 3 }},
		{name: "gone, and nothing moved", want: "5 nothing is held", most: 2, begin: func(m *moving) { m.low = 6 }},
		{name: "pruned beyond the start", want: "7 the log begins here", most: 2, begin: func(m *moving) { m.snapshot(); m.low = 7 }},
		{name: "pruned up to a later snapshot", want: "6 operations 0 to 5 are missing", most: 2, begin: func(m *moving) { m.snapshot(); m.start, m.low = 0, 6 }},
		{name: "damaged, and pruned meanwhile", want: "7 the signature does not hold", most: 3, begin: func(m *moving) {
			m.onRows = page(1, func(m *moving) { m.snapshot(); damage(m, 7); m.low = 6 })
		}},
		{name: "damaged, and it grows all the time", want: "2 the signature does not hold", most: 5, begin: func(m *moving) {
			damage(m, 2)
			m.onLogs = func(m *moving) {
				m.append(m.t, event.Event{Delete: &event.Delete{Object: configKey, Version: 6, Epoch: 1, Birth: 1}})
			}
		}},
		{name: "covered and damaged", want: "4 the signature does not hold", most: 2, begin: func(m *moving) { m.low, m.state = 3, "Covered"; damage(m, 4) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &moving{fakeNode: newFakeNode(t), t: t, state: "OK"}
			if tt.begin != nil {
				tt.begin(m)
			}
			v, err := admin.Verify(t.Context(), m, oneLog(t, m), network, false)
			if err != nil {
				t.Fatal(err)
			}
			firstFault(t, v, tt.want)
			if tt.want == "" && (v.From != tt.from || v.To != tt.to || (v.Operations == 0) != m.dropped) {
				t.Errorf("it read %d operations, %d to %d, want %d to %d", v.Operations, v.From, v.To, tt.from, tt.to)
			}
			if m.listed > tt.most {
				t.Errorf("it asked for the logs %d times, want at most %d", m.listed, tt.most)
			}
		})
	}
}
