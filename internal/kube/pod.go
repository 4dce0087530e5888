package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stypes "k8s.io/apimachinery/pkg/types"
)

// ActiveLabel marks, of several pods of one node, the one that holds the lease: the service for peers selects it, so
// that no connection ends at a pod that only stands by.
const ActiveLabel = "mesh.dcp.hiro.io/active"

// MarkPod sets or removes ActiveLabel on a pod of mesh's namespace.
func (c *Connection) MarkPod(ctx context.Context, name string, active bool) error {
	var value any // null removes it
	if active {
		value = "true"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{ActiveLabel: value}}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err = c.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(c.Namespace).
		Patch(ctx, name, k8stypes.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return fmt.Errorf("label pod %s: %w", name, err)
	}
	return nil
}
