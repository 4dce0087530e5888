package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// manPages are the man pages: one per command in section 1, one per topic of help in section 7. They carry no date, so
// that the same commands make the same pages.
func manPages(root *cobra.Command) map[string]string {
	pages := map[string]string{"man/mesh.1": rootPage(root)}
	for _, c := range documented(root)[1:] {
		pages["man/"+manName(c)+".1"] = manPage(c)
	}
	for _, topic := range helpTopics() {
		var b strings.Builder
		title, text, _ := strings.Cut(topic.text(), "\n")
		manHead(&b, "mesh-"+topic.name, 7, "mesh help "+topic.name+": "+title)
		b.WriteString(".SH DESCRIPTION\n")
		manText(&b, text)
		pages["man/mesh-"+topic.name+".7"] = b.String()
	}
	return pages
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func manHead(b *strings.Builder, name string, section int, about string) {
	fmt.Fprintf(b, ".\\\" Written by go generate ./cmd/mesh. Do not edit.\n.TH %s %d \"\" mesh \"mesh manual\"\n.SH NAME\n%s \\- %s\n",
		strings.ToUpper(name), section, roff(name), roff(about))
}

func manPage(c *cobra.Command) string {
	var b strings.Builder
	manHead(&b, manName(c), 1, lowerFirst(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(useLine(c)))
	if c.Long != "" || c.HasAvailableSubCommands() {
		b.WriteString(".SH DESCRIPTION\n")
		manText(&b, c.Long)
	}
	if list := examples(c); len(list) > 0 {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		for _, x := range list {
			fmt.Fprintf(&b, "%s\n", roff(x))
		}
		b.WriteString(".fi\n")
	}
	manFlags(&b, flagGroups(c))
	manMeanings(&b, "ENVIRONMENT", variablesOf(c))
	manMeanings(&b, "EXIT STATUS", exitsOf(c))
	also := []string{"mesh"}
	if c.Parent().HasParent() {
		also = append(also, manName(c.Parent()))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			also = append(also, manName(sub))
		}
	}
	manSeeAlso(&b, also)
	return b.String()
}

func rootPage(root *cobra.Command) string {
	var b strings.Builder
	manHead(&b, "mesh", 1, lowerFirst(root.Short))
	b.WriteString(".SH SYNOPSIS\n.B mesh COMMAND [flags]\n.SH DESCRIPTION\n")
	manText(&b, strings.SplitN(overview(root), "\n", 2)[0])
	b.WriteString(".SH COMMANDS\n")
	var also []string
	for _, g := range overviewGroups() {
		for _, name := range g.names {
			if c := find(root, name); c != nil {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(manName(c)), roff(c.Short))
			}
		}
	}
	for _, g := range flagGroups(find(root, "version")) {
		if g.heading == everywhere {
			manFlags(&b, []flagGroup{g})
		}
	}
	manMeanings(&b, "ENVIRONMENT", environmentVariables())
	manMeanings(&b, "EXIT STATUS", exitCodes())
	for _, topic := range helpTopics() {
		also = append(also, "mesh-"+topic.name+"(7)")
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", roff(strings.Join(also, ", ")))
	return b.String()
}

func manFlags(b *strings.Builder, groups []flagGroup) {
	if len(groups) == 0 {
		return
	}
	b.WriteString(".SH OPTIONS\n")
	for _, g := range groups {
		if len(groups) > 1 {
			fmt.Fprintf(b, ".SS %s\n", roff(g.heading))
		}
		for _, f := range g.flags {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(flagUsage(f))), roff(flagMeaning(f)))
		}
	}
}

func manMeanings(b *strings.Builder, heading string, list []meaning) {
	for i, m := range list {
		if i == 0 {
			fmt.Fprintf(b, ".SH %s\n", heading)
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(m.name), roff(m.meaning))
	}
}

func manSeeAlso(b *strings.Builder, names []string) {
	for i, n := range names {
		names[i] = ".BR " + roff(n) + " (1)"
	}
	fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(names, ",\n"))
}

// manText writes prose: lines that begin with a space are kept as they are.
func manText(b *strings.Builder, text string) {
	kept := false
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		keep := strings.HasPrefix(line, " ")
		if keep != kept {
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[keep])
			kept = keep
		}
		if line == "" {
			b.WriteString(".PP\n")
			continue
		}
		fmt.Fprintf(b, "%s\n", roff(line))
	}
	if kept {
		b.WriteString(".fi\n")
	}
}

// roff keeps what help says from being read as requests.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
