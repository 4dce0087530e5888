package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

const (
	// maxProblems is how many problems of a cluster are listed; -o json has them all.
	maxProblems = 20
	// lookCloser ends the line of a node with findings.
	lookCloser = "run: mesh doctor"
	// maxNamed is how many peers or zones one line names.
	maxNamed = 4
)

// statusText is one node in about ten lines: a word, what it is, and what is to be said about it.
func statusText(e *env, s mesh.Status, peers []mesh.Peer) string {
	if standsBy(s) {
		return standbyText(e, s)
	}
	t := &statusPrinter{e: e}
	t.line("zone", string(s.Zone), stylePlain, s.PeerID)
	t.line("network", string(s.NetworkID), stylePlain, strings.Join(s.Listen, ", "))
	about := []string{"up " + readable.LongSpan(time.Duration(s.UptimeSeconds*float64(time.Second)))}
	if s.Incarnation != nil {
		about = append(about, "incarnation "+rfc3339(*s.Incarnation))
	} else {
		about = append(about, "nothing signed yet")
	}
	if s.LeaseHeld != nil && *s.LeaseHeld {
		about = append(about, "lease held")
	} else if s.LeaseHeld != nil {
		about = append(about, "lease not confirmed")
	}
	t.line("version", s.Version, stylePlain, about...)
	t.peers(s, peers)
	t.replication(s)
	r := s.Resources
	t.line("resources", fmt.Sprintf("%d live", r.Live), stylePlain, strings.Join(counts(
		count{r.Tombstones, "tombstone", true}, count{r.Contested, "contested", false}, count{r.DeletesHeld, "delete", true},
		count{r.Rejected, "rejected", false}, count{r.Unmanaged, "unmanaged", false},
		count{r.NotAllowed, "not allowed", false}), ", ")+where(r))
	t.cluster(s.Cluster)
	t.health(s.Findings)
	return t.b.String()
}

// standsBy reports whether the process works on nothing because another one of its zone does, or may.
func standsBy(s mesh.Status) bool {
	return s.Lease != nil && (s.Lease.State == string(lease.Standby) || s.Lease.State == string(lease.Waiting))
}

// standbyText is a process that stands by: it has no peers, logs or objects to tell about.
func standbyText(e *env, s mesh.Status) string {
	t := &statusPrinter{e: e}
	t.line("zone", string(s.Zone), stylePlain, s.PeerID)
	t.line("network", string(s.NetworkID), stylePlain, strings.Join(s.Listen, ", "))
	t.line("version", s.Version, stylePlain, "up "+readable.LongSpan(time.Duration(s.UptimeSeconds*float64(time.Second))))
	switch since := s.Lease.Since; {
	case s.Lease.State == string(lease.Standby):
		t.line("lease", "standby", styleOK, orNobody(s.Lease.Holder)+" leads"+forHowLong(e, &since))
	default:
		t.line("lease", "waiting", styleWarn, "the API server has not told who leads"+forHowLong(e, &since))
	}
	t.cluster(s.Cluster)
	t.health(s.Findings)
	return t.b.String()
}

// statusPrinter lays the lines out in three columns.
type statusPrinter struct {
	e *env
	b strings.Builder
}

// line prints one line; the parts of its last column are joined by commas.
func (t *statusPrinter) line(name, value string, st style, parts ...string) {
	for i, p := range parts {
		parts[i] = oneLine(p)
	}
	value = oneLine(value)
	if len(parts) == 0 {
		fmt.Fprintf(&t.b, "%-12s %s\n", name, t.e.paint(t.e.stdout, value, st))
		return
	}
	pad := strings.Repeat(" ", max(0, 14-len([]rune(value))))
	fmt.Fprintf(&t.b, "%-12s %s%s %s\n", name, t.e.paint(t.e.stdout, value, st), pad, strings.Join(parts, ", "))
}

func (t *statusPrinter) peers(s mesh.Status, peers []mesh.Peer) {
	p := s.Peers
	if p.Total == 0 {
		t.line("peers", "none", stylePlain)
		return
	}
	sortPeers(peers)
	bad, st := p.Total-p.Ready, styleOK
	if bad > 0 {
		st = styleWarn
	}
	late := slices.DeleteFunc(slices.Clone(peers), func(p mesh.Peer) bool { return p.State == mesh.Ready })
	var named []string
	for _, peer := range late[max(0, len(late)-maxNamed):] { // the worst, which come last
		named = append(named, fmt.Sprintf("%s %s%s", peer.Name, stateWords(peer.State), forHowLong(t.e, peer.Since)))
	}
	if more := bad - len(named); more > 0 && len(named) > 0 {
		named = append(named, fmt.Sprintf("%d more not ready", more))
	}
	t.line("peers", fmt.Sprintf("%d/%d ready", p.Ready, p.Total), st, named...)
}

func stateWords(s mesh.PeerState) string {
	if s == mesh.NotReady {
		return "not ready"
	}
	return strings.ToLower(string(s))
}

func forHowLong(e *env, since *time.Time) string {
	if since == nil {
		return ""
	}
	return " (" + e.since(since) + ")"
}

func (t *statusPrinter) replication(s mesh.Status) {
	var behind []string
	late := 0
	for _, r := range s.Replication {
		if r.LagOperations == 0 {
			continue
		}
		if late++; late <= maxNamed {
			behind = append(behind, fmt.Sprintf("%s %s, %.1fs", r.Zone, readable.Count(int(r.LagOperations), "op"), r.LagSeconds))
		}
	}
	rest := len(s.Replication) - late
	switch {
	case late == 0 && s.InSync && s.Peers.Total > 0 && s.Peers.Ready == 0:
		t.line("replication", "in sync", styleWarn, "with what was heard; no other node is ready")
	case late == 0 && s.InSync:
		t.line("replication", "in sync", styleOK)
	case late == 0:
		t.line("replication", "not compared", styleWarn, "waiting for the other nodes")
	case rest > 0 && late <= maxNamed:
		t.line("replication", "behind", styleWarn, strings.Join(behind, "; ")+"; others in sync")
	case late > maxNamed:
		t.line("replication", "behind", styleWarn, strings.Join(behind, "; ")+fmt.Sprintf("; %d more", late-maxNamed))
	default:
		t.line("replication", "behind", styleWarn, strings.Join(behind, "; "))
	}
}

// count is a number of things, said with or without a plural.
type count struct {
	n       int
	word    string
	plurals bool
}

// where says over how many kinds and namespaces live objects are spread.
func where(r mesh.Resources) string {
	switch {
	case r.Kinds == 0:
		return ""
	case r.Namespaces == 0:
		return "; " + readable.Count(r.Kinds, "kind")
	}
	return "; " + readable.Count(r.Kinds, "kind") + " in " + readable.Count(r.Namespaces, "namespace")
}

// counts says the first three and whatever is not zero of the others.
func counts(all ...count) []string {
	var out []string
	for i, c := range all {
		if c.n == 0 && i > 2 {
			continue
		}
		word := fmt.Sprintf("%d %s", c.n, c.word)
		if c.plurals {
			word = readable.Count(c.n, c.word)
		}
		if c.word == "delete" {
			word += " held"
		}
		out = append(out, word)
	}
	return out
}

// cluster prints the place where objects live, and each problem with file and line.
func (t *statusPrinter) cluster(c mesh.ClusterStatus) {
	if c.Kind == "" || c.Kind == "none" {
		t.line("cluster", "none", stylePlain, "membership and replication only")
		return
	}
	value, st := "connected", styleOK
	if !c.Connected {
		value, st = "not readable", styleBad
	}
	name, parts := "cluster", []string{strings.TrimSpace(c.Kind + " " + c.Location)}
	if c.Kind == "kubernetes" {
		name, parts = c.Kind, []string{c.Location}
		if c.Version != "" {
			parts = []string{c.Version}
			if !c.Connected {
				parts = []string{c.Location, c.Version}
			}
		}
	}
	if c.LastWrite != nil {
		parts = append(parts, "last write "+t.e.since(c.LastWrite)+" ago")
	}
	if c.ConflictsLastHour != nil {
		parts = append(parts, readable.Count(*c.ConflictsLastHour, "conflict")+" in 1h")
	}
	if name == "cluster" || len(c.Problems) > 0 {
		parts = append(parts, readable.Count(len(c.Problems), "problem"))
	}
	t.line(name, value, st, parts...)
	for i, p := range c.Problems {
		if i == maxProblems {
			fmt.Fprintf(&t.b, "  %d more: %s\n", len(c.Problems)-i, t.e.asCalled("mesh status -o json"))
			break
		}
		fmt.Fprintf(&t.b, "  %s\n", oneLine(problemText(p)))
	}
}

// problemText names file and line, or the object, and says what is wrong.
func problemText(p mesh.Problem) string {
	where := p.Object
	if p.File != "" {
		where = p.File
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d", p.File, p.Line)
		}
	}
	if where == "" {
		return p.Reason + ": " + p.Text
	}
	return where + "  " + p.Reason + ": " + p.Text
}

func (t *statusPrinter) health(findings []mesh.Finding) {
	fails, warns := 0, 0
	for _, f := range findings {
		if f.Status == "fail" {
			fails++
		} else {
			warns++
		}
	}
	switch {
	case fails > 0:
		t.line("health", fmt.Sprintf("%d fail %d warn", fails, warns), styleBad, lookCloser)
	case warns > 0:
		t.line("health", fmt.Sprintf("%d warn", warns), styleWarn, lookCloser)
	default:
		t.line("health", "ok", styleOK)
	}
	for i, f := range findings {
		if i == maxProblems {
			fmt.Fprintf(&t.b, "  %d more: %s\n", len(findings)-i, t.e.asCalled("mesh status -o json"))
			break
		}
		mark := "warn"
		if f.Status == "fail" {
			mark = "FAIL"
		}
		fmt.Fprintf(&t.b, "  %s  %s\n", t.e.paint(t.e.stdout, mark, stateStyle(mark)), oneLine(findingText(f)))
		if f.Next != "" {
			fmt.Fprintf(&t.b, "        next: %s\n", t.e.asCalled(oneLine(f.Next)))
		}
	}
}
