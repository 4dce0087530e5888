package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// completeTimeout bounds what the Tab key waits for: people take a pause for a hung shell. Tests wait longer.
var completeTimeout = time.Second

const (
	// maxCompletions is how many values a shell is handed. Beyond that, objects are completed a segment at a time.
	maxCompletions = 100
	// maxCompletedPages is how many pages of objects are looked through, MaxPage each.
	maxCompletedPages = 20
)

// lister asks a node for values to complete, each with a description behind a tab.
type lister func(ctx context.Context, client *admin.Client) ([]string, error)

// complete completes an argument with what a node knows. Where none answers in time there is nothing to complete,
// and nothing is said: whoever presses Tab is in the middle of a line.
func (f *nodeFlags) complete(e *env, list lister) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		e.flags.timeout, e.flags.quiet = min(e.flags.timeout, completeTimeout), true
		ctx, cancel := context.WithTimeout(c.Context(), e.flags.timeout)
		defer cancel()
		client, err := f.client(e)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer client.Close()
		values, err := list(ctx, client)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completions(values, args, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// only completes that many arguments and none after them.
func only(n int, f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, begun)
	}
}

// completions keeps what begins as typed, in any case, and does not stand on the command line already; but nothing that
// a shell might take for something else than a word: names come from other machines.
func completions(values, given []string, begun string) []string {
	var out []string
	for _, v := range values {
		name, about, described := strings.Cut(v, "\t")
		if !isWord(name) || slices.Contains(given, name) || len(name) < len(begun) || !strings.EqualFold(name[:len(begun)], begun) {
			continue
		}
		if described {
			name += "\t" + oneLine(about)
		}
		out = append(out, name)
	}
	return out
}

// isWord reports whether every shell leaves s as it is.
func isWord(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@-") == "" && s[0] != '-'
}

// listPeers completes the name of a peer.
func listPeers(ctx context.Context, client *admin.Client) ([]string, error) {
	peers, err := client.Peers(ctx)
	sortPeers(peers)
	var out []string
	for _, p := range peers {
		out = append(out, fmt.Sprintf("%s\t%s, %s", p.Name, p.State, peerAddress(p)))
	}
	return out, err
}

// listHeld completes the name of a zone whose deletions are held.
func listHeld(ctx context.Context, client *admin.Client) ([]string, error) {
	held, err := client.Held(ctx)
	var out []string
	for _, h := range held {
		out = append(out, fmt.Sprintf("%s\t%s held", h.Zone, readable.Count(len(h.Objects), "delete")))
	}
	return out, err
}

// listInvites completes the id of an invitation that can be cancelled.
func listInvites(ctx context.Context, client *admin.Client) ([]string, error) {
	invites, err := client.Invites(ctx)
	var out []string
	for _, in := range invites {
		if in.State != mesh.InvitePending {
			continue
		}
		zone := "any zone"
		if in.Zone != nil {
			zone = "zone " + string(*in.Zone)
		}
		out = append(out, fmt.Sprintf("%s\t%s, until %s", in.ID, zone, rfc3339(in.Expires)))
	}
	return out, err
}

// listStrangers completes the key of a node that was seen on the local network and may be invited.
func listStrangers(ctx context.Context, client *admin.Client) ([]string, error) {
	peers, err := client.Peers(ctx)
	var out []string
	for _, p := range peers {
		if p.State == mesh.NotAdmitted && !slices.Contains(p.Reasons, endRemoved) && !slices.Contains(p.Reasons, endHandedOver) {
			out = append(out, fmt.Sprintf("%s\ton the local network, %s", p.PublicKey, peerAddress(p)))
		}
	}
	return out, err
}

// completeLogs completes the zone of a log, of a running node or a stopped one.
func (f *nodeFlags) completeLogs(e *env) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		e.flags.timeout, e.flags.quiet = min(e.flags.timeout, completeTimeout), true
		ctx, cancel := context.WithTimeout(c.Context(), e.flags.timeout)
		defer cancel()
		src, err := openLogs(ctx, e, f)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer src.Close()
		logs, err := src.Logs(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, l := range logs {
			if v := fmt.Sprintf("%s\t%s", l.Name, readable.Count(int(l.Operations), "operation")); len(out) == 0 || !strings.HasPrefix(out[len(out)-1], l.Name+"\t") {
				out = append(out, v) // a zone has a log for each life of its store: the name stands for all
			}
		}
		return completions(out, args, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeObjects completes KIND/NAMESPACE/NAME of an object of the mesh: whole where few begin like that, a segment
// at a time otherwise.
func (f *nodeFlags) completeObjects(e *env) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		values, directive := f.complete(e, func(ctx context.Context, client *admin.Client) ([]string, error) {
			return listObjects(ctx, client, begun)
		})(c, args, begun)
		if len(values) <= maxCompletions {
			return values, directive
		}
		return segments(values, begun), directive | cobra.ShellCompDirectiveNoSpace
	}
}

// listObjects pages through the objects and returns those whose names begin like that, in any case. What was found
// when the time is over is better than nothing.
func listObjects(ctx context.Context, client *admin.Client, begun string) ([]string, error) {
	var out []string
	after := ""
	for range maxCompletedPages {
		page, next, err := client.Resources(ctx, after, admin.MaxPage)
		if err != nil {
			if len(out) > 0 {
				break
			}
			return nil, err
		}
		for _, r := range page {
			if len(r.Object) >= len(begun) && strings.EqualFold(r.Object[:len(begun)], begun) {
				out = append(out, fmt.Sprintf("%s\t%s, of %s", r.Object, r.State, orNobody(string(r.Owner))))
			}
		}
		if after = next; next == "" {
			break
		}
	}
	return out, nil
}

// segments cuts values behind the first slash that follows what was typed, and keeps each once.
func segments(values []string, begun string) []string {
	var out []string
	for _, v := range values {
		name, _, _ := strings.Cut(v, "\t")
		if i := strings.IndexByte(name[min(len(begun), len(name)):], '/'); i >= 0 {
			name = name[:len(begun)+i+1]
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// completeFiles completes the name of a file, with one of these endings if any are given.
func completeFiles(endings ...string) cobra.CompletionFunc {
	if len(endings) > 0 {
		return cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt)
	}
	return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
}

// completeListed completes the last value of a list with commas.
func completeListed(values ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		done := begun[:strings.LastIndexByte(begun, ',')+1]
		var out []string
		for _, v := range values {
			if !slices.Contains(strings.Split(done, ","), v) {
				out = append(out, done+v)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags completes the values of flags that take one of a few, and file names where a value is one, going by what
// help calls it. Where nothing is known, nothing is completed.
func completeFlags(c *cobra.Command) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, known := c.GetFlagCompletionFunc(f.Name); known {
			return
		}
		if list, ok := f.Value.(*choice); ok {
			_ = c.RegisterFlagCompletionFunc(f.Name, completeValues(list.values...))
			return
		}
		switch value, _ := pflag.UnquoteUsage(f); value {
		case "FILE", "SRC":
			_ = c.RegisterFlagCompletionFunc(f.Name, completeFiles())
		case "DIR":
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
		}
	})
}
