package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// told runs a suite and prints what it tells, one result per line.
func told(t *testing.T, s Suite, o Options) []string {
	t.Helper()
	var out []string
	if err := Run(context.Background(), s, o, func(x mesh.CheckResult) {
		out = append(out, fmt.Sprintf("%s %s %s %s", x.Group, x.ID, x.Status, x.Message))
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// well is a suite in which everything is.
func well() Suite {
	s := Suite{}
	for _, p := range Pages() {
		s[p.ID] = func(context.Context) []mesh.CheckResult { return OK("fine") }
	}
	return s
}

// Every check has a page in a group that exists, needs checks that exist, and no circle of them.
func TestTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	last := 0
	for _, p := range Pages() {
		at := slices.Index(groups, p.Group)
		switch {
		case seen[p.ID]:
			t.Errorf("%s is there twice", p.ID)
		case at < last:
			t.Errorf("%s: group %q is out of order", p.ID, p.Group)
		case p.Title == "" || strings.HasSuffix(p.Title, ".") || len(p.Text) < 40 || !strings.HasSuffix(p.Text, "."):
			t.Errorf("%s: title %q, text %q", p.ID, p.Title, p.Text)
		case p.Deadline <= 0:
			t.Errorf("%s has no deadline", p.ID)
		}
		seen[p.ID], last = true, at
		var walk func(id string, deep int)
		walk = func(id string, deep int) {
			need, ok := Find(id)
			if !ok || deep > 10 {
				t.Errorf("%s needs %s, which is no check, or itself", p.ID, id)
				return
			}
			for _, n := range need.Needs {
				walk(n, deep+1)
			}
		}
		walk(p.ID, 0)
	}
	if len(groups) != last+1 {
		t.Errorf("a group has no check: %v", groups[last+1:])
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Suite{}
		pages := Pages()
		for i, p := range pages { // the later in its group, the faster
			s[p.ID] = func(ctx context.Context) []mesh.CheckResult {
				time.Sleep(time.Duration(len(pages)-i) * time.Millisecond)
				return OK("fine")
			}
		}
		var want, got []string
		for _, p := range pages {
			want = append(want, p.Group+" "+p.ID+" ok fine")
		}
		if got = told(t, s, Options{}); !slices.Equal(got, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The checks of a group run side by side, one group after the other, and results come as soon as they can.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := well()
		for _, id := range []string{"system.files", "system.udp_buffer", "system.disk"} {
			s[id] = func(context.Context) []mesh.CheckResult { time.Sleep(time.Second); return OK("slow") }
		}
		begun := time.Now()
		at := map[string]time.Duration{}
		var seconds float64
		if err := Run(context.Background(), s, Options{}, func(x mesh.CheckResult) {
			at[x.ID] = time.Since(begun)
			if x.ID == "system.disk" {
				seconds = x.Seconds
			}
		}); err != nil {
			t.Fatal(err)
		}
		if at["config.valid"] != 0 || at["system.clock"] != 0 || at["system.disk"] != time.Second || at["peers.lag"] != time.Second || seconds != 1 {
			t.Errorf("told after %v, the disk took %v s", at, seconds)
		}
	})
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	fails := func(context.Context) []mesh.CheckResult {
		return []mesh.CheckResult{Fail("", "no node answers", "")}
	}
	s := well()
	s["network.node"] = fails
	got := told(t, s, Options{Groups: []string{"peers", "network"}})
	want := []string{
		"network network.node fail no node answers",
		"network network.ports ok fine", "network network.dns ok fine", "network network.dial ok fine",
		"network network.quic skip needs network.node", "network network.tcp skip needs network.node",
		"network network.outside skip needs network.node",
	}
	for _, p := range Pages() {
		if p.Group == "peers" {
			want = append(want, "peers "+p.ID+" skip needs network.node")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What is skipped passes its reason on; a check that is left out stands in nobody's way.
	s["network.node"] = func(context.Context) []mesh.CheckResult { return Skip("not asked") }
	if got := told(t, s, Options{Groups: []string{"replication"}}); got[0] != "replication start.compared skip not asked" {
		t.Errorf("told %q", got[0])
	}
	if got := told(t, s, Options{Groups: []string{"replication"}, Skip: []string{"network.node", "log.fork"}}); got[0] != "replication start.compared ok fine" ||
		got[2] != "replication log.fork skip left out by --skip" {
		t.Errorf("told %q", got)
	}
	// A warning is no obstacle.
	s["network.node"] = func(context.Context) []mesh.CheckResult { return []mesh.CheckResult{Warn("", "slow", "")} }
	if got := told(t, s, Options{Groups: []string{"replication"}}); got[0] != "replication start.compared ok fine" {
		t.Errorf("told %q", got[0])
	}
	if got := told(t, Suite{}, Options{Groups: []string{"config"}}); got[0] != "config config.valid skip this cannot be found out here" {
		t.Errorf("an empty suite tells %q", got[0])
	}
}

// A check that hangs is told about at its deadline, and holds up no other.
func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := well()
		s["kubernetes.api"] = func(ctx context.Context) []mesh.CheckResult { <-ctx.Done(); return nil }
		begun := time.Now()
		got := told(t, s, Options{Groups: []string{"kubernetes"}})
		if got[0] != "kubernetes kubernetes.api warn not found out: the API server answers" || time.Since(begun) != 10*time.Second {
			t.Errorf("after %s: %q", time.Since(begun), got)
		}
		s["kubernetes.api"] = func(ctx context.Context) []mesh.CheckResult { return nil }
		if got := told(t, s, Options{Groups: []string{"kubernetes"}}); !strings.Contains(got[0], " warn ") {
			t.Errorf("a check that finds nothing out is told as %q", got[0])
		}
	})
}

// A run that is stopped returns, with nothing left of it.
func TestStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := well()
		s["system.files"] = func(ctx context.Context) []mesh.CheckResult { cancel(); <-ctx.Done(); return nil }
		n := 0
		if err := Run(ctx, s, Options{}, func(x mesh.CheckResult) {
			if n++; x.Group == "network" {
				t.Errorf("told after the end: %+v", x)
			}
		}); !errors.Is(err, context.Canceled) || n == 0 {
			t.Errorf("Run = %v after %d results", err, n)
		}
	})
}

// What a check tells is bounded, and the worst of it is kept.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := well()
	s["peers.reachable"] = func(context.Context) (out []mesh.CheckResult) {
		for i := range 100 {
			x := Warn(fmt.Sprint(i), "warn", "")
			if i >= 90 {
				x = Fail(fmt.Sprint(i), "fail", strings.Repeat("ä", maxLine), "1", "2", "3", "4", "5")
			}
			out = append(out, x)
		}
		return out
	}
	var got []mesh.CheckResult
	if err := Run(context.Background(), s, Options{Groups: []string{"peers"}}, func(x mesh.CheckResult) {
		if x.ID == "peers.reachable" {
			got = append(got, x)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != maxResults || got[0].Subject != "90" || got[10].Subject != "0" || got[maxResults-1].Message != "and 81 more" || got[maxResults-1].Status != mesh.CheckWarn {
		t.Errorf("%d results, the last %+v", len(got), got[len(got)-1])
	}
	if x := got[0]; len(x.Cause) > maxLine+3 || strings.ContainsRune(x.Cause, '�') || len(x.Next) != maxNext {
		t.Errorf("%d bytes of cause, %d next", len(x.Cause), len(x.Next))
	}
}
