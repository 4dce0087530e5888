package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pluginOverview is what bare kubectl mesh prints.
func pluginOverview(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("kubectl mesh shows the mesh that a cluster takes part in, and works on it.\n")
	writeOverview(&b, root, []overviewLine{
		{"peers", "kubectl mesh -n mesh-system peers", "list the other nodes"},
		{"tui", "kubectl mesh -n mesh-system tui", "watch it live"},
		{"invite", "kubectl mesh -n mesh-system invite", "invite another node"},
	}, []overviewGroup{
		{"inspect", []string{"status", "peers", "tui", "log", "doctor"}},
		{"change", []string{"invite", "adopt"}},
		{"other", []string{"crd", "version", "help"}},
	})
	b.WriteString("flags    those of kubectl, behind the word mesh: kubectl mesh help kube\n")
	b.WriteString("kubectl mesh COMMAND --help for flags and examples.\n")
	return b.String()
}

// kubeTopic explains how a node in a cluster is asked, and lists the flags for it.
func kubeTopic() string {
	var b strings.Builder
	b.WriteString("kube\n\n" +
		"kubectl mesh asks the node that runs in a cluster; mesh does so with --kube, --context or --kubeconfig. " +
		"kubectl takes no flags in front of the name of a plugin: write kubectl mesh -n NAMESPACE peers.\n\n" +
		"peers and status read MeshPeers, and what only the live node knows by a port-forward into its pod; where that is not " +
		"allowed, through pods/proxy, if the node's api.proxy lets itself be read that way; or not at all, which a warning tells. " +
		"Everything else needs the live node. --via chooses one of these ways.\n\nFlags, with the meaning that kubectl gives them, beside --via:\n\n")
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	e := &env{}
	addKubeFlags(e, fs)
	fs.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name == "via" })
	width := 0
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			width = max(width, len(flagUsage(f)))
		}
	})
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		_, text := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  %-*s   %s%s\n", width, flagUsage(f), text, defaultText(f))
	})
	return b.String()
}
