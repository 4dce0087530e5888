package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// A tree is made of nil, bool, string, json.Number in canonical form, []any and map[string]any.

// DecodeJSON reads exactly one JSON value into a tree.
func DecodeJSON(b []byte) (any, error) {
	if len(b) > maxDocument {
		return nil, ErrTooLarge
	}
	d, err := newJSONDecoder(b)
	if err != nil {
		return nil, err
	}
	v, err := d.value(0)
	if err != nil {
		return nil, d.explain(err)
	}
	if _, err := d.in.Token(); err != io.EOF {
		return nil, d.explain(errors.New("more than one value"))
	}
	return v, nil
}

// FromValues turns values as JSON libraries decode them (int64 and float64 for numbers) into a tree, in place:
// mappings and sequences are those given. It refuses what is nested too deeply and what is no JSON.
func FromValues(v any) (any, error) { return fromValues(v, 0) }

func fromValues(v any, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	var err error
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case float64:
		return float(v)
	case json.Number:
		return number(v.String())
	case []any:
		for i, e := range v {
			if v[i], err = fromValues(e, depth+1); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		for k, e := range v {
			if v[k], err = fromValues(e, depth+1); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return nil, fmt.Errorf("a value of type %T is no JSON", v)
}

// jsonDecoder reads token by token: encoding/json itself lets the last of two equal keys win.
type jsonDecoder struct {
	src []byte
	in  *json.Decoder
}

func newJSONDecoder(b []byte) (*jsonDecoder, error) {
	if !utf8.Valid(b) {
		return nil, &LineError{1, "text is not UTF-8"}
	}
	d := &jsonDecoder{src: b, in: json.NewDecoder(bytes.NewReader(b))}
	d.in.UseNumber()
	return d, nil
}

func (d *jsonDecoder) value(depth int) (any, error) {
	t, err := d.in.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= MaxDepth {
			return nil, errDepth
		}
		if t == '[' {
			return d.array(depth)
		}
		return d.object(depth)
	case json.Number:
		return number(t.String())
	default:
		return t, nil // string, bool, nil
	}
}

func (d *jsonDecoder) array(depth int) (any, error) {
	list := []any{}
	for d.in.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.in.Token()
	return list, err
}

func (d *jsonDecoder) object(depth int) (any, error) {
	m := map[string]any{}
	for d.in.More() {
		t, err := d.in.Token()
		if err != nil {
			return nil, err
		}
		k, ok := t.(string)
		if !ok {
			return nil, errors.New("key is not a string")
		}
		if _, twice := m[k]; twice {
			return nil, errTwice
		}
		if m[k], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := d.in.Token()
	return m, err
}

var (
	errDepth = errors.New("nested too deeply")
	errTwice = errors.New("a key stands twice in one mapping")
)

// explain adds the line at which reading stopped. The decoder's own texts quote at most one character of the
// input, which is dropped too.
func (d *jsonDecoder) explain(err error) error {
	at := int(d.in.InputOffset())
	var syntax *json.SyntaxError
	text := err.Error()
	if errors.As(err, &syntax) {
		at, text = max(at, int(syntax.Offset)), "not valid JSON"
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, text = len(d.src), "the text ends in the middle of a value"
	}
	at = min(max(at, 0), len(d.src))
	return &LineError{1 + bytes.Count(d.src[:at], []byte{'\n'}), text}
}
