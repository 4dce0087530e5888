package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/kube/remote"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// The people who ask, besides the administrator.
const (
	viewer   = "viewer"   // reads MeshPeers
	looker   = "looker"   // and sees pods
	proxier  = "proxier"  // and may get pods/proxy
	operator = "operator" // reads MeshPeers, sees pods, may port-forward
	stranger = "stranger" // may do nothing
)

var rights = map[string][]string{ // verbs and resource, as in kubectl create role
	viewer:   {"get,list,watch meshpeers.dcp.hiro.io"},
	looker:   {"get,list,watch meshpeers.dcp.hiro.io", "get,list pods"},
	proxier:  {"get,list,watch meshpeers.dcp.hiro.io", "get,list pods", "get pods/proxy"},
	operator: {"get,list,watch meshpeers.dcp.hiro.io", "get,list pods", "get,create pods/portforward"},
}

// cluster is the server that all tests share, which knows MeshPeers.
func cluster(t *testing.T) *kubetest.Server {
	t.Helper()
	s := kubetest.SharedAs(t, "cluster", kubetest.Pods(), kubetest.User(viewer), kubetest.User(looker), kubetest.User(proxier),
		kubetest.User(operator), kubetest.User(stranger))
	installing.Do(func() {
		file := t.TempDir() + "/crd.yaml"
		if err := os.WriteFile(file, meshpeer.CRD(), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Kubectl(t, "apply", "-f", file)
		s.Kubectl(t, "wait", "--for=condition=Established", "crd/meshpeers.dcp.hiro.io", "--timeout=60s")
	})
	return s
}

var installing sync.Once

// place is a namespace where everybody has their rights.
func place(t *testing.T, s *kubetest.Server) string {
	t.Helper()
	ns := s.Namespace(t)
	for user, list := range rights {
		var rules []any
		for _, r := range list {
			verbs, resource, _ := strings.Cut(r, " ")
			group := ""
			if name, g, ok := strings.Cut(resource, "."); ok {
				resource, group = name, g
			}
			rules = append(rules, map[string]any{"apiGroups": []string{group}, "resources": []string{resource}, "verbs": strings.Split(verbs, ",")})
		}
		do(t, s, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+ns+"/roles",
			map[string]any{"metadata": map[string]any{"name": user}, "rules": rules})
		do(t, s, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+ns+"/rolebindings", map[string]any{
			"metadata": map[string]any{"name": user},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}}})
	}
	for user := range rights { // the API server learns of a role in its own time
		as := s.As(s.UserToken(t, user))
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			status, answer := as.Do(t, http.MethodGet, "/apis/dcp.hiro.io/v1/namespaces/"+ns+"/meshpeers", nil)
			if status == http.StatusOK {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s has no rights: status %d: %s", user, status, answer)
			}
		}
	}
	return ns
}

func do(t *testing.T, s *kubetest.Server, method, path string, body any) {
	t.Helper()
	if status, answer := s.Do(t, method, path, body); status >= 300 {
		t.Fatalf("%s %s: status %d: %s", method, path, status, answer)
	}
}

// keys of the nodes that are shown.
const (
	eastKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	westKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	labKey  = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
)

// show makes the MeshPeers of a node of zone east until the test ends: of itself, of west, which is ready, and of lab,
// which is not.
func show(t *testing.T, s *kubetest.Server, ns string) {
	t.Helper()
	path := "/apis/dcp.hiro.io/v1/namespaces/" + ns + "/meshpeers"
	t.Cleanup(func() { do(t, s, http.MethodDelete, path, nil) }) // who asks for those of all namespaces is not to find them
	for _, p := range []struct{ key, zone, state, ready, connected string }{
		{eastKey, "east", "Ready", "Running", "Self"},
		{westKey, "west", "Ready", "Connected", "Connected"},
		{labKey, "lab", "Unavailable", "TimedOut", "NotConnected"},
	} {
		do(t, s, http.MethodPost, path, map[string]any{"apiVersion": "dcp.hiro.io/v1", "kind": "MeshPeer",
			"metadata": map[string]any{"name": "peer-" + p.key[:8]},
			"spec":     map[string]any{"identity": map[string]any{"publicKey": p.key, "endpoints": []string{p.zone + ".example:9102"}}}})
		yes := "True"
		if p.state != "Ready" {
			yes = "False"
		}
		do(t, s, http.MethodPatch, path+"/peer-"+p.key[:8]+"/status", map[string]any{"status": map[string]any{
			"status": p.state, "zone": p.zone, "version": "0.4.0", "lastSeen": "2026-11-22T14:03:08Z", "updateTime": "2026-11-22T14:03:09Z",
			"conditions": []any{
				map[string]any{"type": "Ready", "status": yes, "reason": p.ready, "lastTransitionTime": "2026-11-22T13:00:00Z"},
				map[string]any{"type": "Connected", "status": yes, "reason": p.connected},
				map[string]any{"type": "Synced", "status": "True", "reason": "InSync"},
			}}})
	}
}

// live is the API of a node, as far as these tests ask it.
type live struct {
	mu    sync.Mutex
	hosts []string
	ended chan struct{} // gets a value per stream that ended
}

func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.hosts = append(l.hosts, r.Host)
	l.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/peers":
		fmt.Fprintf(w, `{"kind":"PeerList","items":[{"name":"west","zone":"west","state":"Ready","publicKey":%q,"rttSeconds":0.018},
			{"name":"new","zone":"new","state":"Ready","publicKey":%q}]}`, westKey, strings.Repeat("ab", 32))
	case "GET /api/v1/status":
		fmt.Fprint(w, `{"kind":"Status","zone":"east","version":"0.4.0","uptimeSeconds":5}`)
	case "POST /api/v1/invites":
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"kind":"Invite","token":%q}`, b)
	case "GET /api/v1/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; r.Context().Err() == nil; i++ { // the end shows in the context or by a write that fails
			if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil || http.NewResponseController(w).Flush() != nil {
				break
			}
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
		l.ended <- struct{}{}
	case "GET /api/v1/log":
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error":{"code":"MESH-3002","message":"the node is still starting"}}`)
	default:
		http.NotFound(w, r)
	}
}

// runs starts a node in a pod. With both ports open it serves its API to pods/proxy too.
func runs(t *testing.T, s *kubetest.Server, ns, name string, proxied bool) (*kubetest.StandIn, *live) {
	t.Helper()
	l := &live{ended: make(chan struct{}, 16)}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(closed.Close)
	p := &kubetest.StandIn{Namespace: ns, Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": "mesh"},
		Ports:    map[int]string{3000: closed.Listener.Addr().String()},
		Loopback: map[int]string{3001: server.Listener.Addr().String()}}
	if proxied {
		p.Ports[3000] = server.Listener.Addr().String()
	}
	return s.StandIn(t, p), l
}

// asker is somebody who asks.
type asker struct {
	t *testing.T
	c *remote.Cluster

	mu        sync.Mutex
	notLive   []error
	elsewhere []string
	warnings  []string
}

// as lets a user ask about a namespace. The empty name is the administrator's.
func as(t *testing.T, s *kubetest.Server, user, ns string, change ...func(*remote.Config)) *asker {
	t.Helper()
	token := s.Token
	if user != "" {
		token = s.UserToken(t, user)
	}
	return asks(t, &rest.Config{Host: s.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.CAData}}, ns, change...)
}

func asks(t *testing.T, access *rest.Config, ns string, change ...func(*remote.Config)) *asker {
	t.Helper()
	a := &asker{t: t}
	note := func(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }
	cfg := remote.Config{
		REST: access, Namespace: ns, UserAgent: "test",
		Warning:   func(text string) { note(func() { a.warnings = append(a.warnings, text) }) },
		NotLive:   func(_ string, why error) { note(func() { a.notLive = append(a.notLive, why) }) },
		Elsewhere: func(names []string) { note(func() { a.elsewhere = append(a.elsewhere, names...) }) },
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := remote.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.c = c
	t.Cleanup(c.CloseIdleConnections)
	return a
}

func via(v remote.Via) func(*remote.Config) { return func(c *remote.Config) { c.Via = v } }

// send makes one request and reads its answer.
func (a *asker) send(method, path string, body string) (int, string, error) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://mesh"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.c.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (a *asker) peers() []mesh.Peer {
	a.t.Helper()
	status, text, err := a.send(http.MethodGet, "/api/v1/peers", "")
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("peers: %d %s %v", status, text, err)
	}
	var list struct {
		APIVersion, Kind string
		Items            []mesh.Peer
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || list.Kind != "PeerList" || list.APIVersion == "" {
		a.t.Fatalf("peers: %v in %s", err, text)
	}
	return list.Items
}

func (a *asker) status() mesh.Status {
	a.t.Helper()
	status, text, err := a.send(http.MethodGet, "/api/v1/status", "")
	var s mesh.Status
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("status: %d %s %v", status, text, err)
	}
	return s
}

// names are those of peers with what is special about each.
func names(peers []mesh.Peer) string {
	var out []string
	for _, p := range peers {
		s := fmt.Sprintf("%s/%s %s", p.Namespace, p.Name, p.State)
		if p.RTTSeconds != nil {
			s += " live"
		}
		if p.Object != "" {
			s += " " + p.Object
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// told fails unless the only reason why an answer lacks live values is what is wanted.
func (a *asker) told(want string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.notLive) != 1 || !strings.Contains(a.notLive[0].Error(), want) {
		a.t.Errorf("told %q, want one with %q", a.notLive, want)
	}
}

// TestForward asks a node through a port-forward: all requests share one, and everything works as if it were local.
func TestForward(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	pod, node := runs(t, s, ns, "mesh-0", false)
	a := as(t, s, operator, ns)
	want := fmt.Sprintf("%[1]s/west Ready live meshpeer.dcp.hiro.io/peer-3d4017c3; %[1]s/new Ready; "+
		"%[1]s/lab Unavailable meshpeer.dcp.hiro.io/peer-fc51cd8e", ns)
	for range 3 {
		if got := names(a.peers()); got != want {
			t.Errorf("peers are %s\nwant %s", got, want)
		}
	}
	if got := a.status(); got.UptimeSeconds != 5 || got.Partial {
		t.Errorf("the status is %+v", got)
	}
	if _, text, err := a.send(http.MethodPost, "/api/v1/invites", "body"); err != nil || !strings.Contains(text, `"token":"body"`) {
		t.Errorf("a POST: %s %v", text, err)
	}
	if code, text, err := a.send(http.MethodGet, "/api/v1/log", ""); err != nil || code != 503 || !strings.Contains(text, "MESH-3002") {
		t.Errorf("a refusal of the node: %d %s %v", code, text, err)
	}
	if n := pod.Forwards(); n != 1 {
		t.Errorf("%d port-forwards, want 1", n)
	}
	for _, h := range node.hosts {
		if h != "127.0.0.1:3001" {
			t.Errorf("the node sees the host %q", h)
		}
	}
	if len(a.notLive)+len(a.warnings)+len(a.elsewhere) > 0 {
		t.Errorf("told %q, %q, %q", a.notLive, a.warnings, a.elsewhere)
	}
}

// TestStream reads what never ends, ends it, and reads it again when the pod is replaced by another.
func TestStream(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	first, node := runs(t, s, ns, "mesh-0", false)
	a := as(t, s, operator, ns)
	read := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mesh/api/v1/events", nil)
		if err != nil {
			return err
		}
		resp, err := a.c.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for n := 0; n < 20; {
			if !lines.Scan() {
				return fmt.Errorf("it ended after %d lines: %v", n, lines.Err())
			}
			if lines.Text() != "" {
				n++
			}
		}
		return nil
	}
	for range 2 {
		if err := read(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-node.ended:
		case <-time.After(time.Minute):
			t.Fatal("the node was not told that nobody reads any more")
		}
	}
	if n := first.Forwards(); n != 1 {
		t.Errorf("%d port-forwards, want 1", n)
	}
	first.Remove(t)
	second, _ := runs(t, s, ns, "mesh-1", false)
	deadline := time.Now().Add(time.Minute)
	for {
		err := read(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other pod is not found: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := second.Forwards(); n == 0 {
		t.Error("the other pod was not asked")
	}
}

// TestRights asks as people with more and more rights. What is missing is named by verb, and what needs less works.
func TestRights(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	closed := place(t, s) // there the node doesn't serve its API to pods/proxy
	show(t, s, closed)
	runs(t, s, ns, "mesh-0", true)
	runs(t, s, closed, "mesh-0", false)
	plain := "%[1]s/lab Unavailable meshpeer.dcp.hiro.io/peer-fc51cd8e; %[1]s/west Ready meshpeer.dcp.hiro.io/peer-3d4017c3"
	for _, tt := range []struct {
		user, ns, missing, canI string
	}{
		{viewer, ns, "cannot list pods in namespace " + ns, "kubectl auth can-i list pods -n " + ns},
		{looker, ns, "cannot get pods/portforward in namespace " + ns, "kubectl auth can-i get pods --subresource=portforward -n " + ns},
		{proxier, closed, "cannot get pods/portforward in namespace " + closed, "kubectl auth can-i get pods --subresource=portforward -n " + closed},
	} {
		a := as(t, s, tt.user, tt.ns)
		if got, want := names(a.peers()), fmt.Sprintf(plain, tt.ns); got != want {
			t.Errorf("%s: peers are %s\nwant %s", tt.user, got, want)
		}
		a.told(tt.missing)
		var refused *remote.ForbiddenError
		if len(a.notLive) > 0 && (!errors.As(a.notLive[0], &refused) || refused.CanI() != tt.canI || refused.User != tt.user) {
			t.Errorf("%s: the command is %q", tt.user, refused.CanI())
		}
		if got := a.status(); !got.Partial || got.Zone != "east" || !got.Ready || got.Peers.Total != 2 || got.Peers.Unavailable != 1 {
			t.Errorf("%s: the status is %+v", tt.user, got)
		}
		if _, text, err := a.send(http.MethodGet, "/api/v1/log", ""); err == nil || !strings.Contains(err.Error(), tt.missing) {
			t.Errorf("%s: the log: %s %v", tt.user, text, err)
		}
	}

	a := as(t, s, proxier, ns)
	if got := names(a.peers()); !strings.Contains(got, "west Ready live") {
		t.Errorf("by proxy peers are %s", got)
	}
	if got := a.status(); got.Partial || got.UptimeSeconds != 5 {
		t.Errorf("by proxy the status is %+v", got)
	}
	if code, text, err := a.send(http.MethodGet, "/api/v1/log", ""); err != nil || code != 503 || !strings.Contains(text, "MESH-3002") {
		t.Errorf("by proxy a refusal of the node: %d %s %v", code, text, err)
	}
	if _, _, err := a.send(http.MethodPost, "/api/v1/invites", "body"); !errors.Is(err, remote.ErrReadOnly) || !strings.Contains(err.Error(), "pods/portforward") {
		t.Errorf("by proxy a POST: %v", err)
	}
	if len(a.notLive) > 0 {
		t.Errorf("told %v", a.notLive)
	}

	a = as(t, s, stranger, ns)
	_, _, err := a.send(http.MethodGet, "/api/v1/peers", "")
	var refused *remote.ForbiddenError
	if !errors.As(err, &refused) || refused.CanI() != "kubectl auth can-i list meshpeers.dcp.hiro.io -n "+ns {
		t.Errorf("a stranger is told %v", err)
	}
	if _, _, err = a.send(http.MethodGet, "/api/v1/status", ""); !errors.As(err, &refused) {
		t.Errorf("a stranger is told %v", err)
	}
}

// TestVia asks in the ways that are named, and in no other.
func TestVia(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	pod, _ := runs(t, s, ns, "mesh-0", true)
	a := as(t, s, "", ns, via(remote.None))
	if got := names(a.peers()); strings.Contains(got, "live") || len(a.notLive) > 0 {
		t.Errorf("with none: %s, told %v", got, a.notLive)
	}
	if _, _, err := a.send(http.MethodGet, "/api/v1/log", ""); !errors.Is(err, remote.ErrViaNone) {
		t.Errorf("with none: %v", err)
	}
	a = as(t, s, "", ns, via(remote.Proxy))
	if got := names(a.peers()); !strings.Contains(got, "live") || pod.Forwards() != 0 {
		t.Errorf("with proxy: %s, %d port-forwards", got, pod.Forwards())
	}
	a = as(t, s, proxier, ns, via(remote.PortForward))
	if got := names(a.peers()); strings.Contains(got, "live") {
		t.Errorf("with port-forward: %s", got)
	}
	a.told("cannot get pods/portforward")
	if _, err := remote.Open(remote.Config{REST: &rest.Config{}, Namespace: "x", Via: "carrier-pigeon"}); err == nil {
		t.Error("any way will do")
	}
}

// TestNothing asks where nothing is.
func TestNothing(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	full, ns := place(t, s), place(t, s)
	show(t, s, full)
	a := as(t, s, "", ns)
	if got := a.peers(); len(got) > 0 {
		t.Errorf("peers are %s", names(got))
	}
	if !slices.Contains(a.elsewhere, full) || slices.Contains(a.elsewhere, ns) || len(a.notLive) > 0 {
		t.Errorf("told of %q, %v", a.elsewhere, a.notLive)
	}
	_, _, err := a.send(http.MethodGet, "/api/v1/status", "")
	var none *remote.NoNodeError
	if !errors.As(err, &none) || !slices.Contains(none.Elsewhere, full) {
		t.Errorf("the status: %#v", err)
	}
	a = as(t, s, operator, ns) // who may not look elsewhere
	if got := a.peers(); len(got) > 0 || len(a.elsewhere) > 0 {
		t.Errorf("peers are %s, told of %q", names(got), a.elsewhere)
	}
	// MeshPeers that nobody keeps, and pods that are no nodes.
	a = as(t, s, "", full)
	s.StandIn(t, &kubetest.StandIn{Namespace: full, Name: "job", Labels: map[string]string{"app.kubernetes.io/part-of": "mesh", "app.kubernetes.io/component": "keygen"}})
	s.StandIn(t, &kubetest.StandIn{Namespace: full, Name: "shop", Labels: map[string]string{"app.kubernetes.io/part-of": "shop"}})
	a.peers()
	a.told("no node runs in namespace " + full)
}

// TestUnreachable loses the machine of the pod, then the API of the node, then the API server.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	pod, _ := runs(t, s, ns, "mesh-0", false)
	a := as(t, s, operator, ns)
	a.peers()
	pod.Cut()
	var lost *remote.PodError
	if _, _, err := a.send(http.MethodGet, "/api/v1/log", ""); !errors.As(err, &lost) || lost.Pod != "mesh-0" {
		t.Errorf("the machine is gone: %v", err)
	}
	if got := names(a.peers()); strings.Contains(got, "live") || !strings.Contains(got, "west Ready") {
		t.Errorf("the machine is gone: peers are %s", got)
	}
	a.told("reach pod mesh-0 in namespace " + ns + " by port-forward")
	pod.Remove(t)

	s.StandIn(t, &kubetest.StandIn{Namespace: ns, Name: "mesh-1", Labels: map[string]string{"app.kubernetes.io/part-of": "mesh"}})
	a = as(t, s, operator, ns)
	if _, _, err := a.send(http.MethodPost, "/api/v1/invites", ""); !errors.As(err, &lost) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nothing listens in the pod: %v", err)
	}
	if got := a.status(); !got.Partial {
		t.Errorf("nothing listens in the pod: the status is %+v", got)
	}
	a.told("connection refused")

	gone := httptest.NewServer(nil)
	gone.Close()
	a = asks(t, &rest.Config{Host: gone.URL}, ns)
	for _, path := range []string{"/api/v1/peers", "/api/v1/status", "/api/v1/log"} {
		var none *remote.UnreachableError
		if _, _, err := a.send(http.MethodGet, path, ""); !errors.As(err, &none) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("no API server: %s: %v", path, err)
		}
	}
	a = asks(t, &rest.Config{Host: s.URL, BearerToken: "wrong", TLSClientConfig: rest.TLSClientConfig{CAData: s.CAData}}, ns)
	for _, path := range []string{"/api/v1/peers", "/api/v1/status", "/api/v1/log"} {
		var unknown *remote.UnauthenticatedError
		if _, _, err := a.send(http.MethodGet, path, ""); !errors.As(err, &unknown) {
			t.Errorf("a wrong token: %s: %v", path, err)
		}
	}
}

// TestLease asks the pod that leads, whichever it is.
func TestLease(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	old, _ := runs(t, s, ns, "mesh-a", false)
	leads, _ := runs(t, s, ns, "mesh-b", false)
	runs(t, s, ns, "mesh-c", false)
	do(t, s, http.MethodPatch, "/api/v1/namespaces/"+ns+"/pods/mesh-b", `{"metadata":{"labels":{"mesh.dcp.hiro.io/active":"true"}}}`)
	a := as(t, s, operator, ns)
	a.peers()
	if leads.Forwards() != 1 || old.Forwards() != 0 {
		t.Errorf("%d port-forwards to the one that leads, %d to another", leads.Forwards(), old.Forwards())
	}
	leads.Remove(t)
	do(t, s, http.MethodPatch, "/api/v1/namespaces/"+ns+"/pods/mesh-a", `{"metadata":{"labels":{"mesh.dcp.hiro.io/active":"true"}}}`)
	if got := names(a.peers()); !strings.Contains(got, "live") || old.Forwards() != 1 {
		t.Errorf("after another leads: %s, %d port-forwards to it", got, old.Forwards())
	}
}

// TestAllNamespaces asks several nodes. It runs alone: it would ask those of other tests too.
func TestAllNamespaces(t *testing.T) {
	s := cluster(t)
	a, b := place(t, s), place(t, s)
	show(t, s, a)
	show(t, s, b)
	runs(t, s, a, "mesh-0", false)
	all := as(t, s, "", a, func(c *remote.Config) { c.AllNamespaces = true })
	got := names(all.peers())
	for _, want := range []string{a + "/west Ready live meshpeer.dcp.hiro.io/peer-3d4017c3", a + "/new Ready", b + "/west Ready meshpeer.dcp.hiro.io/peer-3d4017c3"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if !slices.ContainsFunc(all.notLive, func(err error) bool { return strings.Contains(err.Error(), "no node runs in namespace "+b) }) {
		t.Errorf("told %v", all.notLive)
	}
	var refused *remote.ForbiddenError
	nobody := as(t, s, operator, a, func(c *remote.Config) { c.AllNamespaces = true })
	if _, _, err := nobody.send(http.MethodGet, "/api/v1/peers", ""); !errors.As(err, &refused) || refused.CanI() != "kubectl auth can-i list meshpeers.dcp.hiro.io -A" {
		t.Errorf("without the right: %v", err)
	}
}

// TestCloses leaves no goroutine behind, whatever was under way.
func TestCloses(t *testing.T) {
	s := cluster(t)
	ns := place(t, s)
	show(t, s, ns)
	runs(t, s, ns, "mesh-0", false)
	before := goleak.IgnoreCurrent()
	a := as(t, s, operator, ns)
	a.peers()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mesh/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	a.c.CloseIdleConnections()
	ignored := []goleak.Option{before, goleak.IgnoreAnyFunction("net/http.(*Server).Serve"), goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("dcp.hiro.io/mesh/internal/meshtest/kubetest.join")}
	leaktest.None(t, ignored...) // the library takes a second to close
}

func asForbidden(err error) (*remote.ForbiddenError, bool) {
	return errors.AsType[*remote.ForbiddenError](err)
}
