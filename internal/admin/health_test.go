package admin_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/admin"
)

func TestProbes(t *testing.T) {
	var broken, late, noted atomic.Bool
	fails := func(b *atomic.Bool, text string) func(context.Context) error {
		return func(context.Context) error {
			if b.Load() {
				return errors.New(text)
			}
			return nil
		}
	}
	s := serve(t, nil, func(c *admin.Config) {
		c.Checks = []admin.Check{
			{Name: "loop", Live: true, Run: fails(&broken, "no tick for 30s")},
			{Name: "folder", Run: fails(&late, "not read yet")},
			{Name: "disk", Note: true, Run: fails(&noted, "nearly full")},
		}
	})
	addr, moved := s.HTTPAddr()
	if moved {
		t.Error("port 0 counts as moved")
	}
	base := "http://" + addr.String()
	check := func(path string, code int, parts ...string) {
		t.Helper()
		got, body := get(t, base+path)
		// When the machine stands still, a check is given up that does nothing: it is asked again.
		for end := time.Now().Add(30 * time.Second); strings.Contains(body, ": no answer in") && time.Now().Before(end); {
			got, body = get(t, base+path)
		}
		if got != code {
			t.Errorf("GET %s = %d %q, want %d", path, got, body, code)
		}
		for _, p := range parts {
			if !strings.Contains(body, p) {
				t.Errorf("GET %s = %q, want %q in it", path, body, p)
			}
		}
	}

	check("/health", 200, `{"status":"Unknown","msg":null}`)
	check("/livez", 200, "ok")
	check("/readyz", 503, "[-]started failed: the node is starting", "[+]loop ok", "readyz check failed")

	s.Start(newFakeNode(t))
	check("/health", 200, `{"status":"Running","msg":null}`)
	check("/readyz", 200, "ok")
	check("/readyz?verbose", 200, "[+]started ok\n[+]loop ok\n[+]folder ok\n[+]disk ok\nreadyz check passed")
	check("/livez?verbose", 200, "[+]loop ok\nlivez check passed")

	noted.Store(true)
	check("/readyz", 200, "ok")
	check("/readyz?verbose", 200, "[+]folder ok\n[!]disk: nearly full\nreadyz check passed")
	check("/readyz/disk", 503, "disk failed: nearly full")

	late.Store(true)
	check("/readyz", 503, "[-]folder failed: not read yet")
	check("/readyz?exclude=folder", 200, "ok")
	check("/readyz/folder", 503, "folder failed: not read yet")
	check("/readyz/loop", 200, "ok")
	check("/readyz/nothing", 404)
	check("/livez/folder", 404)
	check("/livez", 200, "ok")
	check("/health", 200, "Running")

	broken.Store(true)
	check("/livez", 503, "[-]loop failed: no tick for 30s")
	check("/livez/loop", 503)
	check("/health", 500, `{"status":"Error","msg":"loop: no tick for 30s"}`)
}

func TestAHungCheckFails(t *testing.T) {
	s := serve(t, newFakeNode(t), func(c *admin.Config) {
		c.Checks = []admin.Check{{Name: "hung", Live: true, Run: func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		}}}
	})
	addr, _ := s.HTTPAddr()
	if code, body := get(t, "http://"+addr.String()+"/livez"); code != 503 || !strings.Contains(body, "hung failed: no answer") {
		t.Errorf("livez = %d %q, want 503 and the name of the check", code, body)
	}
}

func TestMetricsComeFromThePrivateRegistry(t *testing.T) {
	s := serve(t, newFakeNode(t), func(c *admin.Config) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mesh_test", Help: "Of this test."})
		c.Registry.MustRegister(g)
		g.Set(4)
	})
	addr, _ := s.HTTPAddr()
	code, body := get(t, "http://"+addr.String()+"/metrics")
	if code != 200 || !strings.Contains(body, "mesh_test 4") || strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics = %d\n%s", code, body)
	}
}

func TestTheOpenPortServesNoAPI(t *testing.T) {
	s := serve(t, newFakeNode(t), nil)
	addr, _ := s.HTTPAddr()
	if code, _ := get(t, "http://"+addr.String()+"/api/v1/status"); code != 404 {
		t.Errorf("status on the open port = %d, want 404", code)
	}
}
