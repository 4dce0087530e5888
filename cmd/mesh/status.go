package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newStatusCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how this node is doing, in ten lines",
		Example: "  mesh status\n" +
			"  mesh status --wait=60s           wait until it is ready and in sync\n" +
			"  mesh status -o json\n" +
			"  mesh status --node unix:east/.mesh/api.sock",
		Annotations: map[string]string{annotationExits: "0 2 3 5 130"},
	}
	node := addNodeFlags(c)
	var wait positiveDuration
	c.Flags().Var(&wait, "wait", "return once ready and in sync, at most after `DURATION`, 60s if none is given")
	c.Flags().Lookup("wait").NoOptDefVal = "60s"
	c.Flags().Lookup("wait").DefValue = ""
	watch := c.Flags().BoolP("watch", "w", false, "print again whenever something changes; on a terminal q ends it")
	format := addOutputFlag(c, formatText, formatJSON, formatYAML)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		s := &statusView{e: e, client: client, format: *format, watch: *watch}
		if wait > 0 {
			if err := s.wait(c.Context(), time.Duration(wait)); err != nil {
				return err
			}
		}
		return nodeError(e, e.untilQuit(c.Context(), *watch && !c.Flags().Changed("output"), s.show))
	}
	return c
}

// statusView asks for the status and prints it.
type statusView struct {
	e      *env
	client *admin.Client
	format string
	watch  bool
}

// show prints the status, and with watch again after every change.
func (v *statusView) show(ctx context.Context) error {
	var last []byte
	for {
		s, err := v.client.Status(ctx)
		if err != nil {
			return err
		}
		if now := steady(s); !bytes.Equal(now, last) {
			if err := v.print(ctx, s, last != nil); err != nil {
				return err
			}
			last = now
		}
		if !v.watch {
			return nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// steady is the status without what changes by time alone.
func steady(s mesh.Status) []byte {
	s.UptimeSeconds, s.Cluster.LastWrite = 0, nil
	s.Replication = slices.Clone(s.Replication)
	for i := range s.Replication {
		s.Replication[i].LagSeconds = 0
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil // it cannot be printed either, which says so
	}
	return b
}

func (v *statusView) print(ctx context.Context, s mesh.Status, again bool) error {
	switch {
	case v.format == formatJSON && v.watch:
		return v.e.printLine("Status", s)
	case v.format != formatText:
		return v.e.printValue(v.format, "Status", s)
	}
	var peers []mesh.Peer
	if !standsBy(s) { // one that does knows of none
		var err error
		if peers, err = v.client.Peers(ctx); err != nil {
			return err
		}
		peers = admittedPeers(peers)
	}
	if again {
		if err := v.e.printf("\n"); err != nil {
			return err
		}
	}
	if s.Partial {
		return v.e.printf("%s", partialText(v.e, s, peers))
	}
	return v.e.printf("%s", statusText(v.e, s, peers))
}

// wait asks until the node is ready and in sync.
func (v *statusView) wait(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errWaited)
	defer cancel()
	missing := "the node has not answered yet"
	for {
		s, err := v.client.Status(ctx)
		switch {
		case context.Cause(ctx) == errWaited:
			return &cliError{Code: "MESH-5101", What: fmt.Sprintf("not ready and in sync within %s", limit),
				Cause: missing, Next: []string{"mesh status", "mesh peers"}}
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !retriable(err):
			return nodeError(v.e, err)
		case err != nil:
			missing = rootCause(nodeError(v.e, err)).Error()
			var told *cliError
			if errors.As(nodeError(v.e, err), &told) {
				missing = told.Error()
			}
		case s.Partial:
			missing = "only MeshPeers could be read, not the node itself"
		case s.Ready && s.InSync:
			return nil
		default:
			missing = lacks(s)
		}
		_ = sleep(ctx, waitEvery) // the end of ctx is told apart above
	}
}

// errWaited tells the deadline of --wait from every other.
var errWaited = errors.New("the deadline of --wait passed")

// retriable reports whether asking again may help: the node starts, or is busy.
func retriable(err error) bool {
	var refused *admin.Error
	var unreachable *admin.UnreachableError
	return errors.As(err, &unreachable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &refused) && refused.Code == admin.CodeStarting
}

// lacks names what keeps a node from being ready and in sync.
func lacks(s mesh.Status) string {
	var parts []string
	for _, r := range s.Replication {
		if r.LagOperations > 0 {
			parts = append(parts, fmt.Sprintf("behind %s by %s", r.Zone, readable.Count(int(r.LagOperations), "operation")))
		}
	}
	for _, f := range s.Findings {
		parts = append(parts, findingText(f))
	}
	switch {
	case len(parts) > 0:
	case standsBy(s):
		parts = []string{"this process stands by; " + orNobody(s.Lease.Holder) + " leads"}
	case !s.Ready:
		parts = []string{"the node is not ready"}
	case s.Peers.Ready < s.Peers.Total:
		parts = []string{fmt.Sprintf("%d of %s ready, not compared with the others", s.Peers.Ready, readable.Count(s.Peers.Total, "peer"))}
	default:
		parts = []string{"not compared with the other nodes yet"}
	}
	return strings.Join(parts, "; ")
}

func findingText(f mesh.Finding) string {
	if f.Subject == "" {
		return f.Text
	}
	if strings.HasPrefix(f.Text, "is ") {
		return f.Subject + " " + f.Text
	}
	return f.Subject + ": " + f.Text
}

// admittedPeers leaves out the nodes that were merely seen on the local network.
func admittedPeers(peers []mesh.Peer) []mesh.Peer {
	return slices.DeleteFunc(peers, func(p mesh.Peer) bool { return p.State == mesh.NotAdmitted })
}
