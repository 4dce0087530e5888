package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/typo"
)

const envPrefix = "MESH_"

// parseEnviron makes a map of NAME=value pairs.
func parseEnviron(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

// environment reads the variables MESH_<KEY>, with __ for each dot of the key. An empty one counts as unset.
// Unknown ones give a single warning and no error: they may be somebody else's.
func (l *loader) environment(env map[string]string) {
	keys := map[string]Key{}
	var names []string
	for _, k := range table {
		if k.HasValue() {
			keys[k.Variable()] = k
			names = append(names, k.Variable())
		}
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		if !strings.HasPrefix(name, envPrefix) || notOurs(name) || value == "" {
			continue
		}
		k, ok := keys[name]
		if !ok {
			unknown = append(unknown, hinted(name, names))
			continue
		}
		l.variable(k, name, value)
	}
	if len(unknown) > 0 {
		l.warn("no key of the configuration has the variable " + strings.Join(unknown, ", "))
	}
}

// notOurs tells the variables that are no keys: two that commands read, and those that Kubernetes injects
// into every pod next to a Service named mesh.
func notOurs(name string) bool {
	return name == "MESH_CONFIG" || name == "MESH_NODE" ||
		strings.HasPrefix(name, "MESH_SERVICE_") || strings.HasPrefix(name, "MESH_PORT")
}

func hinted(name string, known []string) string {
	if s := typo.Closest(name, known); s != "" {
		return fmt.Sprintf("%s (did you mean %s?)", readable.Text(clip(name)), s)
	}
	return readable.Text(clip(name))
}

// variable reads one value: a text as it stands, a list or an entry as YAML.
func (l *loader) variable(k Key, name, value string) {
	r := &reader{loader: l, layer: FromEnvironment, name: name}
	if !k.list {
		r.literal = true
		r.value(k, &yaml.Node{Kind: yaml.ScalarNode, Value: value})
		return
	}
	var doc yaml.Node
	if len(value) > maxFileBytes {
		r.fail(&doc, k.Path, fmt.Sprintf("larger than %d bytes", maxFileBytes))
		return
	}
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil {
		r.fail(&doc, k.Path, "want YAML such as [a, b]; "+syntax(err))
		return
	}
	if len(doc.Content) == 1 && r.tree(&doc, 0) {
		r.value(k, doc.Content[0])
	}
}
