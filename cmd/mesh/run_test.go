package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRun starts real nodes as processes of their own. Beside the commands of TestScript a script has
//
//	exitcode, valid             as there
//	poll COMMAND [ARG...]       run it again and again until it succeeds, for a minute at most
//	capture NAME REGEXP         set a variable to the first group found in the last standard output
//	same FILE FILE              two files hold the same; polled as above
//	gone FILE                   a file does not exist; polled as above
//	finds REGEXP FILE           a file holds a match; polled as above
//	expand FILE FILE            write the second with $VARIABLES of the script filled in to the first
//	http CODE PATH REGEXP       wait until 127.0.0.1:$HTTP answers so
//	signal NAME WORD            send TERM, INT, HUP or KILL to the background command with that word in its line
func TestRun(t *testing.T) {
	t.Parallel()
	p := runParams("testdata/run")
	p.Setup = func(env *testscript.Env) error {
		setupRun(env)
		return nil
	}
	testscript.Run(t, p)
}

// runParams are those of scripts that run nodes.
func runParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitcode,
			"valid":    valid,
			"poll":     poll,
			"capture":  capture,
			"same":     same,
			"gone":     gone,
			"finds":    finds,
			"expand":   expand,
			"http":     ask,
			"signal":   sendSignal,
		},
	}
}

func setupRun(env *testscript.Env) {
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("NO_COLOR", "1")
	// Ports are whatever is free, on loopback alone, and a lone node waits for nobody.
	env.Setenv("MESH_BIND_PORT", "0")
	env.Setenv("MESH_HTTP_BIND_PORT", "0")
	env.Setenv("MESH_BIND_ADDRESS", "[127.0.0.1]")
	env.Setenv("MESH_HTTP_BIND_ADDRESS", "127.0.0.1")
}

const (
	pollFor      = time.Minute // far beyond what anything here takes
	pollInterval = 20 * time.Millisecond
)

// until repeats try until it holds.
func until(ts *testscript.TestScript, what string, try func() bool) {
	deadline := time.Now().Add(pollFor)
	for !try() {
		if time.Now().After(deadline) {
			ts.Fatalf("not within %s: %s", pollFor, what)
		}
		time.Sleep(pollInterval)
	}
}

func poll(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] poll COMMAND [ARG...]")
	}
	until(ts, strings.Join(args, " "), func() bool { return (ts.Exec(args[0], args[1:]...) == nil) != neg })
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("%s is not in the output", args[1])
	}
	ts.Setenv(args[0], m[1])
}

func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same FILE FILE")
	}
	until(ts, strings.Join(args, " the same as "), func() bool {
		a, errA := os.ReadFile(ts.MkAbs(args[0]))
		b, errB := os.ReadFile(ts.MkAbs(args[1]))
		return errA == nil && errB == nil && string(a) == string(b)
	})
}

func gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gone FILE")
	}
	until(ts, args[0]+" gone", func() bool {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		return os.IsNotExist(err)
	})
}

func finds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finds REGEXP FILE")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	until(ts, args[1]+" holds "+args[0], func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[1]))
		return err == nil && want.Match(b)
	})
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: expand FILE FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[1]), ts.Getenv)), 0o600))
}

// ask repeats a request until the answer is the one that is wanted.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: http CODE PATH REGEXP")
	}
	c := http.Client{Timeout: pollFor}
	defer c.CloseIdleConnections()
	want := regexp.MustCompile("(?m)" + args[2])
	for deadline := time.Now().Add(pollFor); ; time.Sleep(pollInterval) {
		resp, err := c.Get("http://127.0.0.1:" + ts.Getenv("HTTP") + args[1])
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		ts.Check(err)
		if fmt.Sprint(resp.StatusCode) == args[0] && want.Match(body) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("within %s GET %s = %d %s, want %s %s", pollFor, args[1], resp.StatusCode, body, args[0], args[2])
		}
	}
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal TERM|INT|HUP|KILL WORD")
	}
	for _, c := range ts.BackgroundCmds() {
		if slices.Contains(c.Args, args[1]) && c.ProcessState == nil {
			ts.Check(c.Process.Signal(signals[args[0]]))
			return
		}
	}
	ts.Fatalf("no background command with %s", args[1])
}

// stubborn is a program that says when it was asked to stop and then does not.
func stubborn() {
	os.Exit(withSignals(func(ctx context.Context) int {
		fmt.Println("running")
		<-ctx.Done()
		fmt.Println("asked to stop")
		time.Sleep(pollFor)
		return 0
	}))
}

func TestDifferingFields(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ a, b, want string }{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1,"b":{"c":[1,2]}}`, `{"a":1,"b":{"c":[1,3]}}`, "b.c[1]"},
		{`{"a":1}`, `{"a":"1"}`, "a"},
		{`{"a":{}}`, `{"a":[]}`, "a"},
		{`{"a":null}`, `{}`, "a"},
		{`{"a":1}`, `{"a":{"b":1}}`, "a"},
		{`{"x.y/z":1,"d":{"e":1}}`, `{"x.y/z":2}`, `d ["x.y/z"]`},
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`, "n"},
		{`{"a":1}`, `not json`, "."},
		{`{"a":1,"b":1,"c":1}`, `{}`, "a b"},
	} {
		if got := strings.Join(differingFields([]byte(tt.a), []byte(tt.b), 2), " "); got != tt.want {
			t.Errorf("differingFields(%s, %s) = %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestKeyModes(t *testing.T) {
	for _, tt := range []struct {
		mode      fs.FileMode
		inPod     bool
		complains bool
	}{{0o600, false, false}, {0o640, false, true}, {0o604, false, true}, {0o640, true, false}, {0o644, true, true}} {
		t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
		if !tt.inPod {
			os.Unsetenv("KUBERNETES_SERVICE_HOST")
		}
		if got := readableByOthers(tt.mode); got != tt.complains {
			t.Errorf("readableByOthers(%04o) in a pod %v = %v, want %v", tt.mode, tt.inPod, got, tt.complains)
		}
	}
}
