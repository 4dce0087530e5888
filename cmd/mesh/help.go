package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Keys of cobra.Command.Annotations that help prints.
const (
	annotationEnv   = "environment" // names of variables the command reads, separated by spaces
	annotationExits = "exit-codes"  // exit codes it may end with, separated by spaces
)

// annotationHeadings is the key of cobra.Command.Annotations that holds the headings of flags in their order, a line each.
const annotationHeadings = "headings"

// annotationGroup is the key of pflag.Flag.Annotations that holds the heading of a flag's group.
const annotationGroup = "group"

// helpWidth is where prose is broken.
const helpWidth = 80

// groupFlags puts flags of c under a heading of their own in its help. Headings come in the order of the calls.
func groupFlags(c *cobra.Command, heading string, names ...string) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[annotationHeadings] += heading + "\n"
	for _, n := range names {
		f := c.Flags().Lookup(n)
		if f == nil {
			panic("groupFlags: " + c.Name() + " has no flag " + n)
		}
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[annotationGroup] = []string{heading}
	}
}

// helpText is what --help prints: one line, usage, examples, flags in groups, environment, exit codes.
func helpText(c *cobra.Command) string {
	if !c.HasParent() {
		return overview(c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nusage: %s\n", c.Short, useLine(c))
	if c.Example != "" {
		fmt.Fprintf(&b, "\nexamples:\n%s\n", strings.TrimRight(c.Example, "\n"))
	}
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", wrap(c.Long, helpWidth))
	}
	writeSubcommands(&b, c)
	writeFlags(&b, c)
	writeEnvironment(&b, c)
	writeExits(&b, c)
	if docsURL != "" {
		fmt.Fprintf(&b, "\ndocs: %s/cli\n", docsURL)
	}
	return b.String()
}

func useLine(c *cobra.Command) string {
	if c.HasSubCommands() && c.Args != nil && c.Example == "" {
		return c.CommandPath() + " COMMAND [flags]"
	}
	return c.UseLine()
}

func writeSubcommands(b *strings.Builder, c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	b.WriteString("\ncommands:\n")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(b, "  %-*s   %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
}

// flagGroup is a heading and the flags below it.
type flagGroup struct {
	heading string
	flags   []*pflag.Flag
}

// flagGroups are the flags of c under their headings: first those without one, at the end those that every command has.
func flagGroups(c *cobra.Command) []flagGroup {
	groups := []flagGroup{{heading: "flags"}}
	for h := range strings.Lines(c.Annotations[annotationHeadings]) {
		groups = append(groups, flagGroup{heading: strings.TrimSpace(h)})
	}
	add := func(heading string) func(*pflag.Flag) {
		return func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			h := heading
			if g := f.Annotations[annotationGroup]; len(g) > 0 && g[0] == kubernetesHeading && !asksNode(c) {
				return
			}
			if g := f.Annotations[annotationGroup]; len(g) > 0 {
				h = g[0]
			}
			i := slices.IndexFunc(groups, func(g flagGroup) bool { return g.heading == h })
			if i < 0 {
				i, groups = len(groups), append(groups, flagGroup{heading: h})
			}
			groups[i].flags = append(groups[i].flags, f)
		}
	}
	if i := slices.IndexFunc(groups, func(g flagGroup) bool { return g.heading == whichNode }); i >= 0 { // many commands have it
		groups = append(slices.Delete(groups, i, i+1), flagGroup{heading: whichNode})
	}
	c.LocalNonPersistentFlags().VisitAll(add("flags"))
	groups = append(groups, flagGroup{heading: kubernetesHeading})
	c.InheritedFlags().VisitAll(add(everywhere))
	return slices.DeleteFunc(groups, func(g flagGroup) bool { return len(g.flags) == 0 })
}

// everywhere is the heading of the flags that every command has.
const everywhere = "everywhere"

func writeFlags(b *strings.Builder, c *cobra.Command) {
	groups, width := flagGroups(c), 0
	for _, g := range groups {
		for _, f := range g.flags {
			width = max(width, len(flagUsage(f)))
		}
	}
	for _, g := range groups {
		fmt.Fprintf(b, "\n%s:\n", g.heading)
		for _, f := range g.flags {
			fmt.Fprintf(b, "  %-*s   %s\n", width, flagUsage(f), flagMeaning(f))
		}
	}
}

// flagMeaning is what a flag does, and its default if that says anything.
func flagMeaning(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	return text + defaultText(f)
}

// flagUsage is "-o, --output FORMAT" or "--wait[=DURATION]", with room for the letter where there is none.
func flagUsage(f *pflag.Flag) string {
	s := "    --" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", --" + f.Name
	}
	switch value, _ := pflag.UnquoteUsage(f); {
	case value == "":
	case f.NoOptDefVal != "": // may be left out, and is no argument of its own
		s += "[=" + value + "]"
	default:
		s += " " + value
	}
	return s
}

func defaultText(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "[]":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

func writeEnvironment(b *strings.Builder, c *cobra.Command) {
	for i, v := range variablesOf(c) {
		if i == 0 {
			b.WriteString("\nenvironment:\n")
		}
		fmt.Fprintf(b, "  %-15s   %s\n", v.name, v.meaning)
	}
}

func writeExits(b *strings.Builder, c *cobra.Command) {
	for i, x := range exitsOf(c) {
		if i == 0 {
			b.WriteString("\nexit codes:\n")
		}
		fmt.Fprintf(b, "  %-3s  %s\n", x.name, x.meaning)
	}
}

// variablesOf are the variables of the environment that c reads, beside those for keys of the config.
func variablesOf(c *cobra.Command) []meaning {
	return named(environmentVariables(), strings.Fields(c.Annotations[annotationEnv]))
}

// exitsOf are the codes that c may exit with.
func exitsOf(c *cobra.Command) []meaning {
	names := strings.Fields(c.Annotations[annotationExits])
	if asksNode(c) {
		names = append(names, "6") // through Kubernetes it may be refused
	}
	return named(exitCodes(), names)
}

func named(all []meaning, names []string) []meaning {
	return slices.DeleteFunc(all, func(m meaning) bool { return !slices.Contains(names, m.name) })
}

// wrap breaks each paragraph of s into lines of at most width characters. Lines that begin with a space are
// kept as they are.
func wrap(s string, width int) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(s), "\n") {
		if strings.HasPrefix(line, " ") || line == "" {
			out = append(out, line)
			continue
		}
		cur := ""
		for _, word := range strings.Fields(line) {
			switch {
			case cur == "":
				cur = word
			case len(cur)+1+len(word) > width:
				out = append(out, cur)
				cur = word
			default:
				cur += " " + word
			}
		}
		out = append(out, cur)
	}
	return strings.Join(out, "\n")
}
