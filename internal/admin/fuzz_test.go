package admin_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzRequest sends any request to the API, by each of its doors. It is answered with JSON or a reason of the closed set,
// no content of a Secret leaves but by the socket to whoever asks for it, nothing is changed but by a POST with a body
// that is complete, and what reaches the node keeps the caps.
func FuzzRequest(f *testing.F) {
	held := newFakeNode(f).log()
	key := held.Author.String()
	for _, s := range []struct{ method, target, body string }{
		{"GET", "/api/v1/status", ""},
		{"GET", "/api/v1/resources?after=ConfigMap/default/c1&limit=2", ""},
		{"GET", "/api/v1/resources?limit=0", ""},
		{"GET", "/api/v1/resources/ConfigMap/default/app", ""},
		{"GET", "/api/v1/trace/ConfigMap/default/app", ""},
		{"GET", "/api/v1/content/Secret/default/token?secrets=true&zone=east", ""},
		{"GET", "/api/v1/content/Secret/default/token", ""},
		{"GET", "/api/v1/log/rows?author=" + key + "&log=" + held.Log.String() + "&from=1&to=4294967295", ""},
		{"GET", "/api/v1/log/rows?author=" + key + "&log=" + held.Log.String() + "&from=4&secrets=false", ""},
		{"GET", "/api/v1/log/lost/9?secrets=true", ""},
		{"GET", "/api/v1/log/lost/9", ""},
		{"GET", "/api/v1/doctor?groups=config&deep=true", ""},
		{"POST", "/api/v1/adopt", `{"object":"ConfigMap/default/app","dryRun":true}`},
		{"POST", "/api/v1/invites", `{"ttlSeconds":3600,"uses":1,"zone":"west","for":"` + key + `","endpoints":["a:1"]}`},
		{"POST", "/api/v1/invites", `{"ttlSeconds":1e308,"uses":-1}`},
		{"POST", "/api/v1/invites/k7q2m9xd:revoke", `{}`},
		{"POST", "/api/v1/peers/" + key + ":remove", `{"dryRun":false}`},
		{"POST", "/api/v1/peers/west:accept-deletes", `{"digest":"` + mesh.Sum([]byte("set")).String() + `"}`},
		{"POST", "/api/v1/peers/west:accept-deletes", `{"digest":""}{}`},
		{"DELETE", "/api/v1/../livez", ""},
	} {
		f.Add(s.method, s.target, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/api/") || strings.HasPrefix(u.Path, "/api/v1/goroutines") || len(body) > 1<<16 {
			return
		}
		for _, door := range []struct{ socket, health bool }{{true, false}, {false, false}, {false, true}} {
			node := newFakeNode(t)
			r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+u.RequestURI(), bytes.NewReader(body))
			if err != nil {
				return
			}
			r.Host = "127.0.0.1:3001"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			admin.HandlerOf(node, door.socket, door.health).ServeHTTP(w, r)
			answer := w.Body.Bytes()
			kind := w.Header().Get("Content-Type")
			switch {
			case kind == "application/json" && !json.Valid(answer):
				t.Fatalf("%s %s is answered with %q", method, target, answer)
			case w.Code >= 500 && w.Code != http.StatusServiceUnavailable:
				t.Fatalf("%s %s %q: %d %s", method, target, body, w.Code, answer)
			case kind == "application/json" && w.Code >= 400:
				var refusal struct {
					Error struct{ Code, Message string }
				}
				if json.Unmarshal(answer, &refusal) != nil || refusal.Error.Code == "" || refusal.Error.Message == "" {
					t.Fatalf("%s %s: %d %s", method, target, w.Code, answer)
				}
			}
			asked := door.socket && u.Query().Get("secrets") == "true"
			for _, secret := range []string{"aHVudGVyMg", "c2VjcmV0"} {
				if !asked && bytes.Contains(answer, []byte(secret)) {
					t.Fatalf("%s %s tells a Secret: %s", method, target, answer)
				}
			}
			changed := len(node.asked) + len(node.removed) + len(node.digests)
			if changed > 0 && (method != http.MethodPost || !json.Valid(body) || door.health) {
				t.Fatalf("%s %s %q changed something", method, target, body)
			}
			for _, q := range node.asked {
				_, err := mesh.ParseZone(string(q.Zone))
				if q.TTL < 1e9 || q.TTL > admin.MaxInviteTTL || q.Uses < 1 || q.Uses > admin.MaxInviteUses || q.Zone != "" && err != nil {
					t.Fatalf("the node is asked for %+v", q)
				}
			}
		}
	})
}

// FuzzRows reads what a node may answer where operations are asked for: what is accepted says the same when it is written
// and read again, and holds no more than came.
func FuzzRows(f *testing.F) {
	var whole []byte
	for _, r := range newFakeNode(f).rows {
		var err error
		if whole, err = admin.AppendRow(whole, r.Header, r.Body); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{0x82, 0x40, 0xf6})
	f.Add([]byte{0x82, 0x5b, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := admin.ReadRows(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again []byte
		total := 0
		for _, r := range rows {
			total += len(r.Header) + len(r.Body)
			admin.HoldsSecret(r.Body)
			if _, err := admin.Read(mesh.LogStatus{}, r, admin.RedactedPayloads); err != nil && len(r.Header) == 0 {
				t.Fatalf("an operation without a header: %v", err)
			}
			if again, err = admin.AppendRow(again, r.Header, r.Body); err != nil {
				t.Fatal(err)
			}
		}
		if total > len(b) {
			t.Fatalf("%d bytes in %d", total, len(b))
		}
		same, err := admin.ReadRows(bytes.NewReader(again))
		if err != nil || len(same) != len(rows) {
			t.Fatalf("%d rows, read again %d, %v", len(rows), len(same), err)
		}
		for i := range rows {
			if rows[i].ID != same[i].ID || !bytes.Equal(rows[i].Header, same[i].Header) || !bytes.Equal(rows[i].Body, same[i].Body) {
				t.Fatalf("row %d is another one", i)
			}
		}
	})
}

// FuzzClient has a client read whatever answers at the address of a node: it is an answer or an error, never a panic,
// and an error steers no terminal.
func FuzzClient(f *testing.F) {
	f.Add(200, []byte(`{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"Status","zone":"east","findings":[]}`))
	f.Add(200, []byte(`{"items":[{"name":"west","state":"Ready"}],"next":"ConfigMap/a/b"}`))
	f.Add(404, []byte(`{"error":{"code":"not_found","message":"no such object","cause":"x","next":["y"]}}`))
	f.Add(500, []byte(`{"error":null}`))
	f.Add(302, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		if code < 200 || code > 599 {
			return
		}
		c := admin.NewClientOver(answers{code, body}, "x", 0)
		defer c.Close()
		ctx := t.Context()
		key := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}
		_, err1 := c.Status(ctx)
		_, err2 := c.Peers(ctx)
		_, _, err3 := c.Resources(ctx, "", 10)
		_, err4 := c.Adopt(ctx, key, true)
		_, err5 := c.Content(ctx, key, "", false)
		_, err6 := c.Topology(ctx)
		for _, err := range []error{err1, err2, err3, err4, err5, err6} {
			if err == nil && code != 200 {
				t.Fatalf("%d is no error", code)
			}
			if err != nil && err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
		}
	})
}

// answers answers every request with the same.
type answers struct {
	code int
	body []byte
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(a.code)
	w.Write(a.body)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// FuzzAddr holds that an address that is accepted is one that a client can be made for, on this machine or by plain
// HTTP, without a user's name, a path or a query that would be dropped.
func FuzzAddr(f *testing.F) {
	for _, s := range []string{"unix:/run/mesh.sock", "unix:", "http://127.0.0.1:3001", "http://[::1]:3001/", "https://x", "http://u:p@x", "http://x/y", "http://x?q", "http://x#f", "http://\x7f", "HTTP://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := admin.NewClient(s, 0)
		if (err == nil) != (admin.ParseAddr(s) == nil) {
			t.Fatalf("ParseAddr(%q) = %v, NewClient %v", s, admin.ParseAddr(s), err)
		}
		if err != nil {
			return
		}
		defer c.Close()
		if c.OnSocket() != strings.HasPrefix(s, "unix:") {
			t.Fatalf("%q is a socket: %v", s, c.OnSocket())
		}
		if !c.OnSocket() {
			u, err := url.Parse(strings.TrimRight(s, "/") + "/api/v1/status")
			if err != nil || u.Hostname() == "" || u.Path != "/api/v1/status" || u.User != nil {
				t.Fatalf("%q leads to %v, %v", s, u, err)
			}
		}
	})
}
