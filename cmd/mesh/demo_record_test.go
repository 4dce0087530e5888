package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
	"dcp.hiro.io/mesh/internal/tui"
)

// demoRecording is what the README shows: mesh demo on a terminal, from a run of it.
const demoRecording = "../../docs/demo.sse"

var recordFlag = flag.Bool("record", false, "rewrite docs/demo.sse with what mesh demo does now")

// chapters are the titles of the story.
func chapters() []string {
	return []string{"1  Three nodes start", "2  A manifest in the folder of east appears in the others", "3  west is killed, misses something, and comes back",
		"4  The network is cut", "5  Two zones have created the same object", "6  What is left"}
}

// The recording holds the whole story, and nothing that is anybody's business.
func TestDemoRecording(t *testing.T) {
	t.Parallel()
	if *recordFlag {
		recordDemo(t)
	}
	b, err := os.ReadFile(demoRecording)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 400<<10 {
		t.Errorf("it has %d bytes", len(b))
	}
	var frames []mesh.Frame
	var told []string
	if err := tui.ReadRecording(strings.NewReader(string(b)), func(f mesh.Frame) error {
		frames = append(frames, f)
		for _, n := range f.Notices {
			if n.Kind == mesh.NoticeDemo && !f.Whole {
				told = append(told, n.Text)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first, last := frames[0], frames[len(frames)-1]
	if length := last.Time.Sub(first.Time); !first.Whole || first.Status == nil || first.Status.Zone != "east" || length < 5*time.Second || length > time.Minute {
		t.Errorf("it takes %s and begins with %+v", length, first)
	}
	story := strings.Join(told, "\n")
	for _, c := range chapters()[1:] { // the first begins before there is a node to listen to
		if !strings.Contains(story, c) {
			t.Errorf("the story lacks %q:\n%s", c, story)
		}
	}
	if strings.Contains(story, "FAIL") {
		t.Errorf("the story fails:\n%s", story)
	}
	// Objects are named, never shown; files are those of the demo.
	for _, private := range []string{`/home/`, `/root`, `/work`, `/Users/`, `private\.key`, `the-first`, `as-west-wants-it`, `payload`} {
		if m := regexp.MustCompile(private).Find(b); m != nil {
			t.Errorf("it holds %q", m)
		}
	}
}

// recordDemo runs the demo and writes down what its screen is told.
func recordDemo(t *testing.T) {
	t.Helper()
	te := newTestEnv(t)
	te.now, te.tempDir = time.Now, os.TempDir()
	te.isTerminal = func(any) bool { return true }
	var b strings.Builder
	te.screen = func(ctx context.Context, cfg tui.Config) error {
		ctx, enough := context.WithCancel(ctx)
		defer enough()
		id := 0
		err := cfg.Source.Watch(ctx, func(f mesh.Frame) {
			j, err := json.Marshal(f)
			if err != nil {
				t.Error(err)
			}
			id++
			fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", id, j)
			for _, n := range f.Notices {
				if strings.HasPrefix(n.Text, "the story is told") {
					time.AfterFunc(2*time.Second, enough) // the end is looked at for a moment
				}
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if code := te.mesh(t, "demo"); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, te.stdout.String(), te.stderr.String())
	}
	if err := os.WriteFile(filepath.FromSlash(demoRecording), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The command of the README plays it.
func TestDemoRecordingPlays(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	term, bin := meshTerminal(t, terminaltest.Options{Width: 120, Height: 40})
	term.Run(bin + " tui --replay " + demoRecording + "; echo EXIT $?")
	term.AwaitText("MESH east", "1:Overview")
	term.Type("5/kind=demo") // other events push the lines of the story out
	term.Press("Enter")
	term.AwaitText("A manifest in the folder of east", "6  What is left", "the story is told")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s", code)
	}
}
