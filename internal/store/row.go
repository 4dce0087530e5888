package store

import (
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

const rowKeySize = 8

func rowKey(no logno, seq uint32) []byte {
	k := order.AppendUint32(make([]byte, 0, rowKeySize), uint32(no))
	return order.AppendUint32(k, seq)
}

func splitRowKey(k []byte) (no logno, seq uint32, err error) {
	if len(k) != rowKeySize {
		return 0, 0, fmt.Errorf("key of a row: %w", errCorrupt)
	}
	return logno(order.Uint32(k)), order.Uint32(k[4:]), nil
}

func encodeRow(r *oplog.Row) ([]byte, error) {
	w := writer{b: make([]byte, 0, len(r.ID)+4+r.Size()+sumSize)}
	w.hash(r.ID)
	w.bytes(r.Header)
	w.b = append(w.b, r.Body...)
	return w.b, w.err
}

// decodeRow returns views of v, valid as long as v is.
func decodeRow(log mesh.LogKey, seq uint32, v []byte) (oplog.Row, error) {
	r := reader{b: v}
	row := oplog.Row{Log: log, Seq: seq, ID: r.hash(), Header: r.bytes(), Body: r.rest()}
	return row, r.end("row")
}
