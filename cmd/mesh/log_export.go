package main

import (
	"context"
	"encoding/hex"
	"math"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Formats of an export.
const (
	exportJSONL = "jsonl"
	exportCBOR  = "cbor"
)

func newLogExportCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "export ZONE",
		Short: "Write the exact signed operations of a zone to stdout",
		Example: "  mesh log export west > west.jsonl\n" +
			"  mesh log export west --format cbor --show-secrets -y > west.cbor",
		Long: "cbor is a sequence of arrays of two byte strings, header and body as they were signed. jsonl has " +
			"the same bytes as hex beside the readable operation. A body that holds a Secret is left out (null) " +
			"unless --show-secrets is given; its header still verifies.",
		Annotations: map[string]string{annotationExits: "0 1 2 3 5 6"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.completeLogs(e))
	format := exportJSONL
	c.Flags().Var(newChoice(&format, exportJSONL, exportCBOR), "format", "write `jsonl|cbor`")
	secrets := c.Flags().Bool("show-secrets", false, "write the content of Secrets too")
	yes := c.Flags().BoolP("yes", "y", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		src, err := openLogs(c.Context(), e, node)
		if err != nil {
			return nodeError(e, err)
		}
		defer src.Close()
		if *secrets {
			if err := allowSecrets(e, src, *yes); err != nil {
				return err
			}
		}
		x := &exporter{e: e, format: format, secrets: *secrets}
		return nodeError(e, x.zone(c.Context(), src, args[0]))
	}
	return c
}

type exporter struct {
	e       *env
	format  string
	secrets bool
}

func (x *exporter) zone(ctx context.Context, src logSource, name string) error {
	logs, err := src.Logs(ctx)
	if err != nil {
		return err
	}
	if logs, err = chooseLogs(logs, name); err != nil {
		return err
	}
	for _, l := range logs {
		key, err := admin.KeyOf(l)
		if err != nil {
			return err
		}
		err = admin.EachRow(ctx, src, key, 0, math.MaxUint32, func(rows []oplog.Row) error { return x.rows(l, rows) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) rows(l mesh.LogStatus, rows []oplog.Row) error {
	for _, row := range rows {
		body := row.Body
		if !x.secrets && admin.HoldsSecret(body) {
			body = nil
		}
		if x.format == exportCBOR {
			b, err := admin.AppendRow(nil, row.Header, body)
			if err != nil {
				return err
			}
			if err := x.e.write(b); err != nil {
				return err
			}
			continue
		}
		if err := x.line(l, row, body); err != nil {
			return err
		}
	}
	return nil
}

// exportedOperation is an operation with its bytes.
type exportedOperation struct {
	mesh.LogOperation
	Header string  `json:"header"` // as signed, in hex
	Body   *string `json:"body"`   // in hex; null where there is none, or it holds a Secret
}

// line writes the readable operation and its bytes.
func (x *exporter) line(l mesh.LogStatus, row oplog.Row, body []byte) error {
	payloads := admin.RedactedPayloads
	if x.secrets {
		payloads = admin.AllPayloads
	}
	readable, err := admin.Read(l, row, payloads)
	if err != nil {
		return err
	}
	exported := exportedOperation{LogOperation: readable, Header: hex.EncodeToString(row.Header)}
	if len(body) > 0 {
		text := hex.EncodeToString(body)
		exported.Body = &text
	}
	return x.e.printLine("LogOperation", exported)
}
