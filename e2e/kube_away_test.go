package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/mesh"
)

// TestKubeCutOff stops one zone's node, or kills it, while a thousand objects change in the other zones, and in its own
// cluster, one of which ends only when its finalizer is gone: it catches up exactly.
func TestKubeCutOff(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name      string
		away, now func(z *kubeZone)
	}{
		{"stopped", func(z *kubeZone) { z.signal(syscall.SIGSTOP) }, func(z *kubeZone) { z.signal(syscall.SIGCONT) }},
		{"killed", func(z *kubeZone) { must(z.t, z.kill()) }, func(z *kubeZone) { z.start() }},
	} {
		t.Run(how.name, func(t *testing.T) {
			all := sharedZones(t, "east west north")
			for _, z := range all {
				z.config["mesh"].(map[string]any)["delete_brake"] = map[string]any{"share": 1}
				z.save()
			}
			east, west, north := all[0], all[1], all[2]
			startAll(t, plain(all)...)
			want := model{}
			const each = 300
			change(t, want, east, 0, each, "1")
			change(t, want, west, 0, 50, "1")
			want.set("west", "finalized", "1")
			must(t, west.create("finalized", "1"))
			alike(t, want, all...)
			west.must(http.MethodPatch, west.at("finalized"), map[string]any{"metadata": map[string]any{"finalizers": []string{"example.com/mine"}}})
			west.must(http.MethodDelete, west.at("finalized"), nil)

			how.away(west)
			change(t, want, east, each, 2*each, "1")
			change(t, want, north, 0, each, "1")
			change(t, want, east, 0, each/2, "2")
			change(t, want, east, each/2, each, "")
			change(t, want, west, 0, 25, "2")
			change(t, want, west, 25, 50, "")
			west.must(http.MethodPatch, west.at("finalized"), map[string]any{"metadata": map[string]any{"finalizers": nil}})
			delete(want["west"], "finalized")
			for _, z := range []*kubeZone{east, north} {
				eventually(t, "the others go on, and see that west is away", func() error {
					p, err := z.peer("west")
					if err == nil && p.State == mesh.Ready {
						err = errors.New("it is ready")
					}
					return err
				})
			}
			how.now(west)
			alike(t, want, all...)
			flows(t, want, all...)
		})
	}
}

// change sets objects of a zone, by number, to a value, or deletes them; several at a time.
func change(t *testing.T, want model, z *kubeZone, from, to int, value string) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for n := from; n < to; n++ {
		name := fmt.Sprintf("%s-%d", z.name, n)
		if value == "" {
			delete(want[z.name], name)
			group.Go(func() error { return z.remove(name) })
			continue
		}
		do := z.create
		if _, exists := want[z.name][name]; exists {
			do = z.put
		}
		want.set(z.name, name, value)
		group.Go(func() error { return do(name, value) })
	}
	must(t, group.Wait())
}

// TestKubeServerAway takes one cluster's API server away, first so that it refuses, then so that it hangs: the other
// zones go on, its node says what is wrong, and no write is forgotten.
func TestKubeServerAway(t *testing.T) {
	t.Parallel()
	servers := ownServers(t, "east west north")
	all := zonesOf(t, servers)
	east, west, north := all[0], all[1], all[2]
	startAll(t, plain(all)...)
	want := fill(t, several, all...)
	for i, how := range []struct{ away, back func() }{
		{func() { servers[1].KillAPIServer(t) }, func() { servers[1].StartAPIServer(t) }},
		{func() { servers[1].PauseAPIServer(t) }, func() { servers[1].ResumeAPIServer(t) }},
		{func() { servers[1].KillEtcd(t) }, func() { servers[1].StartEtcd(t) }},
	} {
		how.away()
		value := fmt.Sprint("while away ", i)
		change(t, want, east, 0, 10, value)
		// Nine in all: far from the brake, which counts a deletion twice that is decided again after a lost answer.
		change(t, want, east, 10+3*i, 13+3*i, "")
		change(t, want, north, several, several+10*(i+1), value)
		alike(t, want, east, north)
		eventually(t, "status of west tells that its API server is away", func() error {
			s, err := west.status()
			if err == nil && !slices.ContainsFunc(s.Findings, func(f mesh.Finding) bool { return f.ID == "cluster.lease" && f.Status == "fail" }) {
				err = fmt.Errorf("it tells of %+v", s.Findings)
			}
			return err
		})
		how.back()
		alike(t, want, all...)
		west.well()
	}
	flows(t, want, all...)
}
