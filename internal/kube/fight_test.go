package kube_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// correct plays the engine's part: what drifts is put back.
func (r *rig) correct(w replica.Write) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; {
			r.mu.Lock()
			n := len(r.inputs)
			for ; i < n; i++ {
				if in, ok := r.inputs[i].(replica.ReplicaSeen); ok && in.Object == w.Object && in.Content != w.Content {
					r.cluster.Apply([]replica.Write{w})
				}
			}
			r.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-r.news:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// A fight over a replica is noticed, names who fights, and slows down; an update of the owner, and other objects,
// don't wait.
func TestContested(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	w := r.put("x", 1, map[string]any{"k": "right"}).Write
	stop := r.correct(w)
	rounds, text := 0, ""
	r.eventually("it is contested", func() bool {
		if dataOf(r.get(configMaps, "x")) == "k=right" {
			rounds++
			_, err := r.of(configMaps).Patch(context.Background(), "x", types.MergePatchType, []byte(`{"data":{"k":"wrong"}}`),
				metav1.PatchOptions{FieldManager: "rival"})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range r.cluster.Status().Problems {
			if p.Reason == kube.ReasonContested && p.Object == w.Object.String() {
				text = p.Text
			}
		}
		return text != ""
	})
	if !strings.Contains(text, "rival") {
		t.Errorf("problem = %s", text)
	}
	if rounds < 5 || rounds > 8 {
		t.Errorf("contested after %d rounds, want a few more than 5", rounds)
	}
	if got := dataOf(r.get(configMaps, "x")); got != "k=wrong" {
		t.Errorf("data = %s, want the rival's for the time being", got)
	}
	stop()
	r.put("other", 1, nil)
	r.eventually("it is put back all the same", func() bool { return dataOf(r.get(configMaps, "x")) == "k=right" })
	r.put("x", 2, map[string]any{"k": "newer"}) // unaltered: the owner's update doesn't wait
}

// Who deletes a replica again and again is fought as slowly.
func TestContestedByDeletion(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	w := r.put("x", 1, map[string]any{"k": "right"}).Write
	stop := r.correct(w)
	defer stop()
	r.eventually("it is contested", func() bool {
		if r.get(configMaps, "x") != nil {
			r.delete(configMaps, "x")
		}
		for _, p := range r.cluster.Status().Problems {
			if p.Reason == kube.ReasonContested {
				return true
			}
		}
		return false
	})
}

// Where drift is only observed, an altered replica is shown and stays; its deletion is reported all the same.
func TestObserve(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	r.fresh(func(c *kube.Config) { c.Drift = kube.Observe }).start().listed()
	w := r.put("x", 1, map[string]any{"k": "1"}).Write
	r.merge(configMaps, "x", `{"data":{"k":"2"}}`)
	if p := r.problem(kube.ReasonDrifted); p.Object != w.Object.String() || !strings.Contains(p.Text, "kubectl") {
		t.Errorf("problem = %+v", p)
	}
	none(r, "reported as drift", func(in replica.ReplicaSeen) bool { return in.Content != w.Content })
	r.merge(configMaps, "x", `{"data":{"k":"1"}}`)
	r.eventually("no problem is left", func() bool { return len(r.cluster.Status().Problems) == 0 })
	r.merge(configMaps, "x", `{"data":{"k":"2"}}`)
	r.problem(kube.ReasonDrifted)
	r.put("x", 2, map[string]any{"k": "3"})
	r.eventually("the owner's change ends it", func() bool {
		return len(r.cluster.Status().Problems) == 0 && dataOf(r.get(configMaps, "x")) == "k=3"
	})
	r.delete(configMaps, "x")
	next(r, "its absence", absent(w.Object))
}
