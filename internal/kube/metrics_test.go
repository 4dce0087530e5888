package kube_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// samples are the metrics as text, by name and labels.
func samples(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Counter != nil:
				out[name] = m.Counter.GetValue()
			case m.Histogram != nil:
				out[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return out
}

// Requests are counted by verb and code, all of which are there at zero; nothing that others chose is a label.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := kube.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	zero := samples(t, reg)
	for name, v := range zero {
		if v != 0 {
			t.Errorf("%s = %v at the start", name, v)
		}
	}
	for _, name := range []string{"mesh_kube_apply_conflicts_total{}", "mesh_kube_watch_restarts_total{}",
		"mesh_kube_requests_total{code=409,verb=patch}", "mesh_kube_request_duration_seconds{verb=delete}"} {
		if _, ok := zero[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	if _, err := kube.NewMetrics(reg); err == nil {
		t.Error("registered twice without an error")
	}

	r := newRig(t, kubetest.Shared(t), both())
	r.traffic.through = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		return m.Wrap(next).RoundTrip(req)
	}
	r.fresh(func(c *kube.Config) { c.Metrics = m }).start().listed()
	r.marker("watched") // by a watch, which is counted
	r.put("x", 1, map[string]any{"k": "1"})
	once := false
	r.traffic.meddle(func(req *http.Request) error {
		if req.Method == http.MethodPatch && !once {
			once = true
			r.merge(configMaps, "x", `{"data":{"k":"mine"}}`)
		}
		return nil
	})
	r.put("x", 2, map[string]any{"k": "2"})
	r.cluster.Probe([]mesh.ObjectKey{r.key("never")})
	next(r, "an answer", gone(r.key("never")))
	got := samples(t, reg)
	for name, want := range map[string]float64{
		"mesh_kube_requests_total{code=2xx,verb=list}":     1,
		"mesh_kube_requests_total{code=2xx,verb=watch}":    1,
		"mesh_kube_requests_total{code=2xx,verb=create}":   1,
		"mesh_kube_requests_total{code=409,verb=patch}":    1,
		"mesh_kube_requests_total{code=2xx,verb=patch}":    1,
		"mesh_kube_requests_total{code=404,verb=get}":      1,
		"mesh_kube_request_duration_seconds{verb=patch}":   2,
		"mesh_kube_apply_conflicts_total{}":                1,
		"mesh_kube_watch_restarts_total{}":                 0,
		"mesh_kube_requests_total{code=none,verb=watch}":   0,
		"mesh_kube_requests_total{code=5xx,verb=list}":     0,
		"mesh_kube_request_duration_seconds{verb=delete}":  0,
		"mesh_kube_request_duration_seconds{verb=create}":  1,
		"mesh_kube_request_duration_seconds{verb=unknown}": 0,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if len(got) != len(zero) {
		t.Errorf("%d series, were %d: labels are not bounded", len(got), len(zero))
	}
	r.traffic.mu.Lock()
	for _, s := range r.traffic.streams {
		s.Close()
	}
	r.traffic.mu.Unlock()
	r.eventually("a restart of the watch", func() bool { return samples(t, reg)["mesh_kube_watch_restarts_total{}"] > 0 })
}

// What client-go logs arrives in our log, one level lower than it says.
func TestSetLogger(t *testing.T) {
	var out bytes.Buffer
	kube.SetLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(klog.ClearLogger)
	klog.ErrorS(fmt.Errorf("broken"), "a connection")
	klog.InfoS("some news")
	for _, want := range []string{`level=WARN msg="a connection" err=broken`, `level=DEBUG msg="some news"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log = %s; want %s in it", &out, want)
		}
	}
	out.Reset()
	kube.SetLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	klog.InfoS("some news")
	if out.Len() > 0 {
		t.Errorf("log = %s", &out)
	}
}
