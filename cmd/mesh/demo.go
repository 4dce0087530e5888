package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newDemoCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start three nodes in a temporary folder and tell their story",
		Example: "  mesh demo\n" +
			"  mesh demo --plain          the story alone, and its end is the end\n" +
			"  mesh demo --keep           leave the folder with manifests, stores and logs",
		Long: "Each node is a process of its own with a key, a store and a folder of manifests. They reach each other " +
			"through forwarders on 127.0.0.1, so that the network can be cut without being root. The story is what the " +
			"nodes really do, and its times are measured. On a terminal mesh tui shows one of the nodes meanwhile, and " +
			"they go on until q is pressed, to be played with; then the story is printed. Elsewhere it is printed while it " +
			"happens, and the demo ends with it.",
		Annotations: map[string]string{annotationExits: "0 1 2 130"},
	}
	var o demoOptions
	c.Flags().BoolVar(&o.keep, "keep", false, "do not remove the temporary folder")
	c.Flags().BoolVar(&o.plain, "plain", false, "do as where there is no terminal")
	c.RunE = func(c *cobra.Command, _ []string) error {
		// A terminal that is closed ends the demo like Ctrl-C.
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP)
		defer stop()
		err := runDemo(ctx, e, o)
		if err != nil && ctx.Err() != nil {
			return errInterrupted
		}
		return err
	}
	return c
}

type demoOptions struct {
	keep  bool
	plain bool
}

// stepLimit is how long one step may take before the demo gives up. The slowest is the healing of a network
// that was cut for long: redialling pauses for up to 15 s.
const stepLimit = time.Minute

// demo is one run of mesh demo.
type demo struct {
	e     *env
	live  bool // a step is announced before it is done, and its line replaced
	stay  bool // the nodes go on after the story
	keep  bool // the folder is wanted
	dir   string
	exe   string
	nodes []*demoNode
	wires *demoWires
	limit time.Duration // for one step

	screen  *demoSource // shows the steps; nil: they are printed only
	step    string      // the one being taken
	failed  bool        // it did not succeed
	started time.Time
}

func runDemo(ctx context.Context, e *env, o demoOptions) (err error) {
	terminal := e.isTerminal(e.stdout) && !o.plain
	screen := terminal && e.isTerminal(e.stdin) && e.getenv("TERM") != "dumb"
	if o.plain && e.flags.color == "auto" {
		e.flags.color = "never"
	}
	d := &demo{e: e, keep: o.keep, limit: stepLimit, stay: terminal && !screen, started: time.Now(),
		live: terminal && !screen && e.getenv("TERM") != "dumb" && e.width(e.stdout) >= demoWidth}
	if d.exe, err = e.executable(); err != nil {
		return fmt.Errorf("find the program itself: %w", err)
	}
	if d.dir, err = os.MkdirTemp(e.tempDir, "mesh-demo-"); err != nil {
		return notSetUp(err)
	}
	defer d.clean()
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return notSetUp(err)
	}
	if err := d.prepare(); err != nil {
		return notSetUp(err)
	}
	if screen {
		return d.onScreen(ctx)
	}
	if err := d.tell(ctx); err != nil {
		return err
	}
	if !d.stay {
		return nil
	}
	return d.remain(ctx)
}

func notSetUp(err error) error {
	return &cliError{Code: "MESH-1501", What: "the demo cannot be set up", Cause: reason(err), Next: []string{"TMPDIR=DIR mesh demo"}, Err: err}
}

// clean ends whatever was started and removes the folder, unless it is wanted or tells why a step failed.
func (d *demo) clean() {
	if d.stay {
		d.e.note("stopping the nodes; Ctrl-C again stops at once")
	}
	d.stopAll()
	d.wires.close()
	if d.keep || d.failed {
		d.e.note("kept %s", d.dir)
		return
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.e.warn("the temporary folder %s was not removed: %s", d.dir, reason(err))
	}
}

// remain lets the nodes go on and tells what to try with them, until ctx ends.
func (d *demo) remain(ctx context.Context) error {
	mesh := d.program()
	east, west := d.nodes[0], d.nodes[2]
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", d.bold("The nodes go on. Try, in another terminal:"))
	fmt.Fprintf(&b, "  cd %s\n", shellQuote(d.dir))
	for _, l := range [][2]string{
		{"ls */manifests/*", "the folders; local/ is yours, in each zone"},
		{"$EDITOR east/manifests/local/cut.yaml", "then look into north/manifests/mesh/east"},
		{mesh + " status --node " + east.relAPI(), "how east is doing"},
		{mesh + " peers -w --node " + east.relAPI(), "whom it sees, change by change"},
		{mesh + " log show east --node " + west.relAPI(), "east's signed log, as west holds it"},
		{fmt.Sprintf("kill -9 %d", west.pid()), "west, the hard way; back with: " + mesh + " run -c west/config.yaml"},
	} {
		fmt.Fprintf(&b, "  %s\n      %s\n", l[0], l[1])
	}
	end := "Ctrl-C ends the nodes and removes the folder."
	if d.keep {
		end = "Ctrl-C ends the nodes; the folder stays."
	}
	fmt.Fprintf(&b, "%s\n", d.bold(end))
	if err := d.e.printf("%s", b.String()); err != nil {
		return err
	}
	ended := d.endings()
	for {
		select {
		case n := <-ended:
			d.e.note("%s has ended (%s); start it again with: %s run -c %s", n.zone, n.fate(), mesh, filepath.Join(string(n.zone), configName))
		case <-ctx.Done():
			fmt.Fprintln(d.e.stderr) // after the ^C that the terminal shows
			return nil
		}
	}
}

// program is how to call this very program from another directory.
func (d *demo) program() string {
	if found, err := exec.LookPath("mesh"); err == nil {
		if found, err = filepath.EvalSymlinks(found); err == nil && found == d.exe {
			return "mesh"
		}
	}
	return shellQuote(d.exe)
}
