package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// testTree is a root with a group of commands, as log is one.
func testTree(e *env) *cobra.Command {
	root := newRootCmd(e)
	group := &cobra.Command{Use: "group", Short: "Hold commands", Args: cobra.ArbitraryArgs}
	group.RunE = runGroup(e)
	for _, name := range []string{"list", "show"} {
		group.AddCommand(&cobra.Command{
			Use: name, Short: "Do " + name, Args: takesArgs(1, 2),
			RunE: func(*cobra.Command, []string) error { return nil },
		})
	}
	root.AddCommand(group)
	return root
}

func TestUsageErrorsBelowTheRoot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, what, cause, next string }{
		{"group lst", `unknown command "lst"; did you mean "list"?`, "mesh group has: list, show", "mesh group list --help"},
		{"group zzz", `unknown command "zzz"`, "mesh group has: list, show", "mesh group --help"},
		{"group li", `unknown command "li"; did you mean "list"?`, "mesh group has: list, show", "mesh group list --help"},
		{"group list a --colr x", "unknown flag --colr; did you mean --color?", "mesh group list has no such flag",
			"mesh group list --help"},
		{"group list", "mesh group list takes at least 1 argument, got 0", "usage: mesh group list [flags]",
			"mesh group list --help"},
		{"group list a b c", "mesh group list takes at most 2 arguments, got 3", "usage: mesh group list [flags]",
			"mesh group list --help"},
		{"group list -z", "unknown flag -z", "mesh group list has no such flag", "mesh group list --help"},
		{"group list --timeout", "--timeout needs a value", "none was given", "mesh group list --help"},
		{"group list --timeout 5", `--timeout does not take "5"`, "want a number with a unit, such as 10s or 2m",
			"mesh group list --help"},
		{"group list --timeout 0s", `--timeout does not take "0s"`, "want more than 0s", "mesh group list --help"},
		{"group list --color alwys", `--color does not take "alwys"; did you mean "always"?`,
			"want auto, always or never", "mesh group list --help"},
		{"group list -q=maybe", `-q, --quiet does not take "maybe"`, "invalid syntax", "mesh group list --help"},
	} {
		te := newTestEnv(t)
		root := testTree(te.env)
		root.SetArgs(strings.Fields(tt.line))
		cmd, err := root.ExecuteContextC(t.Context())
		if err == nil {
			t.Errorf("mesh %s is accepted", tt.line)
			continue
		}
		te.fail(classify(t.Context(), te.env, cmd, err, false), false)
		want := "error: " + tt.what + "\n  cause: " + tt.cause + "\n  next:  " + tt.next + "\n  docs:  mesh help MESH-2002\n"
		if got := te.stderr.String(); got != want {
			t.Errorf("mesh %s printed\n%s\nwant\n%s", tt.line, got, want)
		}
		if te.stdout.Len() != 0 {
			t.Errorf("mesh %s printed on stdout: %s", tt.line, te.stdout.String())
		}
	}
}

func TestGroupWithoutArgumentsShowsItsCommands(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	root := testTree(te.env)
	root.SetArgs([]string{"group"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if got := te.stdout.String(); !strings.HasPrefix(got, "Hold commands\n\nusage: mesh group COMMAND [flags]\n\ncommands:\n") {
		t.Errorf("printed\n%s", got)
	}
}

func TestGlobalFlags(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if code := te.mesh(t, "version", "--client", "-qv", "--timeout", "1m30s", "--node", "unix:x", "--no-input", "--color=never"); code != 0 {
		t.Fatalf("exit code %d: %s", code, te.stderr.String())
	}
	want := globalFlags{node: "unix:x", timeout: 90 * time.Second, color: "never", noInput: true, quiet: true, verbose: true}
	if te.flags != want {
		t.Errorf("flags = %+v, want %+v", te.flags, want)
	}
	te = newTestEnv(t)
	te.mesh(t, "version", "--client")
	if want := (globalFlags{timeout: 10 * time.Second, color: "auto"}); te.flags != want {
		t.Errorf("defaults = %+v, want %+v", te.flags, want)
	}
}
