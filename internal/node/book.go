package node

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

const (
	// dialAtOnce is how many endpoints one attempt dials, dialAlways how many of them are the best ones each time;
	// the rest take turns. libp2p dials eight addresses of a peer at a time, and each endpoint has two: more would
	// let those that don't answer hold up those that do.
	dialAtOnce = 6
	dialAlways = 2

	// freshFor is how long an endpoint that worked, or that was told, goes before those of which nothing was heard.
	freshFor = 24 * time.Hour
	// forgetAfter is how long an endpoint is kept that neither works nor is told, counted up to the newest sign of
	// life of its node: nothing is forgotten of a node because that node is away.
	forgetAfter = 30 * 24 * time.Hour
	// outsiderAfter is how long a contact is kept whose key is no member: at a start not all members are known
	// at once.
	outsiderAfter = time.Hour

	// maxLANWays bounds what is believed of a network on which everybody can say everything.
	maxLANWays = 4
	// maxParked bounds the records that wait for their authors to become members.
	maxParked = 64
)

// source says who told of an endpoint. They are ordered by how much that is worth.
type source uint8

const (
	fromStore  source = iota // it was known in an earlier run, or came with the invitation
	fromLAN                  // somebody on the local network: nothing vouches for it
	fromMember               // the node itself: a signed record or heartbeat
	fromConfig               // the operator
)

// way is an endpoint and how it did.
type way struct {
	at     string
	from   source
	told   time.Time // newest time at which it was named
	worked time.Time // newest connection through it; zero: none
}

// contact is all that is known of how to reach one node.
type contact struct {
	key     keys.Public
	zone    mesh.Zone
	inviter bool
	seen    time.Time
	record  peerRecord // raw is nil if there is none
	ways    []way      // at most oplog.MaxEndpoints, configured ones apart
	tries   int        // attempts since the last one that led to the node
	// tried maps what the last attempt dialled to the endpoints behind it.
	tried map[netip.AddrPort]string

	outsider time.Time // since when it is no member; zero: it is
	changed  bool      // since it was kept, in more than seen
	kept     time.Time // seen, as it was kept
}

// book is the address book. It is safe for concurrent use.
type book struct {
	now func() time.Time
	// loopback is whether addresses of this machine are of use: the node listens on nothing else.
	loopback bool

	mu     sync.Mutex
	byKey  map[keys.Public]*contact
	parked map[keys.Public]peerRecord
	wake   chan struct{} // capacity 1, never closed: something is to be kept soon
}

func newBook(now func() time.Time, loopback bool, kept []oplog.Contact) *book {
	b := &book{now: now, loopback: loopback, byKey: map[keys.Public]*contact{}, parked: map[keys.Public]peerRecord{},
		wake: make(chan struct{}, 1)}
	for _, k := range kept {
		c := &contact{key: k.Key, zone: k.Zone, inviter: k.Inviter, outsider: now()}
		if k.Seen > 0 {
			c.seen = time.UnixMilli(k.Seen)
		}
		c.kept = c.seen
		for i, at := range k.Endpoints {
			w := way{at: at, from: fromStore, told: now()}
			if !c.seen.IsZero() {
				w.worked = c.seen.Add(-time.Duration(i)) // keeps their order
				w.told = w.worked
			}
			c.ways = append(c.ways, w)
		}
		if r, err := openRecord(k.Record); err == nil && r.key == k.Key {
			c.record = r
			for _, at := range r.endpoints {
				b.tell(c, at, fromMember, now())
			}
		}
		b.byKey[k.Key] = c
	}
	return b
}

func (b *book) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// of returns the contact of a key, made if need be.
func (b *book) of(k keys.Public) *contact {
	c := b.byKey[k]
	if c == nil {
		c = &contact{key: k}
		b.byKey[k] = c
	}
	return c
}

// tell notes that an endpoint was named and reports whether it is news.
func (b *book) tell(c *contact, at string, from source, when time.Time) (news bool) {
	if isLocal(at) && !b.loopback || len(at) > oplog.MaxEndpoint {
		return false
	}
	i := slices.IndexFunc(c.ways, func(w way) bool { return w.at == at })
	if i < 0 {
		i, news = len(c.ways), true
		c.ways = append(c.ways, way{at: at, from: from})
	}
	w := &c.ways[i]
	w.from = max(w.from, from)
	if when.After(w.told) {
		w.told = when
	}
	return news
}

// advertised takes the addresses in a heartbeat of a member and reports whether there is news among them.
func (b *book) advertised(k keys.Public, addrs []string) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, now := b.of(k), b.now()
	for _, at := range addrs {
		if _, err := dialAddrs(at); err == nil && b.tell(c, at, fromMember, now) {
			news = true
		}
	}
	b.tidy(c)
	return news
}

// found takes the endpoints at which somebody on the local network says that a member is.
func (b *book) found(k keys.Public, endpoints []string) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, now := b.of(k), b.now()
	for _, at := range endpoints[:min(len(endpoints), maxLANWays)] {
		news = b.tell(c, at, fromLAN, now) || news
	}
	onlyLAN := func(w way) bool { return w.from == fromLAN && w.worked.IsZero() }
	for n := 0; ; n = 0 {
		oldest := -1
		for i, w := range c.ways {
			if onlyLAN(w) {
				if n++; oldest < 0 || w.told.Before(c.ways[oldest].told) {
					oldest = i
				}
			}
		}
		if n <= maxLANWays {
			break
		}
		c.ways = slices.Delete(c.ways, oldest, oldest+1)
	}
	b.tidy(c)
	return news
}

// linked notes that a node answered: the next time that it is away begins with what is configured.
func (b *book) linked(k keys.Public, z mesh.Zone) {
	b.sign(k, z)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(k).tries = 0
}

// sign notes a sign of life, and the zone that the node named if it named one.
func (b *book) sign(k keys.Public, z mesh.Zone) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.of(k)
	c.seen = b.now()
	if z != "" && z != c.zone {
		c.zone, c.changed = z, true
		b.poke()
	}
}

// plan chooses what the next attempt dials: what is configured first, and by itself; after a failure the best
// that is known together with some of the rest, in turns.
func (b *book) plan(k keys.Public, configured []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.of(k)
	var ranked []string
	for _, w := range b.ranked(c, configured) {
		if c.tries > 0 || len(configured) == 0 || w.from == fromConfig {
			ranked = append(ranked, w.at)
		}
	}
	tries := c.tries
	c.tries++
	if len(ranked) <= dialAtOnce {
		return ranked
	}
	out := slices.Clone(ranked[:dialAlways])
	rest := ranked[dialAlways:]
	for i := range dialAtOnce - dialAlways {
		out = append(out, rest[(tries*(dialAtOnce-dialAlways)+i)%len(rest)])
	}
	return out
}

// ranked orders what is known: configured, then what worked of late, then what the node told of late, then what
// the local network told, then the rest; among equals what worked last, what is vouched for best, and what was told
// last.
func (b *book) ranked(c *contact, configured []string) []way {
	now := b.now()
	fresh := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) < freshFor }
	ways := make([]way, 0, len(configured)+len(c.ways))
	for _, at := range configured {
		w := way{at: at}
		if i := slices.IndexFunc(c.ways, func(w way) bool { return w.at == at }); i >= 0 {
			w = c.ways[i]
		}
		w.from, w.told = fromConfig, time.Time{} // their order is the operator's, but for what worked
		ways = append(ways, w)
	}
	for _, w := range c.ways {
		if !slices.Contains(configured, w.at) {
			ways = append(ways, w)
		}
	}
	class := func(w way) int {
		current := slices.Contains(c.record.endpoints, w.at)
		switch {
		case w.from == fromConfig:
			return 0
		case fresh(w.worked):
			return 1
		case w.from == fromMember && (current || fresh(w.told)):
			return 2
		case w.from == fromLAN && fresh(w.told):
			return 3
		}
		return 4
	}
	slices.SortStableFunc(ways, func(a, b way) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), b.worked.Compare(a.worked), cmp.Compare(b.from, a.from), b.told.Compare(a.told))
	})
	return ways
}

// known lists what is known of how to reach a node, the best first.
func (b *book) known(k keys.Public) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byKey[k]
	if c == nil {
		return nil
	}
	var out []string
	for _, w := range b.ranked(c, nil) {
		out = append(out, w.at)
	}
	return out
}

// maxLearnt is how many ways to a node are told to people.
const maxLearnt = 8

// learnt lists what is known of how to reach a node beside what is configured, for people: the best first.
func (b *book) learnt(k keys.Public, configured []string) []mesh.LearntAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byKey[k]
	if c == nil {
		return nil
	}
	var out []mesh.LearntAddress
	for _, w := range b.ranked(c, nil) {
		if slices.Contains(configured, w.at) {
			continue
		}
		from := "stored"
		switch w.from {
		case fromLAN:
			from = "lan"
		case fromMember:
			from = "peer"
		}
		if out = append(out, mesh.LearntAddress{Address: w.at, From: from, Worked: timeOrNil(w.worked)}); len(out) == maxLearnt {
			break
		}
	}
	return out
}

// trying remembers which endpoint stands behind each address that an attempt dials.
func (b *book) trying(k keys.Public, addrs map[netip.AddrPort]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(k).tried = addrs
}

// reached notes that the node answered at an address of the last attempt.
func (b *book) reached(k keys.Public, addr netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.of(k)
	at, ok := c.tried[addr]
	if !ok {
		return
	}
	before := b.lasting(c)
	b.tell(c, at, fromStore, b.now())
	for i := range c.ways {
		if c.ways[i].at == at {
			c.ways[i].worked = b.now()
		}
	}
	c.seen = b.now()
	b.tidy(c)
	if !slices.Equal(before, b.lasting(c)) {
		c.changed = true
		b.poke()
	}
}

// tidy drops what was neither told nor worked for long, and what is too much.
func (b *book) tidy(c *contact) {
	c.ways = slices.DeleteFunc(c.ways, func(w way) bool {
		last := w.told
		if w.worked.After(last) {
			last = w.worked
		}
		return c.seen.Sub(last) > forgetAfter && !c.seen.IsZero() && !slices.Contains(c.record.endpoints, w.at)
	})
	if len(c.ways) > oplog.MaxEndpoints {
		c.ways = b.ranked(c, nil)[:oplog.MaxEndpoints]
	}
}

// lasting lists the endpoints that are kept over a restart: those that worked, what worked last first, and those
// that an earlier run knew. What the node tells is in its record.
func (b *book) lasting(c *contact) []string {
	var out []string
	for _, w := range b.ranked(c, nil) {
		if !w.worked.IsZero() || w.from == fromStore {
			out = append(out, w.at)
		}
	}
	return out
}
