package e2e_test

import (
	"strings"
	"testing"
	"time"
)

// TestKubeThousands makes 5,000 objects at once in one cluster, and one of 1 MB among them.
func TestKubeThousands(t *testing.T) {
	t.Parallel()
	const count, size, most = 5_000, 1 << 10, 300 << 20
	all := sharedZones(t, "east west")
	east, west := all[0], all[1]
	startAll(t, plain(all)...)
	want := model{}
	began := time.Now()
	change(t, want, east, 0, count/2, strings.Repeat("z", size))
	large := strings.Repeat("x", 1_000_000)
	want.set("east", "large", large)
	must(t, east.put("large", large))
	change(t, want, east, count/2, count, strings.Repeat("z", size))
	made := time.Since(began)
	eventually(t, "all is there", func() error { return west.differsIn(want) })
	t.Logf("%d objects: made in %.1f s, everywhere after %.1f s", count, made.Seconds(), time.Since(began).Seconds())

	change(t, want, east, 0, 500, "2")
	change(t, want, east, 500, 1000, "")
	large = strings.Repeat("y", 1_000_000)
	want.set("east", "large", large)
	must(t, east.put("large", large))
	alike(t, want, all...)
	for _, z := range all {
		t.Logf("%s: %d MiB resident, %d MiB at most", z.name, z.memory("VmRSS")>>20, z.memory("VmHWM")>>20)
		if got := z.memory("VmHWM"); got > most {
			t.Errorf("%s took %d MiB, want at most %d", z.name, got>>20, most>>20)
		}
	}
	west.stop()
	west.start()
	flows(t, want, all...)
	t.Logf("%s, started anew: %d MiB resident, %d MiB at most", west.name, west.memory("VmRSS")>>20, west.memory("VmHWM")>>20)
	for _, z := range all {
		z.cli("status", "--wait=120s")
	}
}
