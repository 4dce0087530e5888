package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// The health port tells the state when it is asked to, by name, and nothing else; without that it knows no API.
func TestHealthPortTellsTheState(t *testing.T) {
	open, _ := serve(t, newFakeNode(t), func(c *admin.Config) { c.Proxy = true })
	closed, _ := serve(t, newFakeNode(t), nil)
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
