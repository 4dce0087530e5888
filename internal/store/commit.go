package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// rowFill leaves little room in pages of rows: a log grows at its end only.
const rowFill = 0.9

// Commit makes the batch durable in one synced transaction. A live claim without a payload keeps the payload
// held so far. After an error, which is ErrDiskFull or a *DamagedError among others, the store is finished.
func (s *Store) Commit(b *oplog.Batch) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if s.readOnly {
		return fmt.Errorf("commit: %w", ErrReadOnly)
	}
	err := s.commit(b)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", describe(b), s.classify(err))
	s.fail(err)
	if errors.Is(err, ErrDiskFull) {
		s.dropBallast()
	}
	return err
}

func (s *Store) commit(b *oplog.Batch) error {
	return s.update(func(tx *txn) error {
		if err := s.apply(tx, b); err != nil {
			return err
		}
		return s.fault(onCommit)
	})
}

// update runs fn in a write transaction and commits it.
func (s *Store) update(fn func(*txn) error) error {
	return s.write(func(bolt *bbolt.Tx) error {
		tx := &txn{bolt: bolt}
		if err := fn(tx); err != nil {
			return err
		}
		return tx.saveCounts()
	})
}

// write is update without what seals and counts.
func (s *Store) write(fn func(*bbolt.Tx) error) error {
	return guarded(s.path, func() error {
		s.wedged = true // until bbolt returns as it should
		err := s.db.Update(fn)
		s.wedged = false
		return err
	})
}

// describe says what a batch was to do, for errors.
func describe(b *oplog.Batch) string {
	if len(b.Rows) == 0 {
		return fmt.Sprintf("commit %d claims, %d logs and %d prunes", len(b.Claims)+len(b.DropClaims), len(b.Logs)+len(b.DropLogs), len(b.Prune))
	}
	r := b.Rows[0]
	s := fmt.Sprintf("append operation %d to log %s by %s", r.Seq, mesh.Hash(r.Log.Log).Short(), r.Log.Author.Short())
	if more := len(b.Rows) - 1; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// apply carries out a batch in the order of its fields.
func (s *Store) apply(tx *txn, b *oplog.Batch) error {
	p := putter{tx: tx, lognos: s.lognos}
	p.rows(b.Rows)
	for _, span := range b.Prune {
		p.prune(span)
	}
	for i := range b.Logs {
		p.put(bucketLogs, func(k *writer) { k.logKey(b.Logs[i].Key) }, func(v *writer) { v.log(&b.Logs[i]) })
	}
	for _, key := range b.DropLogs {
		p.drop(bucketLogs, func(k *writer) { k.logKey(key) })
	}
	for i := range b.Claims {
		p.claim(&b.Claims[i])
	}
	for _, ref := range b.DropClaims {
		p.drop(bucketClaims, func(k *writer) { k.claimKey(ref) })
		p.drop(bucketPayloads, func(k *writer) { k.claimKey(ref) })
	}
	for i := range b.Placed {
		p.put(bucketPlaced, func(k *writer) { k.object(b.Placed[i].Object) }, func(v *writer) { v.placed(&b.Placed[i]) })
	}
	for _, key := range b.DropPlaced {
		p.drop(bucketPlaced, func(k *writer) { k.object(key) })
	}
	for i := range b.Trust {
		p.put(bucketTrust, func(k *writer) { k.hash(b.Trust[i].ID) }, func(v *writer) { v.trust(&b.Trust[i]) })
	}
	for _, id := range b.DropTrust {
		p.drop(bucketTrust, func(k *writer) { k.hash(id) })
	}
	if p.err == nil && len(b.Lost) > 0 {
		p.err = s.putLost(tx, b.Lost)
	}
	for i := range b.Evidence {
		p.evidence(&b.Evidence[i])
	}
	for i := range b.Bindings {
		p.put(bucketBindings, func(k *writer) { k.public(b.Bindings[i].Key) }, func(v *writer) { v.binding(&b.Bindings[i]) })
	}
	for i := range b.Brakes {
		p.put(bucketBrakes, func(k *writer) { k.rest(string(b.Brakes[i].Zone)) }, func(v *writer) { v.brake(&b.Brakes[i]) })
	}
	for i := range b.Acked {
		p.put(bucketAcked, func(k *writer) { k.ackedKey(&b.Acked[i]) }, func(v *writer) { v.u32(b.Acked[i].Height) })
	}
	for author, c := range b.Covers {
		p.put(bucketCovers, func(k *writer) { k.public(author) }, func(v *writer) { v.covers(&c) })
	}
	for i := range b.Invites {
		p.put(bucketInvites, func(k *writer) { k.rest(b.Invites[i].ID) }, func(v *writer) { v.invite(&b.Invites[i]) })
	}
	for _, id := range b.DropInvites {
		p.drop(bucketInvites, func(k *writer) { k.rest(id) })
	}
	for i := range b.Contacts {
		p.put(bucketContacts, func(k *writer) { k.public(b.Contacts[i].Key) }, func(v *writer) { v.contact(&b.Contacts[i]) })
	}
	for _, key := range b.DropContacts {
		p.drop(bucketContacts, func(k *writer) { k.public(key) })
	}
	if b.Meta != nil {
		p.put(bucketMeta, func(k *writer) { k.b = append(k.b, keyNode...) }, func(v *writer) { v.meta(b.Meta) })
	}
	return p.err
}

// putter writes records until the first error.
type putter struct {
	tx     *txn
	lognos *lognos
	err    error
}

func (p *putter) put(bucket []byte, key, value func(*writer)) {
	if p.err != nil {
		return
	}
	k, v := sized(), sized()
	key(&k)
	value(&v)
	if p.err = errors.Join(k.err, v.err); p.err == nil {
		p.err = p.tx.bucket(bucket).put(k.b, v.b)
	}
}

func (p *putter) drop(bucket []byte, key func(*writer)) {
	if p.err != nil {
		return
	}
	var k writer
	key(&k)
	if p.err = k.err; p.err == nil {
		p.err = p.tx.bucket(bucket).delete(k.b)
	}
}

func (p *putter) rows(rows []oplog.Row) {
	b := p.tx.bucket(bucketRows)
	b.bolt.FillPercent = rowFill
	for i := range rows {
		if p.err != nil {
			return
		}
		var no logno
		if no, p.err = p.lognos.assign(p.tx, rows[i].Log); p.err != nil {
			return
		}
		var v []byte
		if v, p.err = encodeRow(&rows[i]); p.err == nil {
			p.err = b.put(rowKey(no, rows[i].Seq), v)
		}
	}
}

func (p *putter) prune(span oplog.Span) {
	no, known := p.lognos.find(span.Log)
	if p.err != nil || !known {
		return
	}
	// Deleting under a cursor makes it skip: look first, delete then.
	b := p.tx.bucket(bucketRows)
	var doomed [][]byte
	p.err = b.keys(rowKey(no, span.From), func(k []byte) (bool, error) {
		n, seq, err := splitRowKey(k)
		if err != nil || n != no || seq >= span.To {
			return false, err
		}
		doomed = append(doomed, rowKey(n, seq))
		return true, nil
	})
	for _, k := range doomed {
		if p.err == nil {
			p.err = b.delete(k)
		}
	}
}

func (p *putter) claim(c *oplog.ClaimWrite) {
	if p.err != nil {
		return
	}
	var no logno
	if no, p.err = p.lognos.assign(p.tx, c.At.Log); p.err != nil {
		return
	}
	k, v := sized(), sized()
	if k.claimKey(c.Ref()); k.err != nil {
		p.err = k.err
		return
	}
	claims, payloads := p.tx.bucket(bucketClaims), p.tx.bucket(bucketPayloads)
	holds := false
	switch {
	case c.Kind != mesh.Live:
		p.err = payloads.delete(k.b)
	case len(c.Payload) > 0:
		holds = true
		p.err = payloads.put(k.b, append(make([]byte, 0, len(c.Payload)+sumSize), c.Payload...))
	default:
		holds, p.err = holdsPayload(claims, k.b)
	}
	v.claim(&c.Claim, no, holds)
	if p.err = errors.Join(p.err, v.err); p.err == nil {
		p.err = claims.put(k.b, v.b)
	}
}

// evidence keeps the first proof of a log: one is enough, and whoever forks can make any number.
func (p *putter) evidence(e *oplog.Evidence) {
	if p.err != nil {
		return
	}
	var k writer
	k.logKey(e.Log)
	var held []byte
	if held, p.err = p.tx.bucket(bucketEvidence).get(k.b); p.err == nil && held == nil {
		p.put(bucketEvidence, func(w *writer) { w.b = k.b }, func(v *writer) { v.evidence(e) })
	}
}
