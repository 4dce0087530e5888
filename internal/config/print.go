package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Print writes every value as YAML, each with a comment that says where it comes from. The private key is
// named, not shown. What it writes can be loaded again.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# private key: %s, from %s\n", c.Key, c.Key.Origin)
	sections(&b, "", func(k Key, indent string) {
		if k.Ignored || !k.HasValue() {
			return
		}
		name, from := k.Path[strings.LastIndex(k.Path, ".")+1:], c.origins[k.Path]
		values := k.show(c)
		switch {
		case len(values) == 0:
			fmt.Fprintf(&b, "%s%s:  # from %s\n", indent, name, from)
		case !k.list || k.Path == "mesh.resource":
			fmt.Fprintf(&b, "%s%s: %s  # from %s\n", indent, name, values[0], from)
		default:
			fmt.Fprintf(&b, "%s%s:  # from %s\n", indent, name, from)
			for _, v := range values {
				fmt.Fprintf(&b, "%s  - %s\n", indent, v)
			}
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// sections visits the table in order and writes the name of each section before its first key, and gap before
// each key, or before the names if there are any.
func sections(b *strings.Builder, gap string, visit func(k Key, indent string)) {
	var open []string
	for _, k := range table {
		names := strings.Split(k.Path, ".")
		if i := slices.IndexFunc(names, func(n string) bool { return strings.Contains(n, "[]") }); i >= 0 {
			names = names[:i+1] // a key of an entry stands with its list
		}
		names = names[:len(names)-1]
		if k.HasValue() {
			b.WriteString(gap)
		}
		for i, n := range names {
			if i >= len(open) || open[i] != n {
				fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", i), n)
				open = append(slices.Clip(open[:i]), n)
			}
		}
		open = names
		visit(k, strings.Repeat("  ", len(names)))
	}
}

// quote writes a text as a YAML scalar, plain where YAML reads it as the same text.
func quote(s string) string {
	if s != "" && strings.Trim(s, plainRunes) == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, ":") {
		var n yaml.Node
		if yaml.Unmarshal([]byte(s), &n) == nil && len(n.Content) == 1 && n.Content[0].ShortTag() == "!!str" && n.Content[0].Value == s {
			return s
		}
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainRunes mean nothing special to YAML, also within [ ] and { }.
const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:"
