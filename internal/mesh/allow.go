package mesh

import (
	"fmt"
	"slices"
	"strings"
)

// Allow names the objects that may flow between two zones. It is not changed after it was made.
type Allow struct {
	// Kinds are those that may; nil: every kind, empty: none.
	Kinds []Kind
	// Namespaces are those that may; nil: all, and objects without one. A list leaves objects without a namespace out.
	Namespaces []string
}

// Kind names a kind with its group, which is empty for the core group.
type Kind struct{ Group, Name string }

// ParseKind reads a kind as commands write it: ConfigMap, or Deployment.apps with its group.
func ParseKind(s string) (Kind, error) {
	name, group, dotted := strings.Cut(s, ".")
	if err := (ObjectKey{Group: group, Kind: name, Name: "any"}).Validate(); err != nil {
		return Kind{}, err
	}
	if dotted && group == "" {
		return Kind{}, fmt.Errorf("object group %q: not a DNS subdomain", group)
	}
	return Kind{Group: group, Name: name}, nil
}

// String is the form that ParseKind reads.
func (k Kind) String() string {
	if k.Group == "" {
		return k.Name
	}
	return k.Name + "." + k.Group
}

// Allows reports whether an object may flow. Nil allows every object.
func (a *Allow) Allows(k ObjectKey) bool {
	return a == nil ||
		(a.Kinds == nil || slices.Contains(a.Kinds, Kind{k.Group, k.Kind})) &&
			(a.Namespaces == nil || slices.Contains(a.Namespaces, k.Namespace))
}

// Equal reports whether both allow the same objects by the same words.
func (a *Allow) Equal(b *Allow) bool {
	if a == nil || b == nil {
		return a == b
	}
	same := func(x, y bool) bool { return x == y }
	return same(a.Kinds == nil, b.Kinds == nil) && slices.Equal(a.Kinds, b.Kinds) &&
		same(a.Namespaces == nil, b.Namespaces == nil) && slices.Equal(a.Namespaces, b.Namespaces)
}
