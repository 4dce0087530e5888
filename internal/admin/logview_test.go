package admin_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// source is a log reader whose rows a test damages.
type source struct {
	*fakeNode
	change func([]oplog.Row) []oplog.Row
}

func (s source) Rows(ctx context.Context, log mesh.LogKey, from, to uint32, max int) ([]oplog.Row, error) {
	rows := s.fakeNode.rows
	if s.change != nil {
		copied := make([]oplog.Row, len(rows))
		for i, r := range rows {
			r.Header, r.Body = bytes.Clone(r.Header), bytes.Clone(r.Body)
			copied[i] = r
		}
		rows = s.change(copied)
	}
	var out []oplog.Row
	for _, r := range rows {
		if r.Seq >= from && r.Seq < to && len(out) < 2 {
			out = append(out, r)
		}
	}
	return out, nil
}

func oneLog(t *testing.T, r admin.LogReader) mesh.LogStatus {
	t.Helper()
	logs, err := r.Logs(t.Context())
	if err != nil || len(logs) != 1 {
		t.Fatalf("Logs = %v, %v", logs, err)
	}
	return logs[0]
}

func TestShow(t *testing.T) {
	node := newFakeNode(t)
	s := serve(t, node, nil)
	redacted := client(t, "unix:"+s.Socket())
	secrets := client(t, "unix:"+s.Socket())
	secrets.Secrets = true
	object := func(k mesh.ObjectKey) *mesh.ObjectKey { return &k }

	tests := []struct {
		name  string
		from  admin.LogReader
		query admin.Query
		want  string
	}{
		{"a store", node, admin.Query{}, "0 snapshot/snapshotBegin, 1 snapshot/snapshotChunk 2, 2 snapshot/snapshotEnd 2, " +
			"3 update/update ConfigMap/default/app v3, 4 update/update Secret/default/token v4, 5 delete/delete ConfigMap/default/app v5"},
		{"over the API, bodies with Secrets do not arrive", redacted, admin.Query{}, "0 snapshot/snapshotBegin, 1 unreadable/withheld, 2 snapshot/snapshotEnd 2, " +
			"3 update/update ConfigMap/default/app v3, 4 unreadable/withheld, 5 delete/delete ConfigMap/default/app v5"},
		{"range", node, admin.Query{From: 2, To: 4}, "2 snapshot/snapshotEnd 2, 3 update/update ConfigMap/default/app v3"},
		{"type", node, admin.Query{Type: admin.TypeDelete}, "5 delete/delete ConfigMap/default/app v5"},
		{"object", node, admin.Query{Object: object(secretKey)}, "1 snapshot/snapshotChunk 2, 4 update/update Secret/default/token v4"},
		{"payloads", node, admin.Query{From: 3, To: 5, Payloads: admin.RedactedPayloads},
			`3 update/update ConfigMap/default/app v3 {"data":{"a":"2"}}, 4 update/update Secret/default/token v4 "<redacted 29 bytes>"`},
		{"secret payloads", secrets, admin.Query{From: 4, To: 5, Payloads: admin.AllPayloads},
			`4 update/update Secret/default/token v4 {"data":{"p":"aHVudGVyMg=="}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := admin.Show(t.Context(), tt.from, oneLog(t, tt.from), tt.query, func(o mesh.LogOperation) error {
				line := fmt.Sprintf("%d %s/%s", o.Seq, o.Type, o.Event)
				if o.Object != "" {
					line += " " + o.Object
				}
				if o.Version > 0 {
					line += fmt.Sprintf(" v%d", o.Version)
				}
				if o.Entries > 0 {
					line += fmt.Sprintf(" %d", o.Entries)
				}
				if o.Payload != nil {
					line += " " + string(o.Payload)
				}
				got = append(got, line)
				return nil
			})
			if s := strings.Join(got, ", "); err != nil || s != tt.want {
				t.Errorf("Show = %s, %v\nwant   %s", s, err, tt.want)
			}
		})
	}
}

func TestLostSecretsAreRedacted(t *testing.T) {
	s := serve(t, newFakeNode(t), nil)
	c := client(t, "unix:"+s.Socket())
	list, err := c.Lost(t.Context())
	if err != nil || len(list) != 1 || list[0].Payload != nil || list[0].Bytes != 24 {
		t.Fatalf("Lost = %+v, %v", list, err)
	}
	one, err := c.LostOne(t.Context(), list[0].ID, false)
	if err != nil || !strings.HasPrefix(string(one.Payload), `"<redacted`) {
		t.Errorf("LostOne = %s, %v, want a redacted payload", one.Payload, err)
	}
	one, err = c.LostOne(t.Context(), list[0].ID, true)
	if err != nil || string(one.Payload) != `{"data":{"p":"c2VjcmV0"}}` {
		t.Errorf("LostOne with secrets = %s, %v", one.Payload, err)
	}
	if _, err := c.LostOne(t.Context(), 77, false); code(err) != admin.CodeNotFound {
		t.Errorf("LostOne(77) = %v, want not found", err)
	}
}

// firstFault checks which fault a log has first, by its sequence number and how its text begins; empty: none.
func firstFault(t *testing.T, v *admin.Verification, want string) {
	t.Helper()
	got := ""
	if len(v.Faults) > 0 {
		got = fmt.Sprintf("%d %s", v.Faults[0].Seq, v.Faults[0].Text)
	}
	if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
		t.Errorf("Verify = %+v, want %q first", v.Faults, want)
	}
}

func TestVerify(t *testing.T) {
	tests := []struct {
		name     string
		change   func([]oplog.Row) []oplog.Row
		withheld bool
		want     string // "seq text" of each fault
	}{
		{name: "sound"},
		{name: "flipped signature", change: func(r []oplog.Row) []oplog.Row {
			r[3].Header[len(r[3].Header)-1] ^= 1 // the prune flag, which the signature covers
			return r
		}, want: "3 the signature does not hold"},
		{name: "body replaced", change: func(r []oplog.Row) []oplog.Row { r[4].Body[9] ^= 1; return r },
			want: "4 the body is not the one that was signed"},
		{name: "body gone", change: func(r []oplog.Row) []oplog.Row { r[4].Body = nil; return r },
			want: "4 its body of"},
		{name: "body withheld", withheld: true, change: func(r []oplog.Row) []oplog.Row { r[4].Body = nil; return r }},
		{name: "row missing", change: func(r []oplog.Row) []oplog.Row { return append(r[:3], r[4:]...) },
			want: "4 operations 3 to 3 are missing before it"},
		{name: "end missing", change: func(r []oplog.Row) []oplog.Row { return r[:5] }, want: "5 missing: the log should reach 5"},
		{name: "all missing", change: func(r []oplog.Row) []oplog.Row { return nil }, want: "5 nothing is held"},
		{name: "begins in the middle", change: func(r []oplog.Row) []oplog.Row { return r[3:] },
			want: "3 the log begins here, but neither with operation 0 nor with a snapshot"},
		{name: "not a header", change: func(r []oplog.Row) []oplog.Row { r[5].Header = []byte{0}; return r },
			want: "5 invalid operation: Malformed"},
		{name: "stored under another hash", change: func(r []oplog.Row) []oplog.Row { r[2].ID[0] ^= 1; return r },
			want: "2 stored under hash"},
		{name: "in the wrong place", change: func(r []oplog.Row) []oplog.Row {
			r[3].Header, r[3].Body, r[3].ID = r[4].Header, r[4].Body, r[4].ID
			return r
		}, want: "3 sequence number 4 stands in its place"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := source{newFakeNode(t), tt.change}
			v, err := admin.Verify(t.Context(), src, oneLog(t, src), network, tt.withheld)
			if err != nil {
				t.Fatal(err)
			}
			firstFault(t, v, tt.want)
			if tt.want == "" && !tt.withheld && (v.Operations != 6 || v.Snapshots != 1 || v.From != 0 || v.To != 5) {
				t.Errorf("Verify = %+v, want six operations and a snapshot", v)
			}
		})
	}
	src := source{newFakeNode(t), nil}
	if v, err := admin.Verify(t.Context(), src, oneLog(t, src), "other", false); err != nil || len(v.Faults) != 6 {
		t.Errorf("Verify in another network = %+v, %v, want a fault in every operation", v, err)
	}
}
