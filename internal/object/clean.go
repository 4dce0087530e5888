package object

import (
	"strconv"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// The labels that mesh writes on replicas, and on own objects that were adopted.
const (
	LabelZone    = "dcp.hiro.io/owner-zone"
	LabelVersion = "dcp.hiro.io/owner-version"
	LabelEpoch   = "dcp.hiro.io/owner-epoch"
)

// Fields of metadata that one API server gives and no other may see.
var serverFields = []string{
	"uid", "resourceVersion", "generation", "managedFields", "creationTimestamp", "ownerReferences",
	"finalizers", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
}

// Labels and annotations by which tools find what they manage. Replicated, they would make the tool of
// another cluster delete the replica or fight over it. A key that ends in / stands for all below it.
var trackingKeys = []string{
	LabelZone, LabelVersion, LabelEpoch,
	"applyset.kubernetes.io/part-of",
	"argocd.argoproj.io/installation-id",
	"argocd.argoproj.io/instance",
	"argocd.argoproj.io/tracking-id",
	"config.k8s.io/owning-inventory",
	"deployment.kubernetes.io/revision",
	"helm.toolkit.fluxcd.io/name",
	"helm.toolkit.fluxcd.io/namespace",
	"kubectl.kubernetes.io/last-applied-configuration",
	"kustomize.toolkit.fluxcd.io/checksum",
	"kustomize.toolkit.fluxcd.io/name",
	"kustomize.toolkit.fluxcd.io/namespace",
	"meta.helm.sh/release-name",
	"meta.helm.sh/release-namespace",
	"objectset.rio.cattle.io/",
}

// labelled returns the zone that the bookkeeping labels of a manifest name.
func labelled(root map[string]any) mesh.Zone {
	s, _ := dig(root, "metadata", "labels")[LabelZone].(string)
	z, err := mesh.ParseZone(s)
	if err != nil {
		return ""
	}
	return z
}

// clean removes from a tree what is never replicated. Doing it twice equals doing it once.
func clean(root map[string]any, key mesh.ObjectKey, opt Options) {
	meta := dig(root, "metadata")
	for _, f := range serverFields {
		delete(meta, f)
	}
	if !opt.Status {
		delete(root, "status")
	}
	version := root["apiVersion"]
	for _, path := range opt.Ignore {
		remove(root, pointer(path))
	}
	// An ignore path may not take the name away: the payload must go on naming its object.
	root["apiVersion"] = version
	meta = restoreIdentity(root, key)
	cleanKind(root, key)
	for _, section := range []string{"labels", "annotations"} {
		m, _ := meta[section].(map[string]any)
		for k, v := range m {
			if tracked(k) || k == "app.kubernetes.io/managed-by" && v == "Helm" {
				delete(m, k)
			}
		}
		if len(m) == 0 && isEmpty(meta[section]) {
			delete(meta, section)
		}
	}
}

func restoreIdentity(root map[string]any, key mesh.ObjectKey) map[string]any {
	meta := dig(root, "metadata")
	if meta == nil {
		meta = map[string]any{}
		root["metadata"] = meta
	}
	root["kind"] = key.Kind
	meta["name"] = key.Name
	if key.Namespace != "" {
		meta["namespace"] = key.Namespace
	}
	return meta
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func tracked(key string) bool {
	for _, t := range trackingKeys {
		if key == t || strings.HasSuffix(t, "/") && strings.HasPrefix(key, t) {
			return true
		}
	}
	return false
}

// cleanKind removes what a cluster fills in for particular kinds.
func cleanKind(root map[string]any, key mesh.ObjectKey) {
	spec := dig(root, "spec")
	switch key.Group + "/" + key.Kind {
	case "/Service":
		if spec["clusterIP"] != "None" { // None makes the service headless: that is the user's
			delete(spec, "clusterIP")
		}
		delete(spec, "clusterIPs")
		delete(spec, "healthCheckNodePort")
		ports, _ := spec["ports"].([]any)
		for _, p := range ports {
			if p, ok := p.(map[string]any); ok {
				delete(p, "nodePort")
			}
		}
	case "/PersistentVolumeClaim":
		delete(spec, "volumeName")
		dropKeys(dig(root, "metadata", "annotations"), "pv.kubernetes.io/", "volume.kubernetes.io/",
			"volume.beta.kubernetes.io/storage-provisioner")
	case "/PersistentVolume":
		ref := dig(spec, "claimRef")
		delete(ref, "uid")
		delete(ref, "resourceVersion")
		dropKeys(dig(root, "metadata", "annotations"), "pv.kubernetes.io/")
	case "/Namespace":
		delete(spec, "finalizers")
		if isEmpty(root["spec"]) {
			delete(root, "spec")
		}
	case "/ServiceAccount":
		cleanTokens(root, key.Name)
	case "batch/Job":
		if spec["manualSelector"] == true {
			return // selector and labels are the user's
		}
		delete(spec, "selector")
		for _, meta := range []map[string]any{dig(root, "metadata"), dig(spec, "template", "metadata")} {
			dropKeys(dig(meta, "labels"), "controller-uid", "batch.kubernetes.io/controller-uid", "job-name",
				"batch.kubernetes.io/job-name")
			if isEmpty(meta["labels"]) {
				delete(meta, "labels")
			}
		}
	}
}

// cleanTokens drops the references to token Secrets that older clusters create for a service account.
func cleanTokens(root map[string]any, name string) {
	list, ok := root["secrets"].([]any)
	if !ok {
		return
	}
	kept := []any{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		s, _ := m["name"].(string)
		if !strings.HasPrefix(s, name+"-token-") && !strings.HasPrefix(s, name+"-dockercfg-") {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		delete(root, "secrets")
		return
	}
	root["secrets"] = kept
}

func dropKeys(m map[string]any, keys ...string) {
	for k := range m {
		for _, drop := range keys {
			if k == drop || strings.HasSuffix(drop, "/") && strings.HasPrefix(k, drop) {
				delete(m, k)
			}
		}
	}
}

// dig follows mappings; nil when there is none. Reading and deleting in a nil map are fine.
func dig(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	return m
}

// pointer splits a JSON pointer (RFC 6901).
func pointer(path string) []string {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	parts := strings.Split(path[1:], "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	return parts
}

// remove drops what a path leads to. Sequences are entered with * only and never lose an element: the places of
// the others would move, and a second cleaning would find another one there.
func remove(v any, path []string) {
	if len(path) == 0 {
		return
	}
	head, rest := path[0], path[1:]
	switch v := v.(type) {
	case map[string]any:
		if len(rest) == 0 {
			if head == "*" {
				clear(v)
			}
			delete(v, head)
			return
		}
		if head != "*" {
			remove(v[head], rest)
			return
		}
		for _, e := range v {
			remove(e, rest)
		}
	case []any:
		if head == "*" {
			for _, e := range v {
				remove(e, rest)
			}
		}
	}
}

// Bookkeeping is what the labels on a replica say.
type Bookkeeping struct {
	Zone    mesh.Zone
	Version mesh.Version
	Epoch   mesh.Epoch
}

// label writes the bookkeeping labels into a tree.
func (b Bookkeeping) label(root map[string]any) {
	meta := dig(root, "metadata")
	if meta == nil {
		meta = map[string]any{}
		root["metadata"] = meta
	}
	labels := dig(meta, "labels")
	if labels == nil {
		labels = map[string]any{}
		meta["labels"] = labels
	}
	labels[LabelZone] = string(b.Zone)
	labels[LabelVersion] = strconv.FormatUint(uint64(b.Version), 10)
	labels[LabelEpoch] = strconv.FormatUint(uint64(b.Epoch), 10)
}
