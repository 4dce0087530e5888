package main

import (
	"strings"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
)

// inNamespaces puts the namespace of each peer into a column of its own, in front, where several are asked.
func inNamespaces(node *nodeFlags, t table, peers []mesh.Peer) table {
	if !node.allNamespaces {
		return t
	}
	t.columns = append([]column{{name: "NAMESPACE"}}, t.columns...)
	for i, p := range peers {
		namespace := p.Namespace
		if namespace == "" {
			namespace = noValue
		}
		t.rows[i] = append([]string{namespace}, t.rows[i]...)
	}
	return t
}

// traffic is a number of bytes that only the live node knows.
func traffic(p mesh.Peer, bytes uint64) string {
	if p.Partial {
		return noValue
	}
	return binary(bytes)
}

// isObject reports whether a name is that of the object that shows a peer, with or without its kind.
func isObject(p mesh.Peer, name string) bool {
	_, short, ok := strings.Cut(p.Object, "/")
	return ok && (name == short || name == p.Object)
}

// partialText is a node that was not asked: what MeshPeers tell of it.
func partialText(e *env, s mesh.Status, peers []mesh.Peer) string {
	t := &statusPrinter{e: e}
	t.line("zone", orNone(string(s.Zone)), stylePlain, s.PeerID)
	var about []string
	if s.Incarnation != nil {
		about = append(about, "incarnation "+rfc3339(*s.Incarnation))
	}
	t.line("version", orNone(s.Version), stylePlain, about...)
	if s.Ready {
		t.line("node", "ready", styleOK, "when it wrote its MeshPeer last")
	} else {
		t.line("node", "not ready", styleBad, "when it wrote its MeshPeer last")
	}
	t.peers(s, peers)
	for _, unknown := range []string{"replication", "resources"} {
		t.line(unknown, noValue, stylePlain)
	}
	t.line("cluster", "connected", styleOK, "kubernetes "+s.Cluster.Location)
	if len(s.Findings) == 0 {
		t.line("health", noValue, stylePlain)
	} else {
		t.health(s.Findings)
	}
	return t.b.String()
}

// helpText is the help of a command in the words of whoever called the program.
func (e *env) helpText(c *cobra.Command) string {
	if e.plugin && !c.HasParent() {
		return pluginOverview(c)
	}
	return e.asNamed(helpText(c))
}

// calledError is an error whose commands can be run as they are printed.
func (e *env) calledError(c *cliError) *cliError {
	if !e.plugin && e.chosen() == "" {
		return c
	}
	said := *c
	said.What, said.Cause = e.asCalled(c.What), e.asCalled(c.Cause)
	said.Next = make([]string, len(c.Next))
	for i, n := range c.Next {
		said.Next[i] = e.asCalled(n)
	}
	said.Details = make([]string, len(c.Details))
	for i, d := range c.Details {
		said.Details[i] = e.asCalled(d)
	}
	said.called = e.name()
	return &said
}
