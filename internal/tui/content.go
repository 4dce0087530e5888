package tui

import (
	"encoding/json"
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
)

// maxContentLines is how much of an object is shown. An object is at most 1.5 MB, and of the longest that make
// sense, big ConfigMaps, nobody reads more on a screen.
const maxContentLines = 20_000

// contentLines writes an object as YAML, its keys in the order in which they are signed. What a Secret holds is
// never shown, whatever the node answered.
func contentLines(content mesh.Content) []string {
	payload := []byte(strings.TrimSpace(string(content.Payload)))
	switch {
	case len(payload) == 0 || string(payload) == "null":
		return []string{"# the mesh holds no content of it"}
	case payload[0] == '"':
		// A note in place of the content, such as <redacted 12 bytes>.
		var note string
		if err := json.Unmarshal(payload, &note); err != nil {
			return []string{"# the content cannot be read: " + err.Error()}
		}
		return []string{"# " + note}
	case isSecret(content.Object, payload):
		return []string{fmt.Sprintf("# <redacted %d bytes>", len(payload))}
	}
	text, err := object.ToYAML(payload, nil)
	if err != nil {
		return []string{"# the content cannot be read: " + err.Error()}
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if more := len(lines) - maxContentLines; more > 0 {
		lines = append(lines[:maxContentLines:maxContentLines], fmt.Sprintf("# %d more lines", more))
	}
	return lines
}

// isSecret reports whether an object is a Secret by its name or by what it says itself.
func isSecret(name string, payload []byte) bool {
	if key, err := mesh.ParseObjectKey(name); err != nil || key.Kind == "Secret" {
		return true // what has no proper name may be anything
	}
	var says struct {
		Kind string `json:"kind"`
	}
	return json.Unmarshal(payload, &says) != nil || says.Kind == "Secret"
}

// drawContent draws an object: whose it is, and a window of its lines.
func drawContent(c *canvas, s *state, o contentOptions) {
	switch {
	case o.err != nil:
		drawProblem(c, "cannot show "+o.object, o.err, "")
		return
	case o.loading:
		drawNote(c, "asking for "+o.object)
		return
	case len(o.lines) == 0:
		drawNote(c, "no content of "+o.object)
		return
	}
	head := "as signed by zone " + string(o.zone)
	if o.zone == "" {
		head = "as the mesh holds it"
	}
	x := 2 + c.text(2, 0, c.width-2, o.object, strong)
	if x+3+len(head) <= c.width {
		c.text(x+3, 0, c.width-x-3, head, dim)
	}
	page := c.height - 2
	from, to := o.list.fit(len(o.lines), page)
	for i := from; i < to; i++ {
		y := 1 + i - from
		if i == o.list.cursor {
			c.put(0, y, ">", strong)
		}
		drawLine(c, 2, y, o.lines[i])
	}
	drawPosition(c, c.height-1, "lines", from, to, len(o.lines))
}

// drawLine draws a line of YAML, cut at the side; comments, which are ours, stand back.
func drawLine(c *canvas, x, y int, line string) {
	t := plain
	if strings.HasPrefix(line, "#") {
		t = dim
	}
	c.text(x, y, c.width-x, shorten(line, c.width-x), t)
}
