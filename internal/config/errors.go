package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong.
type Problem struct {
	Origin     Origin
	Line       int    // from 1; 0 if the value stands in no file
	Column     int    // from 1, in characters
	Path       string // the key or entry, such as nodes[0].public_key; empty for the file as a whole
	Text       string // one sentence without the path
	Suggestion string // what was probably meant, or empty
	SourceLine string // the line as it stands in the file, with secrets masked
	Width      int    // of what is wrong in it, in characters
}

// Message returns path, text and suggestion in one line.
func (p Problem) Message() string {
	s := p.Text
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Suggestion != "" {
		s += fmt.Sprintf("; did you mean %q?", p.Suggestion)
	}
	return s
}

// place is where the problem is, for the start of its line.
func (p Problem) place(file string) string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
	case p.Origin.Layer == FromDefault:
		return cmp.Or(file, "configuration")
	default:
		return p.Origin.Name
	}
}

// Error is a configuration that is refused, with everything that is wrong with it, in the order of the file,
// then environment and flags.
type Error struct {
	File     string // empty if there was none
	Problems []Problem
	More     int // how many were found beyond those
}

// Bounds of what is gathered and printed. Who has more problems gave a file that is no configuration.
const (
	maxProblems = 100
	maxShown    = 20
)

// Error returns Title and Details.
func (e *Error) Error() string { return e.Title() + "\n" + strings.TrimSuffix(e.Details(), "\n") }

// Title says in one line that something is wrong: "config.yaml has 2 problems".
func (e *Error) Title() string {
	what := cmp.Or(e.File, "the configuration")
	if !slices.ContainsFunc(e.Problems, func(p Problem) bool { return p.Line > 0 }) {
		what = "the configuration"
	}
	n := len(e.Problems) + e.More
	if n == 1 {
		return what + " has 1 problem"
	}
	return fmt.Sprintf("%s has %d problems", what, n)
}

// Details lists the problems, indented by two spaces, each with the line it is about and a marker.
func (e *Error) Details() string {
	shown := e.Problems[:min(len(e.Problems), maxShown)]
	wide := 0
	for _, p := range shown {
		wide = max(wide, utf8.RuneCountInString(p.place(e.File)))
	}
	var b strings.Builder
	for _, p := range shown {
		fmt.Fprintf(&b, "  %-*s %s\n", wide, p.place(e.File), p.Message())
		if p.Line > 0 && p.SourceLine != "" {
			p.excerpt(&b)
		}
	}
	if more := len(e.Problems) - len(shown) + e.More; more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}

// excerpt prints the line and the marker below it. Of a long line only the surroundings are shown.
func (p Problem) excerpt(b *strings.Builder) {
	const window = 100
	line, column := []rune(p.SourceLine), p.Column
	if column > len(line) {
		column = len(line)
	}
	column = max(column, 1)
	if len(line) > window {
		from := max(0, min(column-1-window/4, len(line)-window))
		line, column = line[from:from+window], column-from
	}
	mark := "^" + strings.Repeat("~", max(0, min(p.Width, len(line)-column+1)-1))
	fmt.Fprintf(b, "  %4d | %s\n", p.Line, strings.TrimRightFunc(string(line), unicode.IsSpace))
	fmt.Fprintf(b, "  %4s | %s%s\n", "", strings.Repeat(" ", column-1), mark)
}

// report adds a problem. What is quoted in it is masked like the line itself.
func (l *loader) report(m mark, path, text, suggestion string) {
	if l.full() {
		l.more++
		return
	}
	l.problems = append(l.problems, Problem{
		Origin: m.origin, Line: m.line, Column: m.column, Path: path, Text: mask(text), Suggestion: mask(suggestion),
		SourceLine: m.source, Width: m.width(),
	})
}

// full reports whether no more problems are gathered.
func (l *loader) full() bool { return len(l.problems) >= maxProblems }

// failAt reports a problem with a value that was read before.
func (l *loader) failAt(path, text string) { l.report(l.cfg.marks[path], path, text, "") }

// reported tells whether a key has a problem already.
func (l *loader) reported(path string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Path == path })
}

// err returns all problems as an *Error, or nil.
func (l *loader) err() error {
	if len(l.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		if a.Line == 0 || b.Line == 0 { // those of the file come first
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{File: l.cfg.File, Problems: l.problems, More: l.more}
}

// splitLines splits at every line break that YAML knows, so that numbers agree with the parser's. What a
// terminal would not print is replaced and secrets are masked, character for character.
func splitLines(data []byte) []string {
	text := strings.TrimPrefix(strings.ToValidUTF8(string(data), "\uFFFD"), "\uFEFF")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = mask(strings.Map(func(r rune) rune {
			switch {
			case r == '\t':
				return ' '
			case !unicode.IsPrint(r):
				return '\uFFFD'
			}
			return r
		}, l))
	}
	return lines
}

// mask hides what may be a private key in a line: somebody pasted it into the wrong place. Public keys look
// the same; they are recognised by the key before them.
func mask(line string) string {
	if strings.Contains(line, "public_key") {
		return line
	}
	const short = 40 // no word, but every key in hex or base64
	out := []rune(line)
	for i := 0; i < len(out); {
		n := 0
		for i+n < len(out) && isBase64(out[i+n]) {
			n++
		}
		if word := string(out[i : i+n]); n >= short && strings.ContainsAny(word, "0123456789") && !strings.HasPrefix(word, "/") {
			for j := range n {
				out[i+j] = '*'
			}
		}
		i += max(n, 1)
	}
	return string(out)
}

func isBase64(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '='
}
