package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
	"dcp.hiro.io/mesh/internal/trust"
)

// Invite makes the secret, has the node remember its hash, and hands out the token, of which nothing is kept.
func (i *inspector) Invite(ctx context.Context, req admin.InviteRequest) (mesh.NewInvite, error) {
	if len(req.Endpoints) == 0 {
		req.Endpoints = i.endpoints()
	}
	if len(req.Endpoints) == 0 {
		return mesh.NewInvite{}, unreached()
	}
	req.Endpoints = req.Endpoints[:min(len(req.Endpoints), token.MaxEndpoints)]
	over, err := i.mayInvite(ctx, req)
	if err != nil {
		return mesh.NewInvite{}, err
	}
	now := i.now()
	t := token.Token{Network: i.network, Inviter: i.self, Endpoints: req.Endpoints,
		Expires: now.Add(req.TTL).Truncate(time.Second).UTC(), Zone: req.Zone, For: req.For}
	if t.ID, err = token.NewID(i.rand); err != nil {
		return mesh.NewInvite{}, err
	}
	if t.Secret, err = token.NewSecret(i.rand); err != nil {
		return mesh.NewInvite{}, err
	}
	if err := t.Validate(); err != nil {
		return mesh.NewInvite{}, &admin.Error{Code: admin.CodeBadRequest, Message: "no invitation was made", Cause: err.Error()}
	}
	record := oplog.Invite{ID: t.ID, Secret: token.HashSecret(t.Secret), Zone: t.Zone, For: t.For, Uses: req.Uses,
		Created: now.UnixMilli(), Expires: t.Expires.UnixMilli()}
	if err := i.node.Do(ctx, replica.Invited{Invite: record}); err != nil {
		return mesh.NewInvite{}, err
	}
	in, ok, err := i.invitation(ctx, t.ID)
	if err == nil && !ok {
		err = tooManyInvites()
	}
	return mesh.NewInvite{Invite: in, Endpoints: t.Endpoints, TakesOver: over, Token: t.String()}, err
}

// mayInvite refuses what could not be redeemed, and tells whose zone would be taken over.
func (i *inspector) mayInvite(ctx context.Context, req admin.InviteRequest) (*mesh.TakenOver, error) {
	var view *trust.View
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { view = r.TrustView() }); err != nil {
		return nil, err
	}
	if err := i.cannotInvite(view, req); err != nil || req.Zone == "" {
		return nil, err
	}
	holder, bound := view.Key(req.Zone)
	if !bound || holder == req.For {
		return nil, nil
	}
	peers, err := i.node.Peers(ctx)
	if err != nil {
		return nil, err
	}
	state := mesh.Unknown
	over := &mesh.TakenOver{PublicKey: holder.String()}
	if n := slices.IndexFunc(peers, func(p mesh.Peer) bool { return p.PublicKey == holder.String() }); n >= 0 {
		state, over.LastSeen = peers[n].State, peers[n].LastSeen
	}
	if state != mesh.Unavailable {
		return nil, zoneTaken(req.Zone, holder, state)
	}
	return over, nil
}

// What the node itself refuses, beside what cannotInvite finds.

func unreached() error {
	return &admin.Error{Code: "MESH-2402", Message: "this node doesn't know where others reach it",
		Cause: "it has no address but loopback ones, and advertise is empty",
		Next:  []string{"mesh invite --endpoint HOST:PORT", "or once and for all: mesh run --advertise HOST:PORT"}}
}

func tooManyInvites() error {
	return &admin.Error{Code: "MESH-6402", Message: "no invitation was made", Cause: "too many are open", Next: []string{"mesh invite ls", "mesh invite revoke ID"}}
}

func zoneTaken(zone mesh.Zone, holder keys.Public, state mesh.PeerState) error {
	return &admin.Error{Code: "MESH-6401", Message: "zone " + string(zone) + " is taken",
		Cause: fmt.Sprintf("it belongs to the key %s, which is %s; only the zone of a key that is %s is given to another", holder.Short(), state, mesh.Unavailable),
		Next:  []string{"mesh peers describe " + string(zone), "mesh invite --zone NAME, with another one"}}
}

func notSigned() error {
	return &admin.Error{Code: "MESH-6405", Message: "the removal was not signed", Cause: "this node has not compared its state with the others since it started, so it signs nothing yet",
		Next: []string{"mesh status --wait", "the same command again"}}
}

// cannotInvite says what the trust set has against an invitation; nil: nothing.
func (i *inspector) cannotInvite(view *trust.View, req admin.InviteRequest) error {
	removed, expelled := view.Expelled(req.For)
	_, out := view.Expelled(i.self)
	switch {
	case out:
		return &admin.Error{Code: "MESH-6403", Message: "this node admits nobody any more", Cause: "its key was removed from the mesh, or handed its zone over",
			Next: []string{"mesh status", "mesh invite, asked of a node that is a member"}}
	case req.For == i.self:
		return &admin.Error{Code: "MESH-2401", Message: "a node doesn't invite itself", Cause: "--for names the key of this node", Next: []string{"mesh keygen --public FILE, where the other node's key is"}}
	case !req.For.IsZero() && expelled:
		return &admin.Error{Code: "MESH-6403", Message: "the key " + req.For.Short() + " is not admitted again",
			Cause: "it was " + removed.Kind.String() + " and is not trusted any more", Next: []string{"mesh keygen FILE, for a new key on that node", "mesh invite --for the new key"}}
	case req.Zone != "" && req.Zone == i.zone:
		return &admin.Error{Code: "MESH-2401", Message: "zone " + string(req.Zone) + " is this node's own", Cause: "one key speaks for one zone", Next: []string{"mesh invite --zone NAME, with another one"}}
	}
	return nil
}

func (i *inspector) Invites(ctx context.Context) ([]mesh.Invite, error) {
	var held []oplog.Invite
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { held = r.Invites() }); err != nil {
		return nil, err
	}
	out := make([]mesh.Invite, len(held))
	for n, in := range held {
		out[n] = tellInvite(in, i.now())
	}
	return out, nil
}

// invitation finds one by its id.
func (i *inspector) invitation(ctx context.Context, id string) (mesh.Invite, bool, error) {
	all, err := i.Invites(ctx)
	n := slices.IndexFunc(all, func(in mesh.Invite) bool { return in.ID == id })
	if err != nil || n < 0 {
		return mesh.Invite{}, false, err
	}
	return all[n], true, nil
}

func (i *inspector) Revoke(ctx context.Context, id string) (mesh.Invite, error) {
	_, ok, err := i.invitation(ctx, id)
	if err == nil && ok {
		err = i.node.Do(ctx, replica.Revoked{ID: id})
	}
	if err != nil {
		return mesh.Invite{}, err
	}
	in, ok, err := i.invitation(ctx, id)
	if err == nil && !ok {
		err = &admin.Error{Code: admin.CodeNotFound, Message: "no invite " + id, Cause: "it was never made here, or expired long ago", Next: []string{"mesh invite ls"}}
	}
	return in, err
}

// tellInvite is an invitation without what nobody is to know.
func tellInvite(in oplog.Invite, now time.Time) mesh.Invite {
	out := mesh.Invite{ID: in.ID, Uses: in.Uses, Used: len(in.Taken), Created: time.UnixMilli(in.Created).UTC(), Expires: time.UnixMilli(in.Expires).UTC(),
		State: mesh.InvitePending, Redemptions: []mesh.Redemption{}}
	if in.Zone != "" {
		out.Zone = &in.Zone
	}
	if !in.For.IsZero() {
		key := in.For.String()
		out.For = &key
	}
	for _, t := range in.Taken {
		out.Redemptions = append(out.Redemptions, mesh.Redemption{PublicKey: t.Key.String(), PeerID: t.Key.PeerID(), Zone: t.Zone,
			At: time.UnixMilli(t.At).UTC(), Acknowledged: t.Spent})
	}
	switch {
	case len(in.Taken) >= in.Uses:
		out.State = mesh.InviteUsed
	case in.Revoked:
		out.State = mesh.InviteRevoked
	case !now.Before(out.Expires):
		out.State = mesh.InviteExpired
	}
	return out
}

// Remove expels a key. Whether that counts already, or is a proposal, the state in the answer says.
func (i *inspector) Remove(ctx context.Context, key keys.Public, dryRun bool) (mesh.Removal, error) {
	if key == i.self {
		return mesh.Removal{}, &admin.Error{Code: "MESH-6404", Message: "a node doesn't remove itself", Cause: string(i.zone) + " is this node's own zone",
			Next: []string{"mesh peers remove " + string(i.zone) + ", asked of another node", "to leave for good: stop it and have another node remove it"}}
	}
	now, known, err := i.removal(ctx, key)
	switch {
	case err != nil:
		return now, err
	case !known:
		return now, &admin.Error{Code: admin.CodeNotFound, Message: "no member has the key " + key.Short(), Cause: "nobody admitted it to this mesh", Next: []string{"mesh peers -o wide"}}
	case dryRun || now.State == mesh.KeyRemoved:
		return now, nil
	}
	if err := i.node.Do(ctx, replica.Expel{Key: key}); err != nil {
		return mesh.Removal{}, err
	}
	if now, _, err = i.removal(ctx, key); err == nil && now.State == mesh.NotRemoved {
		err = notSigned()
	}
	return now, err
}

// removal tells how the removal of a key stands, and whether the key is or was a member at all.
func (i *inspector) removal(ctx context.Context, key keys.Public) (mesh.Removal, bool, error) {
	var view *trust.View
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { view = r.TrustView() }); err != nil {
		return mesh.Removal{}, false, err
	}
	out := tellRemoval(view, key, i.self)
	return out, out.State != mesh.NotRemoved || view.Speaks(key), nil
}

func tellRemoval(view *trust.View, key, self keys.Public) mesh.Removal {
	out := mesh.Removal{PublicKey: key.String(), PeerID: key.PeerID(), Zone: view.Zone(key), State: mesh.NotRemoved}
	if x, ok := view.Expelled(key); ok {
		out.State, out.By, out.At = mesh.KeyRemoved, keyText(x.By), micros(x.Time)
		return out
	}
	for _, p := range view.Proposals() {
		if p.Key == key && (out.State == mesh.NotRemoved || p.By == self) {
			out.State, out.By, out.At = mesh.RemovalProposed, keyText(p.By), micros(p.Time)
		}
	}
	return out
}

// addTrust adds to the peers by whom they were admitted and which keys their zones had.
func addTrust(peers []mesh.Peer, view *trust.View, self keys.Public, own mesh.Zone) {
	by := view.AdmittedBy()
	zoneOf := func(k keys.Public) *mesh.Zone {
		zone := view.Zone(k)
		if k == self {
			zone = own
		}
		if zone == "" {
			return nil
		}
		return &zone
	}
	for n := range peers {
		p := &peers[n]
		p.ZoneKeys = []mesh.ZoneKey{}
		key, err := keys.ParsePublic(p.PublicKey)
		if err != nil {
			continue
		}
		if x, gone := view.Expelled(key); gone && p.State == mesh.NotAdmitted {
			p.Reasons = append(p.Reasons, expelledReason(x.Kind))
		}
		if st, ok := by[key]; ok && view.Admitted(key) { // also one that has no zone yet, or disputes one
			p.Admission = &mesh.Admission{By: keyText(st.Author), At: micros(st.Time), ByZone: zoneOf(st.Author)}
		}
		if p.Zone == "" {
			continue
		}
		for _, t := range view.History(p.Zone) {
			zk := mesh.ZoneKey{PublicKey: t.Key.String(), Generation: t.Generation, By: keyText(t.AdmittedBy), Since: micros(t.Since),
				Until: micros(t.Until), EndedBy: keyText(t.EndedBy)}
			zk.Ended = expelledReason(t.Ended)
			p.ZoneKeys = append(p.ZoneKeys, zk)
			if t.Key == key {
				p.Admission = &mesh.Admission{By: zk.By, At: zk.Since, ByZone: zoneOf(t.AdmittedBy)}
			}
		}
	}
}

// What ends a key, as peers show it.
const (
	endRemoved    = "Removed"
	endHandedOver = "HandedOver"
)

// expelledReason is empty for a key that was not expelled.
func expelledReason(e trust.End) string {
	switch e {
	case trust.Removed:
		return endRemoved
	case trust.HandedOver:
		return endHandedOver
	}
	return ""
}

func keyText(k keys.Public) *string {
	if k.IsZero() {
		return nil
	}
	s := k.String()
	return &s
}

// micros is a time that somebody signed, in microseconds; 0 is none.
func micros(us uint64) *time.Time {
	const last = 253402300799_999999 // of the year 9999: beyond it a time cannot be printed
	if us == 0 || us > last {
		return nil
	}
	t := time.UnixMicro(int64(us)).UTC()
	return &t
}
