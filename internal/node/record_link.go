package node

import (
	"bytes"
	"context"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
)

const (
	// recordDelay gathers new records before they are passed on.
	recordDelay = 200 * time.Millisecond
	// maxRecords bounds the records of one frame, recordBite their bytes: more go into the next one.
	maxRecords = 64
	recordBite = 32 << 10
)

// verdict says what became of a record.
type verdict int

const (
	recordNew     verdict = iota
	recordHeld            // this very one is held
	recordStale           // a newer one is held
	recordForeign         // its author is no member
)

// takeRecord judges a verified record by its author and number.
func (b *book) takeRecord(r peerRecord, member bool) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !member {
		// A member that was admitted elsewhere a moment ago may be known by its record first.
		if old, ok := b.parked[r.key]; ok && old.seq >= r.seq {
			return recordForeign
		}
		for k := range b.parked {
			if len(b.parked) < maxParked {
				break
			}
			delete(b.parked, k) // any one: nobody can choose which
		}
		b.parked[r.key] = r
		return recordForeign
	}
	c := b.of(r.key)
	switch {
	case c.record.raw != nil && r.seq < c.record.seq:
		return recordStale
	case c.record.raw != nil && r.seq == c.record.seq:
		return recordHeld // of two with one number the first one stays
	}
	c.record, c.changed = r, true
	now := b.now()
	for _, at := range r.endpoints {
		b.tell(c, at, fromMember, now)
	}
	b.tidy(c)
	b.poke()
	return recordNew
}

// recordOf returns the newest record of a key; its raw is nil if there is none.
func (b *book) recordOf(k keys.Public) peerRecord {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.byKey[k]; c != nil {
		return c.record
	}
	return peerRecord{}
}

// teller remembers which records the peer of a link has, by number.
type teller struct {
	wake chan struct{} // capacity 1, never closed: there may be something to tell

	mu   sync.Mutex
	has  map[keys.Public]uint64
	owed bool // the peer's own record here is newer than the one it told
}

func (t *teller) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// learn notes that the peer has a record.
func (t *teller) learn(k keys.Public, seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has == nil {
		t.has = map[keys.Public]uint64{}
	}
	if old, ok := t.has[k]; ok && old >= seq || !ok && len(t.has) > maxNodes {
		return
	}
	t.has[k] = seq
}

func (t *teller) lacks(r peerRecord) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	seq, ok := t.has[r.key]
	return r.raw != nil && (!ok || seq < r.seq)
}

// owe has the peer told its own record.
func (t *teller) owe() {
	t.mu.Lock()
	t.owed = true
	t.mu.Unlock()
	t.poke()
}

func (t *teller) takeOwed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	owed := t.owed
	t.owed = false
	return owed
}

// tellRecords wakes all links.
func (n *Node) tellRecords() {
	for _, l := range n.peers.links() {
		l.records.poke()
	}
}

// passRecords tells the peer our own record and those of the other members, whenever there is one that it isn't
// known to have.
func (l *link) passRecords(ctx context.Context) error {
	if !l.node.cfg.Records {
		return nil
	}
	for {
		for due := l.dueRecords(); len(due) > 0; {
			var frame []byte
			frame, due = encodeRecords(due)
			if err := l.sendBulk(ctx, outgoing{frames: frame}); err != nil {
				return err
			}
		}
		select {
		case <-l.records.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		t := time.NewTimer(recordDelay)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

func (l *link) dueRecords() (due [][]byte) {
	add := func(r peerRecord) {
		if l.records.lacks(r) {
			l.records.learn(r.key, r.seq)
			due = append(due, r.raw)
		}
	}
	add(l.node.own.get())
	for _, p := range l.node.peers.all() {
		if p.key != l.key() {
			add(l.node.book.recordOf(p.key))
		}
	}
	if l.records.takeOwed() {
		if r := l.node.book.recordOf(l.key()); r.raw != nil {
			due = append(due, r.raw)
		}
	}
	return due
}

// takeRecords judges what the peer passes on. What is not taken is counted, and the link goes on.
func (l *link) takeRecords(raws [][]byte) {
	if !l.node.cfg.Records {
		return
	}
	for _, raw := range raws {
		r, err := openRecord(raw)
		if err != nil {
			l.node.metrics.refused(refusedRecord)
			l.node.log.Debug("refused a peer record", "peer", l.key(), "err", err)
			continue
		}
		l.takeRecord(r)
	}
}

func (l *link) takeRecord(r peerRecord) {
	n := l.node
	if r.key == n.self {
		// An earlier run's, or a clock went back: those who hold it would take none of ours.
		if own := n.own.get(); own.raw != nil && r.seq >= own.seq && !bytes.Equal(r.raw, own.raw) && n.sealOwn(own.endpoints, r.seq) {
			n.tellRecords()
		}
		return
	}
	l.records.learn(r.key, r.seq)
	switch n.takeRecord(r) {
	case recordForeign:
		n.metrics.refused(refusedNotAdmitted)
	case recordStale:
		n.metrics.refused(refusedStaleRecord)
		if r.key == l.key() {
			l.records.owe()
		} else {
			l.records.poke() // what is newer here
		}
	}
}

// takeRecord enters a verified record into the book. A peer that is not linked is dialled soon, there may be a
// new way to it.
func (n *Node) takeRecord(r peerRecord) verdict {
	p := n.peers.get(r.key)
	v := n.book.takeRecord(r, p != nil)
	if v == recordNew {
		n.tellRecords()
		p.heardOf()
	}
	return v
}

// knowMembers tells the address book who is a member, after that changed.
func (n *Node) knowMembers() {
	members := map[keys.Public]bool{}
	for _, p := range n.peers.all() {
		members[p.key] = true
	}
	for _, r := range n.book.admitted(members) {
		n.takeRecord(r)
	}
	n.tellRecords() // of new members records may be held already
}
