package node

import (
	"context"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// keepDelay gathers changes before they are kept: one transaction costs two disk syncs, and what is lost of the
	// last seconds is told again.
	keepDelay = 5 * time.Second
	// keepSeen is how often a node that is merely heard is kept again.
	keepSeen = 10 * time.Minute
)

// admitted replaces the members. It returns the records that waited for one of them.
func (b *book) admitted(members map[keys.Public]bool) (waited []peerRecord) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, r := range b.parked {
		if members[k] {
			waited = append(waited, r)
			delete(b.parked, k)
		}
	}
	for k, c := range b.byKey {
		switch {
		case members[k]:
			c.outsider = time.Time{}
		case c.outsider.IsZero():
			c.outsider = b.now()
		}
	}
	return waited
}

// changes returns what is to be kept and forgotten by now. With all it includes who was merely heard.
func (b *book) changes(all bool) (ch bookChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for k, c := range b.byKey {
		if !c.inviter && !c.outsider.IsZero() && now.Sub(c.outsider) >= outsiderAfter {
			delete(b.byKey, k)
			ch.drop = append(ch.drop, k)
			continue
		}
		if c.changed || c.seen.Sub(c.kept) >= keepSeen || all && c.seen.After(c.kept) {
			c.changed, c.kept = false, c.seen
			ch.put = append(ch.put, b.entry(c))
		}
	}
	slices.SortFunc(ch.put, func(a, b oplog.Contact) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(ch.drop, keys.Public.Compare)
	return ch
}

// entry is a contact as it is kept.
func (b *book) entry(c *contact) oplog.Contact {
	e := oplog.Contact{Key: c.key, Zone: c.zone, Endpoints: b.lasting(c), Record: c.record.raw, Inviter: c.inviter}
	if !c.seen.IsZero() {
		e.Seen = c.seen.UnixMilli()
	}
	return e
}

// inviters lists those whose invitation this node followed.
func (b *book) inviters() (out []oplog.Contact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.byKey {
		if c.inviter {
			out = append(out, oplog.Contact{Key: c.key, Inviter: true})
		}
	}
	slices.SortFunc(out, func(a, b oplog.Contact) int { return a.Key.Compare(b.Key) })
	return out
}

// lastSeen is the newest sign of life of a node, in earlier runs too; zero: none.
func (b *book) lastSeen(k keys.Public) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.byKey[k]; c != nil {
		return c.seen
	}
	return time.Time{}
}

// keepBook hands changes of the address book to the loop until ctx ends, those in the end too.
func (n *Node) keepBook(ctx context.Context) error {
	t := time.NewTimer(keepSeen)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-n.book.wake:
			t.Reset(keepDelay)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		end := ctx.Err() != nil
		if ch := n.book.changes(end); len(ch.put)+len(ch.drop) > 0 {
			err := n.loop.put(context.WithoutCancel(ctx), n.loop.local, entry{in: replica.Tick{}, book: ch})
			if err != nil || end {
				return nil // the loop has ended: what it did not take is told again
			}
		}
		if end {
			return nil
		}
		t.Reset(keepSeen)
	}
}

// withInviters adds those contacts to configured nodes that are admitted here because this node followed their
// invitation. Their zone is what they prove it to be.
func withInviters(nodes []Peer, contacts []oplog.Contact) []Peer {
	out := slices.Clone(nodes)
	for _, c := range contacts {
		if c.Inviter && !slices.ContainsFunc(out, func(p Peer) bool { return p.Key == c.Key }) {
			out = append(out, Peer{Key: c.Key})
		}
	}
	return out
}
