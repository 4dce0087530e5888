package meshtest

import (
	"fmt"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// known is an operation as every receiver reads it: the bytes are the same for all of them.
type known struct {
	in    replica.Arrived
	holds bool // its own signature does
}

// know does once what every receiver would do.
func (w *World) know(row oplog.Row) known {
	if row.ID.IsZero() {
		row.ID = mesh.Sum(row.Header)
	}
	k, ok := w.known[row.ID]
	if !ok {
		op, err := operation.Decode(row.Header)
		if err == nil {
			err = op.SetBody(row.Body)
		}
		if err != nil {
			panic(err) // the simulation only carries what a node wrote
		}
		k.in.Op, k.holds = op, op.Verify() == nil
		k.in.Event, _ = event.Decode(row.Body)
		w.known[row.ID] = k
	}
	return k
}

// arrivals is what a node takes of rows that arrive one after the other, in batches of a size that is drawn when
// messages are lossy: the last one of a batch vouches for those before it.
func (w *World) arrivals(to *Node, rows []oplog.Row, from *Node) (out []replica.Input) {
	for len(rows) > 0 {
		n := len(rows)
		if w.Lossy {
			n = 1 + w.Rand.IntN(min(n, 12))
		}
		ks := make([]known, n)
		for i, row := range rows[:n] {
			ks[i] = w.know(row)
			ks[i].in.From = from.Key.Public()
		}
		rows = rows[n:]
		var run replica.ArrivedRun
		for i, k := range ks {
			k.in.Vouched = ks[n-1].holds && i < n-1 && k.in.Op.Author != to.Key.Public() && !replica.NeedsSignature(k.in.Op, k.in.Event)
			if k.holds || k.in.Vouched {
				run = append(run, k.in)
			}
		}
		if w.Lossy && w.Rand.IntN(2) == 0 {
			out = append(out, run)
			continue
		}
		for _, in := range run {
			out = append(out, in)
		}
	}
	return out
}

// Check verifies up to limit operations of a node that were taken in on the word of others, as its checker would, and
// reports whether there were any.
func (w *World) Check(x *Node, limit int) bool {
	if x.Replica == nil {
		return false
	}
	spans := x.Replica.Unchecked()
	if len(spans) == 0 {
		return false
	}
	s := spans[w.pick(len(spans))]
	in := replica.Checked{Log: s.Log, From: s.From, To: s.From}
	rows, err := x.Store.Rows(s.Log, s.From, s.To, 1<<30)
	if err != nil {
		w.fail("rows of %s: %v", x.Name, err)
	}
	for _, row := range rows[:min(limit, len(rows))] {
		if row.Seq != in.To {
			break // of a log that is being dropped
		}
		if !w.know(row).holds {
			in.False = row.ID
			break
		}
		in.To, in.Last = row.Seq+1, row.ID
	}
	if in.To == in.From && in.False.IsZero() {
		return false
	}
	w.Do(x, in)
	return true
}

func (w *World) pick(n int) int {
	if w.Lossy {
		return w.Rand.IntN(n)
	}
	return 0
}

// CheckAll checks everything on every node.
func (w *World) CheckAll() {
	for _, x := range w.Nodes {
		for n := 0; w.Check(x, 1<<30); n++ {
			if n > 10_000 {
				w.fail("%s: the check comes to no end", x.Name)
				return
			}
		}
	}
}

// Falsify takes the signature of the newest operation of its own from a node that is down: it signed everything else,
// and will sign what follows. It reports whether there is an operation that could go unnoticed.
func (w *World) Falsify(x *Node) (bool, error) {
	idx, err := x.Store.Load()
	if err != nil || x.Replica != nil || idx.Meta == nil {
		return false, fmt.Errorf("%s runs, or never ran: %w", x.Name, err)
	}
	i := slices.IndexFunc(idx.Logs, func(l oplog.Log) bool {
		return l.Key.Author == x.Key.Public() && l.Instance.Incarnation == idx.Meta.Incarnation
	})
	if i < 0 || idx.Logs[i].Staged != nil {
		return false, nil
	}
	l := idx.Logs[i]
	rows, err := x.Store.Rows(l.Key, l.Height(), l.Next, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	row := rows[0]
	if k := w.know(row); replica.NeedsSignature(k.in.Op, k.in.Event) {
		return false, nil
	}
	const signature = 1 + 1 + 34 + 2 // where it begins in a header
	row.Header[signature+40] ^= 1
	row.ID = mesh.Sum(row.Header)
	l.Head = row.ID
	return true, x.Store.Commit(&oplog.Batch{Rows: []oplog.Row{row}, Logs: []oplog.Log{l}})
}
