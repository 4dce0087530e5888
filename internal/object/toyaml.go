package object

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ToYAML writes a payload as a manifest: sorted keys, two spaces of indentation, texts of several lines as
// blocks. Equal arguments give equal bytes, and reading them back gives the payload. book, unless nil, is
// added as labels; cleaning removes them again.
func ToYAML(payload []byte, book *Bookkeeping) ([]byte, error) {
	tree, err := DecodeJSON(payload)
	if err != nil {
		return nil, err
	}
	root, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("payload is not a mapping")
	}
	if book != nil {
		book.label(root)
	}
	if len(root) == 0 {
		return []byte("{}\n"), nil
	}
	return appendMapping(nil, root, 0, false), nil
}

// maxSimpleKey is the longest key written as "key: value". YAML ends simple keys at 1,024 characters; an
// escape takes up to six for one byte.
const maxSimpleKey = 160

// appendMapping writes the entries of a mapping that is not empty. inline: the first one follows "- " on a
// line that is indented already.
func appendMapping(b []byte, m map[string]any, indent int, inline bool) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !inline {
			b = appendIndent(b, indent)
		}
		inline = false
		if len(k) > maxSimpleKey {
			b = append(appendScalar(append(b, "? "...), k), '\n')
			b = appendIndent(b, indent)
		} else {
			b = appendScalar(b, k)
		}
		b = append(b, ':')
		b = appendUnder(b, m[k], indent)
	}
	return b
}

// appendUnder writes a value after "key:" or "-", up to and including the end of its last line.
func appendUnder(b []byte, v any, indent int) []byte {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return append(b, " {}\n"...)
		}
		return appendMapping(append(b, '\n'), v, indent+1, false)
	case []any:
		if len(v) == 0 {
			return append(b, " []\n"...)
		}
		return appendSequence(append(b, '\n'), v, indent)
	case string:
		if isBlock(v) {
			return appendBlock(b, v, indent+1)
		}
		return append(appendScalar(append(b, ' '), v), '\n')
	case json.Number:
		return append(append(append(b, ' '), yamlNumber(v)...), '\n')
	case bool:
		return append(strconv.AppendBool(append(b, ' '), v), '\n')
	}
	return append(b, " null\n"...)
}

func appendSequence(b []byte, list []any, indent int) []byte {
	for _, v := range list {
		b = append(appendIndent(b, indent), '-')
		switch e := v.(type) {
		case map[string]any:
			if len(e) > 0 {
				b = appendMapping(append(b, ' '), e, indent+1, true)
				continue
			}
		case []any:
			if len(e) > 0 {
				b = appendSequence(append(b, '\n'), e, indent+1)
				continue
			}
		}
		b = appendUnder(b, v, indent)
	}
	return b
}

func appendIndent(b []byte, n int) []byte {
	for range n {
		b = append(b, "  "...)
	}
	return b
}

// yamlNumber gives exponents the point that YAML 1.1 readers need to see a number in them.
func yamlNumber(n json.Number) string {
	s := string(n)
	if at := strings.IndexByte(s, 'e'); at > 0 && !strings.Contains(s, ".") {
		return s[:at] + ".0" + s[at:]
	}
	return s
}

var (
	plain    = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)
	reserved = map[string]bool{"true": true, "false": true, "null": true, "yes": true, "no": true, "on": true,
		"off": true, "y": true, "n": true}
)

// appendScalar writes text without quotes where no reader can take it for anything else.
func appendScalar(b []byte, s string) []byte {
	if len(s) <= maxSimpleKey && plain.MatchString(s) && !reserved[strings.ToLower(s)] {
		return append(b, s...)
	}
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			b = append(b, '\\', 'x', "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		case !printable(r):
			b = append(b, '\\', 'u')
			for shift := 12; shift >= 0; shift -= 4 {
				b = append(b, "0123456789abcdef"[r>>shift&15])
			}
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// printable is the YAML rule, without the two line separators and the byte order mark, which readers treat
// differently. Everything that is not printable lies below 0x10000.
func printable(r rune) bool {
	switch {
	case r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff:
		return false
	case r >= 0x7f && r < 0xa0:
		return false
	}
	return r >= 0x20
}

// isBlock reports whether text can stand as a literal block: several lines, the first one starting with
// something visible, and nothing in it that needs an escape.
func isBlock(s string) bool {
	if !strings.Contains(strings.TrimRight(s, "\n"), "\n") && !strings.HasSuffix(s, "\n") {
		return false
	}
	if s[0] == ' ' || s[0] == '\n' {
		return false
	}
	for _, r := range s {
		if r != '\n' && !printable(r) {
			return false
		}
	}
	return true
}

func appendBlock(b []byte, s string, indent int) []byte {
	b = append(b, " |"...)
	body := strings.TrimRight(s, "\n")
	switch ends := len(s) - len(body); {
	case ends == 0:
		b = append(b, '-')
	case ends > 1:
		b = append(b, '+')
	}
	b = append(b, '\n')
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			b = append(appendIndent(b, indent), line...)
		}
		b = append(b, '\n')
	}
	for range max(len(s)-len(body)-1, 0) {
		b = append(b, '\n')
	}
	return b
}
