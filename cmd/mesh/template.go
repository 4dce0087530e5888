package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/cli-runtime/pkg/printers"

	"dcp.hiro.io/mesh/internal/readable"
)

// maxTemplate is how much of a template's file is read: people write them by hand.
const maxTemplate = 1 << 20

// template is what stands behind -o jsonpath=, go-template= and custom-columns=, ready to be used. jsonpath and Go
// templates are those of kubectl, by its own library.
type template struct {
	text    string
	path    *printers.JSONPathPrinter
	golang  *printers.GoTemplatePrinter
	columns []customColumn
}

// customColumn is one column of -o custom-columns=.
type customColumn struct {
	name string
	path *printers.JSONPathPrinter
}

// openTemplate reads the template of a format; nil where it has none.
func (e *env) openTemplate(f outputFormat) (*template, error) {
	if f.text == "" {
		return nil, nil
	}
	kind, text := f.name, f.text
	if base, ok := strings.CutSuffix(kind, "-file"); ok {
		kind = base
		var err error
		if text, err = e.readTemplate(f.text); err != nil {
			return nil, err
		}
	}
	t := &template{text: text}
	var err error
	switch kind {
	case "jsonpath", "jsonpath-as-json":
		if t.path, err = jsonPath(text); err == nil {
			t.path.EnableJSONOutput(kind == "jsonpath-as-json")
		}
	case "go-template":
		if t.golang, err = printers.NewGoTemplatePrinter([]byte(text)); err == nil {
			t.golang.AllowMissingKeys(true)
		}
	case "custom-columns":
		if f.name == kind {
			t.columns, err = parseColumns(text)
		} else {
			t.columns, err = parseColumnsFile(text)
		}
	}
	if err != nil {
		return nil, templateError(text, err)
	}
	return t, nil
}

func (e *env) readTemplate(name string) (string, error) {
	file, err := e.files.openFile(e.path(name), os.O_RDONLY, 0)
	if err != nil {
		return "", &cliError{Code: "MESH-2104", What: "cannot read the template in " + name, Cause: reason(err), Next: []string{"ls -l " + shellQuote(name)}, Err: err}
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxTemplate))
	if err != nil {
		return "", &cliError{Code: "MESH-2104", What: "cannot read the template in " + name, Cause: reason(err), Next: []string{"ls -l " + shellQuote(name)}, Err: err}
	}
	return string(b), nil
}

// templateError says why a template cannot be used.
func templateError(text string, err error) error {
	cause := err.Error()
	if _, place, ok := strings.Cut(cause, "template: output:"); ok { // the library repeats the whole template before it
		cause = "line " + place
	}
	return &cliError{Code: "MESH-2104", What: fmt.Sprintf("the template %q cannot be used", clipText(strings.TrimSpace(text), 60)), Cause: oneLine(cause),
		Next: []string{"mesh help output", "the same command with -o json, to see what there is"}, Err: err}
}

func jsonPath(text string) (*printers.JSONPathPrinter, error) {
	p, err := printers.NewJSONPathPrinter(text)
	if err != nil {
		return nil, err
	}
	p.AllowMissingKeys(true) // as kubectl does: what is null or left out prints nothing
	return p, nil
}

// relaxed is a path as people write it: with or without braces and the dot in front.
var relaxed = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

// relaxedPath reads a path such as .name, name or {.name}.
func relaxedPath(text string) (*printers.JSONPathPrinter, error) {
	m := relaxed.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no path, such as .name", text)
	}
	return jsonPath("{." + m[1] + m[2] + "}")
}

// parseColumns reads NAME:.path,NAME:.path.
func parseColumns(text string) ([]customColumn, error) {
	var columns []customColumn
	for _, part := range strings.Split(text, ",") {
		name, path, ok := strings.Cut(part, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is no column; want NAME:.path", part)
		}
		p, err := relaxedPath(path)
		if err != nil {
			return nil, err
		}
		columns = append(columns, customColumn{name, p})
	}
	return columns, nil
}

// parseColumnsFile reads two lines of words: the names, and a path below each.
func parseColumnsFile(text string) ([]customColumn, error) {
	lines := strings.SplitN(strings.TrimSpace(text), "\n", 3)
	if len(lines) < 2 {
		return nil, errors.New("want two lines: the names of the columns, and a path for each")
	}
	names, paths := strings.Fields(lines[0]), strings.Fields(lines[1])
	if len(names) != len(paths) {
		return nil, fmt.Errorf("%s with %s", readable.Count(len(names), "column"), readable.Count(len(paths), "path"))
	}
	var columns []customColumn
	for i, name := range names {
		p, err := relaxedPath(paths[i])
		if err != nil {
			return nil, err
		}
		columns = append(columns, customColumn{name, p})
	}
	return columns, nil
}

// generic decodes a JSON document as kubectl does: whole numbers stay whole.
func generic(doc []byte) (map[string]any, error) {
	var m map[string]any
	err := kubejson.Unmarshal(doc, &m)
	return m, err
}

// print writes a document by the template. On a terminal what could steer it is replaced; elsewhere the bytes are
// what the template makes of them.
func (t *template) print(e *env, doc []byte) error {
	m, err := generic(doc)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if t.path != nil {
		err = t.path.Execute(&b, m)
	} else {
		err = t.golang.PrintObj(&unstructured.Unstructured{Object: m}, &b)
	}
	if err != nil {
		return templateError(t.text, err)
	}
	out := b.Bytes()
	if e.isTerminal(e.stdout) {
		out = []byte(printableLines(b.String()))
	}
	return e.write(out)
}

// printableLines is readable.Text for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		cells := strings.Split(l, "\t")
		for j, c := range cells {
			cells[j] = readable.Text(c)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// table makes a row of each document.
func (t *template) table(docs [][]byte) (table, error) {
	var out table
	for _, c := range t.columns {
		out.columns = append(out.columns, column{name: c.name})
	}
	for _, doc := range docs {
		m, err := generic(doc)
		if err != nil {
			return out, err
		}
		row := make([]string, len(t.columns))
		for i, c := range t.columns {
			values, err := pathValues(c.path, m)
			if err != nil {
				return out, templateError(t.text, err)
			}
			row[i] = strings.Join(values, ",")
		}
		out.rows = append(out.rows, row)
	}
	return out, nil
}

// pathValues are what a path finds, as text; what is null is not there.
func pathValues(path *printers.JSONPathPrinter, m map[string]any) ([]string, error) {
	found, err := path.FindResults(m)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, values := range found {
		for _, v := range values {
			if v.Kind() == reflect.Interface && v.IsNil() || !v.IsValid() {
				continue
			}
			out = append(out, fmt.Sprint(v.Interface()))
		}
	}
	return out, nil
}
