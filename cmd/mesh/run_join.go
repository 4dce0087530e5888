package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

const (
	// rejoinFirst and rejoinLast bound the time between two attempts to join by a token file: the inviter may be
	// starting just now, or for a night.
	rejoinFirst = time.Second
	rejoinLast  = 30 * time.Second
	// inviteTime bounds the making of the invitation of --invite.
	inviteTime = 10 * time.Second
)

// mustJoin decides whether the token file is to be redeemed before the node starts: not if the store says that this node
// was admitted. It fills in zone and network where the configuration leaves them to the token.
func (r *running) mustJoin() (*token.Token, error) {
	file := r.cfg.Join.TokenFile
	if file == "" {
		return nil, nil
	}
	index, err := r.store.Load()
	if err != nil {
		return nil, storeOpenError(r.store.Path(), err)
	}
	if zone, ok := admission(index, r.key.Public()); ok {
		network := r.cfg.NetworkID
		if index.Meta != nil {
			zone, network = index.Meta.Zone, index.Meta.Network
		}
		return nil, r.complete(mesh.Zone(cmp.Or(zone, r.cfg.Mesh.Zone)), network, "the store in "+r.cfg.DataDir)
	}
	text, err := r.e.readToken(file)
	if err != nil {
		return nil, err
	}
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	own := r.key.Public()
	switch {
	case t.Inviter == own:
		return nil, &cliError{Code: "MESH-2502", What: "this node made the invite " + t.ID + " itself", Cause: "it is for another node, with a key of its own", Next: []string{"mesh run, without --join-file"}}
	case !t.For.IsZero() && t.For != own:
		return nil, &cliError{Code: "MESH-6507", What: "the invite " + t.ID + " is bound to another key",
			Cause: fmt.Sprintf("it is for the key %s, and this node has %s", readable.ShortID(t.For.String()), readable.ShortID(own.String())), Next: []string{"mesh invite --for " + own.String() + ", on the inviter"}}
	case t.Zone != "" && r.cfg.Mesh.Zone != "" && t.Zone != r.cfg.Mesh.Zone:
		return nil, otherZone(t, r.cfg.Mesh.Zone, "mesh.zone")
	}
	if err := r.complete(cmp.Or(t.Zone, r.cfg.Mesh.Zone), t.Network, "the token in "+file); err != nil {
		return nil, err
	}
	return &t, nil
}

// complete takes over zone and network where the configuration doesn't say them, and refuses others than it says.
func (r *running) complete(zone mesh.Zone, network mesh.NetworkID, from string) error {
	switch {
	case zone == "":
		return &cliError{Code: "MESH-2001", What: "the configuration is incomplete", Cause: "it has no mesh.zone, and " + from + " names none", Next: []string{"mesh run --zone NAME"}}
	case r.cfg.Mesh.Zone != "" && r.cfg.Mesh.Zone != zone:
		return &cliError{Code: "MESH-6513", What: "this node was admitted as zone " + string(zone), Cause: "mesh.zone names zone " + string(r.cfg.Mesh.Zone),
			Next: []string{"mesh run --zone " + string(zone), "or as somebody new: mesh run --data-dir DIR -k other.key"}}
	case network != r.cfg.NetworkID && r.cfg.Origin("network_id").Layer != config.FromDefault:
		return &cliError{Code: "MESH-6505", What: fmt.Sprintf("the network of this node is %s", oneLine(string(r.cfg.NetworkID))), Cause: fmt.Sprintf("%s is for network %s", from, oneLine(string(network))),
			Next: []string{"mesh run without network_id", askAgain}}
	}
	r.cfg.Mesh.Zone, r.cfg.NetworkID = zone, network
	return nil
}

// admission looks into a store for what admits its node: the inviter that it joined through, or a statement about its
// key. zone is empty where that doesn't tell it.
func admission(index *oplog.Index, own keys.Public) (zone mesh.Zone, ok bool) {
	for _, c := range index.Contacts {
		ok = ok || c.Inviter
	}
	for _, op := range index.Trust {
		ev, err := event.Decode(op.Body)
		switch {
		case err != nil:
		case ev.Admit != nil && ev.Admit.Key == own:
			zone, ok = ev.Admit.Zone, true
		case ev.HandOver != nil && ev.HandOver.To == own:
			zone, ok = ev.HandOver.Zone, true
		}
	}
	return zone, ok
}

// joinByFile redeems a token, again and again while the inviter cannot answer, and keeps what it learns in the store.
func (r *running) joinByFile(ctx context.Context, t token.Token) error {
	log := r.logs.For(logging.Join)
	log.Info("joining by a token file", "file", r.cfg.Join.TokenFile, "invite", t.ID, "inviter", t.Inviter)
	for wait := rejoinFirst; ; wait = min(2*wait, rejoinLast) {
		attempt, cancel := context.WithTimeout(ctx, joinTimeout)
		out, err := r.e.join(attempt, node.JoinConfig{Key: r.key, Token: t, Zone: r.cfg.Mesh.Zone, Version: buildVersion().Version})
		cancel()
		if err == nil {
			return r.keepJoined(log, t, out)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		told := joinError(t, r.cfg.Mesh.Zone, joinTimeout, err)
		if !worthRepeating(err) {
			return told
		}
		log.Warn("not joined yet", "invite", t.ID, "again", wait.String(), "err", joinCause(told))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// worthRepeating reports whether the same request may be granted later.
func worthRepeating(err error) bool {
	var unreachable *node.JoinUnreachable
	var refused *node.JoinRefused
	switch {
	case errors.As(err, &unreachable):
		return true
	case errors.As(err, &refused):
		return refused.Code == string(replica.DenialNotYet) || refused.Code == "rate_limited"
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// joinCause is an error of joining on one line.
func joinCause(err error) string {
	var c *cliError
	if !errors.As(err, &c) {
		return err.Error()
	}
	return c.Error() + strings.Join(append([]string{""}, c.Details...), "; ")
}

// keepJoined makes it durable: from now on the token file is not needed.
func (r *running) keepJoined(log *slog.Logger, t token.Token, out node.Joined) error {
	batch := oplog.Batch{Trust: out.Trust, Contacts: []oplog.Contact{{Key: t.Inviter, Zone: out.InviterZone, Endpoints: worksFirst(t.Endpoints, out.Address), Inviter: true}}}
	for _, c := range out.Contacts {
		if c.Key != t.Inviter {
			batch.Contacts = append(batch.Contacts, c)
		}
	}
	if err := r.store.Commit(&batch); err != nil {
		return err
	}
	log.Info("joined", "invite", t.ID, "zone", string(out.Zone), "inviter", t.Inviter, "by", out.Transport, "learned", len(out.Contacts))
	return nil
}

// worksFirst puts the endpoint that answered before the others.
func worksFirst(endpoints []string, answered string) []string {
	out := make([]string, 0, len(endpoints))
	for _, at := range endpoints {
		if at == answered {
			out = append(out, at)
		}
	}
	for _, at := range endpoints {
		if at != answered {
			out = append(out, at)
		}
	}
	return out
}

// invitation is the command that joins another node, for whoever asked for it when this one was started.
func (r *running) invitation(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inviteTime)
	defer cancel()
	in, err := r.inspector().Invite(ctx, admin.InviteRequest{TTL: defaultInviteTTL, Uses: 1})
	if err != nil {
		return "", err
	}
	return joinCommand(in) + " --run", nil
}
