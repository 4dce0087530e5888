package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Direction says which way the objects of an entry go.
type Direction string

// The directions.
const (
	Both      Direction = "both"
	Publish   Direction = "publish"   // out of this zone
	Subscribe Direction = "subscribe" // into this zone
)

// DefaultStrategy is the one merge strategy there is.
const DefaultStrategy = "default"

// Resource is one replicated kind.
type Resource struct {
	Group, Version, Kind string
	Plural               string   // the name in addresses; empty: to be asked of the API server
	Namespaces           []string // none: all, and objects without one
	Selector             string   // a label selector of Kubernetes; empty: all
	Direction            Direction
	Strategy             string
	Status               bool     // the status section goes along
	Ignore               []string // JSON pointers with *, as internal/object reads them
	Recreate             bool     // delete and make again where a field cannot change
	IncludeControlled    bool     // objects that a controller made too
	CreateNamespaces     bool     // make missing namespaces
	// Problem says in one sentence why this entry is not replicated; empty if it is. It is no reason for the
	// node not to start: the other entries work.
	Problem string
}

// String names the kind as commands do: Deployment.apps.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Kind
	}
	return r.Kind + "." + r.Group
}

// covers reports whether the entry is about the object.
func (r Resource) covers(k mesh.ObjectKey) bool {
	return r.Group == k.Group && r.Kind == k.Kind &&
		(len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, k.Namespace))
}

var directions = []string{string(Both), string(Publish), string(Subscribe)}

var resourceList = codec{
	typ: "list", list: true,
	read: func(r *reader, n *yaml.Node, path string) bool {
		var out []Resource
		ok := r.each(n, path, maxResources, func(n *yaml.Node, path string) bool {
			r.mark(n, path)
			res, ok := r.resource(n, path, "plural", "namespaces", "selector", "direction", "status", "ignore", "recreate",
				"include_controlled", "create_namespaces")
			out = append(out, res)
			return ok
		})
		r.cfg.Mesh.Resources = out // with what is wrong in it, for checkResources to find what else is
		return ok
	},
	show: func(c *Config) []string {
		list := c.Mesh.Resources
		if c.Mesh.single != nil {
			list = list[:len(list)-1]
		}
		var out []string
		for _, e := range list {
			out = append(out, e.show(e.particular()))
		}
		return out
	},
}

var singleResource = codec{
	typ: "entry", list: true,
	read: func(r *reader, n *yaml.Node, path string) bool {
		res, ok := r.resource(n, path, "namespace")
		if ok {
			r.cfg.Mesh.single = &res
		}
		return ok
	},
	show: func(c *Config) []string {
		if c.Mesh.single == nil {
			return nil
		}
		return []string{c.Mesh.single.show("namespace: " + quote(strings.Join(c.Mesh.single.Namespaces, "")))}
	},
}

// particular writes the keys of the list form, those with a default of their own only where they differ.
func (r Resource) particular() string {
	s := "namespaces: [" + quoteAll(r.Namespaces) + "], direction: " + string(r.Direction)
	for _, text := range []struct{ name, value string }{{"plural", r.Plural}, {"selector", r.Selector}} {
		if text.value != "" {
			s += ", " + text.name + ": " + quote(text.value)
		}
	}
	if len(r.Ignore) > 0 {
		s += ", ignore: [" + quoteAll(r.Ignore) + "]"
	}
	for _, choice := range []struct {
		name string
		on   bool
	}{{"status", r.Status}, {"recreate", r.Recreate}, {"include_controlled", r.IncludeControlled}, {"create_namespaces", r.CreateNamespaces}} {
		if choice.on {
			s += ", " + choice.name + ": true"
		}
	}
	return s
}

// show writes the entry with what is particular to its form.
func (r Resource) show(particular string) string {
	return fmt.Sprintf("{group: %s, version: %s, kind: %s, %s, merge_strategy: %s}",
		quote(r.Group), quote(r.Version), quote(r.Kind), particular, quote(r.Strategy))
}

func quoteAll(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return strings.Join(out, ", ")
}

// resource reads an entry of either form; particular are the keys that only this form has.
func (r *reader) resource(n *yaml.Node, path string, particular ...string) (Resource, bool) {
	res := Resource{Direction: Both, Strategy: DefaultStrategy}
	known := append([]string{"group", "version", "kind", "merge_strategy"}, particular...)
	given := map[string]bool{}
	ok := r.mapping(n, path, known, func(name string, v *yaml.Node) (ok bool) {
		at := join(path, name)
		given[name] = true
		switch name {
		case "group":
			res.Group, ok = r.part(v, at, func(s string) error {
				return mesh.ObjectKey{Group: s, Kind: "Any", Name: "any"}.Validate()
			})
		case "kind":
			res.Kind, ok = r.part(v, at, func(s string) error { return mesh.ObjectKey{Kind: s, Name: "any"}.Validate() })
		case "version":
			res.Version, ok = r.part(v, at, checkVersion)
		case "namespace":
			var s string
			if s, ok = r.part(v, at, checkNamespace); s != "" {
				res.Namespaces = []string{s}
			}
		case "namespaces":
			ok = r.each(v, at, maxNamespaces, func(n *yaml.Node, path string) bool {
				s, ok := r.part(n, path, checkNamespace)
				if ok && s == "" {
					return r.fail(n, path, "want a namespace, got nothing")
				}
				if !slices.Contains(res.Namespaces, s) {
					res.Namespaces = append(res.Namespaces, s)
				}
				return ok
			})
		case "plural":
			res.Plural, ok = r.part(v, at, checkPlural)
		case "selector":
			res.Selector, ok = r.part(v, at, checkSelector)
		case "ignore":
			ok = r.each(v, at, maxIgnored, func(n *yaml.Node, path string) bool {
				s, ok := r.part(n, path, checkPointer)
				if ok && !slices.Contains(res.Ignore, s) {
					res.Ignore = append(res.Ignore, s)
				}
				return ok
			})
		case "status":
			res.Status, ok = r.truth(v, at)
		case "recreate":
			res.Recreate, ok = r.truth(v, at)
		case "include_controlled":
			res.IncludeControlled, ok = r.truth(v, at)
		case "create_namespaces":
			res.CreateNamespaces, ok = r.truth(v, at)
		case "direction":
			var s string
			s, ok = r.oneOf(v, at, "both, publish or subscribe", directions)
			res.Direction = Direction(s)
		case "merge_strategy":
			res.Strategy, ok = r.text(v, at)
		}
		return ok
	})
	if n.Kind != yaml.MappingNode {
		return res, false
	}
	for _, name := range []string{"version", "kind"} {
		if !given[name] {
			ok = r.fail(n, path, name+" is missing")
		}
	}
	res.Problem = res.problem()
	return res, ok
}

// part reads a text that a check accepts.
func (r *reader) part(n *yaml.Node, path string, check func(string) error) (string, bool) {
	s, ok := r.text(n, path)
	if !ok {
		return "", false
	}
	if err := check(s); err != nil {
		return "", r.fail(n, path, err.Error())
	}
	return s, true
}

func checkVersion(s string) error {
	if _, err := mesh.ParseZone(s); err != nil { // a DNS label too
		return fmt.Errorf("%q is no API version such as v1 or v1beta1", clip(s))
	}
	return nil
}

func checkNamespace(s string) error {
	if _, err := mesh.ParseZone(s); err != nil && s != "" { // a DNS label too
		return fmt.Errorf("%q is no namespace (a DNS label, 1 to 63 characters)", clip(s))
	}
	return nil
}

func checkPlural(s string) error {
	if _, err := mesh.ParseZone(s); err != nil && s != "" { // a DNS label too
		return fmt.Errorf("%q is no plural such as configmaps (a DNS label, 1 to 63 characters)", clip(s))
	}
	return nil
}

// maxSelector and maxPointer bound, in bytes, what goes with every watch and every object.
const (
	maxSelector = 4096
	maxPointer  = 1024
)

// checkSelector asks the parser of Kubernetes itself: what it takes, the API server takes.
func checkSelector(s string) error {
	if len(s) > maxSelector {
		return fmt.Errorf("%d bytes, at most %d are possible", len(s), maxSelector)
	}
	if _, err := labels.Parse(s); err != nil {
		return fmt.Errorf("no label selector: %s", readable.Text(clip(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "unable to parse requirement: "), "<nil>: "))))
	}
	return nil
}

// named are the parts of an object that say which object it is; ignoring them would change nothing.
var named = []string{"/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"}

// checkPointer wants a JSON pointer (RFC 6901) to something that can be left out.
func checkPointer(s string) error {
	switch rest := strings.NewReplacer("~0", "", "~1", "").Replace(s); {
	case len(s) > maxPointer:
		return fmt.Errorf("%d bytes, at most %d are possible", len(s), maxPointer)
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%q is no JSON pointer such as /spec/replicas", clip(s))
	case strings.Contains(rest, "~"):
		return fmt.Errorf("%q: ~ is followed by 0 or 1 in a JSON pointer: ~0 is ~ and ~1 is /", clip(s))
	case slices.Contains(named, s):
		return fmt.Errorf("%s names the object and cannot be ignored", s)
	}
	return nil
}

func (r Resource) problem() string {
	if r.Strategy != DefaultStrategy {
		return fmt.Sprintf("merge strategy %q is not supported; supported is: %s", clip(r.Strategy), DefaultStrategy)
	}
	return neverKind(r.Group, r.Kind)
}

// checkResources joins both forms and looks for entries that overlap: two rules for one object would make
// what happens to it depend on their order.
func (l *loader) checkResources() {
	m := &l.cfg.Mesh
	paths := make([]string, 0, len(m.Resources)+1)
	for i := range m.Resources {
		paths = append(paths, fmt.Sprintf("mesh.resources[%d]", i))
	}
	if m.single != nil {
		m.Resources = append(slices.Clip(m.Resources), *m.single)
		paths = append(paths, "mesh.resource")
	}
	type place struct{ kind, namespace string }
	first := map[place]int{} // namespace "" is the entry for all of them
	some := map[string]int{} // one entry of the kind
	for i, e := range m.Resources {
		kind := e.String()
		if e.Kind == "" {
			continue
		}
		if e.Problem != "" {
			l.warn(fmt.Sprintf("%s (%s) is not replicated: %s", paths[i], kind, e.Problem))
		}
		spaces := e.Namespaces
		if len(spaces) == 0 {
			spaces = []string{""}
			if j, taken := some[kind]; taken {
				l.failAt(paths[i], fmt.Sprintf("%s in all namespaces overlaps with %s", kind, paths[j]))
			}
		} else if j, taken := first[place{kind, ""}]; taken {
			l.failAt(paths[i], fmt.Sprintf("%s overlaps with %s, which covers all namespaces", kind, paths[j]))
		}
		for _, ns := range spaces {
			if j, taken := first[place{kind, ns}]; taken && ns != "" {
				l.failAt(paths[i], fmt.Sprintf("%s in namespace %s overlaps with %s", kind, ns, paths[j]))
			}
			first[place{kind, ns}] = i
		}
		some[kind] = i
	}
}
