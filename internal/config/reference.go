package config

import (
	"fmt"
	"strings"
)

// Example returns the text of config.example.yaml: every key with its default. A key without one is a
// setting that a # directly before it switches off; prose has a space after the #.
func Example() string {
	var b strings.Builder
	b.WriteString(`# Configuration of a mesh node: every key with its default.
#
# A key with a # directly before it has no default; the value is an example. Unknown keys are errors. Each
# key can also be given as an environment variable: MESH_ and the key in capitals, with __ between the levels
# (MESH_LOG_LEVEL, MESH_MESH__ZONE), lists in YAML's short form. Flags beat variables, variables this file.
# Check a file with: mesh run --check-config -c FILE
`)
	sections(&b, "\n", func(k Key, indent string) {
		name := k.Path[strings.LastIndex(k.Path, ".")+1:]
		if !k.HasValue() {
			return
		}
		prose(&b, indent, k.Doc)
		for _, m := range table {
			if rest, ok := strings.CutPrefix(m.Path, k.Path+"[]."); ok {
				prose(&b, indent, rest+": "+m.Doc)
			}
		}
		if d := k.Default(); d != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, d)
			return
		}
		text := name + ": " + k.Example
		if strings.HasPrefix(k.Example, "\n") {
			text = name + ":" + k.Example
		}
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(&b, "%s#%s\n", indent, line)
		}
	})
	return b.String()
}

// prose writes a comment in lines of bounded length.
func prose(b *strings.Builder, indent, text string) {
	const width = 100
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent+"#" {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// Reference returns the table of keys in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, k := range table {
		def := "-"
		if d := k.Default(); d != "" {
			def = "`" + d + "`"
		}
		typ := k.Type()
		if typ == "" {
			typ = "of an entry"
		}
		doc, path := k.Doc, k.Path
		if parent, member, ok := strings.Cut(path, "[]."); ok {
			if list, _ := lookup(parent); list.typ == singleResource.typ {
				path = join(parent, member)
			}
		}
		if k.Reload {
			doc += " Takes effect on SIGHUP."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, typ, def, strings.ReplaceAll(doc, "|", `\|`))
	}
	return b.String()
}
