package kube_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
	"dcp.hiro.io/mesh/internal/replica"
)

// An API server that dies, an etcd that dies, and a backup that is restored: nothing is taken for deleted, nothing is
// forgotten, and changes afterwards are seen. The witness is written when it can be.
func TestOutages(t *testing.T) {
	s := kubetest.Start(t)
	r := newRig(t, s, both())
	const n = 50
	r.makeMany(n, map[string]any{"k": "1"})
	r.start().listed()
	x := r.put("x", 1, map[string]any{"k": "1"})
	var keys []mesh.ObjectKey
	for i := range n {
		keys = append(keys, r.key(fmt.Sprint("o", i)))
	}
	calm := func(what string) {
		t.Helper()
		none(r, what+": an object was taken for deleted", func(in replica.LocalGone) bool { return true })
		none(r, what+": a replica was taken for altered", func(in replica.ReplicaSeen) bool { return in.Content != x.Write.Content })
	}

	for _, c := range []struct {
		what       string
		lasts      time.Duration
		kill, heal func(testing.TB)
	}{
		{"API server killed", 11 * time.Second, s.KillAPIServer, s.StartAPIServer},
		{"etcd killed", 3 * time.Second, s.KillEtcd, s.StartEtcd},
		{"API server hanging", 3 * time.Second, s.PauseAPIServer, s.ResumeAPIServer},
	} {
		c.kill(t)
		down := time.Now()
		w := r.claim(replica.PutReplica, "west", 1, r.configMap("new", map[string]any{"k": c.what}))
		r.cluster.Apply([]replica.Write{w})
		r.cluster.Probe(keys[:10])
		r.cluster.CheckWitness()
		r.cluster.WriteWitness(event.Witness{Counter: 1})
		r.eventually(c.what+": long enough", func() bool { return time.Since(down) > c.lasts })
		if c.lasts > 10*time.Second && len(r.cluster.Status().Problems) == 0 {
			t.Error(c.what + ": nothing shows")
		}
		calm(c.what)
		c.heal(t)
		r.eventually(c.what+": the write", func() bool { // the first requests may fail
			u, err := r.of(configMaps).Get(t.Context(), "new", metav1.GetOptions{})
			return err == nil && dataOf(u) == "k="+c.what
		})
		r.marker(fmt.Sprint("m", down.Unix()))
		r.eventually(c.what+": it works again", func() bool {
			st := r.cluster.Status()
			return st.Connected && len(st.Problems) == 0
		})
		calm(c.what)
	}

	kept := s.Snapshot(t)
	r.marker("before-backup")
	bump := func() { // versions that will be given again
		for v := range 100 {
			r.merge(configMaps, "o0", fmt.Sprintf(`{"data":{"k":"bump %d"}}`, v))
		}
		next(r, "the last version", func(in replica.Local) bool {
			return in.Object == r.key("o0") && strings.Contains(string(in.Payload), "bump 99")
		})
	}
	old := func(in replica.Local) bool {
		return in.Object == r.key("o0") && strings.Contains(string(in.Payload), `"k":"1"`)
	}
	bump()
	r.put("late", 1, nil)
	r.make(configMaps, r.configMap("young", nil))
	next(r, "one that the backup lacks", local(r.key("young")))
	calm("before the backup")
	r.eventually("it works again", func() bool { return r.cluster.Status().Connected })
	// Restored, and grown beyond the versions seen before, while nobody looked.
	net := newCut(r)
	net.cut()
	s.Restore(t, kept)
	for v := range 300 {
		r.merge(configMaps, "o3", fmt.Sprintf(`{"data":{"k":"%d"}}`, v))
	}
	net.heal()
	next(r, "an older state", old)
	next(r, "a replica that the backup lacks", absent(r.key("late")))
	next(r, "an object that the backup lacks", gone(r.key("young")))

	bump()
	r.put("late", 1, nil)
	r.make(configMaps, r.configMap("young", nil))
	next(r, "one that the backup lacks", local(r.key("young")))
	s.Restore(t, kept)
	next(r, "an older state", old)
	next(r, "a replica that the backup lacks", absent(r.key("late")))
	next(r, "an object that the backup lacks", gone(r.key("young"))) // the witness tells the engine that this is no deletion
	r.merge(configMaps, "o1", `{"data":{"k":"after"}}`)
	next(r, "a change afterwards", local(r.key("o1")))
	r.delete(configMaps, "o2")
	next(r, "a deletion afterwards", gone(r.key("o2")))
	r.put("x", 2, map[string]any{"k": "after"})
	if got := dataOf(r.get(configMaps, "x")); got != "k=after" {
		t.Errorf("data = %s", got)
	}
}

// An API server that can't be reached at the start is waited for: no report is made before the witness was read.
func TestStartWithoutAPIServer(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	net := newCut(r)
	net.cut()
	r.witness.mu.Lock()
	r.witness.err = errCut
	r.witness.mu.Unlock()
	r.start()
	r.problem(kube.ReasonWitnessUnreadable)
	if r.cluster.Status().Connected {
		t.Error("Connected without an API server")
	}
	r.make(configMaps, r.configMap("a", nil))
	r.witness.mu.Lock()
	r.witness.err = nil
	r.witness.mu.Unlock()
	next(r, "the witness", func(replica.WitnessRead) bool { return true })
	r.problem(kube.ReasonAPIServerUnreachable)
	r.mu.Lock()
	if len(r.inputs) != 1 {
		t.Errorf("reports: %v", r.inputs)
	}
	r.mu.Unlock()
	net.heal()
	next(r, "a", local(r.key("a")))
	r.listed()
	r.eventually("it works", func() bool { st := r.cluster.Status(); return st.Connected && len(st.Problems) == 0 })
	r.cluster.WriteWitness(event.Witness{Counter: 7})
	next(r, "the witness written", func(in replica.WitnessWritten) bool { return in.Witness.Counter == 7 })
	r.cluster.CheckWitness()
	next(r, "the witness read", func(in replica.WitnessRead) bool { return in.Present && in.Witness.Counter == 7 })
}

// No method waits for an API server that doesn't answer, and nothing outlives Run, whatever is under way.
func TestNothingOutlivesRun(t *testing.T) {
	s := kubetest.Shared(t)
	r := newRig(t, s, both())
	ignore := goleak.IgnoreCurrent()
	stuck := make(chan struct{})
	r.traffic.meddle(func(req *http.Request) error {
		q := req.URL.Query()
		if q.Has("limit") || q.Has("watch") || !strings.Contains(req.URL.Path, "/configmaps") {
			return nil
		}
		select { // requests about objects hang
		case <-stuck:
		case <-req.Context().Done():
		}
		return req.Context().Err()
	})
	r.start().listed()
	begun := time.Now()
	var keys []mesh.ObjectKey
	for i := range 1000 {
		name := fmt.Sprint("x", i)
		r.cluster.Apply([]replica.Write{r.claim(replica.PutReplica, "west", 1, r.configMap(name, nil))})
		keys = append(keys, r.key(name))
	}
	r.cluster.Probe(keys[:50])
	r.cluster.Probe(keys)
	r.cluster.CheckWitness()
	r.cluster.WriteWitness(event.Witness{Counter: 1})
	r.cluster.Status()
	r.cluster.Hold(true)
	if took := time.Since(begun); took > 25*time.Second { // a request is given up after longer than that
		t.Errorf("the calls took %s", took)
	}
	r.stop()
	close(stuck)
	http.DefaultClient.CloseIdleConnections()
	leaktest.None(t, ignore, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"),
		goleak.IgnoreAnyFunction("net/http.(*http2clientConnReadLoop).run"), goleak.IgnoreAnyFunction("net/http.(*http2ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"))
}
