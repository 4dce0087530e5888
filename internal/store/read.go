package store

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Payload returns the content of a live claim; nil and no error if there is none. What is returned has the hash that the
// claim names: a page that changed on the disk must not reach a cluster, nor a snapshot that signs it.
func (s *Store) Payload(ref mesh.ClaimRef) ([]byte, error) {
	var k writer
	k.claimKey(ref)
	if k.err != nil {
		return nil, nil // no claim has such a name
	}
	var payload []byte
	err := s.view(func(tx *txn) error {
		held, err := tx.bucket(bucketPayloads).get(k.b)
		if err != nil {
			return err
		}
		v, err := tx.bucket(bucketClaims).get(k.b)
		if err != nil || v == nil {
			payload = clone(held)
			return err
		}
		d := newClaimDecoder(s.lognos)
		c, err := d.decode(k.b, v)
		if err != nil {
			return err
		}
		if d.holds && held == nil {
			return corrupt("payload of the claim of %s on %s is gone", ref.Zone, ref.Object)
		}
		if held != nil && c.Kind == mesh.Live && (len(held) != int(c.Size) || mesh.Sum(held) != c.Content) {
			return corrupt("payload of the claim of %s on %s is not what was written", ref.Zone, ref.Object)
		}
		payload = clone(held)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read payload of %s: %w", ref.Object, err)
	}
	return payload, nil
}

// Rows returns rows of [from, to) in order, starting at the first one held, until maxBytes are passed: at
// least one row if any is held.
func (s *Store) Rows(log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error) {
	if err := s.usable(); err != nil {
		return nil, fmt.Errorf("read operations: %w", err)
	}
	no, known := s.lognos.find(log)
	if !known {
		return nil, nil
	}
	var rows []oplog.Row
	err := s.view(func(tx *txn) error {
		next, size := from, 0
		err := tx.bucket(bucketRows).from(rowKey(no, from), func(k, v []byte) (bool, error) {
			n, seq, err := splitRowKey(k)
			if err != nil || n != no || seq >= to {
				return false, err
			}
			row, err := decodeRow(log, seq, v)
			if err == nil {
				err = noneHeld(tx, log, next, seq)
			}
			if err != nil {
				return false, err
			}
			row.Header, row.Body = clone(row.Header), clone(row.Body)
			rows = append(rows, row)
			next = seq + 1
			size += row.Size()
			return size < maxBytes, nil
		})
		if err == nil && (len(rows) == 0 || size < maxBytes) {
			err = noneHeld(tx, log, next, to)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read operations [%d, %d) of log %s: %w", from, to, mesh.Hash(log.Log).Short(), err)
	}
	return rows, nil
}

// RowID returns the id of the operation at seq, and whether it is held.
func (s *Store) RowID(log mesh.LogKey, seq uint32) (id mesh.Hash, held bool, err error) {
	if err := s.usable(); err != nil {
		return id, false, fmt.Errorf("read operation: %w", err)
	}
	no, known := s.lognos.find(log)
	if !known {
		return id, false, nil
	}
	err = s.view(func(tx *txn) error {
		v, err := tx.bucket(bucketRows).get(rowKey(no, seq))
		if err != nil {
			return err
		}
		if v == nil {
			return noneHeld(tx, log, seq, seq+1)
		}
		row, err := decodeRow(log, seq, v)
		id, held = row.ID, err == nil
		return err
	})
	if err != nil {
		return id, false, fmt.Errorf("read operation %d of log %s: %w", seq, mesh.Hash(log.Log).Short(), err)
	}
	return id, held, nil
}

// noneHeld refuses that no row of [from, to) is there, if the record of the log says that some are. Rows without a
// record are not missed.
func noneHeld(tx *txn, log mesh.LogKey, from, to uint32) error {
	if from >= to {
		return nil
	}
	var k writer
	k.logKey(log)
	v, err := tx.bucket(bucketLogs).get(k.b)
	if err != nil || v == nil {
		return err
	}
	l, err := decodeLog(k.b, v)
	if err != nil {
		return err
	}
	if l.Staged == nil {
		l.Staged = new(oplog.Run)
	}
	for _, held := range []oplog.Range{{From: l.Start, To: l.Next}, {From: l.Staged.Begin, To: l.Staged.Next}} {
		// A log that is dropped is pruned from below, its chain too.
		if gone := (oplog.Range{From: max(held.From, l.Pruned), To: held.To}).Within(from, to); !gone.Empty() {
			return corrupt("operations [%d, %d) of log %v (%s) are gone", gone.From, gone.To, l.Instance, mesh.Hash(log.Log).Short())
		}
	}
	return nil
}

// Evidence returns the proofs of forks, in the order of their logs: the first one of each log.
func (s *Store) Evidence() ([]oplog.Evidence, error) {
	var out []oplog.Evidence
	err := s.view(func(tx *txn) error {
		return tx.bucket(bucketEvidence).each(func(k, v []byte) error {
			e, err := decodeEvidence(k, v)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read proofs of forks: %w", err)
	}
	return out, nil
}
