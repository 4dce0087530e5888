package main

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

func TestRemoveTranscript(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	lab := seedKey(4).Public().String()
	transcript(t, "peers-remove", dir, "peers remove lab", "peers remove lab --no-input", "n | peers remove lab", "peers remove nobody", "peers remove",
		"peers remove lab -y --timeout 2s", "peers remove lab -y --timeout 2s -o json", "peers remove "+strings.Repeat("00", 32)+" -y")
	node.mu.Lock()
	node.cuts = true
	node.mu.Unlock()
	transcript(t, "peers-remove-effective", dir, "y | peers remove lab --timeout 30s", "peers remove lab -y", "peers remove lab -o json")
	if r := node.removals[lab]; r.State != mesh.KeyRemoved || len(node.removals) != 1 {
		t.Errorf("removed %+v", node.removals)
	}

	node.mu.Lock()
	node.refusal = &admin.Error{Code: "MESH-6404", Message: "a node doesn't remove itself", Cause: "east is this node's own zone", Next: []string{"mesh peers remove east, asked of another node"}}
	node.mu.Unlock()
	transcript(t, "peers-remove-self", dir, "peers remove east -y")
}
