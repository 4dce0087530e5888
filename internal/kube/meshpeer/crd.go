package meshpeer

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"

	"dcp.hiro.io/mesh/internal/kube"
)

//go:embed crd.yaml
var crdYAML []byte

// CRD returns the definition of MeshPeer as YAML, as the chart ships it. The slice is the caller's.
func CRD() []byte { return append([]byte(nil), crdYAML...) }

const (
	crdName           = "meshpeers.dcp.hiro.io"
	versionAnnotation = "dcp.hiro.io/crd-version"

	// installTries bounds how often a write of somebody else may come between ours.
	installTries = 10
	servedPoll   = 100 * time.Millisecond
)

var (
	// Resource is that of MeshPeers.
	Resource = schema.GroupVersionResource{Group: "dcp.hiro.io", Version: "v1", Resource: "meshpeers"}

	crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

var (
	// ErrForbidden says that this account may not read or write the definition. Whether it is there all the same
	// tells [Served].
	ErrForbidden = errors.New("this account may not install the definition of MeshPeer")
	// ErrNotServed says that the cluster knows no MeshPeers.
	ErrNotServed = errors.New("the cluster serves no MeshPeers (meshpeers.dcp.hiro.io/v1)")
)

// definition is the embedded file as an object.
func definition() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(crdYAML, &u.Object); err != nil {
		panic("meshpeer: crd.yaml: " + err.Error())
	}
	return u
}

// Install makes the cluster serve MeshPeers as this binary knows them. It creates the definition, or replaces an
// older one and one of our version that was altered; a newer one stays. Labels, annotations and whatever else others
// put on it stay too. It returns when the definition is established and MeshPeers are served, whether it changed
// anything, and ErrForbidden where the account may not; ctx bounds the wait.
func Install(ctx context.Context, conn *kube.Connection) (changed bool, err error) {
	crds := conn.Dynamic.Resource(crdResource)
	want := definition()
	for range installTries {
		live, err := crds.Get(ctx, crdName, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			_, err = crds.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
		case err == nil:
			patch := upgrade(live, want)
			if patch == nil {
				return changed, established(ctx, conn)
			}
			_, err = crds.Patch(ctx, crdName, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		}
		switch {
		case err == nil:
			changed = true
		case apierrors.IsForbidden(err):
			return changed, fmt.Errorf("%w: %s", ErrForbidden, clip(err.Error(), maxSentence))
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		default:
			return changed, fmt.Errorf("install the definition of MeshPeer: %w", err)
		}
	}
	return changed, errors.New("install the definition of MeshPeer: somebody else writes it all the time")
}

// upgrade returns the JSON patch that turns the live definition into ours, nil if it stays. Group and scope can't
// be changed, and how versions are converted is up to whoever added others.
func upgrade(live, want *unstructured.Unstructured) []byte {
	ours, theirs := crdVersion(want), crdVersion(live)
	if theirs > ours || live.GetDeletionTimestamp() != nil {
		return nil
	}
	ops := []patchOp{{"replace", "/metadata/resourceVersion", live.GetResourceVersion()}}
	same := theirs == ours
	for _, field := range []string{"names", "versions"} {
		a, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", field)
		b, _, _ := unstructured.NestedFieldNoCopy(want.Object, "spec", field)
		if !sameJSON(a, b) {
			same = false
			ops = append(ops, patchOp{"replace", "/spec/" + field, b})
		}
	}
	if same {
		return nil
	}
	if theirs != ours {
		ops = append(ops, annotate(live, versionAnnotation, want.GetAnnotations()[versionAnnotation])...)
	}
	return encodePatch(ops)
}

// crdVersion is 0 for a definition that carries none, such as that of earlier releases.
func crdVersion(u *unstructured.Unstructured) uint64 {
	n, err := strconv.ParseUint(u.GetAnnotations()[versionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// sameJSON compares what the encodings of both mean: numbers come as different Go types from YAML and from the
// API server.
func sameJSON(a, b any) bool {
	return reflect.DeepEqual(plain(a), plain(b))
}

func plain(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return err
	}
	return out
}

// established waits until the definition is, and MeshPeers are served.
func established(ctx context.Context, conn *kube.Connection) error {
	var last error
	for {
		live, err := conn.Dynamic.Resource(crdResource).Get(ctx, crdName, metav1.GetOptions{})
		if err == nil {
			if err = refused(live); err != nil {
				return err
			}
			if err = Served(ctx, conn); err == nil {
				err = answers(ctx, conn)
			}
			if err == nil {
				return nil
			}
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until MeshPeers are served: %w", last)
		case <-time.After(servedPoll):
		}
	}
}

// answers asks for MeshPeers: what discovery names already may not be there yet. Forbidden is an answer.
func answers(ctx context.Context, conn *kube.Connection) error {
	_, err := conn.Dynamic.Resource(Resource).Namespace(conn.Namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err == nil || apierrors.IsForbidden(err) {
		return nil
	}
	return fmt.Errorf("list MeshPeers: %w", err)
}

// refused tells why the API server doesn't serve the definition and never will.
func refused(crd *unstructured.Unstructured) (err error) {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		switch {
		case m["type"] == "Established" && m["status"] == "True":
			return nil // if some of its names are refused, those it had stay
		case m["type"] == "NamesAccepted" && m["status"] == "False":
			text, _ := m["message"].(string)
			err = fmt.Errorf("the API server refuses the names of the definition of MeshPeer: %s", clip(text, maxSentence))
		}
	}
	return err
}

// Served reports whether the cluster serves MeshPeers with what this package needs of them: nil if it does,
// ErrNotServed if not, another error if it could not be found out. It needs no rights of its own.
func Served(ctx context.Context, conn *kube.Connection) error {
	list, err := discovery.ToDiscoveryInterfaceWithContext(conn.Discovery).ServerResourcesForGroupVersionWithContext(ctx, Resource.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return ErrNotServed
	}
	if err != nil {
		return fmt.Errorf("ask which resources are served: %w", err)
	}
	found := map[string]bool{}
	for _, r := range list.APIResources {
		if name, _, _ := strings.Cut(r.Name, "/"); name == Resource.Resource {
			found[r.Name] = r.Namespaced
		}
	}
	if !found[Resource.Resource] {
		return ErrNotServed
	}
	if !found[Resource.Resource+"/status"] {
		return fmt.Errorf("%w: the definition has no status subresource", ErrNotServed)
	}
	return nil
}
