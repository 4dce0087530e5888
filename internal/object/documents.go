package object

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxDocuments is how many documents one file may hold: every object of a large cluster dumped into one file.
const MaxDocuments = 100_000

// Document is one document of a file.
type Document struct {
	Start, End int // its bytes in the file, with the separator before it
	Line       int // of its first byte
	Tree       any
}

// Documents reads all documents of a file, in order; those without content are left out. A file is read as a
// whole or not at all. Errors are a *LineError, or wrap ErrTooLarge.
func Documents(file []byte, isJSON bool) ([]Document, error) {
	if isJSON {
		return jsonDocuments(file)
	}
	var docs []Document
	for start, line := 0, 1; start < len(file); {
		end := start + nextSeparator(file[start:])
		text := file[start:end]
		if !onlyDirectives(text) {
			tree, err := DecodeYAML(text, line)
			if errors.Is(err, ErrTooLarge) {
				return nil, fmt.Errorf("document at line %d: %w", line, err)
			} else if err != nil {
				return nil, err
			}
			if tree != nil {
				docs = append(docs, Document{Start: start, End: end, Line: firstContent(text, line), Tree: tree})
			}
			if len(docs) > MaxDocuments {
				return nil, &LineError{line, "too many documents"}
			}
		}
		line += bytes.Count(text, []byte{'\n'})
		start = end
	}
	return docs, nil
}

// nextSeparator returns where the document after the one at the start of b begins. A line of --- ends a
// document wherever it stands: YAML forbids it at the start of a line within any scalar.
func nextSeparator(b []byte) int {
	for at := 0; ; {
		nl := bytes.IndexByte(b[at:], '\n')
		if nl < 0 {
			return len(b)
		}
		at += nl + 1
		if rest := b[at:]; bytes.HasPrefix(rest, []byte("---")) && (len(rest) == 3 || isSpace(rest[3])) {
			return at
		}
	}
}

// whitespace is what YAML and JSON mean by it; Unicode has more, which is text to them.
const whitespace = " \t\r\n"

func isSpace(c byte) bool { return strings.IndexByte(whitespace, c) >= 0 }

// onlyDirectives reports whether a text holds nothing but lines like %YAML 1.2, which stand before a ---.
func onlyDirectives(text []byte) bool {
	found := false
	for l := range bytes.Lines(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) {
		l = bytes.TrimSpace(l)
		switch {
		case len(l) > 0 && l[0] == '%':
			found = true
		case len(l) > 0 && l[0] != '#':
			return false
		}
	}
	return found
}

// firstContent is the line of the first thing in text that is neither separator, comment nor empty.
func firstContent(text []byte, line int) int {
	for l := range bytes.Lines(text) {
		l = bytes.TrimRight(l, whitespace)
		t := bytes.TrimLeft(l, whitespace)
		if len(t) > 0 && t[0] != '#' && !bytes.Equal(l, []byte("---")) { // which is text when it is indented
			return line
		}
		line++
	}
	return line
}

func jsonDocuments(file []byte) ([]Document, error) {
	d, err := newJSONDecoder(file)
	if err != nil {
		return nil, err
	}
	var docs []Document
	for start, line := 0, 1; len(bytes.TrimSpace(file[start:])) > 0; {
		tree, err := d.value(0)
		if err != nil {
			return nil, d.explain(err)
		}
		end := int(d.in.InputOffset())
		text := file[start:end]
		if len(text) > maxDocument {
			return nil, fmt.Errorf("document at line %d: %w", line, ErrTooLarge)
		}
		if tree != nil {
			docs = append(docs, Document{Start: start, End: end, Line: firstContent(text, line), Tree: tree})
		}
		if len(docs) > MaxDocuments {
			return nil, &LineError{line, "too many documents"}
		}
		line += bytes.Count(text, []byte{'\n'})
		start = end
	}
	return docs, nil
}
