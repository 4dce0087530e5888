package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

const replaced = "replaced or restored" // how status words it

// TestKubeRestored goes back to an older snapshot of a cluster, behind the back of its node or while that is stopped.
// What the snapshot lacks stays in the other zone, until somebody agrees that it goes.
func TestKubeRestored(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("running=", running), func(t *testing.T) {
			own := ownServers(t, "east")[0]
			all := zonesOf(t, []*kubetest.Server{own, kubetest.SharedAs(t, "west")})
			east, west := all[0], all[1]
			startAll(t, plain(all)...)
			want := fill(t, several, all...)

			before := east.witness()
			kept := own.Snapshot(t)
			east.stop() // a restart raises the witness, as a minute of work does
			east.start()
			eventually(t, "the witness is raised", func() error {
				if east.witness() == before {
					return errors.New("not yet")
				}
				return nil
			})
			change(t, want, east, several, several+5, "new")
			change(t, want, east, 2, 3, "2")
			change(t, want, west, 1, 2, "")
			change(t, want, west, 2, 3, "2")
			change(t, want, west, several, several+5, "new")
			alike(t, want, all...)

			if !running {
				east.stop()
			}
			own.Restore(t, kept)
			if running {
				// The Lease is of an earlier run again: that one might live. Kubernetes starts the container anew.
				if code := east.exit(); code != 1 {
					t.Errorf("the node ended with %d, want 1", code)
				}
			}
			east.start()
			east.shows(replaced)
			// Replicas are as their owner says. What is east's own is what the snapshot says of it, and what that
			// lacks goes on living elsewhere.
			want.set("east", "east-2", "1")
			here := model{"west": want["west"], "east": {}}
			for name, value := range want["east"] {
				if value != "new" {
					here.set("east", name, value)
				}
			}
			for range 2 {
				alike(t, here, east)
				alike(t, want, west)
				change(t, want, west, 3, 4, "meanwhile") // has come through: east has had its time to err
			}
			eventually(t, "east holds the deletions of what the snapshot lacks", func() error {
				s, err := east.status()
				if err == nil && s.Resources.DeletesHeld != 5 {
					err = fmt.Errorf("it holds %d", s.Resources.DeletesHeld)
				}
				return err
			})
			// One is made again, the rest is let go.
			change(t, want, east, several, several+1, "made again")
			west.becomes("what is made again arrives", west.at(fmt.Sprint("east-", several)), func(o object) bool { return o.Data["value"] == "made again" })
			for n := range 4 {
				delete(want["east"], fmt.Sprint("east-", several+1+n))
			}
			agree(t, want, all...)
			flows(t, want, all...)
			change(t, want, east, 0, 2, "")
			alike(t, want, all...)
		})
	}
}

// witness returns what ties the store to the cluster.
func (z *kubeZone) witness() string {
	var list struct {
		Items []struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct{ Identity struct{ PublicKey string } }
		}
	}
	must(z.t, z.ok(http.MethodGet, z.peersPath(), nil, &list))
	for _, p := range list.Items {
		if p.Spec.Identity.PublicKey == z.public {
			return fmt.Sprint(p.Metadata.Annotations)
		}
	}
	return ""
}

func (z *kubeZone) peersPath() string {
	return "/apis/dcp.hiro.io/v1/namespaces/" + z.ns + "/meshpeers"
}

// TestKubeRebuilt empties a cluster: the zone gets back what is others', and nobody loses what was the zone's own, with
// the node's store and without it.
func TestKubeRebuilt(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"same", "new"} {
		t.Run(store+" store", func(t *testing.T) {
			own := ownServers(t, "east")[0]
			all := zonesOf(t, []*kubetest.Server{own, kubetest.SharedAs(t, "west")})
			east, west := all[0], all[1]
			startAll(t, plain(all)...)
			want := fill(t, several, all...)

			east.stop()
			own.Rebuild(t)
			east.must(http.MethodPost, "/api/v1/namespaces", namespace(east.ns))
			if store == "new" {
				must(t, os.RemoveAll(east.data))
			}
			east.start()
			east.shows(replaced, "accept-deletes")
			for range 2 {
				alike(t, model{"west": want["west"]}, east)
				alike(t, want, west)
				change(t, want, west, 3, 4, "meanwhile")
			}
			// Half of it is made again, as it was; nobody wants the rest any more.
			change(t, want, east, 0, several/2, "1")
			for n := several / 2; n < several; n++ {
				delete(want["east"], fmt.Sprint("east-", n))
			}
			agree(t, want, all...)
			flows(t, want, all...)
			change(t, want, east, 0, 2, "")
			agree(t, want, all...) // with the others that are more than half within the brake's window
		})
	}
}

// TestKubeWrongContext starts a node with the context of another cluster: an empty one, or one that another zone
// works in.
func TestKubeWrongContext(t *testing.T) {
	t.Parallel()
	for _, inUse := range []bool{false, true} {
		t.Run(fmt.Sprint("in use=", inUse), func(t *testing.T) {
			all := sharedZones(t, "east west")
			east, west := all[0], all[1]
			startAll(t, plain(all)...)
			want := fill(t, several, all...)
			right, wrong := east.server, west.server
			if !inUse {
				wrong = kubetest.SharedAs(t, "north")
			}
			east.stop()
			east.in(wrong)
			if !inUse {
				east.must(http.MethodPost, "/api/v1/namespaces", namespace(east.ns))
			}
			east.start()
			if inUse {
				// What it would find there is another zone's: it takes nothing for its own, and says what is wrong.
				east.shows("carries the witness of zone west")
			} else {
				east.shows(replaced)
			}
			change(t, want, west, 1, 2, "2")
			change(t, want, west, 2, 3, "")
			alike(t, want, west)
			if !inUse {
				east.cli("status", "--wait=120s")
				alike(t, model{"west": want["west"]}, east)
			}

			east.stop()
			east.in(right)
			east.start()
			alike(t, want, all...)
			agree(t, want, all...)
			if inUse {
				flows(t, want, all...)
				return // its own cluster is the one that it knows: there is nothing to confirm
			}
			if out := east.cli("peers", "accept-deletes", "east", "-y"); strings.Contains(out, "ConfigMap") {
				t.Errorf("something is held:\n%s", out)
			}
			flows(t, want, all...)
			change(t, want, east, 0, 2, "")
			alike(t, want, all...)
		})
	}
}
