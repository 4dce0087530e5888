package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// completed runs what a shell runs when Tab is pressed behind a line; its last word may be empty.
func completed(t *testing.T, dataDir string, line string) string {
	t.Helper()
	te := inspectEnv(t)
	words := strings.Split(line, " ")
	switch {
	case dataDir == "":
	case stored(dataDir):
		words = slices.Insert(words, len(words)-1, "--data-dir", dataDir)
	default:
		te.vars["MESH_NODE"] = "unix:" + admin.SocketPath(dataDir)
	}
	if code := te.mesh(t, append([]string{"__complete"}, words...)...); code != 0 {
		t.Errorf("__complete %s = %d: %s", line, code, te.stderr.String())
	}
	return te.stdout.String()
}

// stored reports whether a data directory holds a store.
func stored(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, storeName))
	return err == nil
}

// completingNode has what can be completed.
func completingNode(t *testing.T) *fakeNode {
	node := newFakeNode(t)
	stranger := seedKey(20).Public()
	node.peers = append(node.peers, mesh.Peer{Name: "peer-" + stranger.String()[:8], State: mesh.NotAdmitted, PublicKey: stranger.String(), PeerID: stranger.PeerID(),
		Endpoints: []string{"192.0.2.9:9102"}, Since: before(time.Hour), Reasons: []string{"SeenOnLAN"}, ZoneKeys: []mesh.ZoneKey{}})
	node.invites = []mesh.Invite{
		{ID: "k7q2m9xd", Zone: ptr(mesh.Zone("west")), Uses: 1, Created: *before(2 * time.Minute), Expires: fakeNow.Add(58 * time.Minute), State: mesh.InvitePending, Redemptions: []mesh.Redemption{}},
		{ID: "any1any1", Uses: 3, Created: *before(2 * time.Minute), Expires: fakeNow.Add(58 * time.Minute), State: mesh.InvitePending, Redemptions: []mesh.Redemption{}},
		{ID: "usedused", Uses: 1, Used: 1, Created: *before(26 * time.Hour), Expires: *before(25 * time.Hour), State: mesh.InviteUsed, Redemptions: []mesh.Redemption{}},
	}
	for _, o := range []string{"AnyApplication.dcp.hiro.io/default/shop", "ConfigMap/default/app", "ConfigMap/default/own", "ConfigMap/kube-system/root", "Namespace/team"} {
		node.resources = append(node.resources, mesh.Resource{Object: o, Owner: "west", State: "Live", Claims: []mesh.Zone{"west"}, Since: *before(time.Hour)})
	}
	return node
}

func TestCompletionTranscript(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, completingNode(t))
	var b strings.Builder
	for _, line := range []string{"peers ", "peers w", "peers west ", "peers describe ", "peers describe west ", "peers remove l", "peers accept-deletes ", "peers --state R", "peers --state Ready,",
		"peers -o ", "peers -o jsonpath-", "peers -o jsonpath-file=", "peers --sort-by ", "log ", "log show ", "log show e", "log verify ", "log export ", "log export --format ", "log show --type ",
		"log show --object Config", "adopt ", "adopt ConfigMap/default/", "adopt configmap/default/a", "invite ", "invite revoke ", "invite --for ", "status ", "status -o ", "version -c ", "completion "} {
		fmt.Fprintf(&b, "$ mesh %s<TAB>\n%s", line, completed(t, dir, line))
	}
	for _, line := range []string{"", "k", "help ", "help MESH-60", "help mesh-60", "help peers.", "help peers ", "run -c ", "run -k ", "run --folder ", "run --log-level ", "keygen ", "keygen --public ", "join ", "join --token-file ", "--color ", "tui --theme ", "tui --replay ", "doctor --group ", "doctor --skip peers.l", "doctor --bundle ", "invite --zone "} {
		fmt.Fprintf(&b, "$ mesh %s<TAB>\n%s", line, completed(t, "", line))
	}
	golden(t, "completion", b.String())
}

// With many objects a shell is given the next segment of their names, not thousands of lines.
func TestCompletionOfManyObjects(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	for i := range 500 {
		node.resources = append(node.resources, mesh.Resource{Object: fmt.Sprintf("ConfigMap/ns-%02d/app-%03d", i/50, i), Owner: "west", State: "Live"})
	}
	node.resources = append(node.resources, mesh.Resource{Object: "Namespace/team", Owner: "west", State: "Live"})
	dir := serveFake(t, node)
	for _, tt := range []struct {
		line  string
		lines int
		first string
	}{
		{"adopt ", 3, "ConfigMap/\n"},
		{"adopt ConfigMap/", 11, "ConfigMap/ns-00/\n"},
		{"adopt ConfigMap/ns-03/", 51, "ConfigMap/ns-03/app-150\t"},
	} {
		if got := completed(t, dir, tt.line); strings.Count(got, "\n") != tt.lines || !strings.HasPrefix(got, tt.first) {
			t.Errorf("mesh %s<TAB> = %s, want %d lines from %q", tt.line, got, tt.lines, tt.first)
		}
	}
}

// Where nobody answers, nothing is completed and nothing is said; a stopped node's store names its logs.
func TestCompletionWithoutNode(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"peers describe ", "adopt ", "invite revoke ", "log show ", "peers accept-deletes "} {
		if got := completed(t, t.TempDir(), line); got != ":4\n" {
			t.Errorf("mesh %s<TAB> = %q", line, got)
		}
	}
	if got := completed(t, storeOf(t, newFakeNode(t)), "log show "); !strings.HasPrefix(got, "east\t5 operations\n") {
		t.Errorf("of a stopped node: %q", got)
	}
}

// Names come from other machines: none becomes more than a word of the command line.
func TestCompletionsAreWords(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "$(reboot)", "a b", "a;b", "`x`", "a\nb", "-rf", "a'b", "é", "a\x1b[31m", "~root", "*"} {
		if got := completions([]string{bad + "\tabout"}, nil, ""); len(got) > 0 {
			t.Errorf("completions(%q) = %q", bad, got)
		}
	}
	if got := completions([]string{"west\tsaid \x1b[31m", "east"}, []string{"east"}, ""); len(got) != 1 || got[0] != "west\tsaid ?[31m" {
		t.Errorf("completions = %q", got)
	}
}
