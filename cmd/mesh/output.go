package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/readable"
)

// apiVersion marks every JSON and YAML document that mesh prints. Fields are only ever added.
const apiVersion = "mesh.dcp.hiro.io/v1"

// Values of -o.
const (
	formatText = "text"
	formatWide = "wide"
	formatJSON = "json"
	formatYAML = "yaml"
	formatName = "name"
)

// addOutputFlag gives c the flag -o with these formats, the first being the default. The pointer holds the
// chosen one when RunE is called.
func addOutputFlag(c *cobra.Command, formats ...string) *string {
	format := formats[0]
	c.Flags().VarP(newChoice(&format, formats...), "output", "o", "print as "+orList(formats))
	return &format
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// printValue writes v, a struct, to stdout as a JSON or YAML document whose first fields are apiVersion and
// kind.
func (e *env) printValue(format, kind string, v any) error {
	doc, err := document(kind, v)
	if err != nil {
		return err
	}
	return e.printDocument(format, doc)
}

// printList writes items, a slice, as one document of that kind, such as PeerList. An empty list has
// "items": [].
func (e *env) printList(format, kind string, items any) error {
	doc, err := listDocument(kind, items)
	if err != nil {
		return err
	}
	return e.printDocument(format, doc)
}

// listDocument marshals items, a slice, as one document of that kind.
func listDocument(kind string, items any) ([]byte, error) {
	if r := reflect.ValueOf(items); r.Kind() == reflect.Slice && r.IsNil() {
		items = []struct{}{}
	}
	return document(kind, struct {
		Items any `json:"items"`
	}{items})
}

// printLine writes v to stdout as one line of JSON, for outputs that go on and on.
func (e *env) printLine(kind string, v any) error {
	doc, err := document(kind, v)
	if err != nil {
		return err
	}
	return e.write(append(doc, '\n'))
}

// document marshals v with apiVersion and kind in front.
func document(kind string, v any) ([]byte, error) {
	head, err := marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}{apiVersion, kind})
	if err != nil {
		return nil, err
	}
	body, err := marshal(v)
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", kind, err)
	}
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("print %s: not an object", kind)
	}
	if string(body) == "{}" {
		return head, nil
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func (e *env) printDocument(format string, doc []byte) error {
	switch format {
	case formatJSON:
		var b bytes.Buffer
		if err := json.Indent(&b, doc, "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
		return e.write(b.Bytes())
	case formatYAML:
		b, err := toYAML(doc)
		if err != nil {
			return err
		}
		return e.write(b)
	}
	return fmt.Errorf("no printer for %s", format)
}

// toYAML turns a JSON document into YAML with the fields in the same order. JSON is YAML, so the document is
// read as such and only its style is dropped.
func toYAML(doc []byte) ([]byte, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(doc, &n); err != nil {
		return nil, err
	}
	dropStyle(&n)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := errors.Join(enc.Encode(&n), enc.Close())
	return b.Bytes(), err
}

// dropStyle lets the encoder choose how each value looks, but keeps the quotes around text that some reader
// of YAML takes for something else, such as no.
func dropStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if b, err := yaml.Marshal(n.Value); err == nil && (b[0] == '"' || b[0] == '\'') {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, c := range n.Content {
		dropStyle(c)
	}
}

// oneLine is readable.Text with line breaks turned into spaces.
func oneLine(s string) string {
	return readable.Text(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " "))
}
