package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// runDoctorObject tells the way of one object and fails where it is not where it should be. format is text, short or
// json.
func runDoctorObject(ctx context.Context, e *env, node *nodeFlags, object, format string) error {
	key, err := mesh.ParseObjectKey(object)
	if err != nil {
		return &cliError{Code: "MESH-2002", What: err.Error(), Next: []string{"mesh doctor ConfigMap/default/app", "mesh doctor --help"}}
	}
	client, err := node.client(e)
	if err != nil {
		return err
	}
	defer client.Close()
	t, err := client.Trace(ctx, key)
	if err != nil {
		return nodeError(e, err)
	}
	switch format {
	case formatJSON, formatYAML:
		err = e.printValue(format, "Trace", t)
	default:
		var self mesh.Zone
		if self, err = ownZone(ctx, client); err == nil {
			err = e.printf("%s", traceText(e, t, self, format != formatText))
			elsewhere(e, t)
		}
	}
	if err != nil {
		return nodeError(e, err)
	}
	return traceError(t)
}

// ownZone is that of the asked node.
func ownZone(ctx context.Context, client *admin.Client) (mesh.Zone, error) {
	s, err := client.Status(ctx)
	return s.Zone, err
}

// traceText lays a trace out like the checks of doctor: what is here, then what other zones hold. Short leaves out what
// is in order.
func traceText(e *env, t mesh.Trace, self mesh.Zone, short bool) string {
	var b strings.Builder
	if !short {
		fmt.Fprintf(&b, "%s   %s\n", oneLine(t.Object), oneLine(traceState(t)))
	}
	group := mesh.Zone("?")
	width := 0
	for _, s := range t.Steps {
		width = max(width, len(s.Name))
	}
	for _, s := range t.Steps {
		if short && s.Status == mesh.CheckOK {
			continue
		}
		if zone := s.Zone; zone != group && !short {
			group = zone
			title := oneLine(string(zone))
			if zone == "" {
				title = oneLine(string(self)) + " (here)"
			}
			fmt.Fprintln(&b, e.paint(e.stdout, title, styleBold))
		}
		at := ""
		if short && s.Zone != "" {
			at = oneLine(string(s.Zone)) + ": "
		}
		fmt.Fprintf(&b, "  %s  %-*s  %s%s\n", e.mark(s.Status), width, oneLine(s.Name), at, oneLine(s.Message))
		if len(s.Next) > 0 && s.Status != mesh.CheckOK {
			fmt.Fprintf(&b, "        next:  %s\n", strings.ReplaceAll(e.asCalled(joinNext(s.Next)), "\n", "\n      "))
		}
	}
	fmt.Fprintf(&b, "%s\n", traceSummary(t))
	return b.String()
}

// mark is how a check's outcome is printed, four columns wide.
func (e *env) mark(s mesh.CheckStatus) string {
	switch s {
	case mesh.CheckOK:
		return e.paint(e.stdout, "ok", styleOK) + "  "
	case mesh.CheckWarn:
		return e.paint(e.stdout, "warn", styleWarn)
	case mesh.CheckFail:
		return e.paint(e.stdout, "FAIL", styleBad)
	}
	return e.paint(e.stdout, "skip", styleUnknown)
}

// traceState is the object in half a line.
func traceState(t mesh.Trace) string {
	s := t.State
	if t.Owner != "" {
		s += fmt.Sprintf(", owner %s, epoch %d, version %d", t.Owner, t.Epoch, t.Version)
	}
	return s
}

func traceSummary(t mesh.Trace) string {
	n := map[mesh.CheckStatus]int{}
	for _, s := range t.Steps {
		n[s.Status]++
	}
	return fmt.Sprintf("%d ok, %d warn, %d fail, %d skipped", n[mesh.CheckOK], n[mesh.CheckWarn], n[mesh.CheckFail], n[mesh.CheckSkip])
}

// elsewhere says where to ask on: a node knows its own cluster alone.
func elsewhere(e *env, t mesh.Trace) {
	others := slices.ContainsFunc(t.Steps, func(s mesh.TraceStep) bool { return s.Zone != "" })
	if others && traceError(t) == nil {
		e.note("what another zone wrote to its cluster is known there: mesh doctor %s", oneLine(t.Object))
	}
}

// traceError names the first step that is missing, and the first command that helps.
func traceError(t mesh.Trace) error {
	var told *cliError
	for _, s := range t.Steps {
		if s.Status != mesh.CheckFail {
			continue
		}
		if told == nil {
			where := ""
			if s.Zone != "" {
				where = " in " + string(s.Zone)
			}
			told = &cliError{Code: "MESH-4101", What: fmt.Sprintf("%s is not everywhere it should be", t.Object),
				Cause: fmt.Sprintf("the first step that is missing is %s%s: %s", s.Name, where, s.Message), Err: errors.New(s.Name + ": " + s.Reason)}
		}
		if told.Next == nil {
			told.Next = s.Next
		}
	}
	if told == nil {
		return nil // not a nil *cliError, which would be an error
	}
	return told
}

func objectCodes() []errorCode {
	return []errorCode{
		{"MESH-4101", "an object is not where it should be", "" +
			"mesh doctor KIND/NAMESPACE/NAME follows the object's way: who owns it, where that is signed, whether it is " +
			"announced and held here, what the claims of all zones mean together, what was written to the cluster, and " +
			"what the other zones hold. The error names the first step that is missing and the command that unblocks it. A " +
			"node knows its own cluster alone: ask the node of another zone what was written there."},
	}
}
