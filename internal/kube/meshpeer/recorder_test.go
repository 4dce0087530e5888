package meshpeer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

type happened struct {
	Type, Reason, Action, Note, ReportingController, ReportingInstance, EventTime string
	Regarding                                                                     struct{ APIVersion, Kind, Namespace, Name, UID string }
	Series                                                                        *struct{ Count int }
}

// record runs a Recorder until the test ends.
func record(t *testing.T, r *meshpeer.Recorder) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// What happens to replicated objects is told as Events on them; what repeats is counted.
func TestRecorder(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	r := meshpeer.NewRecorder(connect(t, s, s.Token, ns), nil)
	record(t, r)
	f := &fixture{t: t, s: s, ns: ns}
	k := mesh.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: "a"}
	for range 3 {
		r.Object(k, "v1", "uid-1", true, "Contested", "Another manager changes it.\nAgain "+strings.Repeat("and again ", 200))
	}
	r.Object(mesh.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:x"}, "rbac.authorization.k8s.io/v1", "", true, "ApplyRejected", "No.")
	find := func(ns, reason string) (e happened, found bool) {
		var l struct{ Items []happened }
		f.get("/apis/events.k8s.io/v1/namespaces/"+ns+"/events", &l)
		for _, e := range l.Items {
			if e.Reason == reason {
				return e, true
			}
		}
		return e, false
	}
	var e happened
	eventually(t, func() string {
		var found bool
		if e, found = find(ns, "Contested"); !found || e.Series == nil || e.Series.Count != 3 {
			return fmt.Sprintf("Contested: %+v", e)
		}
		return ""
	})
	if e.Type != "Warning" || e.Action == "" || e.ReportingController != meshpeer.ReportingController || e.EventTime == "" ||
		e.Regarding.UID != "uid-1" || e.Regarding.Kind != "ConfigMap" || len(e.Note) > 1024 || strings.Contains(e.Note, "\n") {
		t.Errorf("Event = %+v", e)
	}
	eventually(t, func() string {
		if e, found := find("default", "ApplyRejected"); !found || e.Regarding.Kind != "ClusterRole" {
			return fmt.Sprintf("ApplyRejected: %+v", e)
		}
		return ""
	})
}

// lines collects what is logged.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }
func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// A recorder that may not write says so once; one that is flooded drops.
func TestRecorderForbiddenAndFlooded(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	var log lines
	r := meshpeer.NewRecorder(connect(t, s, s.UserToken(t, "limited"), ns), slog.New(slog.NewTextHandler(&log, nil)))
	const flood = 5000
	for i := range flood {
		r.Object(mesh.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: fmt.Sprint("a", i)}, "v1", "", true, "Contested", "x")
	}
	record(t, r)
	eventually(t, func() string {
		if d := r.Dropped(); d != flood {
			return fmt.Sprintf("%d Events dropped, want %d", d, flood)
		}
		return ""
	})
	if n := log.count("may not write Kubernetes Events"); n != 1 {
		t.Errorf("said %d times that Events may not be written, want once", n)
	}
}
