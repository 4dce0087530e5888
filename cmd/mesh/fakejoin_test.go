package main

import (
	"context"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/token"
)

// The half of fakeNode that is about joining and leaving.

// fakeToken is what the fake node hands out: that of zone east with the key of the first test vector of RFC 8032.
func fakeToken(change func(*token.Token)) token.Token {
	self, err := keys.ParsePublic(testPublic)
	if err != nil {
		panic(err)
	}
	t := token.Token{Network: "default", Inviter: self, Endpoints: []string{"203.0.113.7:9102"}, ID: "k7q2m9xd",
		Secret: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Expires: fakeNow.Add(time.Hour), Zone: "west"}
	if change != nil {
		change(&t)
	}
	return t
}

func (f *fakeNode) Invite(_ context.Context, req admin.InviteRequest) (mesh.NewInvite, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusal != nil {
		return mesh.NewInvite{}, f.refusal
	}
	t := fakeToken(func(t *token.Token) {
		t.Expires, t.Zone, t.For = fakeNow.Add(req.TTL), req.Zone, req.For
		if len(req.Endpoints) > 0 {
			t.Endpoints = req.Endpoints
		}
	})
	in := mesh.Invite{ID: t.ID, Uses: req.Uses, Created: fakeNow, Expires: t.Expires, State: mesh.InvitePending, Redemptions: []mesh.Redemption{}}
	if t.Zone != "" {
		in.Zone = &t.Zone
	}
	if !t.For.IsZero() {
		in.For = ptr(t.For.String())
	}
	f.invites = append(f.invites, in)
	return mesh.NewInvite{Invite: in, Endpoints: t.Endpoints, TakesOver: f.takesOver, Token: t.String()}, nil
}

func (f *fakeNode) Invites(context.Context) ([]mesh.Invite, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.invites), nil
}

func (f *fakeNode) Revoke(_ context.Context, id string) (mesh.Invite, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.invites, func(in mesh.Invite) bool { return in.ID == id })
	if i < 0 {
		return mesh.Invite{}, &admin.Error{Code: admin.CodeNotFound, Message: "no invite " + id, Cause: "it was never made here, or expired long ago", Next: []string{"mesh invite ls"}}
	}
	if f.invites[i].State != mesh.InviteUsed {
		f.invites[i].State = mesh.InviteRevoked
	}
	return f.invites[i], nil
}

func (f *fakeNode) Remove(_ context.Context, key keys.Public, dryRun bool) (mesh.Removal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := key.String()
	if f.refusal != nil {
		return mesh.Removal{}, f.refusal
	}
	r, ok := f.removals[name]
	switch {
	case !ok && dryRun:
		return mesh.Removal{PublicKey: name, State: mesh.NotRemoved}, nil
	case !ok:
		r = mesh.Removal{PublicKey: name, State: mesh.RemovalProposed, By: ptr(testPublic), At: before(0)}
	case f.cuts:
		if f.polled++; f.polled > 1 {
			r.State = mesh.KeyRemoved
		}
	}
	f.removals[name] = r
	return r, nil
}
