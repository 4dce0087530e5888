package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/typo"
)

// overviewGroup is one line of the overview.
type overviewGroup struct {
	name  string
	names []string
}

// overviewGroups lists every command in the order of the overview. A test holds it against the tree.
func overviewGroups() []overviewGroup {
	return []overviewGroup{
		{"start", []string{"keygen", "run", "invite", "join", "demo"}},
		{"inspect", []string{"status", "peers", "tui", "log", "doctor"}},
		{"other", []string{"adopt", "crd", "completion", "version", "help"}},
	}
}

// overviewLine is an example of the overview: the command it shows, how it is typed and what for.
type overviewLine struct{ cmd, example, text string }

// overview is what bare mesh prints.
func overview(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("mesh keeps Kubernetes clusters in sync peer to peer, with no central server.\n")
	writeOverview(&b, root, []overviewLine{
		{"run", "mesh run --zone east --invite", "start a node and print an invitation"},
		{"join", "mesh join TOKEN --zone west --run", "join from another machine"},
		{"tui", "mesh tui", "watch it live"},
		{"demo", "mesh demo", "watch three nodes tell their story"},
	}, overviewGroups())
	names := make([]string, 0, len(helpTopics()))
	for _, t := range helpTopics() {
		names = append(names, t.name)
	}
	fmt.Fprintf(&b, "%-9smesh help %s\n", "topics", strings.Join(names, "|"))
	b.WriteString("mesh COMMAND --help for flags and examples.")
	if docsURL != "" {
		b.WriteString(" Docs and bug reports: " + docsURL)
	}
	b.WriteByte('\n')
	return b.String()
}

// writeOverview prints the examples and the groups, as far as the tree has their commands.
func writeOverview(b *strings.Builder, root *cobra.Command, examples []overviewLine, groups []overviewGroup) {
	for _, l := range examples {
		if find(root, l.cmd) != nil {
			fmt.Fprintf(b, "  %-36s %s\n", l.example, l.text)
		}
	}
	b.WriteByte('\n')
	for _, g := range groups {
		var have []string
		for _, n := range g.names {
			if find(root, n) != nil {
				have = append(have, n)
			}
		}
		if len(have) > 0 {
			fmt.Fprintf(b, "%-9s%s\n", g.name, strings.Join(have, "  "))
		}
	}
}

// newHelpCmd explains commands, topics and error codes, offline.
func newHelpCmd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC|CHECK|MESH-nnnn]",
		Short: "Explain a command, a topic, a check or an error code",
		Example: "  mesh help keygen\n" +
			"  mesh help exit-codes\n" +
			"  mesh help peers.reachable\n" +
			"  mesh help MESH-6001",
		Annotations: map[string]string{annotationExits: "0 2"},
		Args:        takesArgs(0, -1),
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			return completeHelp(c.Root(), args, begun), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return runHelp(e, c.Root(), args) },
	}
}

func runHelp(e *env, root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return e.printf("%s", e.helpText(root))
	}
	if len(args) == 1 {
		if text, ok := topicText(args[0]); ok {
			return e.printf("%s", e.asNamed(text))
		}
	}
	c := root
	for _, name := range args {
		next := find(c, name)
		if next == nil {
			return unknownHelp(c, name)
		}
		c = next
	}
	return e.printf("%s", e.helpText(c))
}

// topicText is the text of a topic, a check or an error code.
func topicText(name string) (string, bool) {
	for _, t := range helpTopics() {
		if t.name == name {
			return wrap(t.text(), helpWidth) + "\n", true
		}
	}
	if text, ok := checkPage(name); ok {
		return text, true
	}
	if c, ok := findCode(strings.ToUpper(name)); ok {
		return fmt.Sprintf("%s  %s\n\n%s\n", c.Code, c.Title, wrap(c.Text, helpWidth)), true
	}
	return "", false
}

func unknownHelp(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	if !c.HasParent() {
		for _, t := range helpTopics() {
			names = append(names, t.name)
		}
	}
	what := fmt.Sprintf("no help on %q", name)
	near := typo.Closest(name, names)
	if strings.HasPrefix(strings.ToUpper(name), "MESH-") {
		near = "" // numbers are not typos of each other
	}
	next := []string{"mesh help"}
	if near != "" {
		what += fmt.Sprintf("; did you mean %q?", near)
		next = []string{"mesh help " + near}
	}
	return &cliError{
		Code:  "MESH-2002",
		What:  what,
		Cause: "it is neither a command nor a topic nor a check nor an error code of this version",
		Next:  next,
	}
}

// completeHelp completes what help explains. Of the error codes and the checks, which are many, nothing is shown before
// the first letter of one.
func completeHelp(root *cobra.Command, args []string, begun string) []string {
	c := root
	for _, name := range args {
		if c = find(c, name); c == nil {
			return nil
		}
	}
	var names []string
	add := func(name, about string) {
		if strings.HasPrefix(name, begun) {
			names = append(names, strings.TrimSuffix(name+"\t"+about, "\t"))
		}
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			add(sub.Name(), sub.Short)
		}
	}
	if len(args) == 0 {
		for _, t := range helpTopics() {
			add(t.name, "")
		}
		for _, id := range checkIDs() {
			if begun != "" {
				add(id, "")
			}
		}
		for _, code := range errorCodes() {
			if begun != "" && strings.HasPrefix(code.Code, strings.ToUpper(begun)) {
				names = append(names, begun+code.Code[len(begun):]+"\t"+code.Title)
			}
		}
	}
	return names
}
