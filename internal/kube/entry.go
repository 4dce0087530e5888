package kube

import (
	"fmt"
	"slices"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
)

// Entry is one replicated kind. Entries of one kind share no namespace.
type Entry struct {
	Group, Version, Kind string
	Plural               string   // empty: found by discovery
	Namespaces           []string // none: all, and objects without one
	Selector             string   // label selector for what is published; empty: everything
	Publish, Apply       bool     // out of this zone, into it
	Status               bool     // replicate the status section too
	Ignore               []string // JSON pointers to what is neither published, written nor compared
	Recreate             bool     // delete and create anew what may not be changed in place
	IncludeControlled    bool     // publish what a controller made, too
	CreateNamespaces     bool     // create the namespace of a replica where it is missing
}

// entry is an Entry at work.
type entry struct {
	Entry
	gv       schema.GroupVersion
	selector labels.Selector
	opt      object.Options

	synced  atomic.Int32 // sources that list and watch: the index tells what exists when all do
	away    atomic.Bool  // the API server doesn't answer a source
	sources []*source
}

func newEntry(e Entry) (*entry, error) {
	sel, err := labels.Parse(e.Selector)
	if err != nil {
		return nil, fmt.Errorf("kube: selector of %s: %w", e.Kind, err)
	}
	if e.Kind == "" || e.Version == "" {
		return nil, fmt.Errorf("kube: an entry without kind or version")
	}
	x := &entry{
		Entry: e, gv: schema.GroupVersion{Group: e.Group, Version: e.Version}, selector: sel,
		opt: object.Options{Status: e.Status, Ignore: e.Ignore},
	}
	x.sources = sourcesOf(x)
	return x, nil
}

// String names the kind as people do: Deployment.apps.
func (e *entry) String() string {
	if e.Group == "" {
		return e.Kind
	}
	return e.Kind + "." + e.Group
}

func (e *entry) covers(k mesh.ObjectKey) bool {
	return e.Group == k.Group && e.Kind == k.Kind && (len(e.Namespaces) == 0 || slices.Contains(e.Namespaces, k.Namespace))
}

// known reports whether the index holds whatever exists of this entry.
func (e *entry) known() bool { return int(e.synced.Load()) == len(e.sources) }

// source is one list and watch of an entry.
type source struct {
	entry     *entry
	namespace string // empty: all
	selector  string
	bit       uint8 // marks in the index what this source shows

	again chan struct{} // capacity 1: list anew. Never closed

	// Of the goroutine that follows it.
	live    bool   // listed, and watched since
	highest uint64 // version seen
}

func newSource(e *entry, namespace, selector string, bit uint8) *source {
	return &source{entry: e, namespace: namespace, selector: selector, bit: bit, again: make(chan struct{}, 1)}
}

// relist has everything listed anew soon.
func (s *source) relist() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// relist has everything listed anew that the sources which show an object show.
func (e *entry) relist(k mesh.ObjectKey) {
	for _, s := range e.sources {
		if s.shows(k) {
			s.relist()
		}
	}
}

// What sources of one entry show.
const (
	fromMatching uint8 = 1 << iota // what the selector matches, or everything without one
	fromReplicas                   // replicas, which the selector may not match
)

// sourcesOf lists them. With a selector the replicas are watched by their label.
func sourcesOf(e *entry) []*source {
	spaces := e.Namespaces
	if len(spaces) == 0 {
		spaces = []string{""}
	}
	var out []*source
	for _, ns := range spaces {
		out = append(out, newSource(e, ns, e.Selector, fromMatching))
		if e.Selector != "" && e.Apply {
			out = append(out, newSource(e, ns, object.LabelZone, fromReplicas))
		}
	}
	return out
}

// shows reports whether an object lies in the namespaces of the source.
func (s *source) shows(k mesh.ObjectKey) bool {
	return s.entry.covers(k) && (s.namespace == "" || s.namespace == k.Namespace)
}
