package config

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A change of the text is made on trial: the file is read again, and has to say what the old one said and the change,
// nothing else. What YAML allows beyond the forms that are looked for here is thereby refused and never misread.

// value is what a piece of YAML says, without how.
type value struct {
	tag, scalar string           // of a scalar
	list        []value          // of a sequence, never nil then
	mapping     map[string]value // of a mapping, never nil then
}

func valueOf(n *yaml.Node) (value, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return value{tag: "!!null"}, nil
		}
		return value{tag: n.ShortTag(), scalar: n.Value}, nil
	case yaml.SequenceNode:
		v := value{list: []value{}}
		for _, c := range n.Content {
			item, err := valueOf(c)
			if err != nil {
				return v, err
			}
			v.list = append(v.list, item)
		}
		return v, nil
	}
	v := value{mapping: map[string]value{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if _, twice := v.mapping[k.Value]; twice || k.Kind != yaml.ScalarNode {
			return v, &EditError{k.Line, "a key that stands there twice, or is no plain word"}
		}
		member, err := valueOf(n.Content[i+1])
		if err != nil {
			return v, err
		}
		v.mapping[k.Value] = member
	}
	return v, nil
}

func text(s string) value { return value{tag: "!!str", scalar: s} }

// with returns v with the value at a path replaced, and mappings on the way to it where there was nothing.
func (v value) with(path []string, leaf value) value {
	if len(path) == 0 {
		return leaf
	}
	out := value{mapping: maps.Clone(v.mapping)}
	if out.mapping == nil {
		out.mapping = map[string]value{}
	}
	out.mapping[path[0]] = out.mapping[path[0]].with(path[1:], leaf)
	return out
}

// trial is a text and what it is meant to say.
type trial struct {
	text []byte
	says value
}

// take makes the first of the trials that says what it is meant to the draft; line and what tell where the file could
// not be edited if none does.
func (d *draft) take(line int, what string, trials ...trial) error {
	for _, t := range trials {
		try := &draft{eol: d.eol}
		if t.text == nil || len(t.text) > maxFileBytes || try.reread(t.text) != nil {
			continue
		}
		if reflect.DeepEqual(try.tree, t.says) {
			*d = *try
			return nil
		}
	}
	return &EditError{line, what + " is written in a way that a program doesn't change; edit it by hand"}
}

// pair finds a key in a mapping and its value; nil: not there.
func pair(m *yaml.Node, name string) (key, val *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

func flow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// set gives the key at a path a text, and reports whether it had another one.
func (d *draft) set(path []string, s string) (bool, error) {
	says := d.tree.with(path, text(s))
	if reflect.DeepEqual(says, d.tree) {
		return false, nil
	}
	parent, name := d.root, path[0]
	key, val := pair(parent, name)
	if len(path) == 2 && val != nil && !null(val) {
		if val.Kind != yaml.MappingNode {
			return false, &EditError{val.Line, name + " is no section"}
		}
		outer := key
		parent, name = val, path[1]
		if key, val = pair(parent, name); key == nil {
			return true, d.take(outer.Line, path[0], d.insertBelow(outer, parent, name+": "+quote(s), says))
		}
		path = path[1:]
	}
	what := strings.Join(path, ".")
	switch {
	case key == nil && len(path) == 1:
		return true, d.take(0, what, d.appendEntry(quoteEntry(name, s), name+": "+quote(s), says)...)
	case key == nil:
		return true, d.take(0, what, d.appendEntry(name+":\n  "+quoteEntry(path[1], s), name+": {"+path[1]+": "+quote(s)+"}", says)...)
	case val.Kind != yaml.ScalarNode:
		return false, &EditError{val.Line, name + " is no single value"}
	case len(path) == 2 && val.Value == "":
		return true, d.take(key.Line, what, trial{d.linesAfter(key.Line, d.indented(key.Column+1, quoteEntry(path[1], s))), says})
	case len(path) == 2:
		s = "{" + path[1] + ": " + quote(s) + "}"
	default:
		s = quote(s)
	}
	return true, d.take(key.Line, what, trial{d.replaced(key, val, s), says})
}

func quoteEntry(name, s string) string { return name + ": " + quote(s) + "\n" }

// addNodes adds entries under nodes and returns how many.
func (d *draft) addNodes(list []Node) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	key, val := pair(d.root, "nodes")
	old := d.tree.mapping["nodes"].list
	var added []value
	var block, inFlow []string
	for _, n := range list {
		added = append(added, nodeValue(n))
		block = append(block, nodeLines(n))
		inFlow = append(inFlow, nodeFlow(n))
	}
	lines, flowed := strings.Join(block, ""), strings.Join(inFlow, ", ")
	behind := d.tree.with([]string{"nodes"}, value{list: slices.Concat(old, added)})
	before := d.tree.with([]string{"nodes"}, value{list: slices.Concat(added, old)})
	var trials []trial
	line := 0
	switch {
	case key == nil:
		trials = d.appendEntry("nodes:\n"+indent(lines, 2), "nodes: ["+flowed+"]", behind)
	case null(val) && val.Value == "":
		line = key.Line
		trials = append(trials, trial{d.linesAfter(line, d.indented(key.Column+1, lines)), behind})
	case null(val):
		line = key.Line
		trials = append(trials, trial{d.replaced(key, val, "["+flowed+"]"), behind})
	case val.Kind != yaml.SequenceNode:
		return 0, &EditError{val.Line, "nodes is no list"}
	case flow(val) && len(old) == 0:
		line = val.Line
		trials = append(trials, trial{d.opened(key, val, lines), behind}, trial{d.insertAt(val, flowed), behind})
	case flow(val):
		line = val.Line
		trials = append(trials, trial{d.insertAt(val, flowed+", "), before})
	default:
		line = val.Line
		for _, end := range d.ends(val) {
			trials = append(trials, trial{d.linesAfter(end, d.indented(val.Column-1, lines)), behind})
		}
	}
	return len(list), d.take(line, "nodes", trials...)
}

func nodeValue(n Node) value {
	v := value{mapping: map[string]value{"public_key": text(n.Key.String())}}
	if len(n.Endpoints) > 0 {
		ends := value{list: []value{}}
		for _, e := range n.Endpoints {
			ends.list = append(ends.list, text(e.String()))
		}
		v.mapping["endpoints"] = ends
	}
	if n.Zone != "" {
		v.mapping["zone"] = text(string(n.Zone))
	}
	return v
}

// nodeLines is an entry in lines, nodeFlow the same on one.
func nodeLines(n Node) string {
	return "- " + strings.Join(nodeFields(n), "\n  ") + "\n"
}

func nodeFlow(n Node) string { return "{" + strings.Join(nodeFields(n), ", ") + "}" }

func nodeFields(n Node) []string {
	fields := []string{"public_key: " + quote(n.Key.String())}
	if len(n.Endpoints) > 0 {
		fields = append(fields, "endpoints: ["+strings.Join(showEndpoints(n.Endpoints), ", ")+"]")
	}
	if n.Zone != "" {
		fields = append(fields, "zone: "+quote(string(n.Zone)))
	}
	return fields
}

// indent puts n spaces before each line.
func indent(lines string, n int) string {
	var b strings.Builder
	for l := range strings.Lines(lines) {
		b.WriteString(strings.Repeat(" ", n) + l)
	}
	return b.String()
}

// indented is indent with the line ends of the file.
func (d *draft) indented(n int, lines string) string {
	return strings.ReplaceAll(indent(lines, n), "\n", d.eol)
}

// appendEntry adds an entry to the file: lines at its end, or before the first key where nothing may follow the last
// one; for a file in braces flowed after the brace.
func (d *draft) appendEntry(lines, flowed string, says value) []trial {
	switch {
	case d.root == nil:
		return []trial{{d.atEnd(d.indented(0, lines)), says}}
	case flow(d.root) && len(d.root.Content) > 0:
		return []trial{{d.insertAt(d.root, flowed+", "), says}}
	case flow(d.root):
		return []trial{{d.insertAt(d.root, flowed), says}}
	}
	at := d.indented(d.root.Column-1, lines)
	return []trial{{d.atEnd(at), says}, {d.linesAfter(d.root.Line-1, at), says}}
}

// insertBelow adds an entry to a section, as its first.
func (d *draft) insertBelow(key, section *yaml.Node, entry string, says value) trial {
	switch {
	case flow(section) && len(section.Content) > 0:
		return trial{d.insertAt(section, entry+", "), says}
	case flow(section):
		return trial{d.insertAt(section, entry), says}
	}
	return trial{d.linesAfter(key.Line, d.indented(section.Column-1, entry+"\n")), says}
}

// atEnd appends lines.
func (d *draft) atEnd(lines string) []byte {
	out := slices.Clone(d.text)
	if n := len(out); n > 0 && out[n-1] != '\n' {
		out = append(out, d.eol...)
	}
	return append(out, lines...)
}

// linesAfter inserts lines after a line; 0 is before the first.
func (d *draft) linesAfter(line int, lines string) []byte {
	at := d.lineStart(line + 1)
	if at == len(d.text) {
		return d.atEnd(lines)
	}
	return d.spliced(at, at, lines)
}

// lineStart is where a line begins; the end of the text if it has fewer.
func (d *draft) lineStart(line int) int {
	at := 0
	for range line - 1 {
		i := bytes.IndexByte(d.text[at:], '\n')
		if i < 0 {
			return len(d.text)
		}
		at += i + 1
	}
	return at
}

// offset is where a node begins; -1 if that is nowhere.
func (d *draft) offset(n *yaml.Node) int {
	at := d.lineStart(n.Line)
	for range n.Column - 1 {
		if at >= len(d.text) || d.text[at] == '\n' {
			return -1
		}
		_, size := utf8.DecodeRune(d.text[at:])
		at += size
	}
	return at
}

// insertAt puts s behind the bracket or brace that a node begins with.
func (d *draft) insertAt(n *yaml.Node, s string) []byte {
	at := d.offset(n)
	if at < 0 || at >= len(d.text) || d.text[at] != '[' && d.text[at] != '{' {
		return nil
	}
	return d.spliced(at+1, at+1, s)
}

// opened turns the empty brackets of a list into lines below its key.
func (d *draft) opened(key, list *yaml.Node, lines string) []byte {
	at := d.offset(list)
	if at < 1 || list.Line != key.Line {
		return nil
	}
	size := bytes.IndexByte(d.text[at:], ']')
	if size < 0 || len(bytes.TrimSpace(d.text[at+1:at+size])) > 0 {
		return nil
	}
	from := at
	for from > 0 && d.text[from-1] == ' ' {
		from--
	}
	next := &draft{text: d.spliced(from, at+size+1, ""), eol: d.eol}
	return next.linesAfter(key.Line, d.indented(key.Column+1, lines))
}

// replaced puts s in the place of a single value, or behind the colon where the value is nothing.
func (d *draft) replaced(key, val *yaml.Node, s string) []byte {
	if val.Value == "" && val.Style == 0 {
		_, end := d.extent(key)
		if end < 0 {
			return nil
		}
		colon := bytes.IndexByte(d.text[end:], ':')
		if colon < 0 || len(bytes.TrimSpace(d.text[end:end+colon])) > 0 {
			return nil
		}
		return d.spliced(end+colon+1, end+colon+1, " "+s)
	}
	from, to := d.extent(val)
	if to < 0 {
		return nil
	}
	return d.spliced(from, to, s)
}

// extent is where a scalar on one line begins and ends; -1 if it is none such.
func (d *draft) extent(n *yaml.Node) (from, to int) {
	from = d.offset(n)
	if from < 0 || from >= len(d.text) {
		return 0, -1
	}
	rest := d.text[from:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return 0, -1
		}
		for i := 1; i < len(rest); i++ {
			switch {
			case rest[i] == '\\' && rest[0] == '"':
				i++
			case rest[i] == rest[0] && rest[0] == '\'' && i+1 < len(rest) && rest[i+1] == '\'':
				i++
			case rest[i] == rest[0]:
				return from, from + i + 1
			}
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Value != "" && bytes.HasPrefix(rest, []byte(n.Value)):
		return from, from + len(n.Value)
	}
	return 0, -1
}

// maxEnds is how many lines below its last value a list is looked for the end of.
const maxEnds = 64

// ends are the lines after which an entry may be added to a list in lines, the likeliest first: the last line of it, and
// of the comments that belong to its last entry.
func (d *draft) ends(list *yaml.Node) []int {
	last := lastLine(list)
	lines := strings.Split(string(d.text), "\n")
	at := last
	for at < len(lines) {
		trimmed := strings.TrimLeft(lines[at], " ")
		if !strings.HasPrefix(trimmed, "#") || len(lines[at])-len(trimmed) < list.Column {
			break
		}
		at++
	}
	out := []int{at}
	for l := last; l < min(len(lines), last+maxEnds); l++ {
		if l != at {
			out = append(out, l)
		}
	}
	return out
}

func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, c := range n.Content {
		line = max(line, lastLine(c))
	}
	return line
}

// spliced is the text with [from, to) replaced.
func (d *draft) spliced(from, to int, s string) []byte {
	return slices.Concat(d.text[:from], []byte(s), d.text[to:])
}

// ByHand is what to write into a file that a program doesn't edit.
func (e Edit) ByHand() string {
	d := &draft{eol: "\n"}
	var b strings.Builder
	if e.NetworkID != "" {
		b.WriteString(quoteEntry("network_id", string(e.NetworkID)))
	}
	if e.KeyPath != "" {
		b.WriteString(quoteEntry("private_key_path", e.KeyPath))
	}
	if e.Zone != "" {
		b.WriteString("mesh:\n  " + quoteEntry("zone", string(e.Zone)))
	}
	if e.Folder != "" {
		b.WriteString("kubernetes:\n  " + quoteEntry("folder", e.Folder))
	}
	if len(e.Nodes) > 0 {
		b.WriteString("nodes:\n")
	}
	for _, n := range e.Nodes {
		b.WriteString(d.indented(2, nodeLines(n)))
	}
	return b.String()
}
