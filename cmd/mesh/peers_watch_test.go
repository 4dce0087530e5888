package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// watchPeers lets the fake node change once the first output is there.
func watchPeers(t *testing.T, args, first, last string, change func(*fakeNode)) string {
	t.Helper()
	node := newFakeNode(t)
	return watch(t, node, first, last, func() { change(node) }, "peers "+args)
}

func TestWatchFormats(t *testing.T) {
	t.Parallel()
	late := func(n *fakeNode) { n.peers[1].State = mesh.NotReady }
	for _, tt := range []struct {
		args, last string
		headers    int
		lines      int
	}{
		{"-w", "west    NotReady", 1, 5},
		{"-w -o wide west", "west   NotReady", 1, 3},
		{"-w --no-headers", "west    NotReady", 0, 4},
		{"-w -o name west", "peer/west\npeer/west", 0, 2},
		{"-w -o custom-columns=NAME:.name,STATE:.state west", "west   NotReady", 1, 3},
		{`-w -o jsonpath={.name}={.state}{"\n"} west`, "west=NotReady", 0, 2},
	} {
		first := "west"
		out := watchPeers(t, tt.args, first, tt.last, late)
		if lines := strings.Count(out, "\n"); lines != tt.lines || strings.Count(out, "NAME") != tt.headers {
			t.Errorf("peers %s printed %d lines, want %d with %d headers:\n%s", tt.args, lines, tt.lines, tt.headers, out)
		}
	}
	if out := watchPeers(t, "-w -o yaml west", "zoneKeys:\n", "state: NotReady", late); strings.Count(out, "---\napiVersion: ") != 2 {
		t.Errorf("peers -w -o yaml printed\n%s\nwant two documents", out)
	}
}

// Without the present, the first thing printed is a change.
func TestWatchOnly(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	te := inspectEnv(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &lineWatcher{on: map[string]func(){"NotReady": cancel}}
	te.env.stdout = out
	asked := make(chan struct{})
	node.onPeers = func(n int) {
		if n == 2 { // the first answer is what was there
			close(asked)
		}
	}
	go func() {
		<-asked
		node.mu.Lock()
		defer node.mu.Unlock()
		node.peers[1].State = mesh.NotReady
	}()
	if code := run(ctx, []string{"mesh", "peers", "--watch-only", "--data-dir", dir}, te.env); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, te.stderr.String())
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "west") {
		t.Errorf("peers --watch-only printed\n%s\nwant a header and west", out)
	}
}

// A peer that is gone is told about, and ends nothing.
func TestWatchedPeerVanishes(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	te := inspectEnv(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	notes := &lineWatcher{on: map[string]func(){"lab is no peer any more": cancel}}
	te.env.stderr = notes
	te.env.stdout = &lineWatcher{on: map[string]func(){"lab": func() {
		node.mu.Lock()
		defer node.mu.Unlock()
		node.peers = node.peers[1:]
	}}}
	if code := run(ctx, []string{"mesh", "peers", "lab", "west", "-w", "--data-dir", dir}, te.env); code != exitInterrupted || len(notes.on) != 0 {
		t.Errorf("exit %d: %s", code, notes)
	}
}

// q ends a watch on a terminal, which is no error; where something else than a table is printed it is no key.
func TestQEndsAWatch(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, newFakeNode(t))
	for line, shown := range map[string]string{"peers -w": "west", "peers -w west": "west", "status -w": "health", "log show -f": "delete"} {
		te := inspectEnv(t)
		keys, typed := io.Pipe()
		te.env.stdin = keys
		te.env.isTerminal = func(any) bool { return true }
		te.env.stdout = &lineWatcher{on: map[string]func(){shown: func() { go typed.Write([]byte("xyq")) }}}
		if code := te.run(t, line, dir); code != exitOK {
			t.Errorf("mesh %s: exit %d: %s", line, code, te.stderr.String())
		}
		typed.Close()
	}
}

func (te *testEnv) run(t *testing.T, line, dir string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return run(ctx, append([]string{"mesh"}, append(strings.Fields(line), "--data-dir", dir)...), te.env)
}
