package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// version is the release, set at link time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// versionInfo says what is running.
type versionInfo struct {
	Version   string
	Revision  string // the commit, "-dirty" behind it when the tree had changes; empty when unknown
	GoVersion string
}

// buildVersion reads what the linker and the go command left in the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: version, GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	v.Revision = settings["vcs.revision"]
	if v.Revision != "" && settings["vcs.modified"] == "true" {
		v.Revision += "-dirty"
	}
	return v
}

// versionDocument is what mesh version tells.
type versionDocument struct {
	Version   string       `json:"version"`
	Revision  *string      `json:"revision"` // the commit it was built from; null: unknown
	GoVersion string       `json:"goversion"`
	Node      *nodeVersion `json:"node"` // null: none answers, or none was asked
}

// nodeVersion is what a running node is.
type nodeVersion struct {
	Version string `json:"version"`
	Zone    string `json:"zone"`
	Address string `json:"address"` // where it was asked
}

// versionTimeout bounds the question to a node that nobody named: who asks for a version does not wait for long.
const versionTimeout = 2 * time.Second

func newVersionCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of mesh, and of the node that runs",
		Example: "  mesh version\n  mesh version --short\n  mesh version --client -o json",
		Long: "The node is asked where one answers. That none does is no error, unless --node, --config or --data-dir " +
			"says which one is meant.",
		Annotations: map[string]string{annotationExits: "0 2 3 5"},
	}
	node := addNodeFlags(c)
	short := c.Flags().Bool("short", false, "print the bare version number of this program")
	client := c.Flags().Bool("client", false, "ask no node")
	format := addOutputFlag(c, formatText, formatJSON, formatYAML)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case *short && *format != formatText:
			return usageError(c, "--short and -o "+*format+" exclude each other", "a bare number is no document")
		case *short:
			return e.printf("%s\n", buildVersion().Version)
		}
		doc := describeVersion()
		if !*client {
			var err error
			if doc.Node, err = askVersion(c, e, node); err != nil {
				return err
			}
		}
		return printVersion(e, doc, *format, !*client)
	}
	return c
}

func describeVersion() versionDocument {
	v := buildVersion()
	return versionDocument{Version: v.Version, Revision: orNull(v.Revision), GoVersion: v.GoVersion}
}

// askVersion asks the node. One that nobody named may be away.
func askVersion(c *cobra.Command, e *env, node *nodeFlags) (*nodeVersion, error) {
	named := false
	for _, flag := range []string{"node", "config", "data-dir"} {
		named = named || c.Flags().Changed(flag)
	}
	if !named {
		e.flags.timeout = min(e.flags.timeout, versionTimeout)
	}
	client, err := node.client(e)
	if err != nil && e.plugin && !named {
		return nil, nil // no cluster is chosen
	}
	if err != nil {
		return nil, err
	}
	defer client.Close()
	status, err := client.Status(c.Context())
	switch {
	case err == nil:
		return &nodeVersion{Version: status.Version, Zone: string(status.Zone), Address: client.Addr()}, nil
	case named, c.Context().Err() != nil:
		return nil, nodeError(e, err)
	}
	return nil, nil
}

// printVersion prints the document, and a line about the node if that was asked.
func printVersion(e *env, doc versionDocument, format string, asked bool) error {
	if format != formatText {
		return e.printValue(format, "Version", doc)
	}
	node := ""
	switch n := doc.Node; {
	case n != nil:
		node = "node      " + oneLine(fmt.Sprintf("%s, zone %s at %s", n.Version, n.Zone, n.Address)) + "\n"
	case asked:
		node = "node      " + noValue + "\n"
	}
	return e.printf("mesh      %s\nrevision  %s\ngo        %s\n%s", doc.Version, orDash(doc.Revision), doc.GoVersion, node)
}

// orNull is the JSON form of a text that may be missing.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
