package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unique"

	"dcp.hiro.io/mesh/internal/object"
)

// A replica is changed by a JSON patch (RFC 6902): it replaces whole sections, so that what others added to them
// goes too, and leaves of metadata all but the labels and annotations of mesh alone. That it is based on the newest
// state is made sure by the resourceVersion, which the API server compares.

type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitzero"`
}

// wanted is what a replica, or an object of ours that was adopted, is to look like.
type wanted struct {
	version  string         // of the API, as the claim states it
	sections map[string]any // by name, without status
	status   any            // nil: none, or not replicated
	labels   map[string]any // ours
	notes    map[string]any
	owned    unique.Handle[string]
}

// patch builds the operations that turn a live object of a shape, with the keys that mesh owns on it, into what is
// wanted.
func (w *wanted) patch(resourceVersion string, shape, owned unique.Handle[string]) ([]byte, error) {
	ops := []patchOp{{"replace", "/metadata/resourceVersion", resourceVersion}}
	has := map[string]bool{}
	for _, s := range spread(shape) {
		has[s] = true
	}
	for _, s := range slices.Sorted(maps.Keys(w.sections)) {
		ops = append(ops, patchOp{"add", "/" + escape(s), notNull{w.sections[s]}})
	}
	for _, s := range slices.Sorted(maps.Keys(has)) {
		if _, wanted := w.sections[s]; !wanted && s != shapeLabels && s != shapeNotes {
			ops = append(ops, patchOp{Op: "remove", Path: "/" + escape(s)})
		}
	}
	ops = append(ops, keyOps("/metadata/labels", ownedLabel, w.labels, has[shapeLabels], owned)...)
	ops = append(ops, keyOps("/metadata/annotations", ownedAnnotation, w.notes, has[shapeNotes], owned)...)
	return json.Marshal(ops)
}

// notNull keeps a value that is null in the patch.
type notNull struct{ v any }

func (n notNull) MarshalJSON() ([]byte, error) { return json.Marshal(n.v) }

// keyOps sets the keys that are wanted in one mapping of metadata and removes those that mesh owned before.
func keyOps(path, prefix string, want map[string]any, there bool, owned unique.Handle[string]) []patchOp {
	if !there {
		if len(want) == 0 {
			return nil
		}
		return []patchOp{{"add", path, want}}
	}
	var ops []patchOp
	for _, k := range slices.Sorted(maps.Keys(want)) {
		ops = append(ops, patchOp{"add", path + "/" + escape(k), want[k]})
	}
	for _, name := range spread(owned) {
		k, is := strings.CutPrefix(name, prefix)
		if _, wanted := want[k]; is && !wanted {
			ops = append(ops, patchOp{Op: "remove", Path: path + "/" + escape(k)})
		}
	}
	return ops
}

// escape writes a key as a part of a JSON pointer (RFC 6901).
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// bookkeep sets the labels that tell whose copy an object is.
func (w *wanted) bookkeep(b object.Bookkeeping) {
	w.labels[object.LabelZone] = string(b.Zone)
	w.labels[object.LabelVersion] = strconv.FormatUint(uint64(b.Version), 10)
	w.labels[object.LabelEpoch] = strconv.FormatUint(uint64(b.Epoch), 10)
}

// dropped lists the paths of what was wanted and isn't in the answer of the API server: fields that it doesn't know.
// Values that say nothing may be left out by any API server.
func dropped(want, got any, path string, out []string) []string {
	if len(out) >= maxDropped {
		return out
	}
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, there := g[k]
			switch {
			case there:
				out = dropped(w[k], v, path+"/"+k, out)
			case !isEmpty(w[k]):
				out = append(out, path+"/"+k)
			}
		}
	case []any:
		g, _ := got.([]any)
		for i := range w {
			if len(g) == len(w) {
				out = dropped(w[i], g[i], path+"/"+strconv.Itoa(i), out)
			}
		}
	}
	return out
}

// maxDropped is how many dropped fields are named.
const maxDropped = 5

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !isEmpty(e) {
				return false
			}
		}
		return true
	}
	return false
}

// restore puts back into what is wanted whatever cleaning took away from the live object: fields that this cluster
// fills in, and those that are to be ignored. clean is the live object without them.
func restore(want, live, clean any) any {
	switch l := live.(type) {
	case map[string]any:
		w, ok := want.(map[string]any)
		if !ok {
			return want
		}
		c, _ := clean.(map[string]any)
		for k, v := range l {
			kept, isKept := c[k]
			mine, isWanted := w[k]
			switch {
			case isWanted:
				w[k] = restore(mine, v, kept)
			case !isKept:
				w[k] = v
			}
		}
	case []any:
		w, _ := want.([]any)
		c, _ := clean.([]any)
		for i := range l {
			if len(w) == len(l) && len(c) == len(l) {
				w[i] = restore(w[i], l[i], c[i])
			}
		}
	}
	return want
}
