package admin

import (
	"context"
	"net/http"
	"net/url"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Claimed is what one zone states about an object.
type Claimed struct {
	Object  mesh.ObjectKey // as it is named in the mesh
	Zone    mesh.Zone
	Payload []byte // JSON
}

func (a *api) content(r *http.Request, node Inspector, onSocket bool) (any, error) {
	key, err := mesh.ParseObjectKey(r.PathValue("key"))
	if err != nil {
		return nil, badRequest("%v", err)
	}
	var zone mesh.Zone
	if s := r.URL.Query().Get("zone"); s != "" {
		if zone, err = mesh.ParseZone(s); err != nil {
			return nil, badRequest("%v", err)
		}
	}
	secrets, err := wantSecrets(r, onSocket)
	if err != nil {
		return nil, err
	}
	c, ok, err := node.Content(r.Context(), key, zone)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, noContent(key, zone)
	}
	payloads := RedactedPayloads
	if secrets {
		payloads = AllPayloads
	}
	return newDocument("Content", mesh.Content{Object: c.Object.String(), Zone: c.Zone, Payload: showPayload(c.Object, c.Payload, payloads)}), nil
}

func noContent(key mesh.ObjectKey, zone mesh.Zone) *Error {
	if zone == "" {
		return &Error{Code: CodeNotFound, Message: "no content of " + key.String(), Cause: "nobody in the mesh states it; a kind is written in full, ConfigMap and not cm",
			Next: []string{"mesh doctor " + key.String()}}
	}
	return &Error{Code: CodeNotFound, Message: "no content of " + key.String() + " by zone " + string(zone), Cause: "that zone does not state it",
		Next: []string{"mesh doctor " + key.String()}}
}

// Content returns an object as a zone states it; an empty zone stands for its owner. What a Secret holds is only told
// with secrets, which is refused over TCP. A CodeNotFound Error says that there is no such claim.
func (c *Client) Content(ctx context.Context, key mesh.ObjectKey, zone mesh.Zone, secrets bool) (mesh.Content, error) {
	q := url.Values{}
	if zone != "" {
		q.Set("zone", string(zone))
	}
	if secrets {
		q.Set("secrets", "true")
	}
	return getDocument[mesh.Content](ctx, c, "/api/v1/content/"+keyPath(key), q)
}
