package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dcp.hiro.io/mesh/internal/readable"
)

// told is what a person is told of a command line that isn't understood.
var told = regexp.MustCompile(`^error: \S.*\n(  cause: .+\n)?  next:  .+\n  docs:  (kubectl )?mesh help MESH-2[0-9]{3}\n$`)

// explains are the commands that do nothing but tell what commands there are.
var explains = []string{"", "help", "log"}

// FuzzArguments gives the program a command line, its arguments apart by zero bytes, under each name that it has. It is
// read as usual, but what commands do is left out, unless it is to explain others. Nothing panics; what isn't understood is an
// error with a code of its own, in words that stay on their lines and as JSON that says the same.
func FuzzArguments(f *testing.F) {
	walk(newRootCmd(newEnv()), func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		f.Add(strings.Join(append(words, "one", "two", "three"), "\x00"), uint8(0))
		c.Flags().VisitAll(func(fl *pflag.Flag) { words = append(words, "--"+fl.Name+"="+fl.DefValue) })
		f.Add(strings.Join(words, "\x00"), uint8(0))
	})
	for i, line := range []string{
		"stauts -o json", "help keygne", "help MESH-6001", "help peers.reachable x", "log lss", "invite lst", "peers -o wide=", "status -ojsn",
		"status --timeout 0s", "-q=maybe version", "-c config.yaml -k", "log show --help", "-- status", "status --", "-vqx", "--color", "peers -o jsonpath={.items[*", "--version", "=", "-", "--=",
		"\x1b[2J", "--\n\u202e", "keygen -o \xff", "run --peer a@b:c --peer", "version --client=TRUE", "--no-input --via pod status --node unix:",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"), uint8(i))
	}
	f.Fuzz(func(t *testing.T, line string, name uint8) {
		args := append([]string{[]string{plainName, "mesh-controller", pluginFile}[name%3]}, strings.Split(line, "\x00")...)
		if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, cobra.ShellCompRequestCmd) }) {
			return // completion asks nodes and clusters
		}
		var stdout, stderr bytes.Buffer
		e := newEnv()
		e.stdin, e.stdout, e.stderr = strings.NewReader(""), &stdout, &stderr
		e.lookupEnv = func(string) (string, bool) { return "", false }
		e.isTerminal = func(any) bool { return false }
		e.width = func(any) int { return 0 }
		e.plugin = isPlugin(args)
		root := newRootCmd(e)
		walk(root, func(c *cobra.Command) {
			_, below, _ := strings.Cut(c.CommandPath(), root.Name())
			if c.RunE != nil && !slices.Contains(explains, strings.TrimSpace(below)) {
				c.RunE = func(*cobra.Command, []string) error { return nil }
			}
		})
		root.SetArgs(impliedCommand(args))
		started := watchStart(root)
		cmd, err := root.ExecuteContextC(t.Context())
		if err == nil {
			return
		}
		err = classify(t.Context(), e, cmd, err, started())
		var c *cliError
		if !errors.As(err, &c) {
			t.Fatalf("%q: %v is told as an internal error", args, err)
		}
		if _, known := findCode(c.Code); !known || c.exitCode() != 2 {
			t.Fatalf("%q: %s is no code for what isn't understood", args, c.Code)
		}
		e.flags.color, e.flags.verbose = "never", false
		stderr.Reset()
		e.fail(err, false)
		words := stderr.String()
		if !told.MatchString(words) {
			t.Fatalf("%q: it says %q", args, words)
		}
		for l := range strings.Lines(words) {
			if l = strings.TrimSuffix(l, "\n"); readable.Text(l) != l {
				t.Fatalf("%q: it says %q", args, l)
			}
		}
		stderr.Reset()
		e.fail(err, true)
		var doc errorDocument
		if err := json.Unmarshal(stderr.Bytes(), &doc); err != nil || strings.Count(stderr.String(), "\n") != 1 {
			t.Fatalf("%q: %v in %q", args, err, &stderr)
		}
		if b := doc.Error; b.Code != c.Code || len(b.Next) == 0 || utf8.ValidString(c.What) && !strings.Contains(words, "error: "+oneLine(b.Message)+"\n") {
			t.Fatalf("%q: it says %q, and as JSON %q", args, words, &stderr)
		}
	})
}
