package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// TestKubeMeshPeers lets administrators introduce two nodes to each other with MeshPeers, which then show how the other
// is, until it is deleted.
func TestKubeMeshPeers(t *testing.T) {
	t.Parallel()
	all := sharedZones(t, "east west")
	east, west := all[0], all[1]
	for _, z := range all {
		z.config["nodes"] = []map[string]any{}
		z.config["mesh"].(map[string]any)["peer_timeout"] = map[string]any{"peer_unavailable_after_seconds": 30}
		z.save()
		must(t, z.begin())
	}
	for _, z := range all {
		eventually(t, "MeshPeers are served", func() error { _, err := z.list(z.peersPath()); return err })
	}
	if got, err := east.peer("west"); err == nil {
		t.Errorf("east knows %+v", got)
	}
	introduce(east, west)
	introduce(west, east)
	for _, z := range all {
		other := all[1]
		if z == west {
			other = east
		}
		z.sees(other, mesh.Ready, "True")
	}
	want := fill(t, 5, all...)

	table := east.server.Kubectl(t, "get", "meshpeers", "-n", east.ns)
	for _, word := range []string{"ZONE", "STATUS", "READY", "west", "Ready", "True", fmt.Sprintf("127.0.0.1:%d", west.port)} {
		if !strings.Contains(table, word) {
			t.Errorf("kubectl get meshpeers doesn't show %q:\n%s", word, table)
		}
	}
	if lines := strings.Count(table, "\n"); lines != 3 {
		t.Errorf("%d lines, want a title, the other node and the own one:\n%s", lines, table)
	}
	east.tellsOf("made-for-west", "PeerReady") // Events are written when there is time for them
	told := east.server.Kubectl(t, "describe", "meshpeer", "made-for-west", "-n", east.ns)
	for _, word := range []string{west.public, "Operations flow", "PeerReady"} {
		if !strings.Contains(told, word) {
			t.Errorf("kubectl describe doesn't show %q:\n%s", word, told)
		}
	}
	if out := east.cli("peers"); !strings.Contains(out, "west") || !strings.Contains(out, "Ready") {
		t.Errorf("peers:\n%s", out)
	}

	must(t, west.kill())
	east.sees(west, mesh.NotReady, "False")
	east.sees(west, mesh.Unavailable, "False")
	east.tellsOf("made-for-west", "PeerReady", "PeerNotReady", "PeerUnavailable") // one that is stopped tells nothing more
	east.stop()
	must(t, east.begin())
	east.sees(west, mesh.Unknown, "Unknown")
	must(t, west.begin())
	east.sees(west, mesh.Ready, "True")
	west.sees(east, mesh.Ready, "True")
	flows(t, want, all...)

	// Without its MeshPeer west is still a member: that was signed. East shows it again, under a name of its own.
	east.must(http.MethodDelete, east.peersPath()+"/made-for-west", nil)
	east.becomes("west has a MeshPeer again", east.peersPath()+"/peer-"+west.public[:8], func(o object) bool {
		return o.Status["status"] == string(mesh.Ready)
	})
	flows(t, want, all...)
}

// introduce makes a MeshPeer for another node, as an administrator does.
func introduce(z, other *kubeZone) {
	z.t.Helper()
	z.must(http.MethodPost, z.peersPath(), map[string]any{
		"apiVersion": "dcp.hiro.io/v1", "kind": "MeshPeer", "metadata": map[string]any{"name": "made-for-" + other.name},
		"spec": map[string]any{"admitted": true, "zone": other.name, "identity": map[string]any{
			"publicKey": other.public, "endpoints": []string{fmt.Sprintf("127.0.0.1:%d", other.port)}}},
	})
}

// tellsOf waits until Events about a MeshPeer give all the reasons.
func (z *kubeZone) tellsOf(peer string, reasons ...string) {
	z.t.Helper()
	eventually(z.t, "Events about "+peer, func() error {
		var list struct {
			Items []struct {
				Reason    string
				Regarding struct{ Name string }
			}
		}
		if err := z.ok(http.MethodGet, "/apis/events.k8s.io/v1/namespaces/"+z.ns+"/events", nil, &list); err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			if e.Regarding.Name == peer {
				got = append(got, e.Reason)
			}
		}
		for _, reason := range reasons {
			if !slices.Contains(got, reason) {
				return fmt.Errorf("no %s among %q", reason, got)
			}
		}
		return nil
	})
}

// sees waits until the MeshPeer of another node shows a state.
func (z *kubeZone) sees(other *kubeZone, state mesh.PeerState, ready string) {
	z.t.Helper()
	z.becomes(fmt.Sprintf("%s sees %s as %s", z.name, other.name, state), z.peersPath()+"/made-for-"+other.name, func(o object) bool {
		conditions, _ := o.Status["conditions"].([]any)
		return o.Status["status"] == string(state) && slices.ContainsFunc(conditions, func(c any) bool {
			m, _ := c.(map[string]any)
			return m["type"] == "Ready" && m["status"] == ready
		})
	})
}
