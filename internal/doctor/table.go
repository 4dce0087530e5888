package doctor

import (
	"slices"
	"strings"
	"time"
)

// Groups are the parts of a run, in the order in which they are gone through.
var groups = []string{"config", "key", "system", "network", "peers", "replication", "kubernetes", "observability"}

// Groups lists the groups in order. The slice is the caller's.
func Groups() []string { return slices.Clone(groups) }

// Deadlines of checks: what looks at this machine or into memory takes no time, an API server may, and so may a firewall
// that swallows what is sent.
const (
	quick   = 5 * time.Second
	remote  = 10 * time.Second
	dialled = 30 * time.Second
)

// Page is what is to be known about a check before it is run.
type Page struct {
	ID    string // stable
	Group string
	Title string // what holds when the check is ok, in half a line
	Text  string // what is looked at, and what to do when it is not ok, in whole sentences
	// Needs are the checks without which this one has nothing to look at. Where one of them fails or is skipped, so
	// is this one.
	Needs    []string
	Deadline time.Duration
}

// Pages lists all checks in the order in which a run tells them. The slice is the caller's.
func Pages() []Page {
	var out []Page
	for _, list := range [][]Page{configPages, keyPages, systemPages, networkPages, peersPages, replicationPages, kubernetesPages, observabilityPages} {
		out = append(out, list...)
	}
	for i := range out {
		if out[i].Deadline == 0 {
			out[i].Deadline = quick
		}
	}
	return out
}

// Find returns the page of a check, and whether there is such a check.
func Find(id string) (Page, bool) {
	all := Pages()
	i := slices.IndexFunc(all, func(p Page) bool { return p.ID == id })
	if i < 0 {
		return Page{}, false
	}
	return all[i], true
}

// IsGroup reports whether there is a group of that name.
func IsGroup(name string) bool { return slices.Contains(groups, name) }

// Markdown is docs/checks.md: every check with its page, below the name of its group.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Checks\n\nWhat `mesh doctor` finds out, in the order in which it tells it. `mesh help ID` shows the same offline.\n\n" +
		"| mark | it means |\n|---|---|\n| ok | what the line says holds |\n| warn | worth a look |\n| FAIL | a fault: exit code 4 |\n" +
		"| skip | nothing to look at, or a check that this one needs failed |\n")
	group := ""
	for _, p := range Pages() {
		if p.Group != group {
			group = p.Group
			b.WriteString("\n## " + group + "\n")
		}
		b.WriteString("\n<a id=\"" + p.ID + "\"></a>\n\n### " + p.ID + "\n\n*" + p.Title + "*\n\n" + p.Text + "\n")
		if len(p.Needs) > 0 {
			b.WriteString("\nNeeds `" + strings.Join(p.Needs, "`, `") + "`.\n")
		}
	}
	return b.String()
}
