package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestKill kills nodes at random moments, for a minute, while manifests are created, changed and deleted in the
// folders of all three, whether their node runs or not. Snapshots, prunes and the end of tombstones come often.
func TestKill(t *testing.T) { kill(t, time.Minute, true) }

// TestKillWithoutGossip shows that nothing rests on gossip.
func TestKillWithoutGossip(t *testing.T) { kill(t, 15*time.Second, false) }

func kill(t *testing.T, during time.Duration, gossip bool) {
	rng := random(t)
	all := zones(t, "east west north", set("gossip", gossip),
		setMesh("delete_brake", map[string]any{"share": 1}),
		setMesh("snapshot", map[string]any{"snapshot_max_log": 50, "snapshot_interval_seconds": 1}),
		setMesh("tombstone", map[string]any{"tombstone_retention_interval_seconds": 1}))
	startAll(t, all...)

	var users sync.WaitGroup
	over := time.Now().Add(during)
	written := make([]map[string]string, len(all))
	errs := make([]error, len(all))
	for i, z := range all {
		source := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		users.Go(func() { written[i], errs[i] = z.use(source, over) })
	}
	kills := 0
	for time.Now().Before(over) {
		// The moment, and how long the node is away, are the point of the story, not a wait for something.
		time.Sleep(time.Duration(rng.IntN(1200)) * time.Millisecond)
		z := all[rng.IntN(len(all))]
		must(t, z.kill())
		kills++
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
		must(t, z.begin())
	}
	users.Wait()
	must(t, errors.Join(errs...))

	want := model{}
	objects := 0
	for i, z := range all {
		want[z.name] = written[i]
		objects += len(written[i])
	}
	equal(t, want, all...)
	for _, z := range all {
		z.cli("status", "--wait=120s")
		z.verify()
	}
	for _, z := range all {
		z.stop()
		z.verify()
	}
	// What was killed and stopped comes back as it was, and so does everybody's memory of deletions.
	startAll(t, all...)
	all[0].write("last.yaml", manifest("last", "1"))
	want.set(all[0].name, "last", "1")
	equal(t, want, all...)
	status, err := all[0].status()
	must(t, err)
	operations := uint64(0)
	for _, r := range status.Replication {
		operations += r.Applied
	}
	t.Logf("%d kills, %d objects in the end, %d operations of two zones", kills, objects, operations)
}

// use creates, changes and deletes manifests in local/ until a time is over, and returns what is there then.
func (z *zone) use(rng *rand.Rand, over time.Time) (map[string]string, error) {
	have := map[string]string{}
	for n := 0; time.Now().Before(over); n++ {
		time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond) // a user's pace
		name := fmt.Sprintf("%s-%d", z.name, rng.IntN(60))
		file := name + ".yaml"
		value := fmt.Sprint(n)
		_, exists := have[name]
		var err error
		switch {
		case exists && rng.IntN(3) == 0:
			err = os.Remove(filepath.Join(z.folder, "local", file))
			delete(have, name)
		case rng.IntN(4) == 0: // in place, as a shell does
			err = os.WriteFile(filepath.Join(z.folder, "local", file), []byte(manifest(name, value)), 0o644)
			have[name] = value
		default:
			err = z.replace(file, manifest(name, value))
			have[name] = value
		}
		if err != nil {
			return nil, err
		}
	}
	return maps.Clone(have), nil
}
