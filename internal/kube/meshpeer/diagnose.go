package meshpeer

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/kube"
)

// Definition says how the definition in a cluster stands to that of this binary.
type Definition struct {
	Ours  uint64
	Known bool   // the account may read the definition: else it is only known that MeshPeers are served
	Here  uint64 // its version; 0: one of an earlier release
	Same  bool   // of our version: it was not altered
}

// Installed looks at the definition without touching it. ErrNotServed: there is none.
func Installed(ctx context.Context, conn *kube.Connection) (Definition, error) {
	want := definition()
	d := Definition{Ours: crdVersion(want)}
	if err := Served(ctx, conn); err != nil {
		return d, err
	}
	live, err := conn.Dynamic.Resource(crdResource).Get(ctx, crdName, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return d, nil
	case err != nil:
		return d, fmt.Errorf("read the definition of MeshPeer: %w", err)
	}
	d.Known, d.Here = true, crdVersion(live)
	d.Same = d.Here == d.Ours && upgrade(live, want) == nil
	return d, nil
}
