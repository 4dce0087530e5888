package admin

import (
	"context"
	"net/http"

	"dcp.hiro.io/mesh/internal/mesh"
)

func (a *api) topology(r *http.Request, node Inspector) (any, error) {
	t, err := node.Topology(r.Context())
	return newDocument("Topology", t), err
}

// Topology asks how the node sees the mesh.
func (c *Client) Topology(ctx context.Context) (mesh.Topology, error) {
	return getDocument[mesh.Topology](ctx, c, "/api/v1/topology", nil)
}
