package config

import (
	"fmt"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Flow says which way an object goes.
type Flow struct {
	Publish, Apply bool
	Reason         string // why not both, in one sentence
}

// Publishes reports whether the configuration lets an object out. Safe for concurrent use.
func (c *Config) Publishes(k mesh.ObjectKey) bool { return c.Flow(k).Publish }

// Applies reports whether the configuration lets an object in, from whatever zone. Safe for concurrent use.
func (c *Config) Applies(k mesh.ObjectKey) bool { return c.Flow(k).Apply }

// Flow decides about an object by its key. Some objects belong to one cluster whatever is configured: they
// are neither published nor applied. Safe for concurrent use.
func (c *Config) Flow(k mesh.ObjectKey) Flow {
	if why := never(k); why != "" {
		return Flow{Reason: why}
	}
	if k.Group == "" && k.Kind == "Namespace" && k.Name == c.own && c.own != "" {
		return Flow{Reason: fmt.Sprintf("mesh runs in namespace %s of every cluster", k.Name)}
	}
	i := slices.IndexFunc(c.Mesh.Resources, func(r Resource) bool { return r.covers(k) })
	named := i >= 0 && slices.Contains(c.Mesh.Resources[i].Namespaces, k.Namespace)
	if strings.HasPrefix(k.Namespace, "kube-") && !named {
		return Flow{Reason: fmt.Sprintf("namespace %s belongs to the cluster; name it under mesh.resources[].namespaces to replicate it", k.Namespace)}
	}
	if k.Namespace == c.own && c.own != "" && !named {
		return Flow{Reason: fmt.Sprintf("namespace %s is mesh's own; name it under mesh.resources[].namespaces to replicate it", k.Namespace)}
	}
	switch {
	case len(c.Mesh.Resources) == 0 && !c.Kubernetes.Connects():
		return Flow{Publish: true, Apply: true}
	case i < 0:
		return Flow{Reason: "no entry of mesh.resources covers it"}
	}
	switch r := c.Mesh.Resources[i]; {
	case r.Problem != "":
		return Flow{Reason: r.Problem}
	case r.Direction == Publish:
		return Flow{Publish: true, Reason: "its entry only publishes"}
	case r.Direction == Subscribe:
		return Flow{Apply: true, Reason: "its entry only subscribes"}
	}
	return Flow{Publish: true, Apply: true}
}

// Choosy says in words what the entry that covers an object asks of it beside its name; empty: nothing, or there is no
// entry. Safe for concurrent use.
func (c *Config) Choosy(k mesh.ObjectKey) string {
	i := slices.IndexFunc(c.Mesh.Resources, func(r Resource) bool { return r.covers(k) })
	if i < 0 {
		return ""
	}
	var asks []string
	if s := c.Mesh.Resources[i].Selector; s != "" {
		asks = append(asks, "labels that match "+s)
	}
	if !c.Mesh.Resources[i].IncludeControlled && c.Kubernetes.Connects() {
		asks = append(asks, "no controller as its owner")
	}
	return strings.Join(asks, ", and ")
}

// SetOwnNamespace tells which namespace mesh runs in, which a pod knows only at run time. Its objects, the
// node's key among them, stay in their cluster unless an entry names the namespace; default counts as nobody's
// own. It must be called before Flow is used by others.
func (c *Config) SetOwnNamespace(namespace string) {
	c.own = namespace
	if namespace == "default" {
		c.own = ""
	}
}

// never returns why an object is never replicated, or nothing.
func never(k mesh.ObjectKey) string {
	switch {
	case k.Group == "" && k.Kind == "ConfigMap" && k.Name == "kube-root-ca.crt":
		return "every cluster has its own kube-root-ca.crt"
	case k.Group == "" && k.Kind == "Secret" && strings.HasPrefix(k.Name, "sh.helm.release.v1."):
		return "Helm keeps its own record of releases in each cluster"
	}
	return neverKind(k.Group, k.Kind)
}

// neverKind lists the kinds that a cluster writes for itself.
func neverKind(group, kind string) string {
	switch group + "/" + kind {
	case "/Pod", "/Node", "/Event", "/Endpoints",
		"events.k8s.io/Event", "coordination.k8s.io/Lease", "discovery.k8s.io/EndpointSlice", "dcp.hiro.io/MeshPeer":
		return fmt.Sprintf("every cluster makes its own objects of kind %s", kind)
	}
	return ""
}
