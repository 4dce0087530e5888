// Package object turns manifests into what is replicated and back.
//
// A manifest, YAML or JSON, is decoded into a tree, named by its ObjectKey, cleaned of everything that belongs
// to one cluster only, and written as canonical JSON: that is the payload that is signed, hashed and compared.
//
//	file bytes --Documents--> tree --Parse--> key + payload --ToYAML--> file bytes of a replica
//
// Guarantees, each a fuzz test:
//
//   - one object has one payload: canonical JSON has sorted keys, no spaces, no HTML escapes, integers exactly
//     as they were written, other numbers in the shortest form that keeps their float64;
//   - cleaning twice equals cleaning once;
//   - ToYAML of equal payloads gives equal bytes, and reading them gives the payload again.
//
// Input is hostile: depth, size, aliases and numbers are bounded, a key that stands twice in one mapping is
// refused, and no error text holds any content of a document: it may be a Secret.
//
// YAML is read by the rules of version 1.2 as the yaml package knows them: yes, no, on and off are strings.
// ToYAML quotes them, so that readers of version 1.1 agree.
package object

import (
	"errors"
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// MaxPayload is the largest payload, in bytes: bodies of operations end at 4 MiB, of which key, versions
	// and framing take less than 4 KiB.
	MaxPayload = 4<<20 - 4<<10
	// MaxDepth is how deep mappings and sequences may nest. The schemas of CustomResourceDefinitions, the
	// deepest objects in use, stay below 60.
	MaxDepth = 200
	// maxDocument is the largest text of one document, in bytes. YAML needs more room than canonical JSON, for
	// indentation above all; a parsed document takes a multiple of its text in memory.
	maxDocument = 2 * MaxPayload
	// maxInteger is the longest integer literal. Kubernetes knows 64 bits; this leaves room for quantities
	// written without quotes and stops literals made to be slow.
	maxInteger = 64
)

// ErrTooLarge is returned for objects whose payload would pass MaxPayload.
var ErrTooLarge = errors.New("object is larger than 4 MiB")

// LineError is a problem at a line of a file. Lines count from 1.
type LineError struct {
	Line int
	Text string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Object is a manifest ready to be published or compared.
type Object struct {
	Key mesh.ObjectKey
	// Payload is the cleaned object as canonical JSON. Its hash is the content hash.
	Payload []byte
	// Labelled is the zone that the bookkeeping labels of the manifest named, or empty.
	Labelled mesh.Zone
	// Excluded says why the object is never published or applied; empty: it may be.
	Excluded string
}

// Content is the hash by which payloads are compared.
func (o Object) Content() mesh.Hash { return mesh.Sum(o.Payload) }

// Options say how a tree becomes an object.
type Options struct {
	// Namespace is given to namespaced objects that name none. Empty: such objects stay without.
	Namespace string
	// Status keeps the status section, which is dropped otherwise.
	Status bool
	// Ignore holds paths to drop, as JSON pointers: /spec/replicas, /metadata/annotations/example.org~1x.
	// A * stands for every key or element.
	Ignore []string
}

// Parse names, cleans and encodes a decoded document. The tree is consumed: it must not be used afterwards.
// Errors: ErrTooLarge, or one sentence on what makes it no object.
func Parse(tree any, opt Options) (Object, error) {
	o, root, err := Clean(tree, opt)
	if err != nil {
		return Object{}, err
	}
	if o.Payload, err = Canonical(root); err != nil {
		return Object{Key: o.Key}, err
	}
	return o, nil
}

// Clean does what Parse does but for the encoding: it returns the object without payload, and its tree, cleaned in
// place.
func Clean(tree any, opt Options) (Object, map[string]any, error) {
	root, ok := tree.(map[string]any)
	if !ok {
		return Object{}, nil, errors.New("document is not a mapping")
	}
	key, err := keyOf(root, opt.Namespace)
	if err != nil {
		return Object{}, nil, err
	}
	o := Object{Key: key, Labelled: labelled(root)}
	o.Excluded, _ = excluded(key, root)
	clean(root, key, opt)
	return o, root, nil
}

// ParseJSON reads one object from JSON, such as a payload that another zone signed.
func ParseJSON(b []byte, opt Options) (Object, error) {
	tree, err := DecodeJSON(b)
	if err != nil {
		return Object{}, err
	}
	return Parse(tree, opt)
}
