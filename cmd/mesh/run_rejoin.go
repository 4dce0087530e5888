package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/replica"
)

// rememberTime bounds the look at what the cluster remembers of the mesh.
const rememberTime = 30 * time.Second

// goesOn reports whether a node whose token was refused starts without it. A pod that lost its store and comes to a token that
// is spent may be a member for long: its own MeshPeer says that this cluster was in a mesh, and somebody has to be admitted here
// whom it can tell who it is. Whether it is a member, the others know.
func (r *running) goesOn(ctx context.Context, refusal error) bool {
	if r.kube == nil || !spent(refusal) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, rememberTime)
	defer cancel()
	before, admits, err := r.kube.keeper.Remembers(ctx)
	log := r.logs.For(logging.Join)
	if err != nil {
		log.Warn("what the cluster remembers of the mesh could not be read", "err", err)
		return false
	}
	admits = admits || slices.ContainsFunc(r.cfg.Nodes, func(n config.Node) bool { return n.Key != r.key.Public() })
	if !before || !admits {
		return false
	}
	log.Warn("the token is refused; going on with the peers that are admitted here, for this cluster was in a mesh before",
		"file", r.cfg.Join.TokenFile, "err", joinCause(refusal))
	return true
}

// spent reports whether a token was refused for what became of the invitation, and not for who asks.
func spent(err error) bool {
	var refused *node.JoinRefused
	if !errors.As(err, &refused) {
		return false
	}
	switch replica.Denial(refused.Code) {
	case replica.DenialUnknown, replica.DenialExpired, replica.DenialUsed, replica.DenialRevoked:
		return true
	}
	return false
}
