// Command gen writes operations as mesh signs them, for p2panda-core to check: one JSON object per line, with id,
// header and body in hex. It writes to standard output, and the same bytes on every run.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(out io.Writer) error {
	w := writer{json.NewEncoder(out)}
	bodies, err := statements()
	if err != nil {
		return err
	}
	if err := w.log(start(1, "eu"), bodies, 1_700_000_000_000_000); err != nil {
		return err
	}
	// Around every width that CBOR has for an integer: of sizes, of timestamps, of sequence numbers.
	var sized [][]byte
	for _, size := range []int{1, 23, 24, 255, 256, 65535, 65536, 0} {
		sized = append(sized, bytes.Repeat([]byte{0xab}, size))
	}
	if err := w.log(start(2, "sizes"), sized, 1); err != nil {
		return err
	}
	for at, timestamp := range []uint64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64 - 1} {
		if err := w.log(start(3, fmt.Sprint("timestamp ", at)), [][]byte{[]byte("{}"), nil}, timestamp); err != nil {
			return err
		}
	}
	for _, seq := range []uint32{22, 254, 65534, 70000, math.MaxInt32 - 1, math.MaxUint32 - 2} {
		log := start(4, fmt.Sprint("pruned below ", seq))
		log.Seq, log.Backlink, log.Prune = seq, mesh.Sum([]byte("the operation before")), true
		if err := w.log(log, [][]byte{[]byte("restated"), nil, []byte("{}")}, 7); err != nil {
			return err
		}
	}
	return nil
}

// chain is the next place in a log.
type chain struct {
	operation.Header
	key keys.Private
}

func start(seed byte, zone string) *chain {
	return &chain{
		Header: operation.Header{Log: mesh.LogIDOf("interop", mesh.Instance{Zone: mesh.Zone(zone), Incarnation: 1})},
		key:    keys.FromSeed([keys.SeedSize]byte{seed}),
	}
}

type writer struct{ out *json.Encoder }

// log signs and writes one operation per body, each a microsecond after the one before. Only the first
// carries the prune flag, if any does.
func (w writer) log(at *chain, bodies [][]byte, timestamp uint64) error {
	for i, body := range bodies {
		at.Timestamp = timestamp + uint64(i)
		o, err := operation.Sign(at.key, at.Header, body)
		if err != nil {
			return fmt.Errorf("sign operation %d: %w", at.Seq, err)
		}
		line := struct {
			ID     string  `json:"id"`
			Header string  `json:"header"`
			Body   *string `json:"body"`
		}{ID: o.ID.String(), Header: hex.EncodeToString(o.Raw)}
		if o.Body != nil {
			text := hex.EncodeToString(o.Body)
			line.Body = &text
		}
		if err := w.out.Encode(line); err != nil {
			return err
		}
		at.Seq, at.Backlink, at.Prune = o.Seq+1, o.ID, false
	}
	return nil
}

// statements are the bodies of a small log as mesh writes it.
func statements() ([][]byte, error) {
	object := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "settings"}
	payload := []byte(`{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"settings","namespace":"default"}}`)
	count, digest := event.NewDigest().Sum()
	var bodies [][]byte
	for _, e := range []event.Event{
		{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}},
		{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Count: count, Digest: digest}},
		{Kind: event.KindUpdate, Update: &event.Update{Object: object, Payload: payload, Version: 2, Epoch: 1, Birth: 2}},
		{Kind: event.KindDelete, Delete: &event.Delete{Object: object, Version: 3, Epoch: 1, Birth: 2}},
	} {
		e.Instance = mesh.Instance{Zone: "eu", Incarnation: 1}
		body, err := event.Encode(&e)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}
