package lease

import (
	"context"
	"fmt"

	coordination "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/kube"
)

var leaseResource = coordination.SchemeGroupVersion.WithResource("leases")

// leases are the Leases of one namespace. The dynamic client does for them what it does for everything else
// here; a typed one would bring every type of Kubernetes along.
type leases struct{ client dynamic.ResourceInterface }

func (c leases) get(ctx context.Context, name string) (*coordination.Lease, error) {
	u, err := c.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return typed(u)
}

// put creates a Lease that has no resource version, and replaces exactly the version that one has.
func (c leases) put(ctx context.Context, l *coordination.Lease) (*coordination.Lease, error) {
	l.TypeMeta = metav1.TypeMeta{APIVersion: coordination.SchemeGroupVersion.String(), Kind: "Lease"}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(l)
	if err != nil {
		return nil, fmt.Errorf("encode the lease: %w", err)
	}
	u := &unstructured.Unstructured{Object: object}
	if l.ResourceVersion == "" {
		u, err = c.client.Create(ctx, u, metav1.CreateOptions{FieldManager: kube.FieldManager})
	} else {
		u, err = c.client.Update(ctx, u, metav1.UpdateOptions{FieldManager: kube.FieldManager})
	}
	if err != nil {
		return nil, err
	}
	return typed(u)
}

func typed(u *unstructured.Unstructured) (*coordination.Lease, error) {
	l := &coordination.Lease{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, l); err != nil {
		return nil, fmt.Errorf("decode the lease: %w", err)
	}
	return l, nil
}
