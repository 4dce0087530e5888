package admin

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// MaxRowBytes is after how many bytes of operations a page of rows ends: the largest body there is.
const MaxRowBytes = operation.MaxBody

// rawRows is an answer that is no JSON: a CBOR sequence of exported operations.
type rawRows []byte

// exported is how an operation leaves: the exact signed bytes, as a CBOR array of two byte strings. Body is
// null for an operation without one, and where a Secret was withheld.
type exported struct {
	_      struct{} `cbor:",toarray"`
	Header []byte
	Body   []byte
}

// AppendRow appends the exported form of an operation to a CBOR sequence.
func AppendRow(dst []byte, header, body []byte) ([]byte, error) {
	b, err := cbor.Marshal(exported{Header: header, Body: body})
	return append(dst, b...), err
}

// readRows reads a CBOR sequence that AppendRow made. Log, seq and id are taken from the headers; signatures
// are not verified.
func readRows(r io.Reader) ([]oplog.Row, error) {
	dec := cbor.NewDecoder(r)
	var rows []oplog.Row
	for {
		var e exported
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		op, err := operation.Decode(e.Header)
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		rows = append(rows, oplog.Row{Log: mesh.LogKey{Author: op.Author, Log: op.Log}, Seq: op.Seq, ID: op.ID,
			Header: e.Header, Body: e.Body})
	}
}

func isSecret(k mesh.ObjectKey) bool { return k.Group == "" && k.Kind == "Secret" }

// HoldsSecret reports whether a body carries the content of a Secret. One that cannot be read may.
func HoldsSecret(body []byte) bool {
	if len(body) == 0 {
		return false
	}
	ev, err := event.Decode(body)
	if err != nil {
		return true
	}
	switch {
	case ev.Update != nil:
		return isSecret(ev.Update.Object)
	case ev.Report != nil:
		return isSecret(ev.Report.Object)
	case ev.SnapshotChunk != nil:
		for _, e := range ev.SnapshotChunk.Entries {
			if len(e.Payload) > 0 && isSecret(e.Object) || e.Kind == event.EntryTrust && HoldsSecret(e.Body) {
				return true
			}
		}
		return false
	}
	return ev.Kind > event.KindHandOver // of a later version: it may carry anything
}

func (a *api) rows(r *http.Request, node Inspector, onSocket bool) (any, error) {
	q := r.URL.Query()
	author, err := keys.ParsePublic(q.Get("author"))
	if err != nil {
		return nil, badRequest("author: %v", err)
	}
	id, err := mesh.ParseHash(q.Get("log"))
	if err != nil {
		return nil, badRequest("log: %v", err)
	}
	from, err := queryUint32(q, "from", 0)
	if err != nil {
		return nil, err
	}
	to, err := queryUint32(q, "to", math.MaxUint32)
	if err != nil {
		return nil, err
	}
	secrets, err := wantSecrets(r, onSocket)
	if err != nil {
		return nil, err
	}
	rows, err := node.Rows(r.Context(), mesh.LogKey{Author: author, Log: mesh.LogID(id)}, from, to, MaxRowBytes)
	if err != nil {
		return nil, err
	}
	out := rawRows{}
	for _, row := range rows {
		body := row.Body
		if !secrets && HoldsSecret(body) {
			body = nil
		}
		if out, err = AppendRow(out, row.Header, body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *api) lost(r *http.Request, node Inspector) (any, error) {
	entries, err := node.Lost(r.Context())
	list := newList("LostContentList", make([]mesh.LostContent, 0, len(entries)))
	for _, e := range entries {
		list.Items = append(list.Items, ReadLost(e, false))
	}
	return list, err
}

func (a *api) lostOne(r *http.Request, node Inspector, onSocket bool) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest("id %q: want a number", r.PathValue("id"))
	}
	secrets, err := wantSecrets(r, onSocket)
	if err != nil {
		return nil, err
	}
	e, ok, err := node.LostOne(r.Context(), id)
	if err == nil && !ok {
		err = &Error{Code: CodeNotFound, Message: "no such record", Cause: "it was too old, or never there",
			Next: []string{"mesh log show --lost"}}
	}
	return newDocument("LostContent", ReadLost(e, secrets)), err
}

// wantSecrets reads the secrets parameter, which only the socket's own user may set.
func wantSecrets(r *http.Request, onSocket bool) (bool, error) {
	switch s := r.URL.Query().Get("secrets"); {
	case s == "" || s == "false":
		return false, nil
	case s != "true":
		return false, badRequest("secrets %q: want true or false", s)
	case !onSocket:
		return false, &Error{Code: CodeForbidden, Message: "Secrets are not shown over TCP",
			Cause: "only the API socket, which is its user's alone, hands them out"}
	}
	return true, nil
}
