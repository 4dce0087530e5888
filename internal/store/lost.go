package store

import (
	"fmt"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/oplog"
)

// lostBatch is how many records one read transaction lists: a few pages' worth.
const lostBatch = 256

// Lost lists the content that lost, oldest first, without payloads.
func (s *Store) Lost() ([]oplog.LostEntry, error) {
	var out []oplog.LostEntry
	for next, more := uint64(0), true; more; {
		err := s.view(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketLost).Cursor()
			k, v := c.Seek(order.AppendUint64(nil, next))
			for n := 0; k != nil && n < lostBatch; n++ {
				e, err := decodeLost(k, v, false)
				if err != nil {
					return err
				}
				out = append(out, e)
				next = e.ID + 1
				k, v = c.Next()
			}
			more = k != nil
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list lost content: %w", err)
		}
	}
	return out, nil
}

// LostOne returns one record with its payload, and whether it is held.
func (s *Store) LostOne(id uint64) (e oplog.LostEntry, held bool, err error) {
	err = s.view(func(tx *bbolt.Tx) (err error) {
		k := order.AppendUint64(nil, id)
		v := tx.Bucket(bucketLost).Get(k)
		if v == nil {
			return nil
		}
		held = true
		e, err = decodeLost(k, v, true)
		return err
	})
	if err != nil {
		return oplog.LostEntry{}, false, fmt.Errorf("read lost content %d: %w", id, err)
	}
	return e, held, nil
}

// putLost appends records and drops the oldest beyond the bounds.
func (s *Store) putLost(tx *bbolt.Tx, records []oplog.LostRecord) error {
	b := tx.Bucket(bucketLost)
	if s.lostBytes < 0 {
		s.lostBytes = 0
		err := each(tx, bucketLost, func(k, v []byte) error {
			e, err := decodeLost(k, v, false)
			s.lostBytes += e.Size
			return err
		})
		if err != nil {
			return err
		}
	}
	for i := range records {
		id, err := b.NextSequence()
		if err != nil {
			return err
		}
		var w writer
		if w.lost(&records[i]); w.err != nil {
			return w.err
		}
		if err := b.Put(order.AppendUint64(nil, id), w.b); err != nil {
			return err
		}
		s.lostBytes += len(records[i].Payload)
		if err := s.evictLost(b, records[i].At); err != nil {
			return err
		}
	}
	return nil
}

// evictLost drops from the oldest on what is too old or too much, and never the newest.
func (s *Store) evictLost(b *bbolt.Bucket, now int64) error {
	newest := b.Sequence()
	for {
		k, v := b.Cursor().First()
		if k == nil {
			return nil
		}
		e, err := decodeLost(k, v, false)
		if err != nil {
			return err
		}
		if e.ID == newest || s.lostBytes <= oplog.LostBytes && !oplog.LostExpired(e.At, now) {
			return nil
		}
		if err := b.Delete(clone(k)); err != nil {
			return err
		}
		s.lostBytes -= e.Size
	}
}
