package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newLogCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Look into the signed logs that nodes exchange",
		Long: "Asks the running node. Where none runs, the store in its data directory is opened for reading, so " +
			"the same commands work on a stopped node.",
	}
	c.AddCommand(newLogListCmd(e), newLogShowCmd(e), newLogVerifyCmd(e), newLogExportCmd(e))
	return c
}

func newLogListCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "ls",
		Short:       "List the logs that are held here",
		Example:     "  mesh log ls\n  mesh log ls -o wide --sort-by lag\n  mesh log ls --data-dir east/.mesh",
		Annotations: map[string]string{annotationExits: "0 1 2 3 5"},
	}
	node := addNodeFlags(c)
	l := &listPrinter[mesh.LogStatus]{e: e, kind: "Log", prefix: "log", none: "No logs found.", orders: logOrders()}
	l.name = func(l mesh.LogStatus) string { return l.Name }
	l.table = func(logs []mesh.LogStatus, wide bool) table { return logTable(e, logs, wide) }
	l.addFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := l.prepare(c); err != nil {
			return err
		}
		src, err := openLogs(c.Context(), e, node)
		if err != nil {
			return nodeError(e, err)
		}
		defer src.Close()
		logs, err := src.Logs(c.Context())
		if err != nil {
			return nodeError(e, err)
		}
		return l.list(logs, false)
	}
	return c
}

// logOrders are the columns to sort by; the usual order is that of zones and incarnations.
func logOrders() []order[mesh.LogStatus] {
	return []order[mesh.LogStatus]{
		{"name", by(func(l mesh.LogStatus) string { return l.Name })},
		{"height", byOptional(func(l mesh.LogStatus) *uint32 { return l.Height })},
		{"applied", byOptional(func(l mesh.LogStatus) *uint32 { return l.Applied })},
		{"lag", by(func(l mesh.LogStatus) uint64 { return l.Lag })},
		{"snapshot", byOptional(func(l mesh.LogStatus) *uint32 { return l.Snapshot })},
		{"ops", by(func(l mesh.LogStatus) uint64 { return l.Operations })},
		{"size", by(func(l mesh.LogStatus) uint64 { return l.Bytes })},
		{"state", by(func(l mesh.LogStatus) string { return l.State })},
		{"updated", byTime(func(l mesh.LogStatus) *time.Time { return l.Updated })},
		{"age", byTime(func(l mesh.LogStatus) *time.Time { return &l.Incarnation })},
	}
}

func logTable(e *env, logs []mesh.LogStatus, wide bool) table {
	t := table{columns: []column{{name: "NAME"}, {name: "HEIGHT"}, {name: "APPLIED"}, {name: "LAG", style: lagStyle}, {name: "SNAPSHOT"},
		{name: "OPS"}, {name: "SIZE"}, {name: "STATE", style: stateStyle}, {name: "UPDATED"}}}
	if wide {
		t.columns = append(t.columns, column{name: "INCARNATION"}, column{name: "PEER-ID"}, column{name: "KEY"}, column{name: "LOG"})
	}
	t.columns = append(t.columns, column{name: "AGE"})
	for _, l := range logs {
		row := []string{l.Name, optional(l.Height), optional(l.Applied), fmt.Sprint(l.Lag), optional(l.Snapshot),
			fmt.Sprint(l.Operations), binary(l.Bytes), l.State, e.since(l.Updated)}
		if wide {
			row = append(row, rfc3339(l.Incarnation), peerIDOf(l.PublicKey), readable.ShortID(l.PublicKey), readable.ShortID(l.LogID))
		}
		t.rows = append(t.rows, append(row, readable.Span(e.now().Sub(l.Incarnation))))
	}
	return t
}

// peerIDOf is the peer id that belongs to a public key.
func peerIDOf(public string) string {
	key, err := keys.ParsePublic(public)
	if err != nil {
		return noValue
	}
	return key.PeerID()
}

// chooseLogs returns the logs of a zone, or of an author's key given by at least 6 hex digits; all of them
// without a name.
func chooseLogs(logs []mesh.LogStatus, name string) ([]mesh.LogStatus, error) {
	if name == "" {
		return logs, nil
	}
	var chosen []mesh.LogStatus
	var names []string
	for _, l := range logs {
		names = append(names, l.Name)
		if l.Name == name || string(l.Zone) == name || len(name) >= minHex && len(l.PublicKey) >= len(name) && l.PublicKey[:len(name)] == name {
			chosen = append(chosen, l)
		}
	}
	if len(chosen) > 0 {
		return chosen, nil
	}
	what := fmt.Sprintf("no log of %q", name) + didYouMean(name, names)
	return nil, &cliError{Code: "MESH-2103", What: what, Cause: "logs are held of: " + nameList(names), Next: []string{"mesh log ls"}}
}

func unixMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func logCodes() []errorCode {
	return []errorCode{
		{"MESH-2102", "no such peer, or more than one", "" +
			"A peer is named by its zone, by peer- and 8 hex digits, by its peer id, or by 6 or more hex digits " +
			"that its key begins with. mesh peers -o wide shows all of them."},
		{"MESH-2104", "the template of -o cannot be used", "" +
			"-o jsonpath=, go-template= and custom-columns= take a template as kubectl does, those with -file a file that holds " +
			"one. It does not parse, or does not fit what is printed: -o json shows what there is. mesh help output has examples."},
		{"MESH-2103", "no such log", "" +
			"A log is named by its zone, or by 6 or more hex digits of its author's key. mesh log ls shows them."},
		{"MESH-1301", "the store cannot be read", "" +
			"No node runs with this data directory, so its store was opened directly, which failed for the reason " +
			"given. A damaged store is never repaired in place: move it aside and start the node, which gets " +
			"everything back from its peers under a new incarnation."},
		{"MESH-3003", "there is neither a node nor a store", "" +
			"No node answers for this data directory and no store stands in it. It may be the wrong directory: " +
			"name another by --data-dir, --config or --node."},
		{"MESH-3004", "a node runs but does not answer", "" +
			"The store is in use by a process whose API socket does not answer. It may be starting, stopping, " +
			"or run as another user."},
		{"MESH-4001", "a log does not verify", "" +
			"Recomputing signatures, hashes, back-links and snapshot digests found the faults that were listed. " +
			"Either the disk or somebody changed the store. Move it aside and start the node again: it gets " +
			"everything back from its peers."},
	}
}
