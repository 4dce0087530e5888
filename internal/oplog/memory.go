package oplog

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Memory is a Store without a disk, for tests and simulation. It answers exactly as the one on disk does, and
// Load lists everything in one fixed order. Safe for concurrent use.
//
// Bytes are copied where they enter and where they leave, and never changed in between.
type Memory struct {
	mu   sync.RWMutex
	data memory
}

var _ Store = (*Memory)(nil)

type memory struct {
	meta     *Meta
	rows     map[mesh.LogKey][]Row // by seq
	logs     map[mesh.LogKey]Log
	claims   map[mesh.ClaimRef]ClaimWrite
	placed   map[mesh.ObjectKey]Placed
	trust    map[mesh.Hash]TrustOp
	bindings map[keys.Public]Binding
	brakes   map[mesh.Zone]Brake
	acked    map[ackedKey]Acked
	covers   map[keys.Public]event.SnapshotBegin
	evidence map[mesh.LogKey]Evidence
	invites  map[string]Invite
	contacts map[keys.Public]Contact

	lost      []LostEntry // by ID
	lostID    uint64
	lostBytes int
}

type ackedKey struct {
	zone mesh.Zone
	log  mesh.LogKey
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := new(Memory)
	m.data = emptyMemory()
	return m
}

func emptyMemory() memory {
	return memory{
		rows:     make(map[mesh.LogKey][]Row),
		logs:     make(map[mesh.LogKey]Log),
		claims:   make(map[mesh.ClaimRef]ClaimWrite),
		placed:   make(map[mesh.ObjectKey]Placed),
		trust:    make(map[mesh.Hash]TrustOp),
		bindings: make(map[keys.Public]Binding),
		brakes:   make(map[mesh.Zone]Brake),
		acked:    make(map[ackedKey]Acked),
		covers:   make(map[keys.Public]event.SnapshotBegin),
		evidence: make(map[mesh.LogKey]Evidence),
		invites:  make(map[string]Invite),
		contacts: make(map[keys.Public]Contact),
	}
}

// Clone returns an independent store with the same content: what a backup taken now would hold.
func (m *Memory) Clone() *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d := m.data
	if d.meta != nil {
		meta := *d.meta
		d.meta = &meta
	}
	d.rows = maps.Clone(d.rows)
	for k, rows := range d.rows {
		d.rows[k] = slices.Clone(rows)
	}
	// What the other maps hold is replaced as a whole and never changed, so it can be shared.
	d.logs = maps.Clone(d.logs)
	d.claims = maps.Clone(d.claims)
	d.placed = maps.Clone(d.placed)
	d.trust = maps.Clone(d.trust)
	d.bindings = maps.Clone(d.bindings)
	d.brakes = maps.Clone(d.brakes)
	d.acked = maps.Clone(d.acked)
	d.covers = maps.Clone(d.covers)
	d.evidence = maps.Clone(d.evidence)
	d.invites = maps.Clone(d.invites)
	d.contacts = maps.Clone(d.contacts)
	d.lost = slices.Clone(d.lost)
	return &Memory{data: d}
}

// Wipe empties the store: its disk was lost.
func (m *Memory) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = emptyMemory()
}

// Close does nothing: a closed store can be used again, as a file can be opened again.
func (m *Memory) Close() error { return nil }

// Commit applies the batch. It cannot fail.
func (m *Memory) Commit(b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &m.data
	for _, r := range b.Rows {
		d.putRow(cloneRow(r))
	}
	for _, s := range b.Prune {
		d.prune(s)
	}
	for _, l := range b.Logs {
		d.logs[l.Key] = cloneLog(l)
	}
	for _, k := range b.DropLogs {
		delete(d.logs, k)
	}
	for _, c := range b.Claims {
		d.putClaim(c)
	}
	for _, ref := range b.DropClaims {
		delete(d.claims, ref)
	}
	for _, p := range b.Placed {
		d.placed[p.Object] = p
	}
	for _, k := range b.DropPlaced {
		delete(d.placed, k)
	}
	for _, t := range b.Trust {
		d.trust[t.ID] = cloneTrust(t)
	}
	for _, id := range b.DropTrust {
		delete(d.trust, id)
	}
	for _, l := range b.Lost {
		d.addLost(l)
	}
	for _, e := range b.Evidence {
		if _, held := d.evidence[e.Log]; !held {
			d.evidence[e.Log] = Evidence{e.Log, cloneRow(e.A), cloneRow(e.B)}
		}
	}
	for _, x := range b.Bindings {
		d.bindings[x.Key] = x
	}
	for _, x := range b.Brakes {
		d.brakes[x.Zone] = x
	}
	for _, x := range b.Acked {
		d.acked[ackedKey{x.Zone, x.Log}] = x
	}
	for author, c := range b.Covers {
		d.covers[author] = cloneCovers(c)
	}
	for _, x := range b.Invites {
		d.invites[x.ID] = cloneInvite(x)
	}
	for _, id := range b.DropInvites {
		delete(d.invites, id)
	}
	for _, x := range b.Contacts {
		d.contacts[x.Key] = cloneContact(x)
	}
	for _, k := range b.DropContacts {
		delete(d.contacts, k)
	}
	if b.Meta != nil {
		meta := *b.Meta
		d.meta = &meta
	}
	return nil
}

func compareSeq(r Row, seq uint32) int { return cmp.Compare(r.Seq, seq) }

func (d *memory) putRow(r Row) {
	rows := d.rows[r.Log]
	i, held := slices.BinarySearchFunc(rows, r.Seq, compareSeq)
	if held {
		rows[i] = r
	} else {
		d.rows[r.Log] = slices.Insert(rows, i, r)
	}
}

func (d *memory) prune(s Span) {
	rows := d.rows[s.Log]
	i, _ := slices.BinarySearchFunc(rows, s.From, compareSeq)
	j, _ := slices.BinarySearchFunc(rows, s.To, compareSeq)
	if i < j {
		rows = slices.Delete(rows, i, j)
	}
	if len(rows) == 0 {
		delete(d.rows, s.Log)
	} else {
		d.rows[s.Log] = rows
	}
}

// putClaim keeps the payload held so far when a live claim comes without one: it is restated unchanged.
func (d *memory) putClaim(c ClaimWrite) {
	switch {
	case c.Kind != mesh.Live:
		c.Payload = nil
	case c.Payload != nil:
		c.Payload = cloneBytes(c.Payload)
	default:
		c.Payload = d.claims[c.Ref()].Payload
	}
	d.claims[c.Ref()] = c
}

func (d *memory) addLost(l LostRecord) {
	l.Payload = cloneBytes(l.Payload)
	d.lostID++
	d.lost = append(d.lost, LostEntry{d.lostID, l, len(l.Payload)})
	d.lostBytes += len(l.Payload)
	gone := 0
	for gone < len(d.lost)-1 && (d.lostBytes > LostBytes || LostExpired(d.lost[gone].At, l.At)) {
		d.lostBytes -= d.lost[gone].Size
		gone++
	}
	d.lost = slices.Delete(d.lost, 0, gone)
}

// Load returns everything a node starts from: logs in key order, claims by object and zone, the rest by its
// own key.
func (m *Memory) Load() (*Index, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d := &m.data
	x := &Index{
		Logs:     sorted(d.logs, func(a, b Log) int { return a.Key.Compare(b.Key) }),
		Placed:   sorted(d.placed, func(a, b Placed) int { return a.Object.Compare(b.Object) }),
		Trust:    sorted(d.trust, func(a, b TrustOp) int { return a.ID.Compare(b.ID) }),
		Bindings: sorted(d.bindings, func(a, b Binding) int { return a.Key.Compare(b.Key) }),
		Brakes:   sorted(d.brakes, func(a, b Brake) int { return cmp.Compare(a.Zone, b.Zone) }),
		Acked: sorted(d.acked, func(a, b Acked) int {
			return cmp.Or(cmp.Compare(a.Zone, b.Zone), a.Log.Compare(b.Log))
		}),
		Covers:   make(map[keys.Public]event.SnapshotBegin, len(d.covers)),
		Invites:  sorted(d.invites, func(a, b Invite) int { return cmp.Compare(a.ID, b.ID) }),
		Contacts: sorted(d.contacts, func(a, b Contact) int { return a.Key.Compare(b.Key) }),
	}
	if d.meta != nil {
		meta := *d.meta
		x.Meta = &meta
	}
	for i, l := range x.Logs {
		x.Logs[i] = cloneLog(l)
	}
	for i, t := range x.Trust {
		x.Trust[i] = cloneTrust(t)
	}
	for i, v := range x.Invites {
		x.Invites[i] = cloneInvite(v)
	}
	for i, c := range x.Contacts {
		x.Contacts[i] = cloneContact(c)
	}
	for author, c := range d.covers {
		x.Covers[author] = cloneCovers(c)
	}
	for _, c := range d.claims {
		x.Claims = append(x.Claims, c.Claim)
	}
	slices.SortFunc(x.Claims, func(a, b mesh.Claim) int {
		return cmp.Or(a.Object.Compare(b.Object), strings.Compare(string(a.Zone), string(b.Zone)))
	})
	return x, nil
}

// Payload returns the content of a live claim; nil and no error if there is none.
func (m *Memory) Payload(ref mesh.ClaimRef) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return cloneBytes(m.data.claims[ref].Payload), nil
}

// Rows returns rows of [from, to) until maxBytes are passed, at least one if any is held.
func (m *Memory) Rows(log mesh.LogKey, from, to uint32, maxBytes int) ([]Row, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	rows := m.data.rows[log]
	i, _ := slices.BinarySearchFunc(rows, from, compareSeq)
	var out []Row
	for size := 0; i < len(rows) && rows[i].Seq < to && (len(out) == 0 || size < maxBytes); i++ {
		out = append(out, cloneRow(rows[i]))
		size += rows[i].Size()
	}
	return out, nil
}

// RowID returns the id of the operation at seq, and whether it is held.
func (m *Memory) RowID(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	rows := m.data.rows[log]
	i, held := slices.BinarySearchFunc(rows, seq, compareSeq)
	if !held {
		return mesh.Hash{}, false, nil
	}
	return rows[i].ID, true, nil
}

// Lost lists the content that lost, oldest first, without payloads.
func (m *Memory) Lost() ([]LostEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := slices.Clone(m.data.lost)
	for i := range out {
		out[i].Payload = nil
	}
	return out, nil
}

// LostOne returns one record with its payload, and whether it is held.
func (m *Memory) LostOne(id uint64) (LostEntry, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i, held := slices.BinarySearchFunc(m.data.lost, id, func(l LostEntry, id uint64) int { return cmp.Compare(l.ID, id) })
	if !held {
		return LostEntry{}, false, nil
	}
	l := m.data.lost[i]
	l.Payload = cloneBytes(l.Payload)
	return l, true, nil
}

// Evidence returns the proofs of forks, in the order of their logs: the first one of each log.
func (m *Memory) Evidence() ([]Evidence, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := sorted(m.data.evidence, func(a, b Evidence) int { return a.Log.Compare(b.Log) })
	for i, e := range out {
		out[i].A, out[i].B = cloneRow(e.A), cloneRow(e.B)
	}
	return out, nil
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b V) int) []V {
	return slices.SortedFunc(maps.Values(m), compare)
}

// cloneBytes returns nil for no bytes, as a disk cannot tell the two apart.
func cloneBytes(b []byte) []byte { return append([]byte(nil), b...) }

func cloneRow(r Row) Row {
	r.Header, r.Body = cloneBytes(r.Header), cloneBytes(r.Body)
	return r
}

func cloneTrust(t TrustOp) TrustOp {
	t.Header, t.Body = cloneBytes(t.Header), cloneBytes(t.Body)
	return t
}

func cloneLog(l Log) Log {
	l.Run, l.Staged, l.Limit = clonePtr(l.Run), clonePtr(l.Staged), clonePtr(l.Limit)
	return l
}

func cloneInvite(v Invite) Invite {
	v.Taken = append([]Redemption(nil), v.Taken...)
	return v
}

func cloneContact(c Contact) Contact {
	c.Endpoints = append([]string(nil), c.Endpoints...)
	c.Record = cloneBytes(c.Record)
	return c
}

// cloneCovers keeps of a SnapshotBegin what stays in force.
func cloneCovers(c event.SnapshotBegin) event.SnapshotBegin {
	return event.SnapshotBegin{Floor: c.Floor, Covers: slices.Clone(c.Covers), Witness: c.Witness}
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
