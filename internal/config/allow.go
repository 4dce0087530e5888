package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/mesh"
)

// allow reads which objects may flow between a node and this one. A list that is left out allows all, an empty one
// nothing.
func (r *reader) allow(n *yaml.Node, path string) (*mesh.Allow, bool) {
	var out mesh.Allow
	ok := r.mapping(n, path, []string{"resources", "namespaces"}, func(name string, v *yaml.Node) bool {
		at := join(path, name)
		switch name {
		case "resources":
			out.Kinds = []mesh.Kind{}
			return r.each(v, at, maxResources, func(n *yaml.Node, path string) bool {
				s, ok := r.text(n, path)
				if !ok {
					return false
				}
				k, err := mesh.ParseKind(s)
				if err != nil {
					return r.fail(n, path, fmt.Sprintf("%q is no kind such as ConfigMap or Deployment.apps", clip(s)))
				}
				if !slices.Contains(out.Kinds, k) {
					out.Kinds = append(out.Kinds, k)
				}
				return true
			})
		default:
			out.Namespaces = []string{}
			return r.each(v, at, maxNamespaces, func(n *yaml.Node, path string) bool {
				s, ok := r.part(n, path, checkNamespace)
				if ok && s == "" {
					return r.fail(n, path, "want a namespace, got nothing")
				}
				if ok && !slices.Contains(out.Namespaces, s) {
					out.Namespaces = append(out.Namespaces, s)
				}
				return ok
			})
		}
	})
	return &out, ok
}

// showAllow writes what allow reads.
func showAllow(a *mesh.Allow) string {
	var parts []string
	if a.Kinds != nil {
		kinds := make([]string, len(a.Kinds))
		for i, k := range a.Kinds {
			kinds[i] = k.String()
		}
		parts = append(parts, "resources: ["+quoteAll(kinds)+"]")
	}
	if a.Namespaces != nil {
		parts = append(parts, "namespaces: ["+quoteAll(a.Namespaces)+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
