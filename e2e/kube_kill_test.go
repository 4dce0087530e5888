package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// TestKubeKill kills nodes, API servers and etcd at random moments while objects are created, changed and deleted in
// three clusters. Then everything is killed, and starts again in any order.
func TestKubeKill(t *testing.T) {
	t.Parallel()
	rng := random(t)
	servers := ownServers(t, "east west north")
	all := zonesOf(t, servers)
	for _, z := range all {
		// Snapshots, prunes and the end of tombstones come often, and no deletion waits for anybody.
		m := z.config["mesh"].(map[string]any)
		m["delete_brake"] = map[string]any{"share": 1}
		m["snapshot"] = map[string]any{"snapshot_max_log": 50, "snapshot_interval_seconds": 1}
		m["tombstone"] = map[string]any{"tombstone_retention_interval_seconds": 1}
		z.save()
	}
	startAll(t, plain(all)...)

	var working sync.WaitGroup
	over := time.Now().Add(40 * time.Second)
	written := make([]map[string]string, len(all))
	errs := make([]error, len(all)+1)
	for i, z := range all {
		source := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		working.Go(func() { written[i], errs[i] = z.use(source, over) })
	}
	source := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	kills := 0
	working.Go(func() { kills, errs[len(all)] = killNodes(all, source, over) })
	crashes := 0
	for ; time.Now().Before(over); crashes++ {
		// The moment, and how long a server is away, are the point of the story, not a wait for something.
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		crash(t, servers[rng.IntN(len(servers))], rng)
	}
	working.Wait()
	must(t, errors.Join(errs...))

	want := model{}
	objects := 0
	for i, z := range all {
		want[z.name] = written[i]
		objects += len(written[i])
	}
	alike(t, want, all...)
	t.Logf("%d kills of nodes, %d of servers, %d objects in the end", kills, crashes, objects)

	anyOrder(t, all, servers, rng)
	alike(t, want, all...)
	flows(t, want, all...)
	for _, z := range all {
		z.cli("status", "--wait=120s")
		z.stop()
		z.verify()
	}
}

// crash kills an API server, its store or both, and starts them again.
func crash(t *testing.T, s *kubetest.Server, rng *rand.Rand) {
	t.Helper()
	away := func() { time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond) }
	switch rng.IntN(3) {
	case 0:
		s.KillAPIServer(t)
		away()
		s.StartAPIServer(t)
	case 1:
		s.KillEtcd(t)
		away()
		s.StartEtcd(t)
	case 2:
		s.KillEtcd(t)
		s.KillAPIServer(t)
		away()
		s.StartEtcd(t)
		s.StartAPIServer(t)
	}
}

func killNodes(all []*kubeZone, rng *rand.Rand, over time.Time) (kills int, err error) {
	for ; time.Now().Before(over); kills++ {
		time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
		z := all[rng.IntN(len(all))]
		if err := z.kill(); err != nil {
			return kills, err
		}
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
		if err := z.begin(); err != nil {
			return kills, err
		}
	}
	return kills, nil
}

// anyOrder kills everything and starts it again, in an order of which only is certain that a store comes before its
// API server.
func anyOrder(t *testing.T, all []*kubeZone, servers []*kubetest.Server, rng *rand.Rand) {
	t.Helper()
	var starts []func()
	for i, s := range servers {
		must(t, all[i].kill())
		s.KillAPIServer(t)
		s.KillEtcd(t)
		starts = append(starts, func() { must(t, all[i].begin()) }, func() { s.StartEtcd(t); s.StartAPIServer(t) })
	}
	for _, i := range rng.Perm(len(starts)) {
		starts[i]()
	}
}

// use creates, changes and deletes ConfigMaps until a time is over, and returns what is there then. What fails is done
// again until it is certain.
func (z *kubeZone) use(rng *rand.Rand, over time.Time) (map[string]string, error) {
	have := map[string]string{}
	for n := 0; time.Now().Before(over); n++ {
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond) // a user's pace
		name, value := fmt.Sprintf("%s-%d", z.name, rng.IntN(60)), fmt.Sprint(n)
		_, exists := have[name]
		do := func() error { return z.put(name, value) }
		if exists && rng.IntN(3) == 0 {
			do = func() error { return z.remove(name) }
			delete(have, name)
		} else {
			have[name] = value
		}
		if err := wait(patience, do); err != nil {
			return nil, err
		}
	}
	return have, nil
}
