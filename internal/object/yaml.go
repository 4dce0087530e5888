package object

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// DecodeYAML reads one YAML document into a tree. It returns nil for a text without content. firstLine is the
// line at which the text stands in its file, for errors, all of which are a *LineError or ErrTooLarge.
func DecodeYAML(text []byte, firstLine int) (any, error) {
	if len(text) > maxDocument {
		return nil, ErrTooLarge
	}
	if !utf8.Valid(text) {
		return nil, &LineError{firstLine, "text is not UTF-8"}
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := decodeNode(in, &doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, yamlError(err, firstLine)
	}
	if err := decodeNode(in, &yaml.Node{}); err == nil {
		return nil, &LineError{firstLine, "a second document begins without ---"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err, firstLine)
	}
	b := treeBuilder{firstLine: firstLine, room: 2 * MaxPayload}
	return b.value(&doc, 0)
}

// decodeNode turns a panic of the parser into an error: a file must not stop the node.
func decodeNode(in *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("yaml: the parser gave up")
		}
	}()
	return in.Decode(n)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// yamlError keeps line and complaint of the parser. What it quotes from the document goes: it may be secret.
func yamlError(err error, firstLine int) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := firstLine
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		line += max(n-1, 0)
		text = strings.Replace(text, m[0], "", 1)
	}
	if at := strings.IndexAny(text, "'`\""); at >= 0 && strings.Contains(text, "anchor") {
		text = "unknown anchor"
	}
	return &LineError{line, "not valid YAML: " + text}
}

// treeBuilder converts nodes. room bounds the text that may come out, aliases expanded; it is more generous
// than the payload, because cleaning may still remove things.
type treeBuilder struct {
	firstLine int
	room      int
	open      []*yaml.Node // anchored nodes being expanded, against aliases that contain themselves
}

func (b *treeBuilder) fail(n *yaml.Node, text string) error {
	return &LineError{b.firstLine + max(n.Line-1, 0), text}
}

func (b *treeBuilder) spend(n int) error {
	if b.room -= n; b.room < 0 {
		return ErrTooLarge
	}
	return nil
}

func (b *treeBuilder) value(n *yaml.Node, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, b.fail(n, errDepth.Error())
	}
	if err := b.spend(1 + len(n.Value)); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return b.value(n.Content[0], depth)
	case yaml.AliasNode:
		return b.alias(n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := b.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return b.mapping(n, depth)
	case yaml.ScalarNode:
		return b.scalar(n)
	}
	return nil, b.fail(n, fmt.Sprintf("unknown node %d", n.Kind))
}

func (b *treeBuilder) alias(n *yaml.Node, depth int) (any, error) {
	for _, o := range b.open {
		if o == n.Alias {
			return nil, b.fail(n, "an alias contains itself")
		}
	}
	b.open = append(b.open, n.Alias)
	v, err := b.value(n.Alias, depth+1)
	b.open = b.open[:len(b.open)-1]
	return v, err
}

// mapping reads the keys, then those merged in by <<, which never replace one that stands there itself.
func (b *treeBuilder) mapping(n *yaml.Node, depth int) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		key, err := b.key(k)
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			return nil, b.fail(k, errTwice.Error())
		}
		if m[key], err = b.value(v, depth+1); err != nil {
			return nil, err
		}
	}
	for _, src := range merges {
		v, err := b.value(src, depth+1)
		if err != nil {
			return nil, err
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, e := range list {
			from, ok := e.(map[string]any)
			if !ok {
				return nil, b.fail(src, "<< wants a mapping")
			}
			for k, v := range from {
				if _, has := m[k]; !has {
					m[k] = v
				}
			}
		}
	}
	return m, nil
}

// key reads a mapping key. Keys that are numbers or booleans become their text, as JSON knows only strings.
func (b *treeBuilder) key(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", b.fail(n, "a key is not a scalar")
	}
	if err := b.spend(1 + len(n.Value)); err != nil {
		return "", err
	}
	if !utf8.ValidString(n.Value) {
		return "", b.fail(n, "text is not UTF-8")
	}
	return n.Value, nil
}

func (b *treeBuilder) scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		switch strings.ToLower(n.Value) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, b.fail(n, "not a boolean")
	case "!!int":
		v, err := yamlInteger(n.Value)
		if err != nil {
			return nil, b.fail(n, err.Error())
		}
		return v, nil
	case "!!float":
		v, err := yamlFloat(n.Value)
		if err != nil {
			return nil, b.fail(n, err.Error())
		}
		return v, nil
	case "!!str", "!!timestamp": // a date stays the text it is
		if !utf8.ValidString(n.Value) {
			return nil, b.fail(n, "text is not UTF-8")
		}
		return n.Value, nil
	}
	return nil, b.fail(n, "tags such as !!binary or !custom are not read")
}
