package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// outputFormat is the value of -o where things are listed: one of the names, or what kubectl calls a template and
// the template behind an equals sign.
type outputFormat struct {
	names []string // formats without a template, the first being the default
	name  string   // the chosen one
	text  string   // the template, or the file that holds it
}

// templateFormats are those of kubectl get, with the same meaning.
func templateFormats() []string {
	return []string{"jsonpath", "jsonpath-file", "jsonpath-as-json", "go-template", "go-template-file", "custom-columns", "custom-columns-file"}
}

func (f *outputFormat) String() string {
	if f.text != "" {
		return f.name + "=" + f.text
	}
	return f.name
}

func (f *outputFormat) Type() string { return "FORMAT" }

func (f *outputFormat) allowed() []string { return slices.Concat(f.names, templateFormats()) }

// Set accepts a name, or a template with its kind in front.
func (f *outputFormat) Set(s string) error {
	name, text, given := strings.Cut(s, "=")
	switch {
	case slices.Contains(templateFormats(), name) && text == "":
		return fmt.Errorf("%s needs a template, such as -o %s", name, templateExample(name))
	case slices.Contains(templateFormats(), name), !given && slices.Contains(f.names, name):
		f.name, f.text = name, text
		return nil
	}
	return fmt.Errorf("want %s, or TEMPLATE or FILE behind %s", orList(f.names), orList(appendEach(templateFormats(), "=")))
}

// complete completes a format; the template behind an equals sign follows without a space.
func (f *outputFormat) complete(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	all := slices.Concat(f.names, appendEach(templateFormats(), "="))
	if kind, _, ok := strings.Cut(begun, "="); ok {
		if strings.HasSuffix(kind, "-file") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, v := range all {
		if strings.HasPrefix(v, begun) && !strings.HasSuffix(v, "=") {
			return all, cobra.ShellCompDirectiveNoFileComp
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func templateExample(name string) string {
	switch name {
	case "jsonpath", "jsonpath-as-json":
		return name + "='{.items[*].name}'"
	case "go-template":
		return name + "='{{range .items}}{{.name}}{{end}}'"
	case "custom-columns":
		return name + "=NAME:.name"
	}
	return name + "=FILE"
}

func appendEach(words []string, end string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w + end
	}
	return out
}

// listPrinter prints lists the way kubectl get does, with the flags that people know from there.
type listPrinter[T any] struct {
	e      *env
	kind   string // of one thing, such as Peer; a list of them is a PeerList
	prefix string // of -o name, such as peer
	none   string // said of an empty list
	name   func(T) string
	path   func(T) string // what -o name says instead of prefix and name, empty for nothing else; may be nil
	table  func(items []T, wide bool) table
	orders []order[T]       // what --sort-by takes, beside a path into the JSON
	usual  func(a, b T) int // the order without it; nil: as the node tells them

	format    outputFormat
	noHeaders bool
	sortBy    string
	template  *template // of the format, nil unless it has one
	sort      func([]T) error
	widths    []int // of the table, kept over the parts of a watch
	headed    bool  // the column names were printed
}

// addFlags gives c the flags -o, --no-headers and --sort-by.
func (l *listPrinter[T]) addFlags(c *cobra.Command) {
	l.format = outputFormat{names: []string{formatText, formatWide, formatName, formatJSON, formatYAML}, name: formatText}
	f := c.Flags()
	f.VarP(&l.format, "output", "o", "print as text, wide, name, json, yaml or by a template, see mesh help output")
	f.BoolVar(&l.noHeaders, "no-headers", false, "print no line of column names")
	f.StringVar(&l.sortBy, "sort-by", "", "order by a `COLUMN`, or by a path such as .version")
	_ = c.RegisterFlagCompletionFunc("output", l.format.complete)
	_ = c.RegisterFlagCompletionFunc("sort-by", completeValues(orderNames(l.orders)...))
}

// prepare reads what the flags say. It is called before anybody is asked, so that a template that makes no sense
// costs nothing.
func (l *listPrinter[T]) prepare(c *cobra.Command) (err error) {
	if l.template, err = l.e.openTemplate(l.format); err != nil {
		return err
	}
	usual := l.usual
	if usual == nil {
		usual = func(T, T) int { return 0 }
	}
	l.sort, err = sorter(c, l.kind, l.orders, usual, l.sortBy)
	return err
}

// isTable reports whether things are printed in rows.
func (l *listPrinter[T]) isTable() bool {
	return l.format.name == formatText || l.format.name == formatWide
}

// list prints all items as one document or table; a single one is a document of its own where just that was asked
// for, as with kubectl.
func (l *listPrinter[T]) list(items []T, single bool) error {
	if err := l.sort(items); err != nil {
		return err
	}
	if single && len(items) == 1 && !l.isTable() {
		return l.one(items[0])
	}
	switch {
	case l.template != nil && l.template.columns == nil:
		doc, err := listDocument(l.kind+"List", items)
		if err != nil {
			return err
		}
		return l.template.print(l.e, doc)
	case l.format.name == formatJSON, l.format.name == formatYAML:
		return l.e.printList(l.format.name, l.kind+"List", items)
	}
	return l.rows(items)
}

// one prints a single thing, as list does with each of several.
func (l *listPrinter[T]) one(item T) error {
	switch {
	case l.template != nil && l.template.columns == nil:
		doc, err := document(l.kind, item)
		if err != nil {
			return err
		}
		return l.template.print(l.e, doc)
	case l.format.name == formatJSON, l.format.name == formatYAML:
		return l.e.printValue(l.format.name, l.kind, item)
	}
	return l.rows([]T{item})
}

// rows prints a line per item; the column names once.
func (l *listPrinter[T]) rows(items []T) error {
	if len(items) == 0 && !l.headed {
		l.e.note("%s", l.none)
		return nil
	}
	if l.format.name == formatName {
		for _, it := range items {
			path := l.prefix + "/" + l.name(it)
			if l.path != nil && l.path(it) != "" {
				path = l.path(it)
			}
			if err := l.e.printf("%s\n", oneLine(path)); err != nil {
				return err
			}
		}
		return nil
	}
	var t table
	if l.template != nil {
		docs := make([][]byte, len(items))
		for i, it := range items {
			doc, err := document(l.kind, it)
			if err != nil {
				return err
			}
			docs[i] = doc
		}
		var err error
		if t, err = l.template.table(docs); err != nil {
			return err
		}
	} else {
		t = l.table(items, l.format.name == formatWide)
	}
	t.noHeader, t.keep = l.noHeaders || l.headed, &l.widths
	l.headed = true
	return l.e.printTable(t, l.none)
}

// changes prints items that changed while being watched: a row each, or a document each.
func (l *listPrinter[T]) changes(items []T) error {
	if err := l.sort(items); err != nil || len(items) == 0 {
		return err
	}
	switch l.format.name {
	case formatJSON:
		for _, it := range items {
			if err := l.e.printLine(l.kind, it); err != nil {
				return err
			}
		}
		return nil
	case formatYAML:
		for _, it := range items {
			if err := l.e.printf("---\n"); err != nil {
				return err
			}
			if err := l.one(it); err != nil {
				return err
			}
		}
		return nil
	}
	if l.template != nil && l.template.columns == nil {
		for _, it := range items {
			if err := l.one(it); err != nil {
				return err
			}
		}
		return nil
	}
	return l.rows(items)
}
