package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// TestStrangers knocks at a node with a key it does not know, with a known key that speaks for another zone, and
// from another network. None gets in, and none keeps the others from working.
func TestStrangers(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west := all[0], all[1]
	stranger := newZone(t, "stranger")
	impostor := newZone(t, "impostor", setMesh("zone", "west"))
	foreign := newZone(t, "foreign", set("network_id", "another"))
	for _, z := range []*zone{stranger, impostor, foreign} {
		z.knows(east)
		z.save()
		z.write("evil.yaml", manifest("evil", z.name))
	}
	east.knows(impostor, foreign) // impostor as the zone of that name, not as west
	east.save()
	startEach(t, east, west)
	want := model{}
	east.write("a.yaml", manifest("a", "1"))
	want.set("east", "a", "1")
	equal(t, want, east, west)

	for _, knock := range []struct {
		z      *zone
		told   string // shown where it came from
		reason string // counted where it knocked, if it got so far as to say something
	}{
		{stranger, "is not admitted", "not_admitted"},
		{impostor, "zone_mismatch", "zone_mismatch"},
		{foreign, "another network id", ""},
	} {
		knock.z.start()
		eventually(t, knock.z.name+" is refused and told", func() error {
			p, err := knock.z.peer("east")
			switch {
			case err != nil:
				return err
			case p.State == "Ready":
				return fmt.Errorf("%w: it is in", errOver)
			case !strings.Contains(p.LastError, knock.told):
				return fmt.Errorf("it is told %q", p.LastError)
			}
			n, err := east.metric("mesh_refused_total", knock.reason)
			if err == nil && n == 0 {
				err = errors.New("nothing is counted")
			}
			return err
		})
	}
	want.set("west", "b", "1")
	west.write("b.yaml", manifest("b", "1"))
	equal(t, want, east, west)
	for _, z := range []*zone{stranger, impostor, foreign} {
		if p, err := z.peer("east"); err != nil || p.State == "Ready" {
			t.Errorf("%s sees east as %q, %v", z.name, p.State, err)
		}
		if got, err := names(filepath.Join(z.folder, "mesh")); err != nil || len(got) > 0 {
			t.Errorf("%s got %d objects, %v", z.name, len(got), err)
		}
	}
}

// startEach starts nodes of which some list others that never come.
func startEach(t *testing.T, all ...*zone) {
	t.Helper()
	for _, z := range all {
		z.start()
	}
}

// TestReload takes over nodes and the log level on SIGHUP; a file that is refused changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	all := []*zone{newZone(t, "east"), newZone(t, "west")}
	east, west := all[0], all[1]
	west.knows(east)
	west.save()
	for _, z := range all {
		must(t, z.begin())
	}
	logged := func(z *zone, text string) {
		t.Helper()
		eventually(t, z.name+" logs "+text, func() error {
			b, err := os.ReadFile(z.logFile(z.runs))
			if err == nil && !strings.Contains(string(b), text) {
				err = fmt.Errorf("not yet")
			}
			return err
		})
	}
	eventually(t, "east answers", func() error { _, err := east.status(); return err })
	good := read(t, east.configFile())
	must(t, os.WriteFile(east.configFile(), []byte("bind_port: [\n"), 0o600))
	east.signal(syscall.SIGHUP)
	logged(east, "the configuration was not reloaded")
	must(t, os.WriteFile(east.configFile(), []byte(good), 0o600))

	east.knows(west)
	east.config["log_level"] = "DEBUG"
	east.save()
	east.signal(syscall.SIGHUP)
	logged(east, "reloaded the configuration")
	logged(east, "DEBUG")
	want := model{}
	want.set("east", "a", "1")
	east.write("a.yaml", manifest("a", "1"))
	equal(t, want, all...)

	// A node that is taken out of the list stays a member: its admission was signed, and only a removal ends it.
	east.config["nodes"] = []map[string]any{}
	east.config["log_level"] = "INFO"
	east.save()
	east.signal(syscall.SIGHUP)
	eventually(t, "east reloaded twice", func() error {
		b, err := os.ReadFile(east.logFile(east.runs))
		if err == nil && strings.Count(string(b), "reloaded the configuration") < 2 {
			err = errors.New("not yet")
		}
		return err
	})
	want.set("west", "b", "1")
	west.write("b.yaml", manifest("b", "1"))
	equal(t, want, all...)
	east.cli("peers", "remove", "west", "-y")
	eventually(t, "west is out", func() error {
		p, err := west.peer("east")
		if err == nil && p.State == mesh.Ready {
			err = errors.New("it is connected")
		}
		return err
	})
}

// TestSecondInterrupt ends a node at once whose first interrupt waits for a peer that does not answer.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west := all[0], all[1]
	startAll(t, all...)
	west.signal(syscall.SIGSTOP)
	east.signal(syscall.SIGINT)
	eventually(t, "east says that it stops", func() error {
		b, err := os.ReadFile(east.logFile(east.runs))
		if err == nil && !strings.Contains(string(b), "stopping") {
			err = errors.New("not yet")
		}
		return err
	})
	_ = east.process.cmd.Process.Signal(syscall.SIGINT) // it may be done already
	if code := east.exit(); code != 130 && code != 0 {
		t.Errorf("east ended with %d, want 130, or 0 if it was done", code)
	}
	if !east.unlocked() {
		t.Error("east left its store locked")
	}
	west.signal(syscall.SIGCONT)
	east.start() // what it left is in nobody's way
	west.stop()
	east.stop()
}
