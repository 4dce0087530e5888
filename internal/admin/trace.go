package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// trace tells the way of one object. An object that nobody states has one too: why it is not here is asked of it most.
func (a *api) trace(r *http.Request, node Inspector) (any, error) {
	key, err := mesh.ParseObjectKey(r.PathValue("key"))
	if err != nil {
		return nil, badRequest("%v", err)
	}
	t, err := node.Trace(r.Context(), key)
	if t.Steps == nil {
		t.Steps = []mesh.TraceStep{}
	}
	t.Resource = a.told(t.Resource)
	return newDocument("Trace", t), err
}

// Trace asks for the way of one object.
func (c *Client) Trace(ctx context.Context, key mesh.ObjectKey) (mesh.Trace, error) {
	return getDocument[mesh.Trace](ctx, c, "/api/v1/trace/"+keyPath(key), nil)
}

// keyPath is an object's key as it stands in a path.
func keyPath(key mesh.ObjectKey) string {
	parts := strings.Split(key.String(), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
