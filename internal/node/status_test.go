package node

import (
	"fmt"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// What is wrong in the cluster is a finding, so that nothing calls a node healthy that isn't.
func TestClusterFindings(t *testing.T) {
	t.Parallel()
	broken := mesh.Problem{File: "local/app.yaml", Reason: "Invalid", Text: "did not find expected key"}
	object := mesh.Problem{Object: "ConfigMap/shop/app", File: "local/copy.yaml", Reason: "Duplicate", Text: "another file defines it too"}
	for _, tt := range []struct {
		status mesh.ClusterStatus
		want   string
	}{
		{mesh.ClusterStatus{Kind: "none"}, ""},
		{mesh.ClusterStatus{Kind: "folder", Connected: true}, ""},
		{mesh.ClusterStatus{Kind: "folder", Location: "/srv/east"}, "fail folder /srv/east: cannot be read, or not wholly: nothing that is missing in it counts as deleted\n"},
		{mesh.ClusterStatus{Kind: "folder", Connected: true, Problems: []mesh.Problem{broken}}, "warn local/app.yaml: Invalid: did not find expected key\n"},
		{mesh.ClusterStatus{Kind: "folder", Connected: true, Problems: []mesh.Problem{object, broken}},
			"warn ConfigMap/shop/app: Duplicate: another file defines it too (the first of 2 problems in the cluster)\n"},
	} {
		got := ""
		for _, f := range clusterFindings(tt.status) {
			got += fmt.Sprintf("%s %s: %s\n", f.Status, f.Subject, f.Text)
		}
		if got != tt.want {
			t.Errorf("clusterFindings(%+v) = %q, want %q", tt.status, got, tt.want)
		}
	}
}
