package main

import (
	"errors"
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/replica"
)

// What became of an invitation is no reason to stay away for a node that was in the mesh before; who it is, is one.
func TestSpent(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		string(replica.DenialExpired): true, string(replica.DenialUsed): true, string(replica.DenialRevoked): true, string(replica.DenialUnknown): true,
		string(replica.DenialRemoved): false, string(replica.DenialZone): false, string(replica.DenialFor): false, string(replica.DenialBound): false,
		"wrong_network": false, "identity_mismatch": false,
	} {
		if got := spent(fmt.Errorf("told: %w", &node.JoinRefused{Code: code})); got != want {
			t.Errorf("spent(%s) = %t, want %t", code, got, want)
		}
	}
	if spent(errors.New("other")) {
		t.Error("any error counts as a spent token")
	}
}
