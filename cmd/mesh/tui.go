package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/tui"
)

const (
	minRefresh = 100 * time.Millisecond // as often as anything is drawn
	maxRefresh = time.Minute
)

// tuiOptions are the flags of mesh tui beside those that name the node.
type tuiOptions struct {
	view    string
	refresh time.Duration
	theme   string
	ascii   bool
	plain   bool
	mouse   bool
	replay  string // a file
}

func newTUICmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "tui",
		Short: "Watch a node live on the whole screen",
		Example: "  mesh tui\n" +
			"  mesh tui --view peers --node unix:east/.mesh/api.sock\n" +
			"  mesh tui --plain                  lines that are appended, for screen readers and dumb terminals\n" +
			"  mesh tui --replay recorded.sse    play what was recorded of /api/v1/events",
		Long: "It only looks: what could be done about something it shows as a command to run. Press ? for the keys, q " +
			"to quit. Where the locale is not UTF-8 everything is drawn in ASCII; where there is no colour, words and " +
			"marks say the same. A recording is made with: curl -N --unix-socket .mesh/api.sock " +
			"http://mesh/api/v1/events > FILE",
		Annotations: map[string]string{annotationExits: "0 1 2 3 130"},
	}
	o := tuiOptions{view: tui.Views()[0], theme: tui.Themes()[0], refresh: time.Second}
	node := addNodeFlags(c)
	f := c.Flags()
	f.Var(newChoice(&o.view, tui.Views()...), "view", "show this `VIEW` first: "+orList(tui.Views()))
	f.Var((*positiveDuration)(&o.refresh), "refresh", "count ages anew this often, as a `DURATION` from 100ms to 1m")
	f.Var(newChoice(&o.theme, tui.Themes()...), "theme", "colours: "+orList(tui.Themes()))
	f.BoolVar(&o.ascii, "ascii", false, "draw with ASCII characters only")
	f.BoolVar(&o.plain, "plain", false, "append lines, never move the cursor")
	f.BoolVar(&o.mouse, "mouse", false, "let the mouse select and scroll")
	f.StringVar(&o.replay, "replay", "", "play a recorded stream from `FILE` instead of asking a node")
	_ = c.RegisterFlagCompletionFunc("view", completeValues(tui.Views()...))
	_ = c.RegisterFlagCompletionFunc("theme", completeValues(tui.Themes()...))
	c.Annotations = withEnv(c.Annotations, "MESH_NODE MESH_CONFIG NO_COLOR TERM COLORTERM COLORFGBG LANG")
	c.RunE = func(c *cobra.Command, _ []string) error { return runTUI(c, e, node, o) }
	return c
}

func runTUI(c *cobra.Command, e *env, node *nodeFlags, o tuiOptions) error {
	if o.refresh < minRefresh || o.refresh > maxRefresh {
		return usageError(c, "--refresh does not take "+o.refresh.String(), "want 100ms to 1m")
	}
	if o.replay != "" && (e.flags.node != "" || e.flags.archive != "" || node.config != "" || node.dataDir != "" || len(e.kube.given()) > 0) {
		return usageError(c, "--replay excludes what names a node", "a recording needs none")
	}
	if !o.plain && (!e.isTerminal(e.stdin) || !e.isTerminal(e.stdout)) {
		return &cliError{Code: "MESH-2901", What: c.CommandPath() + " needs a terminal",
			Cause: "standard input or output is none", Next: []string{"mesh peers -w", "mesh tui --plain"}}
	}
	cfg := e.tuiConfig(o)
	if o.replay != "" {
		source, err := openRecording(e.path(o.replay), o.replay)
		if err != nil {
			return err
		}
		cfg.Source, cfg.Recorded = source, true
		return e.watchTUI(c.Context(), cfg)
	}
	client, err := node.client(e)
	if err != nil {
		return err
	}
	defer client.Close()
	cfg.Source = nodeSource{e, client}
	if through, _ := node.throughKubernetes(e); through { // it did not fail above
		cfg.Context = client.Addr()
	}
	if e.flags.archive != "" {
		if cfg.Source, err = archivedSource(c.Context(), e, client); err != nil {
			return err
		}
		cfg.Recorded = true
	}
	return e.watchTUI(c.Context(), cfg)
}

// tuiConfig says how the terminal is to be used. It is decided here, once, by the same rules as for every other
// output, and found out nowhere else.
func (e *env) tuiConfig(o tuiOptions) tui.Config {
	return tui.Config{
		View: o.view, Theme: o.theme, Refresh: o.refresh, Mouse: o.mouse,
		Color: e.coloured(e.stdout), ASCII: o.ascii || !e.unicode(), Plain: o.plain || e.getenv("TERM") == "dumb",
		Now: e.now, Getenv: e.getenv, Input: e.stdin, Output: e.stdout, Report: e.reportCrash,
	}
}

// watchTUI runs the screen until the user leaves it. A signal that ended it is told as for every command.
func (e *env) watchTUI(ctx context.Context, cfg tui.Config) error {
	// A terminal that is closed ends it like a signal.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	err := e.screen(ctx, cfg)
	if err == nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// showScreen is the screen of a terminal, until the user leaves it or ctx ends.
func showScreen(ctx context.Context, cfg tui.Config) error {
	if !cfg.Plain {
		defer guardTerminal(cfg.Output)()
	}
	err := tui.Run(ctx, cfg)
	var crash *tui.CrashError
	if errors.As(err, &crash) {
		return reportedError(crash, crash.Path)
	}
	return err
}

// reportCrash writes the report about a panic of the screen.
func (e *env) reportCrash(panicked any, stack []byte) (path string, err error) {
	return e.writeReport(fmt.Errorf("panic: %v", panicked), stack)
}

// unicode reports whether the terminal shows UTF-8, as the locale says.
func (e *env) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(e.getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// openRecording makes a source of a file and refuses one that is no recording while there is no screen yet that
// hides what is printed. shown is how the user wrote its name.
func openRecording(path, shown string) (*tui.Replay, error) {
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	refused := func(err error) error {
		return &cliError{Code: "MESH-2902", What: "cannot play the recording " + shown, Cause: reason(err),
			Next: []string{"curl -N --unix-socket .mesh/api.sock http://mesh/api/v1/events > FILE"}, Err: err}
	}
	f, err := open()
	if err != nil {
		return nil, refused(err)
	}
	defer f.Close()
	switch err := tui.ReadRecording(f, func(mesh.Frame) error { return errFirstFrame }); {
	case err == nil:
		return nil, refused(errors.New("it holds no frames"))
	case !errors.Is(err, errFirstFrame):
		return nil, refused(err)
	}
	return tui.NewReplay(shown, open), nil
}

// errFirstFrame ends reading as soon as there is a frame.
var errFirstFrame = errors.New("a frame was read")

func tuiCodes() []errorCode {
	return []errorCode{
		{"MESH-2901", "there is no terminal to draw on", "" +
			"mesh tui fills the screen of a terminal and reads its keys. Where there is none, mesh peers -w and mesh status -w " +
			"tell about changes line by line, and so does mesh tui --plain."},
		{"MESH-2902", "the recording cannot be played", "" +
			"mesh tui --replay plays the text of /api/v1/events, as curl writes it down. The file is missing, is " +
			"something else, or is damaged at the line that the error names."},
	}
}
