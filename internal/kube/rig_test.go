package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// patience is how long a condition is waited for: none takes a tenth of it.
const patience = 60 * time.Second

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// rig is a cluster adapter on a real API server, with a test in the place of the engine.
type rig struct {
	t       *testing.T
	server  *kubetest.Server
	ns      string
	user    dynamic.Interface // somebody else who works on the cluster
	offered discovery.DiscoveryInterface
	cluster *kube.Cluster
	traffic *traffic
	conn    *kube.Connection
	config  kube.Config
	witness *memoryWitness
	claims  *claims
	stop    func()

	mu     sync.Mutex
	inputs []replica.Input
	taken  int
	news   chan struct{}
}

// claims plays the store.
type claims struct {
	mu sync.Mutex
	of map[mesh.ClaimRef][]byte
}

func (c *claims) Payload(ref mesh.ClaimRef) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.of[ref]), nil
}

// memoryWitness plays the node's MeshPeer.
type memoryWitness struct {
	mu  sync.Mutex
	w   event.Witness
	has bool
	err error
}

func (m *memoryWitness) ReadWitness(context.Context) (event.Witness, bool, mesh.Incarnation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w, m.has, 0, m.err
}

func (m *memoryWitness) WriteWitness(_ context.Context, w event.Witness) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.w, m.has = w, true
	return m.err
}

// traffic sees the requests of an adapter, discovery left out. It may send them as another user, and meddle.
type traffic struct {
	mu   sync.Mutex
	user string // empty: the administrator
	sent []string
	// before is called before a request is sent; an error is what becomes of it. Nil: nothing.
	before func(*http.Request) error
	// answered is called when an answer has come, before anybody sees it. Nil: nothing.
	answered func(*http.Request)
	// through carries a request to the next transport, or doesn't. Nil: it does.
	through func(*http.Request, http.RoundTripper) (*http.Response, error)
	streams []io.Closer // the bodies of watches
}

type transport struct {
	*traffic
	next http.RoundTripper
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	user, before, answered, through := t.user, t.before, t.answered, t.through
	if path := strings.Trim(req.URL.Path, "/"); strings.Count(path, "/") > 1 && !(strings.HasPrefix(path, "apis/") && strings.Count(path, "/") == 2) {
		verb := req.Method
		if req.URL.Query().Get("watch") != "" {
			verb = "WATCH"
		} else if req.Method == http.MethodGet && req.URL.Query().Has("limit") {
			verb = "LIST"
		}
		t.sent = append(t.sent, verb+" "+req.URL.Path)
	}
	t.mu.Unlock()
	if before != nil {
		if err := before(req); err != nil {
			return nil, err
		}
	}
	if user != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Impersonate-User", user)
	}
	if through == nil {
		through = func(req *http.Request, next http.RoundTripper) (*http.Response, error) { return next.RoundTrip(req) }
	}
	res, err := through(req, t.next)
	if answered != nil {
		answered(req)
	}
	if err == nil && req.URL.Query().Get("watch") != "" {
		t.mu.Lock()
		t.streams = append(t.streams, res.Body)
		t.mu.Unlock()
	}
	return res, err
}

// about lists the requests that name something, LIST and WATCH left out.
func (t *traffic) about(what string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, s := range t.sent {
		if strings.Contains(s, what) && !strings.HasPrefix(s, "LIST") && !strings.HasPrefix(s, "WATCH") {
			out = append(out, s)
		}
	}
	return out
}

// writes counts the requests that change something.
func (t *traffic) writes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.sent {
		if strings.HasPrefix(s, "P") || strings.HasPrefix(s, "DELETE") {
			n++
		}
	}
	return n
}

func (t *traffic) meddle(before func(*http.Request) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before = before
}

func (t *traffic) after(answered func(*http.Request)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered = answered
}

// as sends what follows as another user.
func (t *traffic) as(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.user = user
}

// reset forgets what was sent.
func (t *traffic) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = nil
}

// connect is a connection as an administrator's kubeconfig gives it.
func connect(t *testing.T, s *kubetest.Server, tr *traffic) *kube.Connection {
	t.Helper()
	t.Setenv("KUBECONFIG", s.Kubeconfig(t))
	a := kube.Access{UserAgent: "mesh-test"}
	if tr != nil {
		a.Wrap = func(next http.RoundTripper) http.RoundTripper { return transport{tr, next} }
	}
	c, err := kube.Connect(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newRig prepares an adapter for entries in a namespace of its own. start runs it.
func newRig(t *testing.T, s *kubetest.Server, entries ...kube.Entry) *rig {
	t.Helper()
	r := &rig{
		t: t, server: s, ns: s.Namespace(t), witness: &memoryWitness{}, traffic: &traffic{},
		claims: &claims{of: map[mesh.ClaimRef][]byte{}},
	}
	user := connect(t, s, nil)
	user.Config.UserAgent = "kubectl"
	var err error
	if r.user, err = dynamic.NewForConfig(user.Config); err != nil {
		t.Fatal(err)
	}
	r.offered = user.Discovery
	for i := range entries {
		if entries[i].Namespaces == nil {
			entries[i].Namespaces = []string{r.ns}
		}
		if slices.Equal(entries[i].Namespaces, everywhere) {
			entries[i].Namespaces = nil
		}
	}
	r.conn = connect(t, s, r.traffic)
	r.config = kube.Config{
		Conn: r.conn, Zone: "east", Entries: entries, Reader: r.claims, Witness: r.witness,
		Secret: func(b []byte) bool { return string(b) == "this node's key" },
	}
	r.fresh()
	return r
}

// everywhere, as the namespaces of an entry, is no namespace in particular.
var everywhere = []string{"*"}

// fresh makes an adapter anew, as after a restart of the process. Changes say what is different.
func (r *rig) fresh(changes ...func(*kube.Config)) *rig {
	r.t.Helper()
	if r.stop != nil {
		r.stop()
	}
	for _, change := range changes {
		change(&r.config)
	}
	r.mu.Lock()
	r.inputs, r.taken, r.news = nil, 0, make(chan struct{}, 1)
	r.mu.Unlock()
	var err error
	if r.cluster, err = kube.New(r.config); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// both is an entry for ConfigMaps in both directions.
func both() kube.Entry {
	return kube.Entry{Version: "v1", Kind: "ConfigMap", Publish: true, Apply: true}
}

func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r.mu.Lock()
	news := r.news
	r.mu.Unlock()
	go func() {
		done <- r.cluster.Run(ctx, func(_ context.Context, in ...replica.Input) error {
			r.mu.Lock()
			r.inputs = append(r.inputs, in...)
			r.mu.Unlock()
			select {
			case news <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("Run = %v", err)
			}
		case <-time.After(patience):
			r.t.Error("Run doesn't end")
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// next waits for an input that fits, beyond those waited for before, and skips all others.
func next[T replica.Input](r *rig, what string, fits func(T) bool) T {
	r.t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		for r.taken < len(r.inputs) {
			in := r.inputs[r.taken]
			r.taken++
			if x, ok := in.(T); ok && fits(x) {
				r.mu.Unlock()
				return x
			}
		}
		r.mu.Unlock()
		select {
		case <-r.news:
		case <-late:
			r.t.Fatalf("no %s within %s; inputs: %s; problems: %v", what, patience, r.dump(), r.cluster.Status().Problems)
		}
	}
}

// heard waits for an input that fits among all of this run, also those that a wait for another has skipped.
func heard[T replica.Input](r *rig, what string, fits func(T) bool) {
	r.t.Helper()
	r.eventually(what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.ContainsFunc(r.inputs, func(in replica.Input) bool { x, ok := in.(T); return ok && fits(x) })
	})
}

func (r *rig) dump() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, in := range r.inputs {
		if l, ok := in.(replica.Local); ok {
			in = replica.Local{Object: l.Object, Labelled: l.Labelled}
		}
		out = append(out, fmt.Sprintf("%T%+v", in, in))
	}
	return strings.Join(out, "\n")
}

// none fails if an input fits that was reported since the last one waited for. Something that comes after it must
// have been waited for.
func none[T replica.Input](r *rig, what string, fits func(T) bool) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.inputs {
		if x, ok := in.(T); ok && fits(x) {
			r.t.Fatalf("%s: %+v", what, x)
		}
	}
}

func (r *rig) listed() { next(r, "Listed", func(replica.Listed) bool { return true }) }

func (r *rig) key(name string) mesh.ObjectKey {
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: r.ns, Name: name}
}

// configMap is a manifest.
func (r *rig) configMap(name string, data map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": r.ns}, "data": data,
	}
}

func (r *rig) of(g schema.GroupVersionResource) dynamic.ResourceInterface {
	return r.user.Resource(g).Namespace(r.ns)
}

// make creates an object as somebody else.
func (r *rig) make(g schema.GroupVersionResource, m map[string]any) *unstructured.Unstructured {
	r.t.Helper()
	u, err := r.of(g).Create(context.Background(), &unstructured.Unstructured{Object: m}, metav1.CreateOptions{FieldManager: "kubectl"})
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// merge changes an object as somebody else.
func (r *rig) merge(g schema.GroupVersionResource, name, patch string) *unstructured.Unstructured {
	r.t.Helper()
	u, err := r.of(g).Patch(context.Background(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"})
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

func (r *rig) delete(g schema.GroupVersionResource, name string) {
	r.t.Helper()
	if err := r.of(g).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// get reads an object; nil if there is none.
func (r *rig) get(g schema.GroupVersionResource, name string) *unstructured.Unstructured {
	r.t.Helper()
	u, err := r.of(g).Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// write is a write of what a zone claims. The claim is there when the adapter looks for it.
func (r *rig) claim(kind replica.WriteKind, zone mesh.Zone, version mesh.Version, manifest map[string]any) replica.Write {
	r.t.Helper()
	b, err := json.Marshal(manifest)
	if err != nil {
		r.t.Fatal(err)
	}
	o, err := object.ParseJSON(b, object.Options{Status: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.claims.mu.Lock()
	r.claims.of[mesh.ClaimRef{Object: o.Key, Zone: zone}] = o.Payload
	r.claims.mu.Unlock()
	return replica.Write{Kind: kind, Object: o.Key, Zone: zone, Version: version, Epoch: 1, Birth: 1, Content: o.Content()}
}

// do hands a write over and waits for its first answer.
func (r *rig) do(w replica.Write) replica.Written {
	r.t.Helper()
	r.cluster.Apply([]replica.Write{w})
	return r.answer(w)
}

func (r *rig) answer(w replica.Write) replica.Written {
	r.t.Helper()
	return next(r, "answer to "+w.Kind.String(), func(in replica.Written) bool { return in.Write == w })
}

// done is a write that succeeds.
func (r *rig) done(w replica.Write) replica.Written {
	r.t.Helper()
	in := r.do(w)
	if in.Err != "" {
		r.t.Fatalf("%s %s: %s", w.Kind, w.Object, in.Err)
	}
	return in
}

// put makes a replica of west's.
func (r *rig) put(name string, version mesh.Version, data map[string]any) replica.Written {
	r.t.Helper()
	return r.done(r.claim(replica.PutReplica, "west", version, r.configMap(name, data)))
}

func dataOf(u *unstructured.Unstructured) string {
	if u == nil {
		return "nothing"
	}
	data, _, _ := unstructured.NestedMap(u.Object, "data")
	var out []string
	for _, k := range slices.Sorted(maps.Keys(data)) {
		out = append(out, fmt.Sprint(k, "=", data[k]))
	}
	return strings.Join(out, " ")
}

// eventually waits for a condition of the cluster.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within %s; inputs: %s; problems: %v", what, patience, r.dump(), r.cluster.Status().Problems)
		}
	}
}

// problem waits for a problem with a reason.
func (r *rig) problem(reason string) mesh.Problem {
	r.t.Helper()
	var found mesh.Problem
	r.eventually("problem "+reason, func() bool {
		problems := r.cluster.Status().Problems
		i := slices.IndexFunc(problems, func(p mesh.Problem) bool { return p.Reason == reason })
		if i >= 0 {
			found = problems[i]
		}
		return i >= 0
	})
	return found
}
