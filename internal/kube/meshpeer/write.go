package meshpeer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"dcp.hiro.io/mesh/internal/keys"
)

// namePrefix begins the names of objects that a node makes.
const namePrefix = "peer-"

// nameOf returns the n-th name to try for a key: 8 digits of it, then more while others have taken the name. ""
// when there is no more.
func nameOf(key keys.Public, n int) string {
	digits := 8 << n
	if digits > 2*keys.PublicSize {
		return ""
	}
	return namePrefix + key.String()[:digits]
}

// named reports whether an object has a name that a node gives.
func named(o *object) bool {
	digits, ok := strings.CutPrefix(o.name, namePrefix)
	return ok && len(digits) >= 8 && strings.HasPrefix(o.key.String(), digits)
}

// usable returns what of endpoints fits into a MeshPeer.
func usable(endpoints []string) []string {
	out := []string{}
	for _, e := range endpoints {
		if checkEndpoint(e) == nil && len(out) < maxEndpoints {
			out = append(out, e)
		}
	}
	return out
}

// sameSet compares without regard to the order, which changes with what worked last.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// body is a new MeshPeer.
func (k *Keeper) body(name string, key keys.Public, endpoints []string, annotations map[string]string) *unstructured.Unstructured {
	list := []any{}
	for _, e := range usable(endpoints) {
		list = append(list, e)
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"identity": map[string]any{"publicKey": key.String(), "endpoints": list}},
	}}
	u.SetAPIVersion(Resource.GroupVersion().String())
	u.SetKind("MeshPeer")
	if name != "" {
		u.SetName(name)
	}
	u.SetNamespace(k.cfg.Conn.Namespace)
	if len(annotations) > 0 {
		u.SetAnnotations(annotations)
	}
	return u
}

// create makes the MeshPeer of a key, or returns the one that stands under its name already.
func (k *Keeper) create(ctx context.Context, key keys.Public, endpoints []string, annotations map[string]string) (*object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if key == k.cfg.Self {
		k.own.Lock()
		defer k.own.Unlock()
	}
	for n := 0; ; n++ {
		name := nameOf(key, n)
		if name == "" {
			return nil, fmt.Errorf("create a MeshPeer for key %s: all names for it are taken", key.Short())
		}
		u, err := k.peers.Create(ctx, k.body(name, key, endpoints, annotations), metav1.CreateOptions{FieldManager: fieldManager})
		if err == nil {
			o := readObject(u)
			k.registry.wrote(o, "")
			return o, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create MeshPeer %s: %w", name, err)
		}
		u, err = k.peers.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("create MeshPeer %s: it was there and is gone", name)
		}
		if err != nil {
			return nil, fmt.Errorf("read MeshPeer %s: %w", name, err)
		}
		if o := readObject(u); o.keyErr == "" && o.key == key {
			if annotations != nil {
				return nil, errRaced
			}
			return o, nil
		}
	}
}

// errRaced: an object of ours appeared between reading and creating.
var errRaced = errors.New("somebody else created the MeshPeer")

func (k *Keeper) patchStatus(ctx context.Context, o *object, s *status) (*object, error) {
	ops := append(when(o.uid, o.rv), patchOp{"add", "/status", s})
	return k.patch(ctx, o, ops, "status")
}

func (k *Keeper) patchEndpoints(ctx context.Context, o *object, endpoints []string) (*object, error) {
	return k.patch(ctx, o, append(when(o.uid, o.rv), patchOp{"add", "/spec/identity/endpoints", endpoints}))
}

func (k *Keeper) patch(ctx context.Context, o *object, ops []patchOp, subresource ...string) (*object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := k.peers.Patch(ctx, o.name, types.JSONPatchType, encodePatch(ops), metav1.PatchOptions{FieldManager: fieldManager}, subresource...)
	if err != nil {
		return nil, fmt.Errorf("patch MeshPeer %s: %w", o.name, err)
	}
	return readObject(u), nil
}
