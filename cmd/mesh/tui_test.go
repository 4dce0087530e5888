package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
	"dcp.hiro.io/mesh/internal/tui"
)

// meshTerminal opens a terminal, and returns the path under which the program is called in it.
func meshTerminal(t *testing.T, o terminaltest.Options) (term *terminaltest.Terminal, bin string) {
	t.Helper()
	return terminaltest.Start(t, o), program
}

// terminalFor is meshTerminal for one of the programs that only tests need.
func terminalFor(t *testing.T, name string, o terminaltest.Options) (term *terminaltest.Terminal, bin string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin = filepath.Join(t.TempDir(), name)
	if err := os.Symlink(exe, bin); err != nil {
		t.Fatal(err)
	}
	return terminaltest.Start(t, o), bin
}

// tuiWorld is a world with a terminal on which nothing is shown: what would be is returned by shown.
func tuiWorld(t *testing.T) (te *testEnv, shown func() tui.Config) {
	t.Helper()
	te = newTestEnv(t)
	te.isTerminal = func(any) bool { return true }
	te.vars["LANG"], te.vars["TERM"] = "en_US.UTF-8", "xterm-256color"
	var last *tui.Config
	te.screen = func(_ context.Context, cfg tui.Config) error { last = &cfg; return nil }
	return te, func() tui.Config {
		t.Helper()
		if last == nil {
			t.Fatalf("no screen was shown\n%s", te.stderr.String())
		}
		cfg := *last
		last = nil
		return cfg
	}
}

const oneFrame = "id: 1\ndata: {\"time\":\"2026-11-22T14:03:22Z\",\"whole\":true,\"status\":{\"zone\":\"east\",\"version\":\"0.4.0\"}}\n\n"

// What the flags and the environment say arrives at the screen.
func TestTUIFlags(t *testing.T) {
	t.Parallel()
	te, shown := tuiWorld(t)
	if err := os.WriteFile(te.path("x.sse"), []byte(oneFrame), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		vars string // in addition
		want func(tui.Config) bool
	}{
		{"", "", func(c tui.Config) bool {
			return c.View == "overview" && c.Theme == "auto" && c.Refresh == time.Second && c.Color && !c.ASCII && !c.Plain && !c.Mouse && !c.Recorded
		}},
		{"--view peers --theme light --refresh 250ms --mouse --ascii", "", func(c tui.Config) bool {
			return c.View == "peers" && c.Theme == "light" && c.Refresh == 250*time.Millisecond && c.Mouse && c.ASCII
		}},
		{"--plain", "", func(c tui.Config) bool { return c.Plain }},
		{"", "TERM=dumb", func(c tui.Config) bool { return c.Plain && !c.Color }},
		{"", "NO_COLOR=1", func(c tui.Config) bool { return !c.Color }},
		{"--color=always", "NO_COLOR=1", func(c tui.Config) bool { return c.Color }},
		{"--color=never", "", func(c tui.Config) bool { return !c.Color }},
		{"", "CI=true", func(c tui.Config) bool { return c.Color }},
		{"", "LANG=C", func(c tui.Config) bool { return c.ASCII }},
		{"", "LANG=", func(c tui.Config) bool { return c.ASCII }},
		{"", "LC_CTYPE=de_DE.utf8 LANG=C", func(c tui.Config) bool { return !c.ASCII }},
		{"", "LC_ALL=POSIX LC_CTYPE=C.UTF-8", func(c tui.Config) bool { return c.ASCII }},
		{"--node http://127.0.0.1:3000", "", func(c tui.Config) bool { return c.Source.Target() == "http://127.0.0.1:3000" }},
		{"", "MESH_NODE=unix:other.sock", func(c tui.Config) bool { return c.Source.Target() == "unix:other.sock" }},
		{"--replay x.sse", "", func(c tui.Config) bool { return c.Recorded && c.Source.Target() == "x.sse" }},
	} {
		var was []string
		for v := range strings.FieldsSeq(tt.vars) {
			name, value, _ := strings.Cut(v, "=")
			was = append(was, name, te.vars[name])
			te.vars[name] = value
		}
		if code := te.mesh(t, append([]string{"tui"}, strings.Fields(tt.args)...)...); code != exitOK {
			t.Errorf("%s mesh tui %s: exit code %d\n%s", tt.vars, tt.args, code, te.stderr.String())
			continue
		}
		if cfg := shown(); !tt.want(cfg) {
			t.Errorf("%s mesh tui %s shows %+v", tt.vars, tt.args, cfg)
		}
		for i := 0; i < len(was); i += 2 {
			te.vars[was[i]] = was[i+1]
		}
	}
}

// What cannot be shown is refused before there is a screen.
func TestTUIRefusals(t *testing.T) {
	t.Parallel()
	te, _ := tuiWorld(t)
	te.vars["NO_COLOR"] = "1"
	for name, text := range map[string]string{"empty.sse": "", "other.sse": "apiVersion: v1\n", "broken.sse": "id: 1\ndata: {\n\n", "good.sse": oneFrame} {
		if err := os.WriteFile(te.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	told := func(lines ...string) string {
		var b strings.Builder
		for _, line := range lines {
			code := te.mesh(t, strings.Fields(line)...)
			fmt.Fprintf(&b, "$ mesh %s\n%s", line, te.stdout.String())
			if code != exitOK {
				fmt.Fprintf(&b, "exit %d\n", code)
			}
			for l := range strings.Lines(te.stderr.String()) {
				b.WriteString("! " + l)
			}
		}
		return b.String()
	}
	golden(t, "tui-refused", told("tui --replay missing.sse", "tui --replay empty.sse", "tui --replay other.sse", "tui --replay broken.sse", "tui --replay .",
		"tui --replay good.sse --node http://127.0.0.1:1", "tui --refresh 10ms", "tui --refresh 2m", "tui --view nodes", "tui --theme drak", "tui west"))
	te.isTerminal = func(any) bool { return false }
	te.screen = showScreen
	golden(t, "tui-no-terminal", told("tui", "tui --replay good.sse", "tui --plain --replay good.sse"))
}

// The screen asks the node for what it shows, and is told in one line what went wrong.
func TestTUISource(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, newFakeNode(t))
	te, shown := tuiWorld(t)
	if code := te.mesh(t, "tui", "--data-dir", dir); code != exitOK {
		t.Fatal(te.stderr.String())
	}
	source := shown().Source
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// The command has ended, and its client with it; the next call opens a connection anew.
	var first mesh.Frame
	if err := source.Watch(ctx, func(f mesh.Frame) { first = f; stop() }); !errors.Is(err, context.Canceled) || !first.Whole || first.Status == nil || first.Status.Zone != "east" {
		t.Errorf("Watch = %v, first frame %+v", err, first)
	}
	ops, err := source.Operations(t.Context(), "east", 3)
	if err != nil || len(ops) != 3 || ops[2].Type != "delete" || ops[0].Payload != nil {
		t.Errorf("Operations = %+v, %v", ops, err)
	}
	if ops, err := source.Operations(t.Context(), "nowhere", 3); err == nil || len(ops) > 0 {
		t.Errorf("Operations of nobody = %+v, %v", ops, err)
	}
	if _, err := source.Content(t.Context(), "nonsense"); err == nil {
		t.Error("Content of nonsense")
	}

	if code := te.mesh(t, "tui", "--data-dir", te.path("nobody")); code != exitOK {
		t.Fatal(te.stderr.String())
	}
	err = shown().Source.Watch(t.Context(), func(mesh.Frame) { t.Error("a frame") })
	if err == nil || err.Error() != "no such file; no node runs with this data directory" {
		t.Errorf("Watch without a node = %v", err)
	}
}

// A bundle is a recording that is at its end.
func TestTUIArchive(t *testing.T) {
	t.Parallel()
	te, shown := tuiWorld(t)
	node := newFakeNode(t)
	node.checks = []mesh.CheckResult{{Group: "peers", ID: "peers.reachable", Status: mesh.CheckOK, Message: "all peers answer"}}
	dir := serveFake(t, node)
	bundle := te.path("b.tgz")
	if code := te.mesh(t, "doctor", "--data-dir", dir, "--bundle", bundle); code != exitOK && code != 4 {
		t.Fatalf("exit code %d\n%s", code, te.stderr.String())
	}
	if code := te.mesh(t, "tui", "--archive", bundle); code != exitOK {
		t.Fatal(te.stderr.String())
	}
	cfg := shown()
	n := 0
	if err := cfg.Source.Watch(t.Context(), func(f mesh.Frame) { n++ }); err != io.EOF || n == 0 || !cfg.Recorded {
		t.Errorf("Watch = %v after %d frames", err, n)
	}
	checks := 0
	if err := cfg.Source.Doctor(t.Context(), func(mesh.CheckResult) { checks++ }); err != nil || checks == 0 {
		t.Errorf("Doctor = %v after %d checks", err, checks)
	}
	if _, err := cfg.Source.Content(t.Context(), "ConfigMap/default/app"); err == nil {
		t.Error("a bundle holds content")
	}
}
