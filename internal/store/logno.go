package store

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"dcp.hiro.io/mesh/internal/mesh"
)

// logno stands for a log key inside the file.
type logno uint32

// lognosKept is how many numbers a store holds before it looks for unused ones, at the next open: more than the
// logs of a hundred zones, and less than 30 KiB.
const lognosKept = 256

// lognos is the committed table of log numbers. A number is given once and never changes its log, so that
// readers may use the table beside a commit.
type lognos struct {
	mu     sync.RWMutex
	number map[mesh.LogKey]logno
	keys   map[logno]mesh.LogKey
}

func loadLognos(tx *txn) (*lognos, error) {
	t := &lognos{number: make(map[mesh.LogKey]logno), keys: make(map[logno]mesh.LogKey)}
	err := tx.bucket(bucketLognos).each(func(k, v []byte) error {
		rk, r := reader{b: k}, reader{b: v}
		no, key := logno(rk.u32()), r.logKey()
		if rk.end("") != nil || r.end("") != nil {
			return fmt.Errorf("log number: %w", errCorrupt)
		}
		if _, twice := t.number[key]; twice {
			return fmt.Errorf("log with two numbers: %w", errCorrupt)
		}
		t.number[key], t.keys[no] = no, key
		return nil
	})
	return t, err
}

func (t *lognos) find(key mesh.LogKey) (logno, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	no, ok := t.number[key]
	return no, ok
}

func (t *lognos) key(no logno) (mesh.LogKey, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	key, ok := t.keys[no]
	return key, ok
}

// assign returns the number of a log, giving it one in tx if it has none. Readers may see a number before the
// transaction is done; they find no rows under it.
func (t *lognos) assign(tx *txn, key mesh.LogKey) (logno, error) {
	if no, ok := t.find(key); ok {
		return no, nil
	}
	b := tx.bucket(bucketLognos)
	n, err := b.next()
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint32 {
		return 0, errors.New("log numbers are used up")
	}
	var w writer
	w.logKey(key)
	if err := b.put(order.AppendUint32(nil, uint32(n)), w.b); err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.number[key], t.keys[logno(n)] = logno(n), key
	return logno(n), nil
}

// dropUnused forgets the numbers of logs without a record under which no row and no claim is left: every log ever
// held gets one, and logs come and go with incarnations. Nobody else uses the store yet.
func (s *Store) dropUnused() error {
	if len(s.lognos.keys) <= lognosKept {
		return nil
	}
	err := s.update(func(tx *txn) error {
		used := make(map[logno]bool)
		d := newClaimDecoder(s.lognos)
		err := tx.bucket(bucketClaims).each(func(k, v []byte) error {
			c, err := d.decode(k, v)
			used[s.lognos.number[c.At.Log]] = true
			return err
		})
		if err != nil {
			return err
		}
		err = tx.bucket(bucketLogs).each(func(k, v []byte) error {
			l, err := decodeLog(k, v)
			if no, ok := s.lognos.number[l.Key]; ok {
				used[no] = true
			}
			return err
		})
		if err != nil {
			return err
		}
		rows := tx.bucket(bucketRows)
		for no, key := range s.lognos.keys {
			err := rows.keys(rowKey(no, 0), func(k []byte) (bool, error) {
				n, _, err := splitRowKey(k)
				used[no] = used[no] || n == no
				return false, err
			})
			if err != nil {
				return err
			}
			if used[no] {
				continue
			}
			if err := tx.bucket(bucketLognos).delete(order.AppendUint32(nil, uint32(no))); err != nil {
				return err
			}
			delete(s.lognos.keys, no)
			delete(s.lognos.number, key)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget unused logs: %w", err)
	}
	return nil
}
