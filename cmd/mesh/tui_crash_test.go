package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
	"dcp.hiro.io/mesh/internal/tui"
)

// A screen that panics, wherever it does, leaves the terminal first and then says what happened.
func TestTUIPanics(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	for _, where := range []string{"watch", "doctor", "clock"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			term, bin := terminalFor(t, "panicking", terminaltest.Options{Width: 120, Height: 30, Env: []string{"TMPDIR=" + dir}})
			term.Run(bin + " " + where + "; echo EXIT $?")
			if where == "doctor" {
				term.AwaitText("MESH east") // the node says nothing more, so LIVE goes soon
				term.Type("d")
			}
			if code := term.AwaitExit(); code != "1" {
				t.Errorf("exit code %s", code)
			}
			screen := term.AwaitText("error: mesh met an internal error", "mesh help MESH-1001")
			if strings.Contains(screen, "goroutine ") {
				t.Errorf("the stack is on the screen:\n%s", screen)
			}
			name := regexp.MustCompile(`/\S+/mesh-report-\d+\.txt`).FindString(screen)
			if report, err := os.ReadFile(name); err != nil || !strings.Contains(string(report), "panic: a test in "+where) || !strings.Contains(string(report), "tui_crash_test.go") {
				t.Errorf("the report %s: %v\n%s\n%s", name, err, report, screen)
			}
			if wrong := term.Restored(); wrong != nil {
				t.Errorf("the terminal was left with %q", wrong)
			}
		})
	}
}

// panicking is mesh tui on a source that panics where its argument says.
func panicking() {
	e := newEnv()
	cfg := e.tuiConfig(tuiOptions{view: tui.Views()[0], theme: tui.Themes()[0], refresh: minRefresh})
	cfg.Source = panickingSource{where: os.Args[1]}
	if os.Args[1] == "clock" {
		var asked atomic.Int32
		cfg.Now = func() time.Time {
			if asked.Add(1) > 10 {
				panic("a test in clock")
			}
			return time.Now()
		}
	}
	code := exitOK
	if err := e.watchTUI(context.Background(), cfg); err != nil {
		code = e.fail(err, false)
	}
	os.Exit(code)
}

// panickingSource is a node of one frame.
type panickingSource struct {
	bundleSource // its methods are not called
	where        string
}

func (s panickingSource) Target() string { return "nobody" }

func (s panickingSource) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	f := mesh.Frame{Time: time.Now(), Whole: true, Status: &mesh.Status{Zone: "east", Version: "0.4.0"}}
	sink(f)
	if s.where == "watch" {
		panic("a test in watch")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s panickingSource) Doctor(context.Context, func(mesh.CheckResult)) error {
	panic(fmt.Sprint("a test in ", s.where))
}
