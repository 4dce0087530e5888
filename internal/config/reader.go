package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/typo"
)

// reader reads one layer into cfg and gathers what is wrong.
type reader struct {
	*loader
	layer   Layer
	name    string   // file, variable or flag
	lines   []string // of the file
	literal bool     // scalars are the whole text of a variable or flag: every text is what it says
}

// mark is the place of a value.
type mark struct {
	origin       Origin
	line, column int
	source       string // the line
	node         *yaml.Node
}

// origin says where the node comes from.
func (r *reader) origin(n *yaml.Node) Origin {
	if r.layer == FromFile {
		return Origin{FromFile, fmt.Sprintf("%s:%d", r.name, n.Line)}
	}
	return Origin{r.layer, r.name}
}

// mark remembers the place of the value at path, for checks that look at several values together.
func (r *reader) mark(n *yaml.Node, path string) { r.cfg.marks[path] = r.place(n) }

func (r *reader) place(n *yaml.Node) mark {
	m := mark{origin: r.origin(n), node: n}
	if r.layer != FromFile {
		return m
	}
	m.line, m.column = max(n.Line, 1), max(n.Column, 1)
	if m.line <= len(r.lines) {
		m.source = r.lines[m.line-1]
	}
	return m
}

// width is the length of a scalar in the line where it begins, in characters, for the marker below it.
func (m mark) width() int {
	n, rest := m.node, []rune(m.source)
	if n == nil || m.line == 0 || m.column > len(rest) || n.Kind != yaml.ScalarNode {
		return 1
	}
	rest = rest[m.column-1:]
	w := utf8.RuneCountInString(n.Value)
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		w = len(rest)
		if end := slices.Index(rest[1:], rest[0]); end >= 0 {
			w = end + 2
		}
	}
	return max(1, min(w, len(rest)))
}

// fail reports a problem with a node. It returns false, for the reader to return.
func (r *reader) fail(n *yaml.Node, path, text string) bool {
	return r.suggest(n, path, text, "")
}

func (r *reader) suggest(n *yaml.Node, path, text, suggestion string) bool {
	r.report(r.place(n), path, text, suggestion)
	return false
}

// section reads the keys of a mapping that are in the table.
func (r *reader) section(n *yaml.Node, section string) {
	r.mapping(n, section, members(section), func(name string, v *yaml.Node) bool {
		path := join(section, name)
		k, ok := lookup(path)
		if !ok {
			if !r.kubernetesForm(v, path) {
				r.section(v, path)
			}
			return true
		}
		r.value(k, v)
		return true
	})
}

// value reads the value of a key.
func (r *reader) value(k Key, n *yaml.Node) {
	if k.read(r, n, k.Path) {
		r.mark(n, k.Path)
		r.cfg.origins[k.Path] = r.origin(n)
	}
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// mapping visits the keys of a mapping, each once and only those that are known. Null values are left out. It
// reports whether all was well.
func (r *reader) mapping(n *yaml.Node, path string, known []string, visit func(name string, v *yaml.Node) bool) bool {
	if n.Kind != yaml.MappingNode {
		return r.fail(n, path, fmt.Sprintf("want keys and values, got %s", told(n)))
	}
	ok := true
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			ok = r.fail(k, path, "a key must be a plain word")
			continue
		}
		name := k.Value
		if line, twice := first[name]; twice {
			text := fmt.Sprintf("duplicate key %q", clip(name))
			if r.layer == FromFile {
				text += fmt.Sprintf("; first on line %d", line)
			}
			ok = r.fail(k, path, text)
			continue
		}
		first[name] = k.Line
		switch {
		case !slices.Contains(known, name):
			ok = r.suggest(k, path, fmt.Sprintf("unknown key %q", clip(name)), r.suggestKey(name, known))
		case v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null":
		case !visit(name, v):
			ok = false
		}
	}
	return ok
}

// each visits the entries of a list. It reports whether all was well.
func (r *reader) each(n *yaml.Node, path string, most int, visit func(n *yaml.Node, path string) bool) bool {
	if n.Kind != yaml.SequenceNode {
		return r.fail(n, path, fmt.Sprintf("want a list, got %s", told(n)))
	}
	if len(n.Content) > most {
		return r.fail(n, path, fmt.Sprintf("%d entries, at most %d are possible", len(n.Content), most))
	}
	ok := true
	for i, e := range n.Content {
		ok = visit(e, fmt.Sprintf("%s[%d]", path, i)) && ok
	}
	return ok
}

// plain returns the text of a scalar that YAML takes for the type of the tag, or of any literal one.
func (r *reader) plain(n *yaml.Node, tags ...string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	return n.Value, r.literal || slices.Contains(tags, n.ShortTag())
}

func (r *reader) number(n *yaml.Node) (float64, bool) {
	s, ok := r.plain(n, "!!int", "!!float")
	if !ok || strings.Trim(s, "0123456789.eE+-") != "" { // no hexadecimal, no infinity
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func (r *reader) truth(n *yaml.Node, path string) (value, ok bool) {
	s, ok := r.plain(n, "!!bool")
	s = strings.ToLower(s)
	if !ok || s != "true" && s != "false" {
		return false, r.fail(n, path, fmt.Sprintf("want true or false, got %s", told(n)))
	}
	return s == "true", true
}

// text returns a text without control characters.
func (r *reader) text(n *yaml.Node, path string) (string, bool) {
	s, ok := r.plain(n, "!!str")
	if !ok {
		if n.Kind != yaml.ScalarNode {
			return "", r.fail(n, path, fmt.Sprintf("want text, got %s", told(n)))
		}
		return "", r.fail(n, path, fmt.Sprintf("want text; put it in quotes: %q", clip(n.Value)))
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", r.fail(n, path, "line breaks and other control characters are not possible here")
	}
	return s, true
}

func (r *reader) oneOf(n *yaml.Node, path, want string, values []string) (string, bool) {
	s, ok := r.text(n, path)
	if !ok {
		return "", false
	}
	if !slices.Contains(values, s) {
		return "", r.suggest(n, path, fmt.Sprintf("want %s, got %s", want, told(n)), typo.Closest(s, values))
	}
	return s, true
}

func (r *reader) zone(n *yaml.Node, path string) (mesh.Zone, bool) {
	s, ok := r.text(n, path)
	if !ok {
		return "", false
	}
	z, err := mesh.ParseZone(s)
	if err != nil {
		lower, _ := mesh.ParseZone(strings.ReplaceAll(strings.ToLower(s), "_", "-"))
		return "", r.suggest(n, path, fmt.Sprintf("%q is no DNS label (a-z, 0-9 and -, 1 to 63 characters, no - at the ends)", clip(s)), string(lower))
	}
	return z, true
}

func (r *reader) address(n *yaml.Node, path string) (netip.Addr, bool) {
	s, ok := r.text(n, path)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.IsMulticast() {
		return netip.Addr{}, r.fail(n, path, fmt.Sprintf("want an IP address, got %s", told(n)))
	}
	return a.Unmap(), true
}

func (r *reader) endpoints(n *yaml.Node, path string, port uint16) ([]Endpoint, bool) {
	var out []Endpoint
	ok := r.each(n, path, maxEndpoints, func(n *yaml.Node, path string) bool {
		s, ok := r.text(n, path)
		if !ok {
			return false
		}
		e, err := ParseEndpoint(s, port)
		if err != nil {
			return r.suggest(n, path, err.Error(), bracketed(s, port))
		}
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
		return true
	})
	return out, ok
}

// told says what a node is, for "want ..., got ...".
func told(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if looksSecret(n.Value) {
			return "something that looks like a key"
		}
		if n.Value == "" {
			return "nothing"
		}
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			return fmt.Sprintf("the text %q", clip(n.Value))
		}
		return strconv.Quote(clip(n.Value))
	default:
		return "something else"
	}
}

// clip shortens what is quoted in a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
