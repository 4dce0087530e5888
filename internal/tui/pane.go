package tui

import (
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// This file is what the views agree on: what each is told when it draws. All of them draw onto a canvas that is
// exactly the room they have, borders excluded, and keep nothing but the position of their list.

// list is a cursor that moves over rows, of which a screen shows some.
type list struct {
	cursor int // row selected
	top    int // first row shown
	page   int // rows shown when it was drawn last
}

// fit tells the list that n rows exist and that room for page of them is there; it returns the rows to draw,
// from and to (exclusive), so that the cursor is among them.
func (l *list) fit(n, page int) (from, to int) {
	l.page = max(page, 1)
	l.cursor = min(max(l.cursor, 0), max(n-1, 0))
	l.top = min(l.top, l.cursor)
	l.top = max(l.top, l.cursor-l.page+1)
	l.top = max(min(l.top, n-l.page), 0)
	return l.top, min(l.top+max(page, 0), n)
}

// topologyMode is how the links are drawn.
type topologyMode uint8

const (
	asGraph topologyMode = iota
	asMatrix
	asList
	topologyModes // how many there are
)

// topologyOptions is what drawTopology(c *canvas, s *state, o topologyOptions) is told.
type topologyOptions struct {
	mode     topologyMode
	selected string // the name of a peer, highlighted; empty: none
	centered bool   // the selected peer stands in the middle instead of this node
	legend   bool   // there is room for the lines that explain it
	scroll   *list  // of the matrix and the list
}

// resourcesOptions is what drawResources(c *canvas, s *state, o resourcesOptions) is told.
type resourcesOptions struct {
	rows      []*mesh.Resource // filtered and in order
	list      *list
	namespace string // shown alone; empty: all
	deleted   bool   // tombstones are among the rows
	page      bool   // it has the screen for itself: more columns
	focused   bool
}

// logOptions is what drawLog(c *canvas, s *state, o logOptions) is told: the logs above, the operations of the
// selected one below.
type logOptions struct {
	rows       []*mesh.LogStatus // filtered and in order
	list       *list
	zone       mesh.Zone           // of the operations
	operations []mesh.LogOperation // oldest first
	loading    bool
	err        error // why there are no operations
	focused    bool
}

// doctorOptions is what drawDoctor(c *canvas, s *state, o doctorOptions) is told.
type doctorOptions struct {
	results []mesh.CheckResult // in the order in which they came
	running bool
	started time.Time
	err     error
	list    *list // the cursor moves over lines
}

// contentOptions is what drawContent(c *canvas, s *state, o contentOptions) is told.
type contentOptions struct {
	object  string
	lines   []string // by contentLines(mesh.Content) []string, made once
	zone    mesh.Zone
	loading bool
	err     error
	list    *list // the cursor moves over lines
}
