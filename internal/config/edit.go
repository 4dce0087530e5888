package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Edit is what joining a mesh changes in a configuration file. A zero field changes nothing.
type Edit struct {
	NetworkID mesh.NetworkID
	KeyPath   string // private_key_path
	Zone      mesh.Zone
	Folder    string // kubernetes.folder; empty: left as it is
	Nodes     []Node // those whose keys are not listed yet are added
	// Own is the key of the node whose file it is; zero: one that is still to be made. Nothing is written of it: it
	// tells the node's own entry under nodes from the others.
	Own keys.Public
}

// EditError says why a file is not edited by a program. It never repeats content of the file.
type EditError struct {
	Line   int // from 1; 0: no single one
	Reason string
}

func (e *EditError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Changed says what an Edit changed.
type Changed struct {
	Keys  []string // such as network_id and mesh.zone, in the order of Edit
	Nodes int      // how many were added
}

// None reports whether nothing was changed.
func (c Changed) None() bool { return len(c.Keys) == 0 && c.Nodes == 0 }

// Apply returns the file with the changes in it. Lines are added and single values replaced; everything else, comments,
// blank lines, order and line ends included, stays byte for byte. The result was read again: it says what the old
// file said and the changes, and it is a valid configuration. The error is an *EditError; then the file is for
// people to edit.
func (e Edit) Apply(old []byte) ([]byte, Changed, error) {
	d, err := openDraft(old)
	if err != nil {
		return nil, Changed{}, err
	}
	var done Changed
	set := func(value string, path ...string) {
		if err == nil && value != "" {
			var changed bool
			if changed, err = d.set(path, value); changed {
				done.Keys = append(done.Keys, strings.Join(path, "."))
			}
		}
	}
	set(string(e.NetworkID), "network_id")
	set(e.KeyPath, "private_key_path")
	set(string(e.Zone), "mesh", "zone")
	set(e.Folder, "kubernetes", "folder")
	if err != nil {
		return nil, Changed{}, err
	}
	if done.Nodes, err = d.addNodes(e.missing(d)); err != nil {
		return nil, Changed{}, err
	}
	if err := d.loads(e.Own); err != nil {
		return nil, Changed{}, err
	}
	return d.text, done, nil
}

// missing are the nodes that the file doesn't list. One whose zone the file gives to another key, or to the node
// itself, is added without it: who has the zone is for the mesh to say.
func (e Edit) missing(d *draft) []Node {
	var out []Node
	listed := d.nodes()
	for _, n := range e.Nodes {
		same := func(o Node) bool { return o.Key == n.Key }
		if slices.ContainsFunc(listed, same) || slices.ContainsFunc(out, same) {
			continue
		}
		taken := func(o Node) bool { return o.Zone == n.Zone }
		if slices.ContainsFunc(listed, taken) || slices.ContainsFunc(out, taken) || n.Zone == e.Zone {
			n.Zone = ""
		}
		out = append(out, n)
	}
	return out
}

// draft is a file that is being edited.
type draft struct {
	text []byte
	eol  string
	root *yaml.Node // mapping; nil: the file says nothing
	tree value      // what it says
}

// openDraft refuses what no line can be added to with certainty.
func openDraft(text []byte) (*draft, error) {
	d := &draft{eol: "\n"}
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		d.eol = "\r\n"
	}
	if len(text) > maxFileBytes {
		return nil, &EditError{Reason: fmt.Sprintf("larger than %d bytes", maxFileBytes)}
	}
	if err := d.reread(text); err != nil {
		return nil, err
	}
	return d, nil
}

// reread parses text and makes it the draft's.
func (d *draft) reread(text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		d.text, d.root, d.tree = text, nil, value{mapping: map[string]value{}}
		return nil
	case err != nil:
		return &EditError{Reason: syntax(err)}
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return &EditError{Reason: "it holds several documents; a configuration is one"}
	}
	root := doc.Content[0]
	if err := plainTree(root, 0); err != nil {
		return err
	}
	switch {
	case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Value == "":
		root = nil
	case root.Kind != yaml.MappingNode:
		return &EditError{Line: root.Line, Reason: "it is no mapping of keys to values"}
	}
	tree := value{mapping: map[string]value{}}
	if root != nil {
		if tree, err = valueOf(root); err != nil {
			return err
		}
	}
	d.text, d.root, d.tree = text, root, tree
	return nil
}

// plainTree refuses what says one thing in several places, or in a way that the loader refuses anyway.
func plainTree(n *yaml.Node, depth int) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return &EditError{n.Line, "anchors and aliases are not possible here; write the value out"}
	case n.Style&yaml.TaggedStyle != 0:
		return &EditError{n.Line, "tags are not possible here; write the value without"}
	case depth > maxDepth:
		return &EditError{n.Line, fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	for _, c := range n.Content {
		if err := plainTree(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// nodes reads what the draft lists under nodes, as far as it can be read.
func (d *draft) nodes() []Node {
	var out []Node
	for _, v := range d.tree.mapping["nodes"].list {
		key, err := parseKey(v.mapping["public_key"].scalar)
		if err == nil {
			out = append(out, Node{Key: key, Zone: mesh.Zone(v.mapping["zone"].scalar)})
		}
	}
	return out
}

// loads has the loader judge the result.
func (d *draft) loads(own keys.Public) error {
	l := &loader{cfg: Default(), table: table}
	l.file("", d.text)
	l.check(false)
	err := l.err()
	if err == nil {
		err = l.cfg.CheckOwnKey(own)
	}
	var problems *Error
	if !errors.As(err, &problems) {
		return err
	}
	return &EditError{problems.Problems[0].Line, problems.Problems[0].Message()}
}
