package trust

import (
	"bytes"
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
	Event  *event.Event // Admit, Bind, Remove or HandOver is set; never changed once added
}

// Member is an admitted key and the zone bound to it; empty while there is none.
type Member struct {
	Key  keys.Public
	Zone mesh.Zone
}

// Set is the trust set as one node holds it. It is owned by one goroutine; the views it returns are safe for
// concurrent use.
type Set struct {
	self    Member
	local   map[keys.Public]mesh.Zone
	held    map[mesh.Hash]Statement
	waiting map[mesh.Hash]Statement
	view    *View // nil: to be made anew
}

// NewSet returns an empty set of the node self.
func NewSet(self Member) *Set {
	return &Set{self: self, local: map[keys.Public]mesh.Zone{}, held: map[mesh.Hash]Statement{}, waiting: map[mesh.Hash]Statement{}}
}

// SetLocal replaces the local admissions: those of the configuration, of MeshPeers and the inviter.
func (s *Set) SetLocal(local []Member) {
	s.local = make(map[keys.Public]mesh.Zone, len(local))
	for _, m := range local {
		s.local[m.Key] = m.Zone
	}
	s.view = nil
}

// Add takes in a statement.
func (s *Set) Add(st Statement) Outcome {
	if _, ok := s.held[st.ID]; ok {
		return Held
	}
	s.held[st.ID] = st
	s.view = nil
	return Added
}

// Changes returns the statements that became part of the set, and the ids of those that ceased to be, since
// the last call: what has to be stored and dropped. Both are in the order of their ids.
func (s *Set) Changes() (taken []Statement, dropped []mesh.Hash) { return nil, nil }

// Statements returns what is exchanged and restated, by id. The slice must not be changed.
func (s *Set) Statements() []Statement {
	var all []Statement
	for _, st := range s.held {
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Statement) int { return a.ID.Compare(b.ID) })
	return all
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
	if s.view == nil {
		s.view = &View{self: s.self, local: s.local}
	}
	return s.view
}
