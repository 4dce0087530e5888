package store

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	"go.etcd.io/bbolt"
)

// This file is the way to all records: what is put is sealed with a sum, and what is got has the sum that it was
// sealed with. bbolt has none of its own, and a bit that flips on a disk makes one number out of another.

// sumSize is how many bytes a seal takes: CRC-32C of bucket, key and value. With the first two in it, a record
// that turns up in another place is noticed too.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// txn is a transaction of bbolt in which records are sealed and counted.
type txn struct {
	bolt *bbolt.Tx
	// counts are the numbers of records as of this transaction; nil: not read yet.
	counts []uint32
	dirty  bool // counts changed
}

func (tx *txn) bucket(name []byte) bucket {
	return bucket{bolt: tx.bolt.Bucket(name), tx: tx, name: name, seed: crc32.Checksum(name, castagnoli), at: countAt(name)}
}

// bucket holds the sealed records of one kind.
type bucket struct {
	bolt *bbolt.Bucket
	tx   *txn
	name []byte
	seed uint32 // sum of the name
	at   int    // where its count stands; less than 0: nobody counts
}

func (b bucket) sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(b.seed, castagnoli, key), castagnoli, value)
}

func (b bucket) sealed(key, value []byte) []byte {
	return order.AppendUint32(value, b.sum(key, value))
}

// open returns the value of a sealed record, a view.
func (b bucket) open(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sumSize
	if n < 0 || order.Uint32(sealed[n:]) != b.sum(key, sealed[:n]) {
		return nil, corrupt("record %s of bucket %s is not what was written: its sum is another", name(key), b.name)
	}
	return sealed[:n:n], nil
}

// get returns the value under a key, a view; nil: there is none.
func (b bucket) get(key []byte) ([]byte, error) {
	sealed := b.bolt.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return b.open(key, sealed)
}

// put takes over the value, to which it appends.
func (b bucket) put(key, value []byte) error {
	if b.at >= 0 && b.bolt.Get(key) == nil {
		if err := b.count(1); err != nil {
			return err
		}
	}
	return b.bolt.Put(key, b.sealed(key, value))
}

func (b bucket) delete(key []byte) error {
	if b.at >= 0 && b.bolt.Get(key) != nil {
		if err := b.count(-1); err != nil {
			return err
		}
	}
	return b.bolt.Delete(key)
}

// next gives a number above those of all records. A counter that fell behind them would have them overwritten.
func (b bucket) next() (uint64, error) {
	n, err := b.bolt.NextSequence()
	if err != nil {
		return 0, err
	}
	if last, _ := b.bolt.Cursor().Last(); number(last) >= n {
		return 0, corrupt("bucket %s counted up to %d and holds %s", b.name, n-1, name(last))
	}
	return n, nil
}

// number reads a key that next gave.
func number(key []byte) (n uint64) {
	for _, c := range key {
		n = n<<8 | uint64(c)
	}
	return n
}

// each calls fn with every record, in key order, and counts them: none may be hidden.
func (b bucket) each(fn func(k, v []byte) error) error {
	var n uint32
	err := b.from(nil, func(k, v []byte) (bool, error) {
		n++
		return true, fn(k, v)
	})
	if err != nil || b.at < 0 {
		return err
	}
	want, err := b.size()
	if err == nil && n != want {
		err = corrupt("bucket %s holds %d records, and %d were written", b.name, n, want)
	}
	return err
}

// from calls fn with the records from a key on, in key order, as long as it wants more. It doesn't write.
func (b bucket) from(key []byte, fn func(k, v []byte) (more bool, err error)) error {
	return b.scan(key, func(k, sealed []byte) (bool, error) {
		v, err := b.open(k, sealed)
		if err != nil {
			return false, err
		}
		return fn(k, v)
	})
}

// keys is from without a look at the values.
func (b bucket) keys(key []byte, fn func(k []byte) (more bool, err error)) error {
	return b.scan(key, func(k, _ []byte) (bool, error) { return fn(k) })
}

// scan refuses keys out of order: pages that changed lead to the wrong ones.
func (b bucket) scan(from []byte, fn func(k, sealed []byte) (more bool, err error)) error {
	c := b.bolt.Cursor()
	var last []byte
	for k, sealed := c.Seek(from); k != nil; k, sealed = c.Next() {
		if last == nil && bytes.Compare(k, from) < 0 || last != nil && bytes.Compare(k, last) <= 0 {
			return corrupt("record %s of bucket %s is out of order", name(k), b.name)
		}
		last = k
		if more, err := fn(k, sealed); err != nil || !more {
			return err
		}
	}
	return nil
}

// name says for people which record a key is of: keys are names with zero bytes between them, or numbers.
func name(key []byte) string {
	text := strings.Trim(strings.ReplaceAll(string(key), "\x00", "/"), "/")
	for _, c := range text {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%x", key)
		}
	}
	return text
}
