package kube_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// makeMany creates ConfigMaps of ours.
func (r *rig) makeMany(n int, data map[string]any) {
	r.t.Helper()
	var group sync.WaitGroup
	var failed sync.Map
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for i := range next {
				m := &unstructured.Unstructured{Object: r.configMap(fmt.Sprint("o", i), data)}
				if _, err := r.of(configMaps).Create(context.Background(), m, metav1.CreateOptions{FieldManager: "kubectl"}); err != nil {
					failed.Store(i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	failed.Range(func(k, v any) bool { r.t.Fatal(v); return false })
}

// Five hundred replicas that are written five times each while they are watched: one request per write, and none of
// our own events is taken for drift.
func TestOwnWritesAreNoDrift(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.put("warm-up", 1, nil)
	r.traffic.reset()
	const n, versions = 500, 5
	for v := range versions {
		var all []replica.Write
		for i := range n {
			all = append(all, r.claim(replica.PutReplica, "west", mesh.Version(v+1), r.configMap(fmt.Sprint("o", i), map[string]any{"v": fmt.Sprint(v)})))
		}
		r.cluster.Apply(all)
		for done := 0; done < n; done++ {
			if in := next(r, "an answer", func(in replica.Written) bool { return in.Write.Version == mesh.Version(v+1) }); in.Err != "" {
				t.Fatalf("%s: %s", in.Write.Object, in.Err)
			}
		}
	}
	r.marker("z") // by its event those of all writes have come
	none(r, "our own write was taken for a change", func(in replica.ReplicaSeen) bool { return true })
	if got := r.traffic.about("/"); len(got) != n*versions {
		t.Errorf("%d requests, want %d", len(got), n*versions)
	}
}

// Thousands of objects at once go through in pages; what is kept of each afterwards is small.
func TestManyObjects(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	const n = 5000
	r.makeMany(n, map[string]any{"k": strings.Repeat("x", 2048)})
	before := heap()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	count, most := 0, uint64(0)
	listed := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- r.cluster.Run(ctx, func(_ context.Context, in ...replica.Input) error {
			for _, in := range in {
				switch in.(type) {
				case replica.Local:
					if count++; count%1000 == 1 {
						most = max(most, heap())
					}
				case replica.Listed:
					close(listed)
				}
			}
			return nil
		})
	}()
	<-listed
	if count != n {
		t.Errorf("%d objects reported, want %d", count, n)
	}
	after := heap()
	t.Logf("heap: %d KiB before, at most %d KiB during, %d KiB after: %d bytes per object", before>>10, most>>10, after>>10, (int64(after)-int64(before))/n)
	if after > before+n*2048 {
		t.Errorf("%d bytes are kept per object, more than a third of what it weighs", (after-before)/n)
	}
	if most > before+64<<20 {
		t.Errorf("%d MiB were needed at a time", (most-before)>>20)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(r)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A watch that is too old is begun anew with a list: nothing is reported gone, nothing a second time, nothing is
// missed.
func TestRelist(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	const n = 1000
	r.makeMany(n, map[string]any{"k": "1"})
	r.start().listed()
	rep := r.put("x", 1, map[string]any{"k": "1"})
	r.marker("watched") // by a watch, which is cut then
	compacted := newCut(r)
	compacted.cut()
	r.delete(configMaps, "o1")
	r.merge(configMaps, "o2", `{"data":{"k":"2"}}`)
	r.merge(configMaps, "x", `{"data":{"k":"2"}}`)
	r.mu.Lock()
	from := len(r.inputs)
	r.mu.Unlock()
	compacted.expire()
	next(r, "what was deleted meanwhile", gone(r.key("o1")))
	reported := func(fits func(in replica.Input) bool) {
		r.eventually("it is reported", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, in := range r.inputs[from:] {
				if fits(in) {
					return true
				}
			}
			return false
		})
	}
	reported(func(in replica.Input) bool { l, ok := in.(replica.Local); return ok && l.Object == r.key("o2") })
	reported(func(in replica.Input) bool {
		l, ok := in.(replica.ReplicaSeen)
		return ok && l.Object == r.key("x") && l.Content != rep.Write.Content && !l.Content.IsZero()
	})
	r.marker("z")
	r.mu.Lock()
	defer r.mu.Unlock()
	if extra := len(r.inputs) - from; extra != 4 {
		t.Errorf("%d reports after the relist, want 4: %v", extra, r.inputs[from:])
	}
	if compacted.expired() == 0 {
		t.Error("no watch was told that its version is too old")
	}
}
