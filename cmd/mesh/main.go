package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(mainCode()) }

// mainCode is main without the exit, so that its deferred calls run.
func mainCode() int {
	if len(os.Args) == 2 && os.Args[1] == restoreCommand {
		return restoreTerminal(os.Stdin, os.Stdout)
	}
	return withSignals(func(ctx context.Context) int { return run(ctx, os.Args, newEnv()) })
}

// withSignals runs f with a context that ends with the first SIGINT or SIGTERM, which asks for an orderly
// end. The second ends the process at once. That is not left to the default meaning of signals, which they
// do not have for process 1 of a container.
func withSignals(f func(context.Context) int) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	return f(ctx)
}

// run executes one command line, args[0] being the name the program was called by, and returns the exit
// code. It never exits and never panics: what goes wrong is printed to e.stderr.
func run(ctx context.Context, args []string, e *env) (code int) {
	asJSON := wantsJSON(args)
	defer func() {
		if p := recover(); p != nil {
			code = e.fail(internalError(e, fmt.Errorf("panic: %v", p), debug.Stack()), asJSON)
		}
	}()
	e.plugin = isPlugin(args)
	root := newRootCmd(e)
	root.SetArgs(impliedCommand(args))
	started := watchStart(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	return e.fail(classify(ctx, e, cmd, err, started()), asJSON)
}

// classify turns whatever a command returned into what the user is told. Errors from before RunE are cobra's
// complaints about the command line.
func classify(ctx context.Context, e *env, cmd *cobra.Command, err error, started bool) error {
	var known *cliError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, errInterrupted):
		return err
	case !started:
		return flagGroupError(cmd, err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return &cliError{
			Code:  "MESH-5001",
			What:  fmt.Sprintf("%s did not finish within %s", cmd.CommandPath(), e.flags.timeout),
			Cause: "the deadline of --timeout passed",
			Next:  []string{cmd.CommandPath() + " --timeout 60s"},
			Err:   err,
		}
	}
	return internalError(e, err, nil)
}

// watchStart wraps every RunE of the tree and returns a function that reports whether one was entered.
func watchStart(root *cobra.Command) func() bool {
	started := false
	walk(root, func(c *cobra.Command) {
		runE := c.RunE
		if runE == nil {
			return
		}
		c.RunE = func(c *cobra.Command, args []string) error {
			started = true
			return runE(c, args)
		}
	})
	return func() bool { return started }
}

// impliedCommand returns the arguments for the root command. Called as mesh-controller without a subcommand,
// the binary behaves as `run`: a drop-in for `mesh-controller -c config.yaml -k private-key.hex`. As
// kubectl_complete-mesh it completes what stands behind kubectl mesh.
func impliedCommand(args []string) []string {
	if len(args) == 0 {
		return []string{}
	}
	rest := args[1:]
	name := programFile(args)
	if name == completionFile {
		return append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	if name == "mesh-controller" && (len(rest) == 0 || strings.HasPrefix(rest[0], "-")) {
		return append([]string{"run"}, rest...)
	}
	return append([]string{}, rest...)
}

// wantsJSON looks for -o json in the raw arguments, because errors about the command line itself are to be
// JSON too. -o means output in every command.
func wantsJSON(args []string) bool {
	for i, a := range args {
		switch a {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == formatJSON {
				return true
			}
		}
	}
	return false
}

// walk calls f for c and every command below it.
func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		walk(sub, f)
	}
}
