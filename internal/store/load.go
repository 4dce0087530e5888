package store

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Load returns everything a node starts from: logs in key order, claims by object and zone, the rest by its own
// key. It reads the index in one transaction and touches neither rows nor payloads.
func (s *Store) Load() (*oplog.Index, error) {
	x := new(oplog.Index)
	if err := s.view(func(tx *txn) error { return s.load(tx, x) }); err != nil {
		return nil, fmt.Errorf("load store: %w", err)
	}
	return x, nil
}

func (s *Store) load(tx *txn, x *oplog.Index) (err error) {
	if x.Meta, err = readMeta(tx); err != nil {
		return err
	}
	if x.Logs, err = loadAll(tx, bucketLogs, decodeLog); err != nil {
		return err
	}
	if x.Claims, err = s.loadClaims(tx); err != nil {
		return err
	}
	if x.Placed, err = loadAll(tx, bucketPlaced, decodePlaced); err != nil {
		return err
	}
	if x.Trust, err = loadAll(tx, bucketTrust, decodeTrust); err != nil {
		return err
	}
	if x.Bindings, err = loadAll(tx, bucketBindings, decodeBinding); err != nil {
		return err
	}
	if x.Brakes, err = loadAll(tx, bucketBrakes, decodeBrake); err != nil {
		return err
	}
	if x.Acked, err = loadAll(tx, bucketAcked, decodeAcked); err != nil {
		return err
	}
	if x.Invites, err = loadAll(tx, bucketInvites, decodeInvite); err != nil {
		return err
	}
	if x.Contacts, err = loadAll(tx, bucketContacts, decodeContact); err != nil {
		return err
	}
	x.Covers = make(map[keys.Public]event.SnapshotBegin)
	return tx.bucket(bucketCovers).each(func(k, v []byte) error {
		author, c, err := decodeCovers(k, v)
		x.Covers[author] = c
		return err
	})
}

func loadAll[T any](tx *txn, bucket []byte, decode func(k, v []byte) (T, error)) ([]T, error) {
	var out []T
	err := tx.bucket(bucket).each(func(k, v []byte) error {
		t, err := decode(k, v)
		out = append(out, t)
		return err
	})
	return out, err
}

// loadClaims knows how many there will be: growing a slice of a hundred thousand claims would take twice the memory.
func (s *Store) loadClaims(tx *txn) ([]mesh.Claim, error) {
	b := tx.bucket(bucketClaims)
	n, err := b.size()
	if err != nil {
		return nil, err
	}
	var claims []mesh.Claim
	if n > 0 {
		claims = make([]mesh.Claim, 0, min(int64(n), tx.bolt.Size()/claimMin))
	}
	d := newClaimDecoder(s.lognos)
	err = b.each(func(k, v []byte) error {
		c, err := d.decode(k, v)
		claims = append(claims, c)
		return err
	})
	return claims, err
}
