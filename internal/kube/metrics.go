package kube

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Verbs of requests, a closed set. What is none of them, such as a health check, is a get.
const (
	verbGet    = "get"
	verbList   = "list"
	verbWatch  = "watch"
	verbCreate = "create"
	verbPatch  = "patch"
	verbDelete = "delete"
)

// Codes of answers are counted by class, and those that mean something here by themselves.
const (
	codeNone = "none" // no answer
	codeOK   = "2xx"
)

// Metrics counts requests to API servers. Safe for concurrent use; a nil one counts nothing.
type Metrics struct {
	requests  *prometheus.CounterVec   // verb, code
	duration  *prometheus.HistogramVec // verb
	conflicts prometheus.Counter
	restarts  prometheus.Counter
}

// NewMetrics creates and registers the metrics, at zero.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mesh_kube_requests_total", Help: "Requests to the API server, by verb and code of the answer.",
		}, []string{"verb", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mesh_kube_request_duration_seconds", Help: "Time until the API server began to answer, by verb.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"verb"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mesh_kube_apply_conflicts_total", Help: "Writes made anew because the object had changed meanwhile.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mesh_kube_watch_restarts_total", Help: "Watches begun anew, after an end in time or an interruption.",
		}),
	}
	for _, verb := range []string{verbGet, verbList, verbWatch, verbCreate, verbPatch, verbDelete} {
		m.duration.WithLabelValues(verb)
		for _, code := range []string{codeNone, codeOK, "403", "404", "409", "410", "422", "429", "4xx", "5xx"} {
			m.requests.WithLabelValues(verb, code)
		}
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.conflicts, m.restarts} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// Wrap has the requests that go through a transport counted. It is for [Access]'s Wrap.
func (m *Metrics) Wrap(next http.RoundTripper) http.RoundTripper { return &counted{m, next} }

type counted struct {
	m    *Metrics
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	begun := time.Now()
	res, err := c.next.RoundTrip(req)
	verb, code := verbOf(req), codeNone
	if err == nil {
		code = codeOf(res.StatusCode)
	}
	c.m.requests.WithLabelValues(verb, code).Inc()
	c.m.duration.WithLabelValues(verb).Observe(time.Since(begun).Seconds())
	return res, err
}

// WrappedRoundTripper lets client-go find the transport below, to close its idle connections.
func (c *counted) WrappedRoundTripper() http.RoundTripper { return c.next }

func verbOf(req *http.Request) string {
	switch req.Method {
	case http.MethodPost:
		return verbCreate
	case http.MethodPatch, http.MethodPut:
		return verbPatch
	case http.MethodDelete:
		return verbDelete
	}
	if w := req.URL.Query().Get("watch"); w != "" && w != "false" && w != "0" {
		return verbWatch
	}
	if isCollection(req.URL.Path) {
		return verbList
	}
	return verbGet
}

// isCollection tells the path of many objects, /api/v1/namespaces/NS/configmaps or /apis/GROUP/VERSION/things, from
// that of one, or of none.
func isCollection(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	head := 2 // api, v1
	if parts[0] == "apis" {
		head = 3
	} else if parts[0] != "api" {
		return false
	}
	rest := parts[min(head, len(parts)):]
	return len(rest) == 1 || len(rest) == 3 && rest[0] == "namespaces"
}

func codeOf(status int) string {
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests:
		return strconv.Itoa(status)
	}
	switch {
	case status < 400:
		return codeOK
	case status < 500:
		return "4xx"
	}
	return "5xx"
}

func (m *Metrics) conflict() {
	if m != nil {
		m.conflicts.Inc()
	}
}

func (m *Metrics) restart() {
	if m != nil {
		m.restarts.Inc()
	}
}
