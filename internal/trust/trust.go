package trust

import (
	"bytes"
	"maps"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Statement is an operation about trust: signature and body were verified, its log id follows from its body.
type Statement struct {
	ID     mesh.Hash
	Author keys.Public
	Log    mesh.LogID
	Seq    uint32
	Time   uint64       // Unix µs as its author claims, for people only
	Event  *event.Event // Admit, Bind, Remove or HandOver is set; not changed any more once it was added
}

// expels reports whether it is a removal with a cut.
func (st *Statement) expels() bool { return st.Event.Remove != nil && len(st.Event.Remove.Cuts) > 0 }

// Member is an admitted key and the zone bound to it; empty while there is none.
type Member struct {
	Key  keys.Public
	Zone mesh.Zone
}

// Set is the trust set as one node holds it. It is owned by one goroutine; the views it returns are safe for
// concurrent use.
type Set struct {
	self  Member
	local map[keys.Public]mesh.Zone // without self
	pool  pool

	stale bool       // something was added or left since judged was made
	last  *judgement // of the statements then; nil: nothing was judged yet
	known map[keys.Public]bool
	view  *View
	list  []Statement // what Statements returns; nil: to be made
}

// NewSet returns the set of a node that knows of nobody else yet.
func NewSet(self Member) *Set {
	return &Set{self: self, local: map[keys.Public]mesh.Zone{}, pool: newPool(defaultLimits), stale: true,
		known: map[keys.Public]bool{self.Key: true}}
}

// SetLocal replaces the local admissions: those of the configuration, of MeshPeers, and the inviter. Call it
// before statements are loaded or added, so that these are known for what they are. Of two with one key the
// last one holds; self is left out.
func (s *Set) SetLocal(local []Member) {
	next := make(map[keys.Public]mesh.Zone, len(local))
	for _, m := range local {
		if m.Key != s.self.Key && !m.Key.IsZero() {
			next[m.Key] = m.Zone
		}
	}
	if maps.Equal(s.local, next) {
		return
	}
	s.local, s.stale = next, true
	for k := range next {
		s.learn(k)
	}
}

// Load takes in statements that were held before this start. They count as stored.
func (s *Set) Load(stored []Statement) {
	for _, st := range stored {
		if st.Event.AboutTrust() && s.pool.load(st) {
			s.stale = true
		}
	}
}

// Add takes in a statement. Whether it has a place is judged by those judged before; those added together with
// it may move it, which Changes tells. It is Held or Waiting again when it comes again.
func (s *Set) Add(st Statement) Outcome {
	if !st.Event.AboutTrust() {
		return Refused
	}
	if e := s.pool.entries[st.ID]; e != nil {
		if e.place == exchanged {
			return Held
		}
		return Waiting
	}
	if !s.welcome(&st) {
		s.pool.setAside(st)
		return Waiting
	}
	if !s.pool.take(st, st.Author == s.self.Key) {
		return Full
	}
	s.stale = true
	s.learn(st.Event.Admits())
	return Added
}

// welcome reports whether a statement belongs to what is exchanged, as far as that can be told.
func (s *Set) welcome(st *Statement) bool {
	if !s.known[st.Author] {
		return false
	}
	return st.expels() || !st.Event.Admits().IsZero() || s.last == nil || !s.last.cutOff(st)
}

// learn notes that a key was given a say, and with it those that it admitted.
func (s *Set) learn(k keys.Public) {
	if k.IsZero() || s.known[k] {
		return
	}
	s.known[k] = true
	for _, e := range s.pool.by[k] {
		s.learn(e.Event.Admits())
		s.stale = true
	}
}

// Changes returns the statements that have been taken since the last call, and the ids of those that are not
// held any more, of any that Add answered with Added or Waiting: what to store, and what to forget. What was
// taken stays stored when it is void for a while. Both are in the order of the ids; nothing is in both.
func (s *Set) Changes() (taken []Statement, dropped []mesh.Hash) {
	s.settle()
	return s.pool.changes()
}

// Statements returns what is exchanged and restated, by id: all but what changes nothing and won't, such as what
// a key says that nobody admitted. The slice must not be changed.
func (s *Set) Statements() []Statement {
	s.settle()
	return s.list
}

// Digest is equal on two nodes whose Statements are.
func (s *Set) Digest() mesh.Hash {
	var ids bytes.Buffer
	for _, st := range s.Statements() {
		ids.Write(st.ID[:])
	}
	return mesh.Sum(ids.Bytes())
}

// View returns what the set says now: the same pointer while nothing changed.
func (s *Set) View() *View {
	s.settle()
	return s.view
}

// settle judges what was added. Promoting what waited may meet a limit, which leaves something out; it is then
// judged again without that.
func (s *Set) settle() {
	for s.stale {
		roots := slices.AppendSeq([]keys.Public{s.self.Key}, maps.Keys(s.local))
		s.last = judge(roots, s.pool.statements())
		belongs, known := s.last.sort()
		s.stale = s.pool.settle(s.last, belongs, s.self.Key)
		if s.stale {
			continue
		}
		s.known = make(map[keys.Public]bool, len(known))
		for i, k := range s.last.keys {
			s.known[k] = known[i]
		}
		s.list = s.pool.exchanged()
		s.view = newView(s.self, s.local, s.last)
	}
}
