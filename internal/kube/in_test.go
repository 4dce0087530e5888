package kube_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// placed is what the store holds of a replica that was written.
func placed(in replica.Written) oplog.Placed {
	w := in.Write
	return oplog.Placed{Object: w.Object, Zone: w.Zone, Epoch: w.Epoch, Birth: w.Birth, Version: w.Version, Content: w.Content,
		State: oplog.PlacedDone, Base: in.Base}
}

// After a restart a replica that stands as it was written is reported so, and not written again.
func TestRestart(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	labelled := r.configMap("same", map[string]any{"k": "1"})
	labelled["metadata"].(map[string]any)["labels"] = map[string]any{"theirs": "too"}
	same := r.done(r.claim(replica.PutReplica, "west", 1, labelled))
	altered, stripped := r.put("altered", 1, map[string]any{"k": "1"}), r.put("stripped", 1, map[string]any{"k": "1"})
	deleted, remade := r.put("deleted", 1, map[string]any{"k": "1"}), r.put("remade", 1, map[string]any{"k": "1"})
	r.fresh()
	r.merge(configMaps, "same", `{"metadata":{"annotations":{"somebody":"was here"}}}`)
	r.merge(configMaps, "altered", `{"data":{"k":"2"}}`)
	r.merge(configMaps, "stripped", `{"metadata":{"labels":null}}`)
	r.delete(configMaps, "deleted")
	r.delete(configMaps, "remade")
	again := r.configMap("remade", map[string]any{"k": "mine"})
	again["metadata"].(map[string]any)["labels"] = map[string]any{object.LabelZone: "west"}
	r.make(configMaps, again)
	r.traffic.reset()
	var all []oplog.Placed
	for _, in := range []replica.Written{same, altered, stripped, deleted, remade} {
		all = append(all, placed(in))
	}
	r.cluster.Restore(all)
	r.start().listed()
	found := map[string]replica.ReplicaSeen{}
	var ours []string
	r.mu.Lock()
	for _, in := range r.inputs {
		switch in := in.(type) {
		case replica.ReplicaSeen:
			found[in.Object.Name] = in
		case replica.Local:
			ours = append(ours, in.Object.Name+" "+string(in.Labelled))
		}
	}
	r.mu.Unlock()
	if in := found["same"]; in.Content != same.Write.Content || in.Zone != "west" {
		t.Errorf("unaltered: %+v", in)
	}
	for _, name := range []string{"altered", "stripped"} {
		if in := found[name]; in.Content.IsZero() || in.Content == altered.Write.Content || in.Zone != "west" {
			t.Errorf("%s: %+v", name, in)
		}
	}
	if in, ok := found["deleted"]; !ok || !in.Content.IsZero() {
		t.Errorf("deleted: %+v", in)
	}
	if got := strings.Join(ours, ","); got != "remade west" {
		t.Errorf("ours = %s, want the object that was made anew by hand", got)
	}
	if n := r.traffic.writes(); n != 0 {
		t.Errorf("%d writes", n)
	}

	// The object of somebody else under a replica's name is neither deleted nor overwritten.
	remove := remade.Write
	remove.Kind, remove.Content = replica.RemoveReplica, mesh.Hash{}
	r.done(remove)
	if in := r.do(remade.Write); !in.Altered {
		t.Errorf("put onto an object of ours: %+v", in)
	}
	if got := dataOf(r.get(configMaps, "remade")); got != "k=mine" {
		t.Errorf("data = %s", got)
	}
}

// A replica is created by one request and changed by one: events of our own writes cause nothing.
func TestRequestsPerWrite(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.put("warm-up", 1, nil) // asks which types exist
	r.put("x", 1, map[string]any{"k": "1"})
	r.put("x", 2, map[string]any{"k": "2"})
	r.put("x", 3, map[string]any{"l": "2"})
	if got := strings.Join(r.traffic.about("configmaps/x"), ", "); strings.Count(got, "PATCH") != 2 || strings.Contains(got, "GET") {
		t.Errorf("requests: %s; want two patches", got)
	}
	if got := r.traffic.about("POST"); len(got) != 2 {
		t.Errorf("creations: %v, want one for each object", got)
	}
	r.marker("z")
	none(r, "our own write was taken for drift", seen(r.key("x")))
}

// An object that somebody creates at the last moment is theirs.
func TestCreatedMeanwhile(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	w := r.claim(replica.PutReplica, "west", 1, r.configMap("x", map[string]any{"k": "1"}))
	once := false
	r.traffic.meddle(func(req *http.Request) error {
		if req.Method == http.MethodPost && !once {
			once = true
			r.make(configMaps, r.configMap("x", map[string]any{"k": "mine"}))
		}
		return nil
	})
	in := r.do(w)
	if !in.Altered || in.Retry {
		t.Errorf("answer = %+v, want Altered", in)
	}
	if got := dataOf(r.get(configMaps, "x")); got != "k=mine" {
		t.Errorf("data = %s", got)
	}
	r.cluster.Probe([]mesh.ObjectKey{r.key("x")})
	next(r, "whose it is", local(r.key("x")))
}

// A replica that is deleted at once, before the answer to its creation is read, is missed.
func TestDeletedMeanwhile(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	w := r.claim(replica.PutReplica, "west", 1, r.configMap("x", map[string]any{"k": "1"}))
	once := false
	r.traffic.after(func(req *http.Request) {
		if req.Method == http.MethodPost && !once {
			once = true
			r.delete(configMaps, "x")
			r.make(configMaps, r.configMap("z", nil))
			r.eventually("the watch has shown it", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return slices.ContainsFunc(r.inputs, func(in replica.Input) bool {
					l, ok := in.(replica.Local)
					return ok && l.Object == r.key("z")
				})
			})
		}
	})
	r.cluster.Apply([]replica.Write{w})
	next(r, "its absence", absent(r.key("x")))
	r.done(w)
}

// A conflict with another manager is decided by the rule: read again, and replace what the owner states.
func TestConflict(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.put("x", 1, map[string]any{"k": "1"})
	once := false
	r.traffic.meddle(func(req *http.Request) error {
		if req.Method == http.MethodPatch && !once {
			once = true
			r.merge(configMaps, "x", `{"data":{"k":"mine","l":"mine"}}`)
		}
		return nil
	})
	r.put("x", 2, map[string]any{"k": "2"})
	if got := dataOf(r.get(configMaps, "x")); got != "k=2" {
		t.Errorf("data = %s", got)
	}
	if n := len(r.traffic.about("PATCH")); n != 2 {
		t.Errorf("%d patches, want 2", n)
	}
}

// Our own object gives way to another zone's only as it was decided upon.
func TestYield(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	r.make(configMaps, r.configMap("x", map[string]any{"k": "ours"}))
	r.start()
	ours := next(r, "x", local(r.key("x")))
	r.listed()
	yield := r.claim(replica.YieldLocal, "west", 1, r.configMap("x", map[string]any{"k": "theirs"}))
	yield.Expect = mesh.Sum([]byte("another state"))
	if in := r.do(yield); !in.Altered {
		t.Errorf("a changed object: %+v", in)
	}
	remove := yield
	remove.Kind, remove.Content = replica.RemoveLocal, mesh.Hash{}
	if in := r.do(remove); !in.Altered {
		t.Errorf("the deletion of a changed object: %+v", in)
	}
	if n := r.traffic.writes(); n != 0 {
		t.Errorf("%d writes", n)
	}
	yield.Expect = mesh.Sum(ours.Payload)
	r.done(yield)
	if got := dataOf(r.get(configMaps, "x")); got != "k=theirs" {
		t.Errorf("data = %s", got)
	}
	r.make(configMaps, r.configMap("y", map[string]any{"k": "ours"}))
	remove.Object = r.key("y")
	remove.Expect = mesh.Sum(next(r, "y", local(r.key("y"))).Payload)
	r.done(remove)
	if r.get(configMaps, "y") != nil {
		t.Error("y is still there")
	}
}

// A replica becomes ours by a write, or by taking its labels off where nobody states it.
func TestAdopt(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.put("x", 1, map[string]any{"k": "theirs"})
	r.put("y", 1, map[string]any{"k": "theirs"})
	w := r.claim(replica.AdoptLocal, "east", 5, r.configMap("x", map[string]any{"k": "ours"}))
	r.done(w)
	r.cluster.Probe([]mesh.ObjectKey{r.key("x")})
	if in := next(r, "x as ours", local(r.key("x"))); !strings.Contains(string(in.Payload), "ours") || in.Labelled != "" {
		t.Errorf("%s %s", in.Labelled, in.Payload)
	}
	u := r.get(configMaps, "x")
	if l := u.GetLabels(); l[object.LabelZone] != "east" || l[object.LabelVersion] != "5" {
		t.Errorf("labels = %v", l)
	}
	r.merge(configMaps, "x", `{"data":{"k":"newer"}}`)
	next(r, "a change of x", local(r.key("x")))
	r.done(w) // repeated: the object that is ours already stays
	if got := dataOf(r.get(configMaps, "x")); got != "k=newer" {
		t.Errorf("data = %s", got)
	}

	unstated := replica.Write{Kind: replica.AdoptLocal, Object: r.key("y"), Zone: "west", Version: 1, Epoch: 1}
	r.done(unstated)
	if l := r.get(configMaps, "y").GetLabels(); len(l) != 0 {
		t.Errorf("labels = %v", l)
	}
	r.cluster.Probe([]mesh.ObjectKey{r.key("y")})
	next(r, "y as ours", local(r.key("y")))

	// And after a restart both are ours.
	r.fresh().start()
	next(r, "x", local(r.key("x")))
	next(r, "y", local(r.key("y")))
}

// Finalizers, labels and annotations of others don't keep a replica from going; it is pending until it is gone, and
// other objects don't wait.
func TestFinalizerOnReplica(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	w := r.put("x", 1, map[string]any{"k": "1"}).Write
	r.merge(configMaps, "x", `{"metadata":{"finalizers":["example.org/hold"],"labels":{"a":"b"},"annotations":{"c":"d"}}}`)
	r.traffic.reset()
	remove := w
	remove.Kind, remove.Content = replica.RemoveReplica, mesh.Hash{}
	if in := r.do(remove); in.Err == "" || !in.Retry {
		t.Errorf("answer = %+v, want one to wait for", in)
	}
	if p := r.problem(kube.ReasonDeletionPending); !strings.Contains(p.Text, "example.org/hold") || p.Object != r.key("x").String() {
		t.Errorf("problem = %+v", p)
	}
	r.put("y", 1, map[string]any{"k": "1"})
	none(r, "a replica that is still there was reported gone", absent(r.key("x")))
	r.merge(configMaps, "x", `{"metadata":{"finalizers":null}}`)
	if in := r.answer(remove); in.Err != "" {
		t.Errorf("answer = %+v", in)
	}
	if p := r.cluster.Status().Problems; len(p) != 0 {
		t.Errorf("problems: %v", p)
	}
}

// The names of a claim that change leave no keys behind, and those of others stay.
func TestLabelsAndAnnotations(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	m := r.configMap("x", nil)
	meta := m["metadata"].(map[string]any)
	meta["labels"], meta["annotations"] = map[string]any{"a": "1"}, map[string]any{"n/a": "1"}
	r.done(r.claim(replica.PutReplica, "west", 1, m))
	r.merge(configMaps, "x", `{"metadata":{"labels":{"theirs":"1"},"annotations":{"theirs":"1"}}}`)
	meta["labels"], meta["annotations"] = map[string]any{"b": "2"}, map[string]any{"n/b": "2"}
	r.done(r.claim(replica.PutReplica, "west", 2, m))
	u := r.get(configMaps, "x")
	l, a := u.GetLabels(), u.GetAnnotations()
	if l["a"] != "" || l["b"] != "2" || l["theirs"] != "1" || a["n/a"] != "" || a["n/b"] != "2" || a["theirs"] != "1" {
		t.Errorf("labels %v, annotations %v", l, a)
	}
}

// Nothing is written and nothing reported while the node is not certain to be the only one.
func TestHold(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.cluster.Hold(true)
	w := r.claim(replica.PutReplica, "west", 1, r.configMap("x", nil))
	r.cluster.Apply([]replica.Write{w})
	r.make(configMaps, r.configMap("a", nil))
	other := newRig(t, r.server, kube.Entry{Version: "v1", Kind: "ConfigMap", Namespaces: []string{r.ns}, Publish: true}).start()
	next(other, "the object, where nothing is held", local(r.key("a")))
	r.mu.Lock()
	n := len(r.inputs)
	r.mu.Unlock()
	if n != r.taken || r.traffic.writes() != 0 {
		t.Errorf("%d reports, %d writes", n-r.taken, r.traffic.writes())
	}
	r.cluster.Hold(false)
	next(r, "what was held", local(r.key("a")))
	r.eventually("the write", func() bool { return r.get(configMaps, "x") != nil })
}

// The API server refuses writes for a while: every write is tried again, none is forgotten, others go on.
func TestWritesRefusedForAWhile(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	refuse := func(req *http.Request) error {
		if req.Method == http.MethodPost {
			b, err := io.ReadAll(req.Body)
			if err != nil {
				return err
			}
			req.Body = io.NopCloser(bytes.NewReader(b))
			if strings.Contains(string(b), `"refused-`) {
				return errors.New("refused for a while")
			}
		}
		return nil
	}
	r.traffic.meddle(refuse)
	var all []replica.Write
	for _, name := range []string{"refused-a", "refused-b", "refused-c"} {
		all = append(all, r.claim(replica.PutReplica, "west", 1, r.configMap(name, nil)))
	}
	r.cluster.Apply(all)
	r.problem(kube.ReasonAPIServerUnreachable)
	r.put("free", 1, nil)
	newer := r.claim(replica.PutReplica, "west", 2, r.configMap("refused-b", map[string]any{"k": "2"}))
	r.cluster.Apply([]replica.Write{newer})
	r.traffic.meddle(nil)
	r.eventually("all are written", func() bool {
		return r.get(configMaps, "refused-a") != nil && dataOf(r.get(configMaps, "refused-b")) == "k=2" && r.get(configMaps, "refused-c") != nil
	})
	r.eventually("no problem is left", func() bool { return len(r.cluster.Status().Problems) == 0 })
}

// Events that come late, after newer writes were answered, show states that are over: they are no drift.
func TestLateEvents(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both())
	gate := make(chan struct{})
	r.traffic.through = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		res, err := next.RoundTrip(req)
		if err == nil && req.URL.Query().Has("watch") {
			res.Body = slow{res.Body, gate}
		}
		return res, err
	}
	r.start().listed()
	w := r.put("x", 1, map[string]any{"k": "1"}).Write
	r.put("x", 2, map[string]any{"k": "2"})
	remove := r.put("y", 1, nil).Write
	remove.Kind, remove.Content = replica.RemoveReplica, mesh.Hash{}
	r.put("x", 3, map[string]any{"k": "3"})
	close(gate)
	r.marker("z")
	none(r, "a state that is over was reported", seen(w.Object))
	r.done(remove)
}
