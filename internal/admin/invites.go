package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// MaxInviteTTL is the longest that an invitation may last: a secret that travels is not to be good for ever.
const MaxInviteTTL = 168 * time.Hour

// MaxInviteUses is how many nodes one invitation admits at most: a rack of them, and not a leaked mesh.
const MaxInviteUses = 20

// InviteRequest says what invitation is wanted. The node judges zone, key and endpoints.
type InviteRequest struct {
	TTL       time.Duration
	Zone      mesh.Zone   // empty: whoever redeems it names one
	For       keys.Public // zero: any key
	Uses      int
	Endpoints []string // HOST:PORT; none: those at which the node knows itself
}

// inviteBody is a request as it travels.
type inviteBody struct {
	TTLSeconds float64  `json:"ttlSeconds"`
	Zone       string   `json:"zone,omitempty"`
	For        string   `json:"for,omitempty"`
	Uses       int      `json:"uses"`
	Endpoints  []string `json:"endpoints,omitempty"`
}

func (b inviteBody) request() (InviteRequest, error) {
	req := InviteRequest{Zone: mesh.Zone(b.Zone), Uses: b.Uses, Endpoints: b.Endpoints}
	if !(b.TTLSeconds >= 1 && b.TTLSeconds <= MaxInviteTTL.Seconds()) {
		return req, badRequest("ttlSeconds: want 1 to %.0f", MaxInviteTTL.Seconds())
	}
	req.TTL = time.Duration(b.TTLSeconds * float64(time.Second)).Truncate(time.Second)
	if b.Uses < 1 || b.Uses > MaxInviteUses {
		return req, badRequest("uses: want 1 to %d", MaxInviteUses)
	}
	if b.Zone != "" {
		if _, err := mesh.ParseZone(b.Zone); err != nil {
			return req, badRequest("%v", err)
		}
	}
	if b.For != "" {
		k, err := keys.ParsePublic(b.For)
		if err != nil {
			return req, badRequest("for: %v", err)
		}
		req.For = k
	}
	return req, nil
}

func (a *api) invite(r *http.Request, node Inspector) (any, error) {
	var body inviteBody
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	req, err := body.request()
	if err != nil {
		return nil, err
	}
	made, err := node.Invite(r.Context(), req)
	return newDocument("Invite", made), err
}

func (a *api) invites(r *http.Request, node Inspector) (any, error) {
	list, err := node.Invites(r.Context())
	return newList("InviteList", list), err
}

func (a *api) revoke(r *http.Request, node Inspector) (any, error) {
	id, verb, _ := strings.Cut(r.PathValue("action"), ":")
	if verb != "revoke" {
		return nil, &Error{Code: CodeNotFound, Message: "no such endpoint", Cause: "want invites/ID:revoke"}
	}
	if err := readBody(r, new(struct{})); err != nil {
		return nil, err
	}
	in, err := node.Revoke(r.Context(), id)
	return newDocument("Invite", in), err
}

type removeRequest struct {
	DryRun bool `json:"dryRun"`
}

func (a *api) remove(r *http.Request, node Inspector, key string) (any, error) {
	k, err := keys.ParsePublic(key)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	var req removeRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	done, err := node.Remove(r.Context(), k, req.DryRun)
	return newDocument("Removal", done), err
}

// Invite has the node make an invitation and returns it with its token, which nobody is told again.
func (c *Client) Invite(ctx context.Context, req InviteRequest) (mesh.NewInvite, error) {
	body := inviteBody{TTLSeconds: req.TTL.Seconds(), Zone: string(req.Zone), Uses: req.Uses, Endpoints: req.Endpoints}
	if !req.For.IsZero() {
		body.For = req.For.String()
	}
	return post[mesh.NewInvite](ctx, c, "/api/v1/invites", body)
}

// Invites lists the invitations of the node, oldest first.
func (c *Client) Invites(ctx context.Context) ([]mesh.Invite, error) {
	return getList[mesh.Invite](ctx, c, "/api/v1/invites")
}

// Revoke cancels an invitation and returns what became of it. A CodeNotFound Error says that there is none.
func (c *Client) Revoke(ctx context.Context, id string) (mesh.Invite, error) {
	return post[mesh.Invite](ctx, c, "/api/v1/invites/"+id+":revoke", struct{}{})
}

// Remove expels a key from the mesh; with dryRun it only asks how its removal stands.
func (c *Client) Remove(ctx context.Context, key keys.Public, dryRun bool) (mesh.Removal, error) {
	return post[mesh.Removal](ctx, c, "/api/v1/peers/"+key.String()+":remove", removeRequest{dryRun})
}
