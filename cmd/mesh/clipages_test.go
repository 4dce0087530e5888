package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const writtenBy = "<!-- Written by go generate ./cmd/mesh. Do not edit. -->\n\n"

// cliPages are the pages of docs/cli: one per command of mesh, with those below it, and one about what all have in
// common.
func cliPages(root *cobra.Command) map[string]string {
	pages := map[string]string{"docs/cli/README.md": cliIndex(root)}
	for _, c := range documented(root) {
		if c.Parent() != root {
			continue
		}
		var b strings.Builder
		b.WriteString(writtenBy)
		for _, sub := range documented(c) {
			writePage(&b, sub)
		}
		b.WriteString("\nThe flags that every command has, exit codes and the environment: [all commands](README.md).\n")
		pages["docs/cli/"+c.Name()+".md"] = b.String()
	}
	return pages
}

// writePage writes one command: what help says about it.
func writePage(b *strings.Builder, c *cobra.Command) {
	head := "#"
	if c.Parent().HasParent() {
		head = "\n##"
	}
	fmt.Fprintf(b, "%s %s\n\n%s.\n\n```\n%s\n```\n", head, c.CommandPath(), c.Short, useLine(c))
	if c.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```\n%s\n```\n", strings.Join(examples(c), "\n"))
	}
	if c.Long != "" {
		fmt.Fprintf(b, "\n%s\n", markdown(wrap(c.Long, 110)))
	}
	if c.HasAvailableSubCommands() && len(examples(c)) == 0 {
		b.WriteString("\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(b, "- [%s](#%s): %s\n", sub.CommandPath(), strings.ReplaceAll(sub.CommandPath(), " ", "-"), sub.Short)
			}
		}
	}
	for _, g := range flagGroups(c) {
		if g.heading != everywhere {
			writeFlagTable(b, g)
		}
	}
	if vars := variablesOf(c); len(vars) > 0 {
		b.WriteString("\nEnvironment:")
		for i, v := range vars {
			fmt.Fprintf(b, "%s `%s` (%s)", separator(i), v.name, markdown(v.meaning))
		}
		b.WriteString(".\n")
	}
	if exits := exitsOf(c); len(exits) > 0 {
		b.WriteString("\nExit codes:")
		for i, x := range exits {
			fmt.Fprintf(b, "%s %s %s", separator(i), x.name, markdown(x.meaning))
		}
		b.WriteString(".\n")
	}
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return " ·"
}

func writeFlagTable(b *strings.Builder, g flagGroup) {
	fmt.Fprintf(b, "\n| %s | |\n|---|---|\n", g.heading)
	for _, f := range g.flags {
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(strings.TrimSpace(flagUsage(f)), "|", "\\|"), markdown(flagMeaning(f)))
	}
}

// markdown keeps what help says from being read as markup.
func markdown(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_", "[", "\\[").Replace(s)
}

func cliIndex(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The commands of mesh\n\n" + writtenBy + "The same as `mesh help` prints; man pages are in [man](../../man), completion scripts in\n" +
		"[completions](../../completions).\n\n| command | |\n|---|---|\n")
	for _, g := range overviewGroups() {
		for _, name := range g.names {
			c := find(root, name)
			if c == nil {
				continue
			}
			for _, sub := range documented(c) {
				link := c.Name() + ".md"
				if sub != c {
					link += "#" + strings.ReplaceAll(sub.CommandPath(), " ", "-")
				}
				fmt.Fprintf(&b, "| [%s](%s) | %s |\n", sub.CommandPath(), link, markdown(sub.Short))
			}
		}
	}
	for _, g := range flagGroups(find(root, "version")) {
		if g.heading == everywhere {
			writeFlagTable(&b, g)
		}
	}
	for _, topic := range helpTopics() {
		fmt.Fprintf(&b, "\n## mesh help %s\n\n```\n%s\n```\n", topic.name, strings.TrimRight(wrap(topic.text(), 110), "\n"))
	}
	b.WriteString("\nEvery error code: [errors](../errors.md).\n")
	return b.String()
}
