package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// The types of operations, as `mesh log show --type` takes them.
const (
	TypeUpdate     = "update"
	TypeDelete     = "delete"
	TypeRelease    = "release"
	TypeReport     = "report"
	TypeAck        = "ack"
	TypeSnapshot   = "snapshot"
	TypeMembership = "membership"
	TypeUnreadable = "unreadable" // the body is of a later version, damaged, or was withheld for holding Secrets
)

// Types lists them all.
func Types() []string {
	return []string{TypeUpdate, TypeDelete, TypeRelease, TypeReport, TypeAck, TypeSnapshot, TypeMembership, TypeUnreadable}
}

// Payloads says how much of the objects is shown.
type Payloads uint8

const (
	NoPayloads       Payloads = iota
	RedactedPayloads          // all but those of Secrets
	AllPayloads
)

// Query chooses operations of one log.
type Query struct {
	From, To uint32          // [From, To); To 0: no end
	Type     string          // one of Types; empty: all
	Object   *mesh.ObjectKey // only operations that name it, or restate it in a chunk; nil: all
	Payloads Payloads
}

// KeyOf returns the key of a listed log.
func KeyOf(l mesh.LogStatus) (mesh.LogKey, error) {
	author, err := keys.ParsePublic(l.PublicKey)
	if err != nil {
		return mesh.LogKey{}, err
	}
	id, err := mesh.ParseHash(l.LogID)
	return mesh.LogKey{Author: author, Log: mesh.LogID(id)}, err
}

// EachRow hands the held rows of [from, to) of a log to f, in order and in pages; f may keep them. It stops
// at the first error.
func EachRow(ctx context.Context, r LogReader, log mesh.LogKey, from, to uint32, f func([]oplog.Row) error) error {
	for from < to {
		rows, err := r.Rows(ctx, log, from, to, MaxRowBytes)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := f(rows); err != nil {
			return err
		}
		last := rows[len(rows)-1].Seq
		if last < from || last == math.MaxUint32 {
			return nil
		}
		from = last + 1
	}
	return nil
}

// Show hands the operations of a log that a query chooses to f, in order. A row that cannot be decoded at all
// is an error: only a damaged store has one.
func Show(ctx context.Context, r LogReader, log mesh.LogStatus, q Query, f func(mesh.LogOperation) error) error {
	key, err := KeyOf(log)
	if err != nil {
		return err
	}
	to := q.To
	if to == 0 {
		to = math.MaxUint32
	}
	return EachRow(ctx, r, key, q.From, to, func(rows []oplog.Row) error {
		for _, row := range rows {
			op, err := operation.Decode(row.Header)
			if err != nil {
				return fmt.Errorf("operation %d of log %s: %w", row.Seq, log.Name, err)
			}
			ev := readEvent(op, row.Body)
			if q.Object != nil && !names(ev, *q.Object) {
				continue
			}
			shown := describe(log, op, ev, q.Payloads)
			if q.Type != "" && shown.Type != q.Type {
				continue
			}
			if err := f(shown); err != nil {
				return err
			}
		}
		return nil
	})
}

// Read makes one row readable, as Show does.
func Read(log mesh.LogStatus, row oplog.Row, payloads Payloads) (mesh.LogOperation, error) {
	op, err := operation.Decode(row.Header)
	if err != nil {
		return mesh.LogOperation{}, fmt.Errorf("operation %d of log %s: %w", row.Seq, log.Name, err)
	}
	return describe(log, op, readEvent(op, row.Body), payloads), nil
}

// readEvent returns what a body states, or nil when it says nothing that we understand.
func readEvent(op *operation.Operation, body []byte) *event.Event {
	if len(body) == 0 || op.SetBody(body) != nil {
		return nil
	}
	ev, err := event.Decode(body)
	if err != nil {
		return nil
	}
	return ev
}

// names reports whether an event speaks of an object.
func names(ev *event.Event, k mesh.ObjectKey) bool {
	switch {
	case ev == nil:
		return false
	case ev.Update != nil:
		return k.Means(ev.Update.Object)
	case ev.Delete != nil:
		return k.Means(ev.Delete.Object)
	case ev.Release != nil:
		return k.Means(ev.Release.Object)
	case ev.Report != nil:
		return k.Means(ev.Report.Object)
	case ev.SnapshotChunk != nil:
		for _, e := range ev.SnapshotChunk.Entries {
			if e.Kind != event.EntryTrust && k.Means(e.Object) {
				return true
			}
		}
	}
	return false
}

// describe makes an operation readable. ev is nil when its body could not be read.
func describe(log mesh.LogStatus, op *operation.Operation, ev *event.Event, payloads Payloads) mesh.LogOperation {
	o := mesh.LogOperation{
		Zone: log.Zone, Incarnation: log.Incarnation, PublicKey: log.PublicKey, LogID: log.LogID,
		Seq: op.Seq, Time: microTime(op.Timestamp), Type: TypeUnreadable, Event: TypeUnreadable,
		Hash: op.ID.String(), BodyBytes: op.PayloadSize,
	}
	if ev == nil {
		if op.PayloadSize > 0 && op.Body == nil {
			o.Event = "withheld"
		}
		return o
	}
	switch {
	case ev.Update != nil:
		u := ev.Update
		o.Type, o.Event, o.Object = TypeUpdate, "update", u.Object.String()
		o.Version, o.Epoch, o.Birth = u.Version, u.Epoch, u.Birth
		o.Payload = showPayload(u.Object, u.Payload, payloads)
	case ev.Delete != nil:
		d := ev.Delete
		o.Type, o.Event, o.Object = TypeDelete, "delete", d.Object.String()
		o.Version, o.Epoch, o.Birth = d.Version, d.Epoch, d.Birth
	case ev.Release != nil:
		o.Type, o.Event, o.Object = TypeRelease, "release", ev.Release.Object.String()
		o.Epoch, o.NewOwner = ev.Release.Epoch, ev.Release.NewOwner
	case ev.Report != nil:
		o.Type, o.Event, o.Object, o.Version = TypeReport, "report", ev.Report.Object.String(), ev.Report.Version
		o.Payload = showPayload(ev.Report.Object, ev.Report.Payload, payloads)
	case ev.Ack != nil:
		o.Type, o.Event, o.Entries = TypeAck, "ack", len(ev.Ack.Heights)
	case ev.SnapshotBegin != nil:
		o.Type, o.Event = TypeSnapshot, "snapshotBegin"
	case ev.SnapshotChunk != nil:
		o.Type, o.Event, o.Entries = TypeSnapshot, "snapshotChunk", len(ev.SnapshotChunk.Entries)
	case ev.SnapshotEnd != nil:
		o.Type, o.Event, o.Entries = TypeSnapshot, "snapshotEnd", int(min(ev.SnapshotEnd.Count, math.MaxInt32))
	case ev.Admit != nil:
		o.Type, o.Event, o.Object = TypeMembership, "admit", "peer-"+ev.Admit.Key.Short()
	case ev.Bind != nil:
		o.Type, o.Event, o.Object = TypeMembership, "bind", "peer-"+ev.Bind.Key.Short()
	case ev.Remove != nil:
		o.Type, o.Event, o.Object = TypeMembership, "remove", "peer-"+ev.Remove.Key.Short()
	case ev.HandOver != nil:
		o.Type, o.Event, o.Object = TypeMembership, "handOver", "peer-"+ev.HandOver.To.Short()
	}
	return o
}

// showPayload returns an object as signed, a note in its place, or nothing.
func showPayload(k mesh.ObjectKey, payload []byte, p Payloads) json.RawMessage {
	switch {
	case p == NoPayloads || len(payload) == 0:
		return nil
	case p == RedactedPayloads && isSecret(k):
		return fmt.Appendf(nil, `"<redacted %d bytes>"`, len(payload))
	case !json.Valid(payload):
		return fmt.Appendf(nil, `"<%d bytes that are no JSON>"`, len(payload))
	}
	return payload
}

// ReadLost makes a lost record readable.
func ReadLost(e oplog.LostEntry, secrets bool) mesh.LostContent {
	payloads := RedactedPayloads
	if secrets {
		payloads = AllPayloads
	}
	return mesh.LostContent{
		ID: e.ID, Object: e.Object.String(), Zone: e.Zone, Version: e.Version, Reason: e.Reason,
		Time: time.UnixMilli(e.At).UTC(), Bytes: e.Size, Payload: showPayload(e.Object, e.Payload, payloads),
	}
}

// microTime turns a foreign timestamp into a time that JSON can hold: beyond the year 9999 it is clamped.
func microTime(us uint64) time.Time {
	const last = uint64(mesh.MaxIncarnation) * 1000
	return time.UnixMicro(int64(min(us, last))).UTC()
}
