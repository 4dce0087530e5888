package tui

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Columns of the resources.
const (
	resourceKind = iota
	resourceNamespace
	resourceName
	resourceOwner
	resourceEpoch
	resourceVersion
	resourceState
	resourceClaims
	resourceDetail
	resourceAge
)

var resourceColumns = [...]column{
	resourceKind:      {title: "KIND", least: 10, most: 40, drop: 2},
	resourceNamespace: {title: "NAMESPACE", most: 30, drop: 1},
	resourceName:      {title: "NAME", least: 10},
	resourceOwner:     {title: "OWNER", most: 20},
	resourceEpoch:     {title: "EPOCH", drop: 4},
	resourceVersion:   {title: "VER", drop: 3},
	resourceState:     {title: "STATE"},
	resourceClaims:    {title: "CLAIMS", most: 24, drop: 6},
	resourceDetail:    {title: "DETAIL", least: 12, most: 60, drop: 7},
	resourceAge:       {title: "AGE", drop: 5},
}

// resourceFoot is how many lines explain the table below it.
const resourceFoot = 4

// drawResources draws the objects of the mesh: a window of the table and, where there is room, what its flags mean
// and how many there are.
func drawResources(c *canvas, s *state, o resourcesOptions) {
	switch {
	case !s.known():
		drawNote(c, "waiting for the resources")
		return
	case c.width < 20 || c.height < 2:
		drawNote(c, "too narrow")
		return
	}
	foot := 0
	if c.height >= 9 {
		foot = resourceFoot
		if !o.page && c.height >= 11 {
			foot++ // one free line below
		}
	}
	if len(o.rows) == 0 {
		drawNote(c.part(rect{0, 0, c.width, c.height - foot}), noResources(s, o))
		drawResourceFoot(c, s, o, foot)
		return
	}
	page := c.height - 1 - foot
	if foot > 0 && len(o.rows) > page {
		page-- // for the line that says that there are more
	}
	from, to := o.list.fit(len(o.rows), page)
	g := grid{cell: func(row, col int) (string, tone) { return "", plain }}
	troubled := troubledZones(s)
	keys := make([]mesh.ObjectKey, to-from)
	for i, r := range o.rows[from:to] {
		keys[i] = keyOf(r.Object)
	}
	var shown []int
	for col := range resourceColumns {
		wide := col == resourceKind || col == resourceState || col == resourceClaims || col == resourceDetail
		if wide && !o.page || col == resourceNamespace && o.namespace != "" && o.page {
			continue
		}
		shown = append(shown, col)
		g.columns = append(g.columns, resourceColumns[col])
	}
	g.cell = func(row, col int) (string, tone) {
		return resourceCell(s, o.rows[row], keys[row-from], shown[col])
	}
	g.flags = func(row int) (string, tone) { return resourceFlag(o.rows[row], troubled) }
	cursor := -1
	if o.focused {
		cursor = o.list.cursor
	}
	g.draw(c, from, to, cursor)
	if foot > 0 && to < len(o.rows) {
		c.text(2, 1+to-from, c.width-2, "...", dim)
	}
	drawResourceFoot(c, s, o, foot)
}

// noResources says why the table is empty.
func noResources(s *state, o resourcesOptions) string {
	switch {
	case o.namespace != "":
		return "no objects in namespace " + o.namespace + ": n shows another"
	case len(s.resources) > 0:
		return "no object matches: Esc clears the filter"
	}
	return "no objects yet: nothing was put into the mesh"
}

func drawResourceFoot(c *canvas, s *state, o resourcesOptions, foot int) {
	if foot == 0 {
		return
	}
	y := c.height - foot + 1
	if o.page {
		y = c.height - foot
		drawSelectedResource(c, y, o)
		y++
	}
	legend := "! owner behind or unavailable"
	if o.deleted {
		legend += "   - deleted"
	}
	c.text(2, y, c.width-2, legend+"    Enter: merged YAML", dim)
	n := s.status.Resources
	c.text(2, y+1, c.width-2, fmt.Sprintf("%d live, %s, %d contested, %s held",
		n.Live, readable.Count(n.Tombstones, "tombstone"), n.Contested, readable.Count(n.DeletesHeld, "delete")), plain)
	toggle := "x: show tombstones"
	if o.deleted {
		toggle = "x: hide tombstones"
	}
	c.text(2, y+2, c.width-2, "n: namespace   "+toggle+"   s: sort", dim)
}

// drawSelectedResource says in full what the columns cut off.
func drawSelectedResource(c *canvas, y int, o resourcesOptions) {
	if len(o.rows) == 0 {
		return
	}
	r := o.rows[min(max(o.list.cursor, 0), len(o.rows)-1)]
	text := r.Object + ": " + r.State
	if r.Detail != "" {
		text += ", " + r.Detail
	}
	c.text(2, y, c.width-2, shorten(readable.Text(text), c.width-2), plain)
}

// keyOf reads the name of an object; one that is none stands in the column of names as it came.
func keyOf(name string) mesh.ObjectKey {
	key, err := mesh.ParseObjectKey(name)
	if err != nil {
		return mesh.ObjectKey{Name: name}
	}
	return key
}

func resourceCell(s *state, r *mesh.Resource, key mesh.ObjectKey, col int) (string, tone) {
	t := plain
	if r.State == resourceDeleted {
		t = dim
	}
	switch col {
	case resourceKind:
		if key.Group != "" {
			return key.Kind + "." + key.Group, t
		}
		return key.Kind, t
	case resourceNamespace:
		return orDash(key.Namespace), t
	case resourceName:
		return key.Name, t
	case resourceOwner:
		return orDash(string(r.Owner)), t
	case resourceEpoch:
		return fmt.Sprint(r.Epoch), t
	case resourceVersion:
		return fmt.Sprint(r.Version), t
	case resourceState:
		return r.State, resourceTone(r.State)
	case resourceClaims:
		text := ""
		for i, z := range r.Claims {
			if i > 0 {
				text += ","
			}
			text += string(z)
		}
		return orDash(text), t
	case resourceDetail:
		return orDash(r.Detail), t
	}
	if r.Since.IsZero() {
		return noValue, t
	}
	return readable.Span(s.now.Sub(r.Since)), t
}

// resourceDeleted is the state of an object of which only a tombstone is left.
const resourceDeleted = "Deleted"

// resourceTone is how the word of a state looks.
func resourceTone(state string) tone {
	switch state {
	case "Live":
		return ok
	case resourceDeleted:
		return dim
	case "Conflict", "Rejected":
		return bad
	}
	return warn
}

// troubledZones are the zones of which what is shown here may be old.
func troubledZones(s *state) map[mesh.Zone]tone {
	troubled := map[mesh.Zone]tone{}
	for _, p := range s.peers {
		t := plain
		switch {
		case p.State == mesh.Unavailable:
			t = bad
		case p.State != mesh.Ready, p.LagOperations != nil && *p.LagOperations > 0:
			t = warn
		}
		if t > troubled[p.Zone] {
			troubled[p.Zone] = t
		}
	}
	return troubled
}

// resourceFlag is what stands before a row.
func resourceFlag(r *mesh.Resource, troubled map[mesh.Zone]tone) (string, tone) {
	switch {
	case r.State == resourceDeleted:
		return "-", dim
	case resourceTone(r.State) != ok:
		return "!", resourceTone(r.State)
	case troubled[r.Owner] != plain:
		return "!", troubled[r.Owner]
	}
	return "", plain
}

func orDash(s string) string {
	if s == "" {
		return noValue
	}
	return s
}
