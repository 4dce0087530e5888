package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// invites makes an invitation for a zone and gives it to the node of that zone as a mounted file.
func (z *kubeZone) invites(other *kubeZone) {
	z.t.Helper()
	token := z.cli("invite", "-q", "--zone", other.name, "--endpoint", fmt.Sprintf("127.0.0.1:%d", z.port))
	file := filepath.Join(other.dir, "token")
	must(z.t, os.WriteFile(file, []byte(token), 0o600))
	other.config["join"] = map[string]any{"token_file": file}
	other.save()
}

// presents waits until the MeshPeer of another node, whatever it is called, shows a state and a reason of Ready. Its name
// and whether people admitted it are returned.
func (z *kubeZone) presents(other *kubeZone, state, reason string) (name string, admitted bool) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s shows %s as %s, %s", z.name, other.name, state, reason), func() error {
		list, err := z.list(z.peersPath())
		if err != nil {
			return err
		}
		for _, o := range list {
			identity, _ := o.Spec["identity"].(map[string]any)
			if identity["publicKey"] != other.public {
				continue
			}
			name = o.Metadata.Name
			admitted, _ = o.Spec["admitted"].(bool)
			if got := o.reason("Ready"); o.Status["status"] != state || got != reason {
				return fmt.Errorf("it is %v, %s", o.Status["status"], got)
			}
			return nil
		}
		return errors.New("there is no MeshPeer")
	})
	return name, admitted
}

// reason is that of a condition.
func (o object) reason(condition string) string {
	conditions, _ := o.Status["conditions"].([]any)
	for _, c := range conditions {
		if m, _ := c.(map[string]any); m["type"] == condition {
			s, _ := m["reason"].(string)
			return s
		}
	}
	return ""
}

// TestKubeJoin has two clusters join a third by tokens in files, one through the other; each shows all of them as
// MeshPeers that nobody wrote. One is removed and stays out, although a MeshPeer that admits it is restored.
func TestKubeJoin(t *testing.T) {
	t.Parallel()
	all := sharedZones(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	for _, z := range all {
		z.config["nodes"] = []map[string]any{}
		z.config["mesh"].(map[string]any)["bootstrap"] = true
		z.save()
	}
	must(t, east.begin())
	east.cli("status", "--wait=120s")
	east.invites(west)
	must(t, west.begin())
	west.cli("status", "--wait=120s")
	west.invites(north)
	must(t, north.begin())
	for _, z := range all {
		for _, other := range all {
			if other == z {
				continue
			}
			if name, admitted := z.presents(other, "Ready", "Connected"); admitted || !strings.HasPrefix(name, "peer-") {
				t.Errorf("%s has MeshPeer %s of %s, admitted: %t; nobody wrote it", z.name, name, other.name, admitted)
			}
		}
	}
	want := fill(t, 3, all...)

	// A pod without its volume uses the token again. It finds its own MeshPeer, and its cluster as it was.
	west.stop()
	must(t, os.RemoveAll(west.data))
	must(t, west.begin())
	west.cli("status", "--wait=120s")
	east.presents(west, "Ready", "Connected")
	flows(t, want, all...)

	// With a token that is spent it ends, unless people said that somebody is admitted here: then it is known by its key.
	id := regexp.MustCompile(`"id": "([0-9a-z]+)"`).FindStringSubmatch(east.cli("invite", "ls", "-o", "json"))
	east.cli("invite", "revoke", id[1])
	west.stop()
	must(t, os.RemoveAll(west.data))
	must(t, west.begin())
	if code := west.exit(); code != 6 {
		t.Errorf("with a token that was revoked west ended with %d, want 6", code)
	}
	var ofEast string
	peers, err := west.list(west.peersPath())
	must(t, err)
	for _, o := range peers {
		if identity, _ := o.Spec["identity"].(map[string]any); identity["publicKey"] == east.public {
			ofEast = o.Metadata.Name
		}
	}
	west.must(http.MethodPatch, west.peersPath()+"/"+ofEast, map[string]any{"spec": map[string]any{"admitted": true}})
	must(t, os.RemoveAll(west.data))
	must(t, west.begin())
	west.cli("status", "--wait=120s")
	west.presents(north, "Ready", "Connected")
	flows(t, want, all...)

	// Removed: at once here, and wherever it is heard.
	east.cli("peers", "remove", "north", "-y", "--timeout", "60s")
	name, _ := east.presents(north, "Unavailable", "Removed")
	west.presents(north, "Unavailable", "Removed")
	east.tellsOf(name, "PeerRemoved")

	// A MeshPeer from a backup admits nobody who was removed; the node says so.
	introduce(west, north)
	west.becomes("west refuses the restored MeshPeer", west.peersPath()+"/made-for-north", func(o object) bool {
		return o.Status["status"] == "Unavailable" && o.reason("Ready") == "Removed" && o.reason("Admitted") == "Removed"
	})
	west.finds("nodes.removed", north.public[:8])
	must(t, north.put("too-late", "1"))
	must(t, west.put("after", "1"))
	want.set("west", "after", "1")
	flows(t, want, east, west)
	for _, z := range []*kubeZone{east, west} {
		if _, err := z.get(z.at("too-late")); !errors.Is(err, errGone) {
			t.Errorf("what north makes arrives at %s: %v", z.name, err)
		}
	}
	alike(t, want, east, west) // what north made before stays
}
