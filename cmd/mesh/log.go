package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
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
		Example:     "  mesh log ls\n  mesh log ls -o wide\n  mesh log ls --data-dir east/.mesh",
		Annotations: map[string]string{annotationExits: "0 1 2 3 5"},
	}
	node := addNodeFlags(c)
	noHeaders := c.Flags().Bool("no-headers", false, "print no line of column names")
	format := addOutputFlag(c, formatText, formatWide, formatJSON, formatYAML, formatName)
	c.RunE = func(c *cobra.Command, _ []string) error {
		src, err := openLogs(c.Context(), e, node)
		if err != nil {
			return nodeError(e, err)
		}
		defer src.Close()
		logs, err := src.Logs(c.Context())
		if err != nil {
			return nodeError(e, err)
		}
		switch *format {
		case formatJSON, formatYAML:
			return e.printList(*format, "LogList", logs)
		case formatName:
			for _, l := range logs {
				if err := e.printf("log/%s\n", oneLine(l.Name)); err != nil {
					return err
				}
			}
			return nil
		}
		t := logTable(e, logs, *format == formatWide)
		t.noHeader = *noHeaders
		return e.printTable(t, "No logs found.")
	}
	return c
}

func logTable(e *env, logs []mesh.LogStatus, wide bool) table {
	t := table{columns: []column{{name: "NAME"}, {name: "HEIGHT"}, {name: "APPLIED"}, {name: "LAG"}, {name: "SNAPSHOT"},
		{name: "OPS"}, {name: "SIZE"}, {name: "STATE", style: stateStyle}, {name: "UPDATED"}}}
	if wide {
		t.columns = append(t.columns, column{name: "INCARNATION"}, column{name: "KEY"}, column{name: "LOG"})
	}
	t.columns = append(t.columns, column{name: "AGE"})
	for _, l := range logs {
		row := []string{l.Name, optional(l.Height), optional(l.Applied), fmt.Sprint(l.Lag), optional(l.Snapshot),
			fmt.Sprint(l.Operations), binary(l.Bytes), l.State, e.since(l.Updated)}
		if wide {
			row = append(row, rfc3339(l.Incarnation), shortID(l.PublicKey), shortID(l.LogID))
		}
		t.rows = append(t.rows, append(row, ago(e.now().Sub(l.Incarnation))))
	}
	return t
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
