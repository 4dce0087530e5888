package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Kubernetes says what plays the cluster: one of a folder, the cluster around the pod and one of the
// kubeconfig, or none of them.
type Kubernetes struct {
	Folder    string // a folder of manifests; empty: none
	InCluster bool   // the pod's service account
	External  bool   // the kubeconfig
	Context   string // of the kubeconfig; empty: its current one
	Namespace string // of mesh's own objects; empty: the pod's, else default
	QPS       float64
	Burst     int
}

// Connects reports whether the cluster is one of Kubernetes.
func (k Kubernetes) Connects() bool { return k.InCluster || k.External }

// The keys that name a cluster.
const (
	inClusterKey = "kubernetes.incluster"
	externalKey  = "kubernetes.external"
	contextKey   = "kubernetes.external.kube_context"
	folderKey    = "kubernetes.folder"
)

// kubernetesForm reads what stands for a section in short: kubernetes: incluster, and an external section
// without any key, which means the current context. It returns false where the section is to be read as such.
func (r *reader) kubernetesForm(n *yaml.Node, path string) bool {
	switch {
	case path == "kubernetes" && n.Kind == yaml.ScalarNode:
		if n.Value != "incluster" {
			return !r.fail(n, path, fmt.Sprintf("want keys and values, or incluster, got %s", told(n)))
		}
		r.cfg.Kubernetes.InCluster = true
		r.mark(n, inClusterKey)
		r.cfg.origins[inClusterKey] = r.origin(n)
		return true
	case path == externalKey && n.Kind == yaml.MappingNode && len(n.Content) == 0:
		r.setContext(n, "")
		r.cfg.origins[contextKey] = r.origin(n)
		return true
	}
	return false
}

func (r *reader) setContext(n *yaml.Node, name string) {
	r.cfg.Kubernetes.External, r.cfg.Kubernetes.Context = true, name
	r.mark(n, contextKey)
}

var kubeContext = codec{
	typ: "text",
	read: func(r *reader, n *yaml.Node, path string) bool {
		s, ok := r.text(n, path)
		if ok {
			r.setContext(n, s)
		}
		return ok
	},
	show: func(c *Config) []string {
		if !c.Kubernetes.External {
			return nil
		}
		return []string{quote(c.Kubernetes.Context)}
	},
}

var ownNamespace = codec{
	typ: "DNS label",
	read: func(r *reader, n *yaml.Node, path string) bool {
		s, ok := r.part(n, path, checkNamespace)
		if ok {
			r.cfg.Kubernetes.Namespace = s
		}
		return ok
	},
	show: func(c *Config) []string { return optional(c.Kubernetes.Namespace) },
}

// checkKubernetes wants one cluster at most. Which of two was meant cannot be guessed: the wrong one would
// be filled with the objects of others.
func (l *loader) checkKubernetes() {
	k := l.cfg.Kubernetes
	first := ""
	for _, c := range []struct {
		named bool
		key   string
	}{{k.InCluster, inClusterKey}, {k.External, contextKey}, {k.Folder != "", folderKey}} {
		switch {
		case !c.named:
		case first == "":
			first = c.key
		default:
			other := first
			if o := l.cfg.origins[first]; o.Layer != FromFile {
				other += " (" + o.String() + ")"
			}
			l.failAt(c.key, other+" names a cluster too; a node has one")
		}
	}
	if k.Burst > 0 && k.QPS == 0 && !l.reported("kubernetes.qps") {
		l.failAt("kubernetes.burst", "has no meaning without kubernetes.qps")
	}
	if k.Connects() && len(l.cfg.Mesh.Resources) == 0 && l.cfg.Mesh.single == nil && !l.reported("mesh.resources") && !l.reported("mesh.resource") {
		l.warn("no entry of mesh.resources says what is replicated: nothing goes into or out of the cluster")
	}
}
