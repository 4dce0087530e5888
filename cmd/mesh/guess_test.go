package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/token"
)

// Neither a key nor an invitation follows from anything that somebody could guess: two machines that are alike in
// name, place, configuration and time have nothing in common.
func TestNothingIsGuessable(t *testing.T) {
	t.Parallel()
	if newEnv().rand != rand.Reader {
		t.Fatal("secrets don't come from the operating system")
	}
	var made []string
	for range 2 {
		te := newTestEnv(t)
		if code := te.mesh(t, "keygen", "private.key"); code != 0 {
			t.Fatalf("exit %d: %s", code, te.stderr.String())
		}
		key, err := te.readKey("private.key")
		if err != nil {
			t.Fatal(err)
		}
		first, err := newNodeKey(te.env, "other.key") // as mesh run makes it
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, key.Hex(), first.Hex())
	}
	for i, k := range made {
		for _, o := range made[:i] {
			if k == o {
				t.Errorf("one key was made twice")
			}
		}
	}
}

// Every invitation has a secret of its own, of which the node keeps a hash: none opens the mesh for more than it says,
// and to cancel one locks nobody else out. No two tell anything about each other, nor about the node's key.
func TestInvitationsShareNoSecret(t *testing.T) {
	t.Parallel()
	key, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store := oplog.NewMemory()
	cfg := node.DefaultConfig()
	cfg.Key, cfg.Zone, cfg.Network, cfg.Store, cfg.BindAddresses, cfg.Replica.Bootstrap = key, "east", "default", store, []string{"127.0.0.1"}, true
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	i := &inspector{node: n, zone: "east", network: "default", self: key.Public(), now: time.Now, rand: newEnv().rand}
	var tokens []token.Token
	for range 3 {
		in, err := i.Invite(ctx, admin.InviteRequest{TTL: time.Hour, Uses: 1, Endpoints: []string{"127.0.0.1:9102"}})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := token.Parse(in.Token)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, tok)
	}
	if _, err := i.Revoke(ctx, tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	index, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(index.Invites) != len(tokens) {
		t.Fatalf("%d invitations are kept", len(index.Invites))
	}
	seed := key.Seed()
	for a, tok := range tokens {
		for _, in := range index.Invites {
			if in.ID == tok.ID && (in.Secret != token.HashSecret(tok.Secret) || in.Revoked != (a == 0)) {
				t.Errorf("invitation %s is kept as %+v", tok.ID, in)
			}
			if bytes.Contains(in.Secret[:], tok.Secret[:]) {
				t.Error("a secret is kept in the clear")
			}
		}
		if bytes.Contains(seed[:], tok.Secret[:]) || strings.Contains(tok.String(), key.Hex()) {
			t.Error("a secret is part of the key")
		}
		for _, o := range tokens[:a] {
			if o.Secret == tok.Secret || o.ID == tok.ID {
				t.Error("two invitations share a secret")
			}
		}
	}
}
