package kube

import (
	"encoding/json"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/runtime"

	"dcp.hiro.io/mesh/internal/object"
)

// fieldKeepers are the kinds in whose sections a cluster keeps fields of its own: addresses, volumes, selectors.
var fieldKeepers = map[string]bool{
	"/Namespace": true, "/PersistentVolume": true, "/PersistentVolumeClaim": true, "/Service": true,
	"/ServiceAccount": true, "batch/Job": true,
}

// keepsFields reports whether a change has to look at the live object first.
func (e *entry) keepsFields() bool { return len(e.Ignore) > 0 || fieldKeepers[e.Group+"/"+e.Kind] }

// keeping returns what is wanted with the fields that are the live object's own.
func (w *wanted) keeping(live map[string]any, opt object.Options) (*wanted, error) {
	opt.Status = true
	all, err := object.FromValues(runtimeCopy(live))
	if err != nil {
		return nil, err
	}
	tree, err := object.FromValues(runtimeCopy(live))
	if err != nil {
		return nil, err
	}
	_, clean, err := object.Clean(tree, opt)
	if err != nil {
		return nil, err
	}
	root, _ := all.(map[string]any)
	full := *w
	full.sections = map[string]any{}
	for s, v := range w.sections {
		full.sections[s] = restore(copyTree(v), root[s], clean[s])
	}
	for s, v := range root {
		if _, wanted := w.sections[s]; !wanted && !isHead(s) && clean[s] == nil {
			full.sections[s] = v // a section that is all the cluster's
		}
	}
	return &full, nil
}

// present keeps of the keys that mesh owns those that are there.
func present(owned unique.Handle[string], labels, notes map[string]any) unique.Handle[string] {
	var out []string
	for _, name := range spread(owned) {
		l, isLabel := strings.CutPrefix(name, ownedLabel)
		_, hasLabel := labels[l]
		_, hasNote := notes[strings.TrimPrefix(name, ownedAnnotation)]
		if isLabel && hasLabel || !isLabel && hasNote {
			out = append(out, name)
		}
	}
	return intern(out)
}

// parse reads a live object, which it consumes.
func parse(live map[string]any, opt object.Options) (object.Object, error) {
	tree, err := object.FromValues(live)
	if err != nil {
		return object.Object{}, err
	}
	return object.Parse(tree, opt)
}

// runtimeCopy copies an object as a client decoded it.
func runtimeCopy(live map[string]any) map[string]any { return runtime.DeepCopyJSON(live) }

// copyTree copies the mappings and sequences of a tree.
func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copyTree(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copyTree(e)
		}
		return out
	}
	return v
}

func without(m map[string]any, key string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func encode(ops []patchOp) ([]byte, error) { return json.Marshal(ops) }
