package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/readable"
)

func newLogVerifyCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "verify [ZONE]",
		Short:       "Recompute signatures, back-links and snapshot digests",
		Example:     "  mesh log verify\n  mesh log verify west -o json\n  mesh log verify --data-dir east/.mesh",
		Annotations: map[string]string{annotationExits: "0 1 2 3 4 5"},
		Args:        takesArgs(0, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.completeLogs(e))
	format := addOutputFlag(c, formatText, formatJSON, formatYAML)
	c.RunE = func(c *cobra.Command, args []string) error {
		src, err := openLogs(c.Context(), e, node)
		if err != nil {
			return nodeError(e, err)
		}
		defer src.Close()
		return nodeError(e, verifyLogs(c, e, src, *format, args))
	}
	return c
}

func verifyLogs(c *cobra.Command, e *env, src logSource, format string, args []string) error {
	ctx := c.Context()
	_, network, err := src.Identity(ctx)
	if err != nil {
		return err
	}
	logs, err := src.Logs(ctx)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if logs, err = chooseLogs(logs, args[0]); err != nil {
			return err
		}
	}
	width := minZone
	for _, l := range logs {
		width = max(width, len(l.Zone))
	}
	var results []*admin.Verification
	faulty := 0
	for _, l := range logs {
		v, err := admin.Verify(ctx, src, l, network, src.Withholds())
		if err != nil {
			return err
		}
		if len(v.Faults) > 0 {
			faulty++
		}
		results = append(results, v)
		if format == formatText {
			if err := printVerification(e, v, width); err != nil {
				return err
			}
		}
	}
	if format != formatText {
		if err := e.printList(format, "LogVerificationList", results); err != nil {
			return err
		}
	}
	if len(logs) == 0 {
		e.note("No logs found.")
	}
	if faulty > 0 {
		return &cliError{Code: "MESH-4001", What: fmt.Sprintf("%s of %d with faults", readable.Count(faulty, "log"), len(logs)),
			Cause: "what is stored is not what was signed", Next: []string{"stop the node, move its store aside and start it again"}}
	}
	return nil
}

// The widths of the columns that mesh log verify prints, where nothing is wider: lines come one by one.
const (
	minZone  = 5
	minRange = len("1800-1842")
)

// printVerification prints a line per log, or one per fault.
func printVerification(e *env, v *admin.Verification, width int) error {
	zone := fmt.Sprintf("%-*s", width, oneLine(string(v.Zone)))
	if len(v.Faults) == 0 {
		held := "nothing held"
		where := noValue
		if v.Operations > 0 {
			where = fmt.Sprintf("%d-%d", v.From, v.To)
			held = fmt.Sprintf("%s: signatures, sequence and back-links hold", readable.Count(int(v.Operations), "operation"))
		}
		if v.Withheld > 0 {
			held += fmt.Sprintf("; %s with Secrets not at hand", readable.Count(int(v.Withheld), "body"))
		}
		return e.printf("%s    %s  %-*s  %s\n", e.paint(e.stdout, "ok", styleOK), zone, minRange, where, held)
	}
	for _, f := range v.Faults {
		if err := e.printf("%s  %s  %-*d  %s\n", e.paint(e.stdout, "FAIL", styleBad), zone, minRange, f.Seq, oneLine(f.Text)); err != nil {
			return err
		}
	}
	if v.Truncated {
		return e.printf("%s  %s  and more\n", e.paint(e.stdout, "FAIL", styleBad), zone)
	}
	return nil
}
