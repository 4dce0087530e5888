package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// resumed has a node fetch 20 MB from another. The line is slow at first, and its modem keeps seconds of what waits; both
// count as Ready all the time. Then it is cut three times: what was fetched is not fetched again.
func resumed(t *testing.T, w *wires) {
	const count, size = 400, 50_000
	whole := setMesh("snapshot", map[string]any{"snapshot_max_log": 10_000}) // the log isn't pruned, so each operation is one to fetch
	east, west := w.machine("east", whole), w.machine("west", whole)
	w.meet(east, west)
	want := model{}
	for n := range count {
		name := fmt.Sprintf("big-%d", n)
		value := fmt.Sprintf("%d %s", n, strings.Repeat("0123456789", size/10))
		want.set("east", name, value)
		east.write(name+".yaml", manifest(name, value))
	}
	// 2 Mbit/s and 4 s of what waits, as sold by many; the way back is as slow. UDP is blocked: of the two ways to
	// carry a link TCP is the one that lets megabytes wait in the kernel.
	w.both(east, west, wire{delay: 20 * time.Millisecond, rate: 250_000, buffer: 1_000_000, noUDP: true})
	startAll(t, east)
	eventually(t, "east has published", func() error {
		s, err := east.status()
		if err == nil && s.Resources.Live != count {
			err = fmt.Errorf("%d objects", s.Resources.Live)
		}
		return err
	})
	operations := east.height(t, "east")
	held := func() int { return west.height(t, "east") }
	until := func(least int) {
		t.Helper()
		eventually(t, fmt.Sprintf("west holds %d of %d operations", least, operations), func() error {
			if n := held(); n < least {
				return fmt.Errorf("it holds %d", n)
			}
			return nil
		})
	}
	must(t, west.begin())
	eventually(t, "west answers", func() error { _, err := west.status(); return err })
	all := follows(east, west)
	all.linked(t, east, west, time.Time{})
	machine, began := watchMachine(t), time.Now()
	until(operations / 10)
	slow := time.Since(began)
	for _, ends := range [][2]*zone{{east, west}, {west, east}} {
		for _, n := range all.alarms(ends[0], ends[1], began) {
			machine.blame(t, n.Time, fmt.Sprintf("over a slow line %s says of %s: %s", ends[0].name, ends[1].name, n.Text))
		}
	}
	t.Logf("a slow line, by %s: %d operations in %.1f s, and nobody was taken for dead", west.by(east), held(), slow.Seconds())

	fast := wire{delay: 20 * time.Millisecond, rate: 2_500_000, buffer: 500_000}
	cuts := 0
	for ; held() < operations && cuts < 3; cuts++ {
		part := fast
		part.most = count * size / 6
		healed := time.Now()
		w.both(east, west, part)
		eventually(t, "the way is cut again, or everything is there", func() error {
			if n := held(); !w.isCut(east, west) && n < operations {
				return fmt.Errorf("%d of %d operations are held", n, operations)
			}
			return nil
		})
		w.both(east, west, wire{cut: true})
		unlinked(t, east, west)
		t.Logf("cut again with %d of %d operations held, %.1f s after it was healed", held(), operations, time.Since(healed).Seconds())
	}
	if cuts == 0 {
		t.Error("everything was there before the way was cut: this shows nothing")
	}
	healed := time.Now()
	w.both(east, west, fast)
	took := all.linked(t, east, west, healed)
	t.Logf("healed for good: linked after %.1f s", took.Seconds())
	if took > back+slack {
		t.Errorf("linked %s after the way was back, want %s", took, back)
	}
	equal(t, want, west)
	sent, got := int(east.figure(t, "mesh_messages_sent_total", `type="operation"`)), int(west.figure(t, "mesh_messages_received_total", `peer_zone="east",type="operation"`))
	twice := got - operations
	t.Logf("%d operations of %d bytes: %d sent, %d received, so %d came twice", operations, size, sent, got, twice)
	if sent > operations*5/4 || twice > operations/20 {
		t.Errorf("of %d operations %d were sent and %d received: too many twice", operations, sent, got)
	}
	east.stop()
	west.stop()
}

// height is how many operations of a zone's log a node holds.
func (z *zone) height(t testing.TB, of string) int {
	t.Helper()
	var list struct{ Items []mesh.LogStatus }
	must(t, z.ask("log", &list))
	for _, l := range list.Items {
		if l.Zone == mesh.Zone(of) && l.Height != nil {
			return int(*l.Height) + 1
		}
	}
	return 0
}

// figure sums the series of a metric whose labels hold a text, asked through the socket: other ports are the machine's.
func (z *zone) figure(t testing.TB, name, labels string) (sum float64) {
	t.Helper()
	resp, err := z.door().Get("http://mesh/metrics")
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: metrics: %s", z.name, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	for line := range strings.Lines(string(body)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, l, _ := strings.Cut(series, "{"); !ok || base != name || !strings.Contains(l, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		must(t, err)
		sum += v
	}
	return sum
}
