package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// differingFields names the fields in which two JSON documents differ, by path and in order, at most limit.
// Values are never part of it. Of documents that cannot be read, the whole differs.
func differingFields(a, b []byte, limit int) []string {
	out := []string{}
	if bytes.Equal(a, b) {
		return out
	}
	x, errA := decodeJSON(a)
	y, errB := decodeJSON(b)
	if errA != nil || errB != nil {
		return []string{"."}
	}
	compareFields(x, y, "", func(path string) bool {
		if len(out) < limit {
			out = append(out, path)
		}
		return len(out) < limit
	})
	return out
}

func decodeJSON(b []byte) (any, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err
}

// compareFields calls found for each difference until it returns false.
func compareFields(a, b any, path string, found func(string) bool) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return found(path)
		}
		all := maps.Clone(x)
		maps.Copy(all, y)
		for _, k := range slices.Sorted(maps.Keys(all)) {
			va, inA := x[k]
			vb, inB := y[k]
			at := fieldPath(path, k)
			switch {
			case inA != inB:
				if !found(at) {
					return false
				}
			case !compareFields(va, vb, at, found):
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return found(path)
		}
		for i := range x {
			if !compareFields(x[i], y[i], path+"["+strconv.Itoa(i)+"]", found) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case map[string]any, []any: // not comparable, and a is neither
		return found(path)
	}
	return a == b || found(path)
}

// fieldPath joins a name to a path; one with a dot in it stands in brackets.
func fieldPath(path, name string) string {
	for _, c := range name {
		if c == '.' || c == '[' {
			return path + "[" + strconv.Quote(name) + "]"
		}
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
