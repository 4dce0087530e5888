package object

import (
	"errors"
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// keyOf names the object of a tree, and brings metadata.namespace into line with it: cluster-scoped kinds
// have none, namespaced ones without get the given one.
func keyOf(root map[string]any, namespace string) (mesh.ObjectKey, error) {
	var k mesh.ObjectKey
	version, err := text(root, "apiVersion")
	if err != nil {
		return k, err
	}
	group, v, grouped := strings.Cut(version, "/")
	if !grouped {
		group, v = "", version
	}
	if v == "" || strings.Contains(v, "/") || grouped && group == "" {
		return k, errors.New("apiVersion is not a version or group/version")
	}
	if k.Kind, err = text(root, "kind"); err != nil {
		return k, err
	}
	k.Group = group
	meta, ok := root["metadata"].(map[string]any)
	if !ok {
		if _, list := root["items"].([]any); list && strings.HasSuffix(k.Kind, "List") {
			return k, errors.New("lists are not read: write one document per object")
		}
		return k, errors.New("metadata is missing")
	}
	if k.Name, err = text(meta, "name"); err != nil {
		return k, fmt.Errorf("metadata.%w", err)
	}
	switch ns := meta["namespace"].(type) {
	case nil:
	case string:
		k.Namespace = ns
	default:
		return k, errors.New("metadata.namespace is not a string")
	}
	if ClusterScoped(k.Group, k.Kind) {
		k.Namespace = ""
	} else if k.Namespace == "" {
		k.Namespace = namespace
	}
	if k.Namespace == "" {
		delete(meta, "namespace")
	} else {
		meta["namespace"] = k.Namespace
	}
	if err := k.Validate(); err != nil {
		return k, err
	}
	return k, nil
}

func text(m map[string]any, field string) (string, error) {
	switch s := m[field].(type) {
	case nil:
		return "", fmt.Errorf("%s is missing", field)
	case string:
		if s == "" {
			return "", fmt.Errorf("%s is empty", field)
		}
		return s, nil
	}
	return "", fmt.Errorf("%s is not a string", field)
}

// clusterScoped lists the kinds of Kubernetes itself, and of its most common additions, that live outside
// namespaces. A kind that isn't here is taken for namespaced: a manifest alone doesn't tell.
var clusterScoped = map[string]string{
	"APIService":                       "apiregistration.k8s.io",
	"CSIDriver":                        "storage.k8s.io",
	"CSINode":                          "storage.k8s.io",
	"CertificateSigningRequest":        "certificates.k8s.io",
	"ClusterCIDR":                      "networking.k8s.io",
	"ClusterIssuer":                    "cert-manager.io",
	"ClusterRole":                      "rbac.authorization.k8s.io",
	"ClusterRoleBinding":               "rbac.authorization.k8s.io",
	"ClusterTrustBundle":               "certificates.k8s.io",
	"ComponentStatus":                  "",
	"CustomResourceDefinition":         "apiextensions.k8s.io",
	"DeviceClass":                      "resource.k8s.io",
	"FlowSchema":                       "flowcontrol.apiserver.k8s.io",
	"GatewayClass":                     "gateway.networking.k8s.io",
	"IPAddress":                        "networking.k8s.io",
	"IngressClass":                     "networking.k8s.io",
	"MutatingAdmissionPolicy":          "admissionregistration.k8s.io",
	"MutatingAdmissionPolicyBinding":   "admissionregistration.k8s.io",
	"MutatingWebhookConfiguration":     "admissionregistration.k8s.io",
	"Namespace":                        "",
	"Node":                             "",
	"PersistentVolume":                 "",
	"PriorityClass":                    "scheduling.k8s.io",
	"PriorityLevelConfiguration":       "flowcontrol.apiserver.k8s.io",
	"ResourceSlice":                    "resource.k8s.io",
	"RuntimeClass":                     "node.k8s.io",
	"ServiceCIDR":                      "networking.k8s.io",
	"StorageClass":                     "storage.k8s.io",
	"StorageVersionMigration":          "storagemigration.k8s.io",
	"ValidatingAdmissionPolicy":        "admissionregistration.k8s.io",
	"ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io",
	"ValidatingWebhookConfiguration":   "admissionregistration.k8s.io",
	"VolumeAttachment":                 "storage.k8s.io",
	"VolumeAttributesClass":            "storage.k8s.io",
}

// ClusterScoped reports whether a well-known kind lives outside namespaces.
func ClusterScoped(group, kind string) bool {
	g, known := clusterScoped[kind]
	return known && g == group
}
