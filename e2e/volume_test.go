package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLargeObjects replicates objects far beyond what gossip carries, up to what Kubernetes allows.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west north")
	startAll(t, all...)
	want := model{}
	for name, size := range map[string]int{"small": 10, "medium": 100_000, "large": 1_400_000, "larger": 1_400_000} {
		value := strings.Repeat("x", size)
		want.set("east", name, value)
		all[0].write(name+".yaml", manifest(name, value))
	}
	equal(t, want, all...)
	want.set("east", "large", strings.Repeat("y", 1_400_000))
	all[0].write("large.yaml", manifest("large", want["east"]["large"]))
	equal(t, want, all...)
	for _, z := range all {
		z.verify()
	}
}

// TestThousands saves 10,000 objects at once in one folder. Then one node is killed and away while some of them
// change and disappear, and another one joins.
func TestThousands(t *testing.T) {
	const count, size = 10_000, 2 << 10
	all := zones(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	startAll(t, all...)
	value := func(n, version int) string { return fmt.Sprintf("%d of %d %s", version, n, strings.Repeat("z", size)) }
	name := func(n int) string { return fmt.Sprintf("object-%d", n) }
	want := model{}
	save := func(n, version int) {
		want.set("east", name(n), value(n, version))
		east.write(name(n)+".yaml", manifest(name(n), value(n, version)))
	}

	began := time.Now()
	for n := range count {
		save(n, 1)
	}
	saved := time.Since(began)
	arrived(t, count, west, north)
	t.Logf("%d objects: saved in %.1f s, everywhere after %.1f s", count, saved.Seconds(), time.Since(began).Seconds())
	equal(t, want, all...)
	for _, z := range all {
		t.Logf("%s: %d MiB resident, %d MiB at most", z.name, z.memory("VmRSS")>>20, z.memory("VmHWM")>>20)
	}

	// One is away while things change.
	must(t, west.kill())
	for n := range 200 {
		save(n, 2)
	}
	for n := 200; n < 400; n++ {
		east.remove(name(n) + ".yaml")
		delete(want["east"], name(n))
	}
	equal(t, want, east, north)
	west.start()
	equal(t, want, west)

	// One joins late, known to the others without a restart.
	late := newZone(t, "late")
	late.knows(all...)
	late.save()
	for _, z := range all {
		z.knows(late)
		z.save()
		z.signal(syscall.SIGHUP)
	}
	began = time.Now()
	must(t, late.begin())
	arrived(t, len(want["east"]), late)
	t.Logf("a node that joins has all after %.1f s", time.Since(began).Seconds())
	late.write("hello.yaml", manifest("hello", "1"))
	want.set("late", "hello", "1")
	all = append(all, late)
	equal(t, want, all...)
	for _, z := range all {
		z.verify()
	}
}

// arrived waits until nodes have as many replicas of east's as they should: cheaper to ask than for equality.
func arrived(t *testing.T, count int, all ...*zone) {
	t.Helper()
	for _, z := range all {
		eventually(t, "everything is at "+z.name, func() error {
			got, err := filepath.Glob(z.replica("east", "*"))
			if err == nil && len(got) != count {
				err = fmt.Errorf("%d of %d", len(got), count)
			}
			return err
		})
	}
}

// TestAuthorGone takes an author away for good, key, store and folder. The others serve its log to a newcomer,
// and none of its objects is deleted.
func TestAuthorGone(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west north")
	east, west, north := all[0], all[1], all[2]
	startEach(t, east, west)
	want := model{}
	for n := range 20 {
		name := fmt.Sprintf("o%d", n)
		want.set("east", name, "1")
		east.write(name+".yaml", manifest(name, "1"))
	}
	equal(t, want, east, west)
	want.set("east", "o7", "2")
	east.write("o7.yaml", manifest("o7", "2"))
	east.remove("o8.yaml")
	delete(want["east"], "o8")
	equal(t, want, west)
	must(t, east.kill())
	must(t, os.RemoveAll(east.dir))

	must(t, north.begin())
	north.write("n.yaml", manifest("n", "1"))
	want.set("north", "n", "1")
	equal(t, want, west, north)
	if p, err := north.peer("east"); err != nil || p.State == "Ready" {
		t.Errorf("east is gone and seen as %v, %v", p.State, err)
	}
	for _, z := range []*zone{west, north} {
		z.verify()
		z.stop()
		z.verify()
	}
}
