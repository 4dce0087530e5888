package object

import (
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Reasons why an object is never published or applied.
const (
	ExcludedKind       = "KindExcluded"       // belongs to one cluster: nodes, pods, endpoints, leases, events, MeshPeers
	ExcludedNamespace  = "SystemNamespace"    // in kube-system and its like
	ExcludedRootCA     = "ClusterCertificate" // each cluster has its own kube-root-ca.crt
	ExcludedToken      = "ClusterToken"       // service-account and bootstrap tokens are worthless elsewhere
	ExcludedHelm       = "HelmRelease"        // Helm's own records of what it installed
	ExcludedControlled = "Controlled"         // made by a controller, which also runs where its owner is replicated to
)

var excludedKinds = map[string]bool{
	"/Endpoints":                     true,
	"/Event":                         true,
	"/Node":                          true,
	"/Pod":                           true,
	"coordination.k8s.io/Lease":      true,
	"dcp.hiro.io/MeshPeer":           true,
	"discovery.k8s.io/EndpointSlice": true,
	"events.k8s.io/Event":            true,
}

// Excluded says whether an object is never published or applied, whatever the configuration, and why. Reasons
// that only the payload tells are found only if it is given.
func Excluded(key mesh.ObjectKey, payload []byte) (reason string, excluded bool) {
	if r, ok := excludedByKey(key); ok {
		return r, true
	}
	if len(payload) == 0 {
		return "", false
	}
	tree, err := DecodeJSON(payload)
	if err != nil {
		return "", false
	}
	root, _ := tree.(map[string]any)
	return excludedByContent(key, root)
}

func excluded(key mesh.ObjectKey, root map[string]any) (string, bool) {
	if r, ok := excludedByKey(key); ok {
		return r, true
	}
	return excludedByContent(key, root)
}

func excludedByKey(k mesh.ObjectKey) (string, bool) {
	kind := k.Group + "/" + k.Kind
	switch {
	case excludedKinds[kind]:
		return ExcludedKind, true
	case strings.HasPrefix(k.Namespace, "kube-"), kind == "/Namespace" && strings.HasPrefix(k.Name, "kube-"):
		return ExcludedNamespace, true
	case kind == "/ConfigMap" && k.Name == "kube-root-ca.crt":
		return ExcludedRootCA, true
	case (kind == "/ConfigMap" || kind == "/Secret") && strings.HasPrefix(k.Name, "sh.helm.release.v1."):
		return ExcludedHelm, true
	}
	return "", false
}

func excludedByContent(k mesh.ObjectKey, root map[string]any) (string, bool) {
	if k.Group == "" && k.Kind == "Secret" {
		switch root["type"] {
		case "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token":
			return ExcludedToken, true
		case "helm.sh/release.v1":
			return ExcludedHelm, true
		}
	}
	refs, _ := dig(root, "metadata")["ownerReferences"].([]any)
	for _, r := range refs {
		if r, _ := r.(map[string]any); r["controller"] == true {
			return ExcludedControlled, true
		}
	}
	return "", false
}
