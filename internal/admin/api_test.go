package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

func TestClientReadsWhatTheNodeSays(t *testing.T) {
	node := newFakeNode(t)
	s := serve(t, node, nil)
	c := client(t, "unix:"+s.Socket())
	ctx := t.Context()

	status, err := c.Status(ctx)
	if err != nil || status.Zone != "east" || !status.Ready {
		t.Errorf("Status = %+v, %v", status, err)
	}
	peers, err := c.Peers(ctx)
	if err != nil || len(peers) != 1 || peers[0].Name != "west" {
		t.Errorf("Peers = %+v, %v", peers, err)
	}
	logs, err := c.Logs(ctx)
	if err != nil || len(logs) != 1 || *logs[0].Height != 5 {
		t.Errorf("Logs = %+v, %v", logs, err)
	}
	res, err := c.Resource(ctx, configKey)
	if err != nil || res.Owner != "east" {
		t.Errorf("Resource = %+v, %v", res, err)
	}
	odd := mesh.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:node?#+ü"}
	if _, err := c.Resource(ctx, odd); code(err) != admin.CodeNotFound || !strings.Contains(err.Error(), odd.String()) {
		t.Errorf("Resource(%s) = %v, want not found, naming it", odd, err)
	}

	var seen []string
	for after, pages := "", 0; pages < 10; pages++ {
		page, next, err := c.Resources(ctx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			seen = append(seen, r.Object)
		}
		if after = next; next == "" {
			break
		}
	}
	if len(seen) != 5 || seen[4] != "ConfigMap/default/c4" {
		t.Errorf("paged resources = %v, want five", seen)
	}

	held, err := c.Held(ctx)
	if err != nil || len(held) != 1 {
		t.Fatalf("Held = %+v, %v", held, err)
	}
	if _, err := c.AcceptDeletes(ctx, "west", mesh.Sum([]byte("other")).String()); code(err) != admin.CodeConflict {
		t.Errorf("AcceptDeletes of another set = %v, want a conflict", err)
	}
	done, err := c.AcceptDeletes(ctx, "west", held[0].Digest)
	if err != nil || done.Accepted != 1 || len(node.digests) != 1 {
		t.Errorf("AcceptDeletes = %+v, %v", done, err)
	}
	adopted, err := c.Adopt(ctx, configKey, true)
	if err != nil || adopted.Done || adopted.Zone != "east" {
		t.Errorf("Adopt = %+v, %v", adopted, err)
	}
}

func TestClientInvitesAndRemoves(t *testing.T) {
	node := newFakeNode(t)
	s := serve(t, node, nil)
	c := client(t, "unix:"+s.Socket())
	ctx := t.Context()

	want := admin.InviteRequest{TTL: 90 * time.Second, Zone: "west", For: node.key.Public(), Uses: 3, Endpoints: []string{"a:1"}}
	in, err := c.Invite(ctx, want)
	if err != nil || in.Token != "meshinv1_x" || in.ID != "k7q2m9xd" || len(node.asked) != 1 || !reflect.DeepEqual(node.asked[0], want) {
		t.Errorf("Invite = %+v, %v, the node was asked for %+v", in, err, node.asked)
	}
	list, err := c.Invites(ctx)
	if err != nil || len(list) != 1 || list[0].ID != "k7q2m9xd" {
		t.Errorf("Invites = %+v, %v", list, err)
	}
	if gone, err := c.Revoke(ctx, "k7q2m9xd"); err != nil || gone.State != mesh.InviteRevoked {
		t.Errorf("Revoke = %+v, %v", gone, err)
	}
	if _, err := c.Revoke(ctx, "aaaaaaaa"); code(err) != admin.CodeNotFound {
		t.Errorf("Revoke of none = %v", err)
	}
	if r, err := c.Remove(ctx, node.key.Public(), true); err != nil || r.State != mesh.NotRemoved || len(node.removed) != 0 {
		t.Errorf("Remove, dry = %+v, %v", r, err)
	}
	if r, err := c.Remove(ctx, node.key.Public(), false); err != nil || r.State != mesh.RemovalProposed || len(node.removed) != 1 {
		t.Errorf("Remove = %+v, %v", r, err)
	}
}

// code is the code of a refusal, or empty.
func code(err error) string {
	var e *admin.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestAStartingNodeSaysSo(t *testing.T) {
	s := serve(t, nil, nil)
	if _, err := client(t, "unix:"+s.Socket()).Status(t.Context()); code(err) != admin.CodeStarting {
		t.Errorf("Status = %v, want %s", err, admin.CodeStarting)
	}
}

func TestInternalErrorsKeepTheirText(t *testing.T) {
	node := newFakeNode(t)
	node.status = func(context.Context) (mesh.Status, error) {
		return mesh.Status{}, errors.New("open /secret/path: hunter2")
	}
	s := serve(t, node, nil)
	_, err := client(t, "unix:"+s.Socket()).Status(t.Context())
	if code(err) != admin.CodeInternal || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Status = %v, want an internal error without its text", err)
	}
}

func TestUnreachable(t *testing.T) {
	for _, addr := range []string{"unix:" + t.TempDir() + "/none.sock", "http://127.0.0.1:1"} {
		_, err := client(t, addr).Status(t.Context())
		var u *admin.UnreachableError
		if !errors.As(err, &u) || u.Addr != addr {
			t.Errorf("Status at %s = %v, want unreachable", addr, err)
		}
	}
	for _, addr := range []string{"", "unix:", "https://host:1", "http://", "http://u:p@h:1", "http://h:1/x", "host:1"} {
		if admin.ParseAddr(addr) == nil {
			t.Errorf("ParseAddr(%q) = nil, want an error", addr)
		}
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>hello</html>") })}
	go other.Serve(l)
	defer other.Close()
	var u *admin.UnreachableError
	if _, err := client(t, "http://"+l.Addr().String()).Status(t.Context()); !errors.As(err, &u) {
		t.Errorf("Status = %v, want unreachable", err)
	}
}

func TestTheClientGivesUp(t *testing.T) {
	node := newFakeNode(t)
	node.status = func(ctx context.Context) (mesh.Status, error) {
		<-ctx.Done()
		return mesh.Status{}, ctx.Err()
	}
	s := serve(t, node, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client(t, "unix:"+s.Socket()).Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Status = %v, want the deadline", err)
	}
}

// TestRefusedRequests sends what no client of ours would.
func TestRefusedRequests(t *testing.T) {
	s := serve(t, newFakeNode(t), func(c *admin.Config) { c.APIListen = "127.0.0.1:0" })
	onSocket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Socket())
	}}}
	defer onSocket.CloseIdleConnections()
	node := newFakeNode(t)
	rows := "/api/v1/log/rows?author=" + node.key.Public().String() + "&log=" + node.log().Log.String()

	tests := []struct {
		name, method, host, contentType, path, body string
		tcp                                         bool
		want                                        int
		code                                        string
	}{
		{name: "rebound DNS name", method: "GET", path: "/api/v1/status", host: "evil.example", tcp: true, want: 403, code: admin.CodeForbidden},
		{name: "rebound DNS name to a probe", method: "GET", path: "/livez", host: "evil.example:3001", tcp: true, want: 403, code: admin.CodeForbidden},
		{name: "localhost", method: "GET", path: "/api/v1/status", host: "localhost:3001", tcp: true, want: 200},
		{name: "IPv6 loopback", method: "GET", path: "/api/v1/status", host: "[::1]:3001", tcp: true, want: 200},
		{name: "form", method: "POST", path: "/api/v1/adopt", contentType: "text/plain", body: `{"object":"ConfigMap/default/app"}`, want: 400, code: admin.CodeBadRequest},
		{name: "no type", method: "POST", path: "/api/v1/adopt", body: `{}`, want: 400, code: admin.CodeBadRequest},
		{name: "unknown field", method: "POST", path: "/api/v1/adopt", contentType: "application/json", body: `{"objekt":"x"}`, want: 400, code: admin.CodeBadRequest},
		{name: "two documents", method: "POST", path: "/api/v1/adopt", contentType: "application/json", body: `{"object":"ConfigMap/default/app"}{}`, want: 400, code: admin.CodeBadRequest},
		{name: "bad object", method: "POST", path: "/api/v1/adopt", contentType: "application/json", body: `{"object":"../../etc"}`, want: 400, code: admin.CodeBadRequest},
		{name: "huge body", method: "POST", path: "/api/v1/adopt", contentType: "application/json", body: `{"object":"` + strings.Repeat("x", 1<<20) + `"}`, want: 400, code: admin.CodeBadRequest},
		{name: "bad digest", method: "POST", path: "/api/v1/peers/west:accept-deletes", contentType: "application/json", body: `{"digest":"1"}`, want: 400, code: admin.CodeBadRequest},
		{name: "unknown verb", method: "POST", path: "/api/v1/peers/west:explode", contentType: "application/json", body: `{}`, want: 404, code: admin.CodeNotFound},
		{name: "bad zone", method: "POST", path: "/api/v1/peers/WEST:accept-deletes", contentType: "application/json", body: `{}`, want: 400, code: admin.CodeBadRequest},
		{name: "remove a peer by its zone", method: "POST", path: "/api/v1/peers/west:remove", contentType: "application/json", body: `{}`, want: 400, code: admin.CodeBadRequest},
		{name: "remove by a form", method: "POST", path: "/api/v1/peers/" + node.key.Public().String() + ":remove", contentType: "text/plain", body: `{}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation by a form", method: "POST", path: "/api/v1/invites", contentType: "application/x-www-form-urlencoded", body: `{"ttlSeconds":60,"uses":1}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation from a rebound DNS name", method: "POST", path: "/api/v1/invites", contentType: "application/json", host: "evil.example", tcp: true, body: `{"ttlSeconds":60,"uses":1}`, want: 403, code: admin.CodeForbidden},
		{name: "invitation over loopback", method: "POST", path: "/api/v1/invites", contentType: "application/json", tcp: true, body: `{"ttlSeconds":60,"uses":1}`, want: 200},
		{name: "eternal invitation", method: "POST", path: "/api/v1/invites", contentType: "application/json", body: `{"ttlSeconds":604801,"uses":1}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation for no time", method: "POST", path: "/api/v1/invites", contentType: "application/json", body: `{"uses":1}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation for a crowd", method: "POST", path: "/api/v1/invites", contentType: "application/json", body: `{"ttlSeconds":60,"uses":21}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation of a bad zone", method: "POST", path: "/api/v1/invites", contentType: "application/json", body: `{"ttlSeconds":60,"uses":1,"zone":"We"}`, want: 400, code: admin.CodeBadRequest},
		{name: "invitation for a bad key", method: "POST", path: "/api/v1/invites", contentType: "application/json", body: `{"ttlSeconds":60,"uses":1,"for":"00"}`, want: 400, code: admin.CodeBadRequest},
		{name: "revoke none", method: "POST", path: "/api/v1/invites/aaaaaaaa:revoke", contentType: "application/json", body: `{}`, want: 404, code: admin.CodeNotFound},
		{name: "unknown verb on an invite", method: "POST", path: "/api/v1/invites/k7q2m9xd:renew", contentType: "application/json", body: `{}`, want: 404, code: admin.CodeNotFound},
		{name: "revoke by GET", method: "GET", path: "/api/v1/invites/k7q2m9xd:revoke", want: 404, code: admin.CodeNotFound},
		{name: "unknown endpoint", method: "GET", path: "/api/v1/nothing", want: 404, code: admin.CodeNotFound},
		{name: "wrong method", method: "DELETE", path: "/api/v1/status", contentType: "application/json", want: 404, code: admin.CodeNotFound},
		{name: "bad limit", method: "GET", path: "/api/v1/resources?limit=1000000000", want: 400, code: admin.CodeBadRequest},
		{name: "bad after", method: "GET", path: "/api/v1/resources?after=x", want: 400, code: admin.CodeBadRequest},
		{name: "bad author", method: "GET", path: "/api/v1/log/rows?author=00", want: 400, code: admin.CodeBadRequest},
		{name: "bad range", method: "GET", path: rows + "&from=-1", want: 400, code: admin.CodeBadRequest},
		{name: "secrets over TCP", method: "GET", path: rows + "&secrets=true", tcp: true, want: 403, code: admin.CodeForbidden},
		{name: "lost secrets over TCP", method: "GET", path: "/api/v1/log/lost/9?secrets=true", tcp: true, want: 403, code: admin.CodeForbidden},
		{name: "rows over TCP", method: "GET", path: rows, tcp: true, want: 200},
		{name: "health on the socket", method: "GET", path: "/health", want: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, hc := "http://mesh", onSocket
			if tt.tcp {
				base, hc = "http://"+s.APIAddr(), http.DefaultClient
			}
			req, err := http.NewRequestWithContext(t.Context(), tt.method, base+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			if tt.contentType != "" {
				req.Header.Set("Content-Type", tt.contentType)
			}
			resp, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.want || tt.code != "" && !strings.Contains(string(body), `"code":"`+tt.code+`"`) {
				t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, resp.StatusCode, body, tt.want, tt.code)
			}
			if strings.Contains(string(body), "aHVudGVyMg==") {
				t.Error("the answer holds the content of a Secret")
			}
		})
	}
}

func TestTooManyRequests(t *testing.T) {
	node := newFakeNode(t)
	inside, release := make(chan struct{}, admin.MaxConcurrent), make(chan struct{})
	node.status = func(context.Context) (mesh.Status, error) {
		inside <- struct{}{}
		<-release
		return mesh.Status{Zone: "east"}, nil
	}
	s := serve(t, node, nil)
	done := make(chan error, admin.MaxConcurrent)
	for range admin.MaxConcurrent {
		c := client(t, "unix:"+s.Socket())
		go func() {
			_, err := c.Status(context.Background())
			done <- err
		}()
	}
	for range admin.MaxConcurrent {
		<-inside
	}
	if _, err := client(t, "unix:"+s.Socket()).Peers(t.Context()); code(err) != admin.CodeStarting {
		t.Errorf("one request too many = %v, want %s", err, admin.CodeStarting)
	}
	addr, _ := s.HTTPAddr()
	if got, _ := get(t, "http://"+addr.String()+"/livez"); got != 200 {
		t.Errorf("livez under load = %d, want 200", got)
	}
	close(release)
	for range admin.MaxConcurrent {
		if err := <-done; err != nil {
			t.Errorf("a request under way = %v", err)
		}
	}
}
