package store

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/oplog"
)

// lostBatch is how many records one read transaction lists: a few pages' worth.
const lostBatch = 256

// Lost lists the content that lost, oldest first, without payloads.
func (s *Store) Lost() ([]oplog.LostEntry, error) {
	var out []oplog.LostEntry
	for next, more := uint64(0), true; more; {
		err := s.view(func(tx *txn) error {
			b := tx.bucket(bucketLost)
			first, end, err := lostRange(b)
			if err != nil {
				return err
			}
			next = max(next, first)
			stop := min(next+lostBatch, end)
			err = b.from(order.AppendUint64(nil, next), func(k, v []byte) (bool, error) {
				e, err := decodeLost(k, v, false)
				if err != nil || e.ID != next {
					return false, err
				}
				out = append(out, e)
				next++
				return next < stop, nil
			})
			if err == nil && next < stop {
				err = corrupt("lost content %d is gone", next)
			}
			more = next < end
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list lost content: %w", err)
		}
	}
	return out, nil
}

// LostOne returns one record with its payload, and whether it is held.
func (s *Store) LostOne(id uint64) (e oplog.LostEntry, held bool, err error) {
	err = s.view(func(tx *txn) error {
		b := tx.bucket(bucketLost)
		k := order.AppendUint64(nil, id)
		v, err := b.get(k)
		if err != nil {
			return err
		}
		if held = v != nil; held {
			e, err = decodeLost(k, v, true)
			return err
		}
		first, end, err := lostRange(b)
		if err == nil && id >= first && id < end {
			err = corrupt("lost content %d is gone", id)
		}
		return err
	})
	if err != nil {
		return oplog.LostEntry{}, false, fmt.Errorf("read lost content %d: %w", id, err)
	}
	return e, held, nil
}

// lostRange returns the ids [first, end) that are held. There is no gap among them: the oldest go first.
func lostRange(b bucket) (first, end uint64, err error) {
	n, err := b.size()
	if err != nil || n == 0 {
		return 0, 0, err
	}
	c := b.bolt.Cursor()
	k, _ := c.First()
	first = number(k)
	k, _ = c.Last()
	end = number(k) + 1
	if end-first != uint64(n) || end != b.bolt.Sequence()+1 {
		return 0, 0, corrupt("bucket %s holds records %d to %d of %d, and %d were kept", b.name, first, end-1, b.bolt.Sequence(), n)
	}
	return first, end, nil
}

// putLost appends records and drops the oldest beyond the bounds.
func (s *Store) putLost(tx *txn, records []oplog.LostRecord) error {
	b := tx.bucket(bucketLost)
	if s.lostBytes < 0 {
		s.lostBytes = 0
		err := b.each(func(k, v []byte) error {
			e, err := decodeLost(k, v, false)
			s.lostBytes += e.Size
			return err
		})
		if err != nil {
			return err
		}
	}
	for i := range records {
		id, err := b.next()
		if err != nil {
			return err
		}
		var w writer
		if w.lost(&records[i]); w.err != nil {
			return w.err
		}
		if err := b.put(order.AppendUint64(nil, id), w.b); err != nil {
			return err
		}
		s.lostBytes += len(records[i].Payload)
		if err := s.evictLost(b, id, records[i].At); err != nil {
			return err
		}
	}
	return nil
}

// evictLost drops from the oldest on what is too old or too much, and never the newest.
func (s *Store) evictLost(b bucket, newest uint64, now int64) error {
	for {
		var doomed []byte
		err := b.from(nil, func(k, v []byte) (bool, error) {
			e, err := decodeLost(k, v, false)
			if err == nil && e.ID != newest && (s.lostBytes > oplog.LostBytes || oplog.LostExpired(e.At, now)) {
				doomed = clone(k)
				s.lostBytes -= e.Size
			}
			return false, err
		})
		if err != nil || doomed == nil {
			return err
		}
		if err := b.delete(doomed); err != nil {
			return err
		}
	}
}
