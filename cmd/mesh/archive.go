package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/readable"
)

// archived are the commands that answer from a bundle. log show, verify and export are among them to say what a bundle
// doesn't hold.
func archived() []string {
	return []string{"status", "peers", "peers describe", "log ls", "log show", "log verify", "log export", "invite ls", "doctor", "tui"}
}

// refuseArchived has every command that does something refuse --archive, and every one that waits for changes.
func refuseArchived(e *env, root *cobra.Command) {
	walk(root, func(c *cobra.Command) {
		runE := c.RunE
		if runE == nil {
			return
		}
		name := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), root.CommandPath()), " ")
		if exits := strings.Fields(c.Annotations[annotationExits]); slices.Contains(archived(), name) && !slices.Contains(exits, "6") {
			i := slices.IndexFunc(exits, func(s string) bool { return len(s) > 1 || s > "6" })
			if i < 0 {
				i = len(exits)
			}
			c.Annotations[annotationExits] = strings.Join(slices.Insert(exits, i, "6"), " ") // a bundle may lack what is wanted
		}
		c.RunE = func(c *cobra.Command, args []string) error {
			if e.flags.archive == "" || slices.Contains([]string{"version", "help", "completion"}, name) {
				return runE(c, args)
			}
			if !slices.Contains(archived(), name) {
				return &cliError{Code: admin.CodeArchived, What: c.CommandPath() + " takes no --archive",
					Cause: "a bundle shows a node as it was; only a running one does anything", Next: []string{c.CommandPath() + " --help", "mesh status --archive " + shellQuote(e.flags.archive)}}
			}
			for _, flag := range []string{"node", "config", "data-dir"} {
				if f := c.Flags().Lookup(flag); f != nil && f.Changed {
					return &cliError{Code: "MESH-2002", What: "--archive and --" + flag + " exclude each other", Cause: "both say who answers", Next: []string{"the same command with one of them"}}
				}
			}
			for _, flag := range []string{"watch", "watch-only", "wait", "follow", "bundle"} {
				if f := c.Flags().Lookup(flag); f != nil && f.Changed {
					return usageError(c, "--archive excludes --"+flag, "what is in a bundle doesn't change any more")
				}
			}
			if _, err := e.archive(); err != nil { // before anything looks at the clock
				return err
			}
			return runE(c, args)
		}
	})
}

// archive reads the bundle that --archive names, once, says whose answers follow and turns the clock back to them.
func (e *env) archive() (*admin.Archive, error) {
	if e.opened != nil {
		return e.opened, nil
	}
	name := e.flags.archive
	a, err := readArchive(e.path(name))
	if err != nil {
		return nil, &cliError{Code: "MESH-2801", What: "cannot read the bundle " + name, Cause: rootCause(err).Error(),
			Next: []string{"mesh doctor --bundle FILE"}, Err: err}
	}
	now := e.now()
	e.opened = a
	e.now = func() time.Time { return a.Info.Time }
	whose := "made where no node answered"
	if n := a.Info.Node; n != nil {
		whose = fmt.Sprintf("zone %s, key %s", orNone(string(n.Zone)), readable.ShortID(n.PublicKey))
	}
	e.note("from the bundle %s: %s, %s (%s ago)", oneLine(name), oneLine(whose), rfc3339(a.Info.Time), readable.Span(now.Sub(a.Info.Time)))
	return a, nil
}

func readArchive(path string) (*admin.Archive, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return admin.ReadArchive(f)
}

// archiveClient returns a client that a bundle answers.
func archiveClient(e *env) (*admin.Client, error) {
	a, err := e.archive()
	if err != nil {
		return nil, err
	}
	return admin.NewClientOver(a, "bundle "+e.flags.archive, e.flags.timeout), nil
}

func archiveCodes() []errorCode {
	return []errorCode{
		{"MESH-1801", "the bundle could not be written", "" +
			"The disk may be full, or the directory not writable. Nothing is left of the attempt."},
		{"MESH-2801", "the bundle cannot be read", "" +
			"The file that --archive names is missing, cut off, no bundle of mesh doctor --bundle, one of a later version, or holds what no " +
			"bundle does: odd names, links, or more than 64 MiB in one entry, 512 MiB in all or 10,000 entries."},
		{admin.CodeArchived, "a bundle cannot be changed", "" +
			"With --archive a command answers from a bundle that mesh doctor --bundle made. Commands that do something need a node: " +
			"leave --archive out."},
		{admin.CodeNotInside, "the bundle does not hold it", "" +
			"A bundle holds states, lists, checks, metrics and log lines, and no content of objects: so no operations of the logs either. It " +
			"has the ways of those objects that were not simply live when it was made, and of the one that was named: " +
			"mesh doctor KIND/NAMESPACE/NAME --bundle FILE. What could not be had stands in its bundle.json."},
		{"MESH-6802", "the bundle's file exists", "" +
			"A bundle never overwrites a file. Choose another name, or remove the old one."},
	}
}

// archivedLogs is the list of logs in a bundle. Operations are not in it, which it says when asked for one.
func archivedLogs(e *env) (logSource, error) {
	client, err := archiveClient(e)
	if err != nil {
		return nil, err
	}
	l := &liveLogs{Client: client}
	if n := e.opened.Info.Node; n != nil {
		l.status.Zone, l.status.NetworkID = n.Zone, n.NetworkID
	}
	return l, nil
}
