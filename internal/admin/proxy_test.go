package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// The health port tells the state when it is asked to, by name, and nothing else; without that it knows no API.
func TestHealthPortTellsTheState(t *testing.T) {
	open := serve(t, newFakeNode(t), func(c *admin.Config) { c.Proxy = true })
	closed := serve(t, newFakeNode(t), nil)
	base := func(s *admin.Server) string {
		at, _ := s.HTTPAddr()
		return "http://" + at.String()
	}
	for _, path := range []string{"status", "peers", "topology", "held", "resources", "resources/ConfigMap/default/app", "trace/ConfigMap/default/app", "log"} {
		if status, body := get(t, base(open)+"/api/v1/"+path); status != http.StatusOK || !strings.Contains(body, `"apiVersion"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, _ := get(t, base(closed)+"/api/v1/"+path); status != http.StatusNotFound {
			t.Errorf("%s without api.proxy: %d, want 404", path, status)
		}
	}
	for _, path := range []string{"content/ConfigMap/default/app", "log/rows", "log/lost", "log/lost/9", "invites", "doctor", "config", "logs", "goroutines", "none"} {
		if status, body := get(t, base(open)+"/api/v1/"+path); status != http.StatusForbidden || strings.Contains(body, "data") {
			t.Errorf("%s: %d %s, want 403", path, status, body)
		}
	}
	for _, path := range []string{"adopt", "invites", "peers/west:accept-deletes", "status"} {
		resp, err := http.Post(base(open)+"/api/v1/"+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("POST %s: %s", path, resp.Status)
		}
	}
	if status, _ := get(t, base(open)+"/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
	if f := until(t, frames(t, base(open)), anyFrame); !f.Whole || f.Status == nil || f.Status.Zone != "east" {
		t.Errorf("the stream begins with %+v", f)
	}
	if err := client(t, base(closed)).Frames(t.Context(), func(mesh.Frame) {}); err == nil || code(err) != "" && !isUnreachable(err) {
		t.Errorf("the stream without api.proxy: %v", err)
	}
}

// holdsSecret is a node that holds one Secret.
type holdsSecret struct{ *fakeNode }

// secretHash lets whoever knows it check guesses of what the Secret holds.
const secretHash = "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2"

var heldSecret = mesh.Resource{Object: secretKey.String(), Owner: "east", State: "Live", Content: secretHash}

func (holdsSecret) Resources(context.Context, mesh.ObjectKey, int) ([]mesh.Resource, error) {
	return []mesh.Resource{heldSecret}, nil
}

func (holdsSecret) Resource(context.Context, mesh.ObjectKey) (mesh.Resource, bool, error) {
	return heldSecret, true, nil
}

func (holdsSecret) Trace(context.Context, mesh.ObjectKey) (mesh.Trace, error) {
	return mesh.Trace{Resource: heldSecret}, nil
}

func (holdsSecret) Changes(context.Context, replica.Cursor, int) (replica.Changes, error) {
	return replica.Changes{Items: []mesh.Resource{heldSecret}}, nil
}

// Neither the health port nor a stream, which people write down and hand on, tells the hash of a Secret's content.
func TestHashesOfSecretsStayInside(t *testing.T) {
	s := serve(t, holdsSecret{newFakeNode(t)}, func(c *admin.Config) { c.Proxy = true })
	at, _ := s.HTTPAddr()
	open, socket := "http://"+at.String(), "unix:"+s.Socket()
	for _, path := range []string{"resources", "resources/Secret/default/token", "trace/Secret/default/token"} {
		if status, body := get(t, open+"/api/v1/"+path); status != http.StatusOK || !strings.Contains(body, secretKey.String()) || strings.Contains(body, secretHash) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if r, err := client(t, socket).Resource(t.Context(), secretKey); err != nil || r.Content != secretHash {
		t.Errorf("on the socket: %+v, %v, want the hash", r, err)
	}
	for _, from := range []string{open, socket} {
		of := until(t, frames(t, from), func(f mesh.Frame) bool { return f.Resources != nil && len(f.Resources.Items) > 0 })
		if r := of.Resources.Items[0]; r.Object != secretKey.String() || r.Content != "" {
			t.Errorf("the stream of %s tells %+v", from, r)
		}
	}
}
