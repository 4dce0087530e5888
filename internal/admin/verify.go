package admin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// maxFaults is how many faults of one log are listed: a damaged file has thousands of one cause.
const maxFaults = 20

// Fault is one thing wrong with a log.
type Fault struct {
	Seq  uint32 `json:"seq"`
	Text string `json:"text"`
}

// Verification is what recomputing one log found.
type Verification struct {
	Zone       mesh.Zone `json:"zone"`
	PublicKey  string    `json:"publicKey"`
	LogID      string    `json:"logId"`
	From       uint32    `json:"from"`
	To         uint32    `json:"to"` // inclusive; meaningless without operations
	Operations uint64    `json:"operations"`
	Withheld   uint64    `json:"withheld"` // bodies with Secrets that were not at hand; their headers were checked
	Snapshots  int       `json:"snapshots"`
	Faults     []Fault   `json:"faults"` // at most 20; empty: the log is sound
	Truncated  bool      `json:"truncated"`
}

// verifier recomputes one log: everything that would have to hold for the rows to be accepted anew.
type verifier struct {
	Verification
	key     mesh.LogKey
	network mesh.NetworkID
	zone    mesh.Zone
	// withhold says that a missing body is no fault: it may be one with Secrets.
	withhold bool
	start    uint32 // where the log begins
	covered  bool   // a later log says all that it said; it may be on its way out, from below

	prev *operation.Operation
	run  *snapshotRun
}

// snapshotRun follows a snapshot run: every chunk from its begin to its end.
type snapshotRun struct {
	digest *event.Digest
	partly bool // a body is missing: the digest cannot be recomputed
}

// verifyTries is how often a log is read that snapshots shorten while it is read: more often than a running node
// writes them.
const verifyTries = 5

// Verify recomputes signatures, payload hashes, sequence numbers, back-links, the log id and the digests of
// snapshots. With withheld, bodies that are missing are counted instead of reported. An error means that the
// log could not be read; what is wrong with it is in the result.
//
// A running node goes on meanwhile: what its list said was held may be pruned before it is read. So a log with faults
// that reaches from and to elsewhere by now is read again, as it is now.
func Verify(ctx context.Context, r LogReader, log mesh.LogStatus, network mesh.NetworkID, withheld bool) (*Verification, error) {
	for try := 1; ; try++ {
		v, err := verifyOnce(ctx, r, log, network, withheld)
		if err != nil || len(v.Faults) == 0 || try == verifyTries {
			return v, err
		}
		logs, err := r.Logs(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(logs, func(l mesh.LogStatus) bool { return l.PublicKey == log.PublicKey && l.LogID == log.LogID })
		if i < 0 { // dropped: a later log says all that it said
			log.Height = nil
			continue
		}
		if sameRange(logs[i], log) {
			return v, nil
		}
		log = logs[i]
	}
}

// sameRange reports whether two listings of a log say that the same operations are held.
func sameRange(a, b mesh.LogStatus) bool {
	if a.Height == nil || b.Height == nil {
		return a.Height == b.Height
	}
	return *a.Height == *b.Height && startOf(a) == startOf(b)
}

// startOf is where the chain of a listed log begins: rows below are on their way out.
func startOf(l mesh.LogStatus) uint32 {
	if l.Snapshot == nil {
		return 0
	}
	return *l.Snapshot
}

// verifyOnce judges a log by what a listing says of it.
func verifyOnce(ctx context.Context, r LogReader, log mesh.LogStatus, network mesh.NetworkID, withheld bool) (*Verification, error) {
	key, err := KeyOf(log)
	if err != nil {
		return nil, err
	}
	v := &verifier{key: key, network: network, zone: log.Zone, withhold: withheld, start: startOf(log), covered: log.State == "Covered"}
	v.Zone, v.PublicKey, v.LogID, v.Faults = log.Zone, log.PublicKey, log.LogID, []Fault{}
	if log.Height == nil || *log.Height < v.start {
		return &v.Verification, nil
	}
	// Operations that arrive while we read are left for the next time.
	end := *log.Height
	err = EachRow(ctx, r, key, v.start, end+1, func(rows []oplog.Row) error {
		ops, errs := decodeAll(rows)
		for i, row := range rows {
			v.row(row, ops[i], errs[i])
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	switch {
	case v.Operations == 0:
		v.fault(end, "nothing is held although the log should reach here")
	case v.To < end:
		v.fault(v.To+1, "missing: the log should reach %d", end)
	}
	return &v.Verification, nil
}

// decodeAll decodes rows and verifies their signatures and payload hashes, on all cores: a signature takes
// longer than everything else together.
func decodeAll(rows []oplog.Row) ([]*operation.Operation, []error) {
	ops, errs := make([]*operation.Operation, len(rows)), make([]error, len(rows))
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(rows))
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows); i += workers {
				op, err := operation.Decode(rows[i].Header)
				if err == nil {
					err = op.Verify()
				}
				if err == nil && len(rows[i].Body) > 0 {
					err = op.SetBody(rows[i].Body)
				}
				ops[i], errs[i] = op, err
			}
		})
	}
	wg.Wait()
	return ops, errs
}

func (v *verifier) fault(seq uint32, format string, args ...any) {
	if len(v.Faults) == maxFaults {
		v.Truncated = true
		return
	}
	v.Faults = append(v.Faults, Fault{seq, fmt.Sprintf(format, args...)})
}

// row checks one row whose own bytes were checked already, against the log and the row before.
func (v *verifier) row(row oplog.Row, op *operation.Operation, err error) {
	if v.Operations == 0 {
		v.From = row.Seq
	}
	v.Operations++
	v.To = row.Seq
	if err != nil {
		v.fault(row.Seq, "%s", reasonText(err))
		v.prev, v.run = nil, nil
		return
	}
	switch {
	case op.Seq != row.Seq:
		v.fault(row.Seq, "sequence number %d stands in its place", op.Seq)
	case op.Author != v.key.Author:
		v.fault(row.Seq, "signed by %s, not by the author of this log", op.Author.Short())
	case op.Log != v.key.Log:
		v.fault(row.Seq, "belongs to log %s", mesh.Hash(op.Log).Short())
	case row.ID != op.ID:
		v.fault(row.Seq, "stored under hash %s, its bytes have %s", row.ID.Short(), op.ID.Short())
	}
	v.link(op)
	v.prev = op
	v.body(op)
}

// link checks what ties an operation to the one before.
func (v *verifier) link(op *operation.Operation) {
	switch {
	case v.Operations == 1:
		switch {
		case v.covered && op.Seq > v.start:
		case op.Seq > 0 && !op.Prune:
			v.fault(op.Seq, "the log begins here, but neither with operation 0 nor with a snapshot")
		case op.Seq > v.start:
			v.fault(op.Seq, "operations %d to %d are missing before it", v.start, op.Seq-1)
		}
	case v.prev == nil: // already reported
	case op.Seq != v.prev.Seq+1:
		v.fault(op.Seq, "operations %d to %d are missing before it", v.prev.Seq+1, op.Seq-1)
	case op.Backlink != v.prev.ID:
		v.fault(op.Seq, "back-link %s does not match the hash of %d (%s)", op.Backlink.Short(), v.prev.Seq, v.prev.ID.Short())
	}
}

// body checks what an operation states as far as it concerns the log: whose log it is, and snapshot runs.
func (v *verifier) body(op *operation.Operation) {
	if op.PayloadSize == 0 {
		return
	}
	if op.Body == nil {
		if v.withhold {
			v.Withheld++
		} else {
			v.fault(op.Seq, "its body of %d bytes is missing", op.PayloadSize)
		}
		if v.run != nil {
			v.run.partly = true
		}
		return
	}
	ev, err := event.Decode(op.Body)
	if err != nil { // quarantined: stored and relayed as it is, for a later version to read
		if v.run != nil {
			v.run.partly = true
		}
		return
	}
	if ev.Instance.Zone != v.zone || mesh.LogIDOf(v.network, ev.Instance) != v.key.Log {
		v.fault(op.Seq, "written for %s, from which the id of this log does not follow", ev.Instance)
	}
	switch {
	case ev.SnapshotBegin != nil:
		v.run = &snapshotRun{digest: event.NewDigest()}
	case ev.SnapshotChunk != nil && v.run != nil:
		v.chunk(op.Seq, ev.SnapshotChunk)
	case ev.SnapshotEnd != nil && v.run != nil:
		v.end(op.Seq, ev.SnapshotEnd)
	}
}

func (v *verifier) chunk(seq uint32, chunk *event.SnapshotChunk) {
	for _, e := range chunk.Entries {
		if err := v.run.digest.Add(e); err != nil {
			v.fault(seq, "snapshot chunk: %v", err)
			v.run = nil
			return
		}
	}
}

func (v *verifier) end(seq uint32, end *event.SnapshotEnd) {
	run := v.run
	v.run = nil
	if run.partly {
		return
	}
	v.Snapshots++
	count, digest := run.digest.Sum()
	switch {
	case count != end.Count:
		v.fault(seq, "the snapshot states %d entries and holds %d", end.Count, count)
	case digest != end.Digest:
		v.fault(seq, "snapshot digest %s does not match its entries (%s)", end.Digest.Short(), digest.Short())
	}
}

// reasonText says what is wrong with the bytes of an operation.
func reasonText(err error) string {
	var invalid *operation.InvalidError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	switch invalid.Reason {
	case operation.SignatureMismatch:
		return "the signature does not hold"
	case operation.PayloadMismatch:
		return "the body is not the one that was signed"
	}
	return err.Error()
}
