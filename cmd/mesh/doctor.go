package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// doctorWithin bounds a run unless --timeout says otherwise: every check has a deadline of its own, and together they
	// stay far below.
	doctorWithin = 3 * time.Minute
	formatShort  = "short"
)

// doctorFlags say what to look at and how to tell it.
type doctorFlags struct {
	node    *nodeFlags
	groups  []string
	skip    []string
	offline bool
	failOn  string
	format  *string
	list    bool
	bundle  string
}

func newDoctorCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor [KIND/NAMESPACE/NAME]",
		Short: "Find out what is wrong, and what to do about it",
		Example: "  mesh doctor\n" +
			"  mesh doctor --group network -o short\n" +
			"  mesh doctor ConfigMap/default/app     why is it, or is it not, where it should be\n" +
			"  mesh doctor --bundle report.tar.gz    everything that helps somebody else to look for the fault",
		Long: "The node runs the checks, so that they are about its machine, its network and its rights. Where none answers, " +
			"or with --offline, what needs no node is looked at from here. With an object its way is followed: who owns it, " +
			"where it is signed, held, merged and applied. A page on each check: mesh help checks.",
		Annotations: map[string]string{annotationExits: "0 1 2 3 4 5 6 130"},
		Args:        takesArgs(0, 1),
	}
	f := &doctorFlags{node: addNodeFlags(c), failOn: "fail"}
	c.ValidArgsFunction = only(1, f.node.completeObjects(e))
	fs := c.Flags()
	fs.StringSliceVar(&f.groups, "group", nil, "only these `GROUPS`, joined by commas")
	fs.StringSliceVar(&f.skip, "skip", nil, "leave out the checks with these `IDS`, joined by commas")
	fs.BoolVar(&f.offline, "offline", false, "ask no node; look at what needs none")
	fs.Var(newChoice(&f.failOn, "fail", "warn"), "fail-on", "exit with 4 on a fault, or on a warning too: fail or warn")
	fs.BoolVar(&f.list, "list", false, "list the checks and run none")
	fs.StringVar(&f.bundle, "bundle", "", "write a bundle for whoever is to look for the fault to `FILE`, and list what is in it")
	f.format = addOutputFlag(c, formatText, formatShort, formatJSON)
	groupFlags(c, "what to look at", "group", "skip", "offline", "list")
	groupFlags(c, "what comes of it", "fail-on", "bundle", "output")
	_ = c.RegisterFlagCompletionFunc("group", completeListed(doctor.Groups()...))
	_ = c.RegisterFlagCompletionFunc("skip", completeListed(checkIDs()...))
	c.MarkFlagsMutuallyExclusive("offline", "list")
	c.MarkFlagsMutuallyExclusive("bundle", "list")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c, args); err != nil {
			return err
		}
		object := strings.Join(args, "")
		switch {
		case f.list:
			return listChecks(e, *f.format, f.groups)
		case f.bundle != "":
			return runDoctorBundle(c.Context(), e, f.node, f.bundle, object, *f.format, func(ctx context.Context) (out []mesh.CheckResult, err error) {
				l := newLocalDoctor(e, f.node, "no node answers")
				return out, doctor.Run(ctx, l.suite(), doctor.Options{Now: e.now}, func(x mesh.CheckResult) { out = append(out, x) })
			})
		case object != "":
			return runDoctorObject(c.Context(), e, f.node, object, *f.format)
		}
		limit := doctorWithin
		if c.Flags().Changed("timeout") {
			limit = e.flags.timeout
		}
		e.flags.timeout = limit // what errors name
		ctx, cancel := context.WithTimeout(c.Context(), limit)
		defer cancel()
		return runDoctor(ctx, e, f)
	}
	return c
}

// check refuses what doesn't fit together, and names that don't exist.
func (f *doctorFlags) check(c *cobra.Command, args []string) error {
	for _, g := range f.groups {
		if !doctor.IsGroup(g) {
			return usageError(c, fmt.Sprintf("unknown group %q", g)+didYouMean(g, doctor.Groups()), "there are: "+strings.Join(doctor.Groups(), ", "))
		}
	}
	for _, id := range f.skip {
		if _, ok := doctor.Find(id); !ok {
			return usageError(c, fmt.Sprintf("unknown check %q", id)+didYouMean(id, checkIDs()), "mesh doctor --list names them all")
		}
	}
	if len(args) == 0 && f.bundle == "" {
		return nil
	}
	for _, name := range []string{"group", "skip", "offline", "fail-on", "list"} {
		if !c.Flags().Changed(name) {
			continue
		}
		if len(args) > 0 {
			return usageError(c, "--"+name+" is not for an object", "the way of an object is followed as a whole")
		}
		return usageError(c, "--"+name+" is not for a bundle", "a bundle holds what all checks find")
	}
	return nil
}

func checkIDs() []string {
	var out []string
	for _, p := range doctor.Pages() {
		out = append(out, p.ID)
	}
	return out
}

// runDoctor has the checks run, by the node or here, and tells what they find.
func runDoctor(ctx context.Context, e *env, f *doctorFlags) error {
	report := newDoctorReport(e, *f.format, f.failOn)
	l := newLocalDoctor(e, f.node, "no node was asked (--offline)")
	l.offline = f.offline
	far, err := f.node.throughKubernetes(e)
	switch {
	case err != nil:
		return err
	case far && f.offline:
		return &cliError{Code: "MESH-2002", What: "--offline is not for the node of a cluster", Cause: "what needs no node would be looked at on this machine, not in its pod",
			Next: []string{"the same command without --offline"}}
	}
	var asked *cliError
	if !f.offline {
		addr, err := f.ask(ctx, e, admin.DoctorQuery{Groups: f.groups, Skip: f.skip}, report)
		if err == nil {
			return report.finish()
		}
		if !errors.As(nodeError(e, err), &asked) || report.count() > 0 || e.flags.archive != "" || far || !l.explain(addr, asked) {
			return errors.Join(report.err, nodeError(e, err))
		}
		e.note("%s; looking at what needs none, from here", l.why)
	}
	if err := doctor.Run(ctx, l.suite(), doctor.Options{Groups: f.groups, Skip: f.skip, Now: e.now}, report.add); err != nil {
		return err
	}
	if asked != nil && report.nothing() {
		return errors.Join(report.close(), asked)
	}
	return report.finish()
}

// ask has the node run the checks.
func (f *doctorFlags) ask(ctx context.Context, e *env, q admin.DoctorQuery, report *doctorReport) (addr string, err error) {
	client, err := f.node.client(e)
	if err != nil {
		return "", err
	}
	defer client.Close()
	report.node = client.Addr()
	err = client.Doctor(ctx, q, report.add)
	if err != nil && report.count() == 0 {
		report.node = ""
	}
	return client.Addr(), err
}

func doctorCodes() []errorCode {
	return []errorCode{
		{"MESH-4201", "a check found a fault", "" +
			"mesh doctor found something that is wrong, or with --fail-on warn something that is worth a look. Each " +
			"line names the cause and the next command; mesh help with the id of the check tells more."},
	}
}

// worst sorts results for whoever reads only the first.
func worst(all []mesh.CheckResult) []mesh.CheckResult {
	var out []mesh.CheckResult
	for _, s := range []mesh.CheckStatus{mesh.CheckFail, mesh.CheckWarn} {
		out = append(out, slices.DeleteFunc(slices.Clone(all), func(x mesh.CheckResult) bool { return x.Status != s })...)
	}
	return out
}
