package tui

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// table is a list of rows with a cursor that stays with its row when the rows change.
type table[T any] struct {
	list
	rows     []T
	id       func(T) string
	selected string // the id of the row under the cursor
	made     made   // what the rows were made of
}

// made names what rows depend on: while it is the same they are neither filtered nor sorted again.
type made struct {
	state   *state
	changed int
	filter  string
	order   string
	reverse bool
	hidden  bool
	only    string
}

// set replaces the rows. The cursor stays with the row it was on, or else where it was. A new table starts at the
// top, and stays there while nobody moves.
func (t *table[T]) set(rows []T) {
	t.rows = rows
	at := t.cursor
	if t.selected != "" && (at >= len(rows) || t.id(rows[at]) != t.selected) {
		if i := slices.IndexFunc(rows, func(r T) bool { return t.id(r) == t.selected }); i >= 0 {
			at = i
		}
	}
	t.moveTo(at)
}

// moveTo puts the cursor on a row, or the nearest there is.
func (t *table[T]) moveTo(at int) {
	t.cursor = max(min(at, len(t.rows)-1), 0)
	t.selected = ""
	if len(t.rows) > 0 {
		t.selected = t.id(t.rows[t.cursor])
	}
}

// current returns the row under the cursor.
func (t *table[T]) current() (row T, found bool) {
	if t.cursor >= len(t.rows) {
		return row, false
	}
	return t.rows[t.cursor], true
}

// order is a column that rows can be sorted by. Equal rows go by id.
type order[T any] struct {
	name    string
	compare func(a, b T) int
}

// sorted sorts rows in place by an order, then by name.
func sorted[T any](rows []T, by order[T], reverse bool, last func(a, b T) int) []T {
	slices.SortFunc(rows, func(a, b T) int {
		c := 0
		if by.compare != nil {
			c = by.compare(a, b)
		}
		if reverse && by.compare != nil {
			c = -c
		}
		if c == 0 {
			c = last(a, b)
			if reverse && by.compare == nil {
				c = -c
			}
		}
		return c
	})
	return rows
}

// compareOptional orders what is missing last.
func compareOptional[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}

// compareTimes orders the newest first and what is missing last.
func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return b.Compare(*a)
}

func comparePeerNames(a, b *peer) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PublicKey, b.PublicKey))
}

// peerOrders are those of `mesh peers --sort-by`.
var peerOrders = []order[*peer]{
	{"state", func(a, b *peer) int { return cmp.Compare(stateOrder(a.State), stateOrder(b.State)) }},
	{"name", nil},
	{"rtt", func(a, b *peer) int { return compareOptional(a.RTTSeconds, b.RTTSeconds) }},
	{"lag", func(a, b *peer) int { return compareOptional(a.LagOperations, b.LagOperations) }},
	{"seen", func(a, b *peer) int { return compareTimes(a.LastSeen, b.LastSeen) }},
	{"version", func(a, b *peer) int { return compareOptional(a.Version, b.Version) }},
	{"age", func(a, b *peer) int { return compareTimes(a.FirstSeen, b.FirstSeen) }},
}

var resourceOrders = []order[*mesh.Resource]{
	{"name", nil},
	{"owner", func(a, b *mesh.Resource) int { return cmp.Compare(a.Owner, b.Owner) }},
	{"state", func(a, b *mesh.Resource) int { return -cmp.Compare(resourceRank(a), resourceRank(b)) }},
	{"version", func(a, b *mesh.Resource) int { return -cmp.Compare(a.Version, b.Version) }},
	{"age", func(a, b *mesh.Resource) int { return compareTimes(&a.Since, &b.Since) }},
}

// resourceRank is how bad the state of an object is.
func resourceRank(r *mesh.Resource) int { return int(resourceTone(r.State)) % int(unknown) }

func compareLogs(a, b *mesh.LogStatus) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), b.Incarnation.Compare(a.Incarnation), cmp.Compare(a.LogID, b.LogID))
}

var logOrders = []order[*mesh.LogStatus]{
	{"name", nil},
	{"lag", func(a, b *mesh.LogStatus) int { return -cmp.Compare(a.Lag, b.Lag) }},
	{"size", func(a, b *mesh.LogStatus) int { return -cmp.Compare(a.Bytes, b.Bytes) }},
	{"updated", func(a, b *mesh.LogStatus) int { return compareTimes(a.Updated, b.Updated) }},
}

// verbosities are the least levels of the events that are shown.
var verbosities = []string{mesh.LevelInfo, mesh.LevelDebug, mesh.LevelBad, mesh.LevelWarn}

func levelRank(level string) int {
	switch level {
	case mesh.LevelDebug:
		return 0
	case mesh.LevelInfo:
		return 1
	case mesh.LevelWarn:
		return 2
	}
	return 3
}

// refresh makes the rows of all tables anew whose state, filter or order changed.
func (m *model) refresh() {
	s := m.shown
	f := m.activeFilter()
	want := made{state: s, changed: s.changed.peers, filter: f.text, order: peerOrders[m.peerOrder].name, reverse: m.peerReverse, hidden: m.strangers}
	if m.peers.made != want {
		m.peers.made = want
		var rows []*peer
		for _, p := range s.peers {
			if (m.strangers || p.State != mesh.NotAdmitted) && f.peer(p) {
				rows = append(rows, p)
			}
		}
		m.peers.set(sorted(rows, peerOrders[m.peerOrder], m.peerReverse, comparePeerNames))
	}
	want = made{state: s, changed: s.changed.resources, filter: f.text, order: resourceOrders[m.resourceOrder].name, reverse: m.resourceReverse,
		hidden: m.tombstones, only: m.namespace}
	if m.resources.made != want {
		m.resources.made = want
		var rows []*mesh.Resource
		for _, r := range s.ordered() {
			if (m.tombstones || r.State != resourceDeleted) && (m.namespace == "" || namespaceOf(r.Object) == m.namespace) && f.resource(r) {
				rows = append(rows, r)
			}
		}
		if m.resourceOrder != 0 || m.resourceReverse { // they are in the order of names
			rows = sorted(rows, resourceOrders[m.resourceOrder], m.resourceReverse, compareObjects)
		}
		m.resources.set(rows)
	}
	want = made{state: s, changed: s.changed.logs, filter: f.text, order: logOrders[m.logOrder].name, reverse: m.logReverse}
	if m.logs.made != want {
		m.logs.made = want
		rows := slices.DeleteFunc(slices.Collect(maps.Values(s.logs)), func(l *mesh.LogStatus) bool { return !f.log(l) })
		m.logs.set(sorted(rows, logOrders[m.logOrder], m.logReverse, compareLogs))
	}
	want = made{state: s, changed: s.changed.notices, filter: f.text, only: verbosities[m.verbosity]}
	if m.events.made != want {
		m.events.made = want
		var rows []*mesh.Notice
		for i := len(s.notices) - 1; i >= 0; i-- { // the newest first
			n := &s.notices[i]
			if levelRank(n.Level) >= levelRank(verbosities[m.verbosity]) && f.notice(n) {
				rows = append(rows, n)
			}
		}
		if m.follow {
			m.events.selected, m.events.cursor = "", 0
		}
		m.events.set(rows)
	}
}

// namespaceOf is the namespace of an object, empty for one of the whole cluster.
func namespaceOf(object string) string {
	_, rest, _ := strings.Cut(object, "/")
	namespace, _, found := strings.Cut(rest, "/")
	if !found {
		return ""
	}
	return namespace
}

// namespaces lists those that objects are in, sorted.
func (s *state) namespaces() []string {
	seen := map[string]bool{}
	for _, r := range s.resources {
		if n := namespaceOf(r.Object); n != "" {
			seen[n] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
