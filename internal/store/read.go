package store

import (
	"fmt"

	"go.etcd.io/bbolt"

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
	err := s.view(func(tx *bbolt.Tx) error {
		held := tx.Bucket(bucketPayloads).Get(k.b)
		v := tx.Bucket(bucketClaims).Get(k.b)
		if v == nil {
			payload = clone(held)
			return nil
		}
		c, err := newClaimDecoder(s.lognos).decode(k.b, v)
		if err != nil {
			return err
		}
		if held != nil && c.Kind == mesh.Live && (len(held) != int(c.Size) || mesh.Sum(held) != c.Content) {
			return fmt.Errorf("payload of the claim of %s on %s is not what was written: %w", ref.Zone, ref.Object, errCorrupt)
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
	err := s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketRows).Cursor()
		size := 0
		for k, v := c.Seek(rowKey(no, from)); k != nil && (len(rows) == 0 || size < maxBytes); k, v = c.Next() {
			n, seq, err := splitRowKey(k)
			if err != nil {
				return err
			}
			if n != no || seq >= to {
				return nil
			}
			row, err := decodeRow(log, seq, v)
			if err != nil {
				return err
			}
			row.Header, row.Body = clone(row.Header), clone(row.Body)
			rows = append(rows, row)
			size += row.Size()
		}
		return nil
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
	err = s.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketRows).Get(rowKey(no, seq))
		if v == nil {
			return nil
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

// Evidence returns the proofs of forks, in the order of their logs: the first one of each log.
func (s *Store) Evidence() ([]oplog.Evidence, error) {
	var out []oplog.Evidence
	err := s.view(func(tx *bbolt.Tx) error {
		return each(tx, bucketEvidence, func(k, v []byte) error {
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

// each calls fn with every record of a bucket, in key order.
func each(tx *bbolt.Tx, bucket []byte, fn func(k, v []byte) error) error {
	c := tx.Bucket(bucket).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if err := fn(k, v); err != nil {
			return err
		}
	}
	return nil
}
