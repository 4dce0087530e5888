package store

import "bytes"

// This file counts records. A sum says that a record is what was written, and nothing of one that is gone: a bit
// that flips in a page can hide the records behind it.

// uncounted are the buckets that a start doesn't read. The index says what is in them: records of logs which rows,
// claims which payloads.
var uncounted = [][]byte{bucketRows, bucketPayloads}

// countAt is where the count of a bucket stands among all; less than 0: nobody counts.
func countAt(name []byte) int {
	for _, b := range uncounted {
		if bytes.Equal(b, name) {
			return -1
		}
	}
	for i, b := range buckets {
		if bytes.Equal(b, name) {
			return i
		}
	}
	return -1
}

// size is the number of records of a bucket that is counted.
func (b bucket) size() (uint32, error) {
	err := b.tx.loadCounts()
	if err != nil {
		return 0, err
	}
	return b.tx.counts[b.at], nil
}

// count adds to the number of records of a bucket that is counted.
func (b bucket) count(n int) error {
	if err := b.tx.loadCounts(); err != nil {
		return err
	}
	b.tx.counts[b.at] += uint32(n)
	b.tx.dirty = true
	return nil
}

func (tx *txn) loadCounts() error {
	if tx.counts != nil {
		return nil
	}
	v, err := tx.bucket(bucketMeta).get(keyCounts)
	if err != nil {
		return err
	}
	r := reader{b: v}
	counts := make([]uint32, len(buckets))
	for i := range counts {
		counts[i] = r.u32()
	}
	if err := r.end("numbers of records"); err != nil {
		return err
	}
	tx.counts = counts
	return nil
}

// saveCounts writes what count changed: the last thing that a transaction does.
func (tx *txn) saveCounts() error {
	if !tx.dirty {
		return nil
	}
	var w writer
	for _, n := range tx.counts {
		w.u32(n)
	}
	meta := tx.bucket(bucketMeta)
	return meta.bolt.Put(keyCounts, meta.sealed(keyCounts, w.b)) // itself it isn't counted
}
