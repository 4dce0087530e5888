package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// doctorReport tells what checks find: in words as it comes, or as one document at the end.
type doctorReport struct {
	e      *env
	format string // text, short or json
	failOn string // fail or warn
	begun  time.Time
	node   string // who was asked; empty: nobody

	results []mesh.CheckResult
	group   string             // of the newest line
	skipped []mesh.CheckResult // of one group, with one reason, that are still to be told in one line
	err     error              // of writing; nothing is written after it
}

func newDoctorReport(e *env, format, failOn string) *doctorReport {
	return &doctorReport{e: e, format: format, failOn: failOn, begun: e.now()}
}

// add takes the next result, and tells it in words.
func (r *doctorReport) add(x mesh.CheckResult) {
	r.results = append(r.results, x)
	if r.format == formatJSON {
		return
	}
	if x.Status == mesh.CheckSkip {
		if n := len(r.skipped); n > 0 && (r.skipped[0].Group != x.Group || r.skipped[0].Message != x.Message) {
			r.tellSkipped()
		}
		r.skipped = append(r.skipped, x)
		return
	}
	r.tellSkipped()
	if r.format == formatShort && x.Status == mesh.CheckOK {
		return
	}
	r.head(x.Group)
	r.printf("%s", checkText(r.e, x))
}

// tellSkipped tells in one line what is skipped for one reason.
func (r *doctorReport) tellSkipped() {
	all := r.skipped
	r.skipped = nil
	if len(all) == 0 || r.format == formatShort {
		return
	}
	var ids []string
	for _, x := range all[:min(len(all), maxNamed)] {
		ids = append(ids, oneLine(x.ID))
	}
	if more := len(all) - len(ids); more > 0 {
		ids = append(ids, fmt.Sprintf("%d more", more))
	}
	r.head(all[0].Group)
	r.printf("  %s  %s: %s\n", r.e.paint(r.e.stdout, "skip", styleUnknown), strings.Join(ids, ", "), oneLine(all[0].Message))
}

// head prints the name of a group above its first line.
func (r *doctorReport) head(group string) {
	if group != r.group {
		r.group = group
		r.printf("%s\n", r.e.paint(r.e.stdout, oneLine(group), styleBold))
	}
}

func (r *doctorReport) printf(format string, args ...any) {
	if r.err == nil {
		r.err = r.e.printf(format, args...)
	}
}

// checkText is one result in words. What comes of elsewhere is made fit for a terminal.
func checkText(e *env, x mesh.CheckResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s  %s\n", e.mark(x.Status), oneLine(x.Message))
	if x.Status == mesh.CheckOK {
		return b.String()
	}
	if x.Cause != "" {
		fmt.Fprintf(&b, "        cause: %s\n", oneLine(x.Cause))
	}
	if len(x.Next) > 0 {
		fmt.Fprintf(&b, "        next:  %s\n", strings.ReplaceAll(e.asCalled(joinNext(x.Next)), "\n", "\n      "))
	}
	fmt.Fprintf(&b, "        docs:  %s\n", e.asCalled(oneLine(checkDocs(x.ID))))
	return b.String()
}

// checkDocs is where a check is explained.
func checkDocs(id string) string {
	if docsURL == "" {
		return "mesh help " + id
	}
	return docsURL + "/checks#" + id
}

// checkSummary counts outcomes.
type checkSummary struct {
	OK   int `json:"ok"`
	Warn int `json:"warn"`
	Fail int `json:"fail"`
	Skip int `json:"skip"`
}

func (r *doctorReport) summary() (s checkSummary) {
	for _, x := range r.results {
		switch x.Status {
		case mesh.CheckOK:
			s.OK++
		case mesh.CheckWarn:
			s.Warn++
		case mesh.CheckFail:
			s.Fail++
		default:
			s.Skip++
		}
	}
	return s
}

func (r *doctorReport) count() int { return len(r.results) }

// nothing reports whether not one check found anything out; that no node answers is no finding by itself.
func (r *doctorReport) nothing() bool {
	return !slices.ContainsFunc(r.results, func(x mesh.CheckResult) bool { return x.Status != mesh.CheckSkip && x.ID != "network.node" })
}

func (r *doctorReport) bad() bool {
	s := r.summary()
	return s.Fail > 0 || r.failOn == "warn" && s.Warn > 0
}

// close tells what is still to be told.
func (r *doctorReport) close() error {
	if r.format == formatJSON {
		return r.e.printValue(formatJSON, "DoctorReport", r.document())
	}
	r.tellSkipped()
	s := r.summary()
	r.printf("%d ok, %d warn, %d fail, %d skipped in %.1fs\n", s.OK, s.Warn, s.Fail, s.Skip, max(r.e.now().Sub(r.begun).Seconds(), 0))
	return r.err
}

// finish closes and says whether something is wrong.
func (r *doctorReport) finish() error {
	if err := r.close(); err != nil || !r.bad() {
		return err
	}
	s := r.summary()
	var parts []string
	if s.Fail > 0 {
		parts = append(parts, readable.Count(s.Fail, "fault"))
	}
	if s.Warn > 0 && r.failOn == "warn" {
		parts = append(parts, readable.Count(s.Warn, "warning"))
	}
	first := worst(r.results)[0]
	return &cliError{Code: "MESH-4201", What: "found " + strings.Join(parts, " and "), Cause: first.Message, Next: first.Next}
}

// doctorDocument is the report as JSON.
type doctorDocument struct {
	OK      bool          `json:"ok"`
	Node    *string       `json:"node"` // who ran the checks; null: the command itself, without a node
	Seconds float64       `json:"seconds"`
	Summary checkSummary  `json:"summary"`
	Groups  []doctorGroup `json:"groups"`
}

type doctorGroup struct {
	Name   string        `json:"name"`
	Checks []doctorCheck `json:"checks"`
}

type doctorCheck struct {
	ID      string           `json:"id"`
	Status  mesh.CheckStatus `json:"status"`
	Message string           `json:"message"`
	Cause   *string          `json:"cause"`
	Next    []string         `json:"next"`
	Docs    string           `json:"docs"`
	Subject *string          `json:"subject"`
	Seconds float64          `json:"seconds"`
}

func (r *doctorReport) document() doctorDocument {
	d := doctorDocument{OK: !r.bad(), Seconds: max(r.e.now().Sub(r.begun).Seconds(), 0), Summary: r.summary(), Groups: []doctorGroup{}}
	if r.node != "" {
		d.Node = &r.node
	}
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	for _, x := range r.results {
		if n := len(d.Groups); n == 0 || d.Groups[n-1].Name != x.Group {
			d.Groups = append(d.Groups, doctorGroup{Name: x.Group})
		}
		g := &d.Groups[len(d.Groups)-1]
		next := x.Next
		if next == nil {
			next = []string{}
		}
		g.Checks = append(g.Checks, doctorCheck{x.ID, x.Status, x.Message, text(x.Cause), next, checkDocs(x.ID), text(x.Subject), x.Seconds})
	}
	return d
}

// checkItem is one check in the list of all.
type checkItem struct {
	ID    string   `json:"id"`
	Group string   `json:"group"`
	Title string   `json:"title"`
	Needs []string `json:"needs"` // other checks, without which it is skipped
	Docs  string   `json:"docs"`
}

// listChecks prints what there is to look at.
func listChecks(e *env, format string, only []string) error {
	var items []checkItem
	t := table{columns: []column{{name: "ID"}, {name: "GROUP"}}}
	for _, p := range doctor.Pages() {
		if len(only) > 0 && !slices.Contains(only, p.Group) {
			continue
		}
		needs := p.Needs
		if needs == nil {
			needs = []string{}
		}
		items = append(items, checkItem{p.ID, p.Group, p.Title, needs, checkDocs(p.ID)})
		t.rows = append(t.rows, []string{p.ID, p.Group})
	}
	if format == formatJSON {
		return e.printList(formatJSON, "CheckList", items)
	}
	return e.printTable(t, "")
}
