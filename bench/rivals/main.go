// Command rivals runs what the benchmarks compare this program with: agents of hashicorp/serf, and two NATS servers of
// which one mirrors a JetStream stream of the other. It is a module of its own, so that what they depend on stays out
// of the product's go.mod. internal/meshtest/rivaltest builds and starts it.
//
//	rivals serf -name n0 -port 7946 -join 127.0.0.1:7947   one agent, until its input ends
//	rivals nats -dir /tmp/x                                both servers, until its input ends
//
// It prints lines of JSON. The first one, {"event":"ready"}, says that it can be used; what comes then stands with each
// command. What goes wrong is one line on stderr and exit code 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "serf":
			return runSerf(ctx, args[1:], in, out)
		case "nats":
			return runNATS(args[1:], in, out)
		}
	}
	return fmt.Errorf("%q: say serf or nats first", args)
}

// line prints one value.
func line(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }

// ready is the first line of every command.
type ready struct {
	Event string `json:"event"`
}
