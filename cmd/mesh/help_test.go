package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// eachCommand calls f for every command of the tree but the root.
func eachCommand(t *testing.T, f func(*cobra.Command)) {
	t.Helper()
	walk(newRootCmd(newTestEnv(t).env), func(c *cobra.Command) {
		if c.HasParent() {
			f(c)
		}
	})
}

const (
	maxShort    = 72  // beside the name of the command it still fits a terminal
	maxHelpLine = 140 // a flag with its whole list of values; prose is wrapped long before
)

// The house style of help: a line that fits, two to four examples, exit codes, lines that can be read.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	eachCommand(t, func(c *cobra.Command) {
		name := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > maxShort {
			t.Errorf("%s: Short %q is one line of at most %d characters without a full stop", name, c.Short, maxShort)
		}
		if n := len(examples(c)); c.RunE != nil && !c.HasSubCommands() && (n < 2 || n > 4) {
			t.Errorf("%s has %d examples, want 2 to 4", name, n)
		}
		exits := strings.Fields(c.Annotations[annotationExits])
		if !c.HasSubCommands() && (!slices.Contains(exits, "0") || !slices.Contains(exits, "2")) {
			t.Errorf("%s: the annotation %q lists %v, want at least 0 and 2", name, annotationExits, exits)
		}
		for _, x := range exits {
			if !slices.ContainsFunc(exitCodes(), func(m meaning) bool { return m.name == x }) {
				t.Errorf("%s lists the unknown exit code %s", name, x)
			}
		}
		for _, v := range strings.Fields(c.Annotations[annotationEnv]) {
			if !slices.ContainsFunc(environmentVariables(), func(m meaning) bool { return m.name == v }) {
				t.Errorf("%s lists the variable %s, which help environment does not explain", name, v)
			}
		}
		for line := range strings.Lines(helpText(c)) {
			if len(line) > maxHelpLine+1 {
				t.Errorf("%s: this line of help has over %d characters: %s", name, maxHelpLine, line)
			}
		}
	})
}

// Every page of help, as it is printed.
func TestHelpPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"mesh": overview(newRootCmd(newTestEnv(t).env))}
	eachCommand(t, func(c *cobra.Command) { pages[strings.ReplaceAll(c.CommandPath(), " ", "-")] = helpText(c) })
	for _, topic := range helpTopics() {
		text, _ := topicText(topic.name)
		pages["help-"+topic.name] = text
	}
	for name, text := range pages {
		golden(t, "help/"+name, text)
	}
	entries, err := os.ReadDir("testdata/golden/help")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		if _, ok := pages[strings.TrimSuffix(f.Name(), ".txt")]; !ok {
			t.Errorf("there is no page of help for %s", f.Name())
		}
	}
}

// examples returns the command lines of the examples.
func examples(c *cobra.Command) []string {
	var lines []string
	for line := range strings.Lines(c.Example) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Every example is accepted as far as the command line goes: the command, its flags and arguments exist.
func TestExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`(\s{2,}|\s#).*$`)
	eachCommand(t, func(c *cobra.Command) {
		for _, line := range examples(c) {
			cmd := comment.ReplaceAllString(line, "")
			if i := strings.LastIndex(cmd, "| "); i >= 0 {
				cmd = cmd[i+2:]
			}
			if i := strings.Index(cmd, " > "); i >= 0 {
				cmd = cmd[:i]
			}
			args := strings.Fields(cmd)
			if len(args) == 0 || args[0] != "mesh" {
				t.Errorf("%s: the example %q runs no mesh", c.CommandPath(), line)
				continue
			}
			root := newRootCmd(newTestEnv(t).env)
			root.SetOut(io.Discard)
			found, rest, err := root.Find(args[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || !strings.HasPrefix(found.CommandPath()+" ", c.CommandPath()+" ") {
				t.Errorf("%s: the example %q is for %s: %v", c.CommandPath(), line, found.CommandPath(), err)
			}
		}
	})
}

// The overview shows each command once and none that does not exist.
func TestOverviewListsEveryCommand(t *testing.T) {
	t.Parallel()
	root := newRootCmd(newTestEnv(t).env)
	listed := map[string]int{}
	for _, g := range overviewGroups() {
		for _, n := range g.names {
			listed[n]++
		}
	}
	for _, c := range root.Commands() {
		if listed[c.Name()] != 1 {
			t.Errorf("%s is listed %d times in overviewGroups, want once", c.Name(), listed[c.Name()])
		}
	}
	text := overview(root)
	for n := range listed {
		if strings.Contains(text, "  "+n+"  ") && find(root, n) == nil {
			t.Errorf("the overview shows %s, which does not exist", n)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 81 {
			t.Errorf("the overview has a long line: %s", line)
		}
	}
}

// -o, -l, -n, -w and -c mean the same in every command.
func TestShortFlagsMeanOneThing(t *testing.T) {
	t.Parallel()
	meanings := map[string]string{
		"o": "output", "l": "log-level", "n": "namespace", "w": "watch", "c": "config", "q": "quiet", "v": "verbose",
		"h": "help", "k": "private-key-path", "y": "yes", "f": "follow", "A": "all-namespaces", "s": "server",
	}
	eachCommand(t, func(c *cobra.Command) {
		for letter, name := range meanings {
			if f := c.Flags().ShorthandLookup(letter); f != nil && f.Name != name {
				t.Errorf("%s: -%s is --%s, want --%s", c.CommandPath(), letter, f.Name, name)
			}
		}
	})
}

func TestTopics(t *testing.T) {
	t.Parallel()
	for _, topic := range helpTopics() {
		text, ok := topicText(topic.name)
		if !ok || !strings.HasPrefix(text, strings.ReplaceAll(topic.name, "-", " ")+"\n\n") {
			t.Errorf("the topic %s is missing or begins without its name:\n%s", topic.name, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > helpWidth+1 {
				t.Errorf("the topic %s has a long line: %s", topic.name, line)
			}
		}
	}
	for _, c := range errorCodes() {
		if _, ok := topicText(strings.ToLower(c.Code)); !ok {
			t.Errorf("mesh help %s finds nothing", strings.ToLower(c.Code))
		}
	}
}

// Each variable read anywhere in this package is explained.
func TestEnvironmentVariablesAreExplained(t *testing.T) {
	t.Parallel()
	read := regexp.MustCompile(`(?:getenv|lookupEnv|Getenv|LookupEnv)\("([A-Z_]+)"\)`)
	for name, text := range sources(t) {
		for _, m := range read.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(environmentVariables(), func(v meaning) bool { return v.name == m[1] }) {
				t.Errorf("%s reads %s, which help environment does not explain", name, m[1])
			}
		}
	}
}

func TestFlagGroups(t *testing.T) {
	t.Parallel()
	c := &cobra.Command{Use: "x", Short: "Do x", RunE: func(*cobra.Command, []string) error { return nil }}
	c.Flags().Int("bind-port", 9102, "listen on `PORT`")
	c.Flags().Bool("plain", false, "be plain")
	c.Flags().Bool("secret", false, "not shown")
	if err := c.Flags().MarkHidden("secret"); err != nil {
		t.Fatal(err)
	}
	groupFlags(c, "network", "bind-port")
	root := &cobra.Command{Use: "mesh"}
	root.AddCommand(c)
	want := `Do x

usage: mesh x [flags]

flags:
      --plain            be plain

network:
      --bind-port PORT   listen on PORT (default 9102)
`
	if got := helpText(c); got != want {
		t.Errorf("help is\n%s\nwant\n%s", got, want)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	in := "one two three four\n\n  kept    as it is, however long\nlast"
	want := "one two\nthree\nfour\n\n  kept    as it is, however long\nlast"
	if got := wrap(in, 8); got != want {
		t.Errorf("wrap = %q, want %q", got, want)
	}
}
