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

// annotationGroup is the key of pflag.Flag.Annotations that holds the heading of a flag's group.
const annotationGroup = "group"

// helpWidth is where prose is broken.
const helpWidth = 80

// groupFlags puts flags of c under a heading of their own in its help.
func groupFlags(c *cobra.Command, heading string, names ...string) {
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

// writeFlags prints the flags of c under their headings, in the order in which these first appear, and those
// that every command has at the end.
func writeFlags(b *strings.Builder, c *cobra.Command) {
	var headings []string
	groups := map[string][]*pflag.Flag{}
	add := func(heading string) func(*pflag.Flag) {
		return func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			h := heading
			if g := f.Annotations[annotationGroup]; len(g) > 0 {
				h = g[0]
			}
			if !slices.Contains(headings, h) {
				headings = append(headings, h)
			}
			groups[h] = append(groups[h], f)
		}
	}
	c.LocalNonPersistentFlags().VisitAll(add("flags"))
	c.InheritedFlags().VisitAll(add("everywhere"))
	width := 0
	for _, h := range headings {
		for _, f := range groups[h] {
			width = max(width, len(flagUsage(f)))
		}
	}
	for _, h := range headings {
		fmt.Fprintf(b, "\n%s:\n", h)
		for _, f := range groups[h] {
			_, text := pflag.UnquoteUsage(f)
			fmt.Fprintf(b, "  %-*s   %s%s\n", width, flagUsage(f), text, defaultText(f))
		}
	}
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
	names := strings.Fields(c.Annotations[annotationEnv])
	if len(names) == 0 {
		return
	}
	b.WriteString("\nenvironment:\n")
	for _, v := range environmentVariables() {
		if slices.Contains(names, v.name) {
			fmt.Fprintf(b, "  %-15s   %s\n", v.name, v.meaning)
		}
	}
}

func writeExits(b *strings.Builder, c *cobra.Command) {
	codes := strings.Fields(c.Annotations[annotationExits])
	if len(codes) == 0 {
		return
	}
	b.WriteString("\nexit codes:\n")
	for _, x := range exitCodes() {
		if slices.Contains(codes, x.name) {
			fmt.Fprintf(b, "  %-3s  %s\n", x.name, x.meaning)
		}
	}
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
