package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// network is the cluster network of a server: what the server dials, nodes and pods, ends in this process. The server
// is told to dial through a proxy, so that pods may have addresses like those of real ones; nothing is ever sent to
// them. The proxy knows CONNECT, over a Unix socket.
type network struct {
	listener net.Listener
	proxy    *http.Server
	kubelet  *http.Server
	nodes    *nodeListener
	serving  sync.WaitGroup

	mu       sync.Mutex
	pods     map[string]*StandIn // by namespace/name
	byPod    map[string]*StandIn // by address of the pod
	byNode   map[string]*StandIn // by HOST:PORT of its kubelet
	tunnels  map[net.Conn]*StandIn
	numbered int
}

const (
	proxySocket = "egress.sock"
	proxyConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %q}}
`
	kubeletPort = 10250

	// idleForward and makeStream are the kubelet's own.
	idleForward = 4 * time.Hour
	makeStream  = 30 * time.Second
)

// Pods lets the server reach pods that [Server.StandIn] makes.
func Pods() Option { return func(c *config) { c.pods = true } }

// startNetwork starts it and returns the flag that has the server use it.
func (s *Server) startNetwork() (flag string, err error) {
	n := &network{pods: map[string]*StandIn{}, byPod: map[string]*StandIn{}, byNode: map[string]*StandIn{}, tunnels: map[net.Conn]*StandIn{}}
	if n.listener, err = net.Listen("unix", s.path(proxySocket)); err != nil {
		return "", err
	}
	file := s.path("egress.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, proxyConfig, s.path(proxySocket)), 0o600); err != nil {
		n.listener.Close()
		return "", err
	}
	quiet := log.New(io.Discard, "", 0) // connections that break are what some tests want
	n.nodes = &nodeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	n.kubelet = &http.Server{Handler: http.HandlerFunc(n.serveKubelet), ErrorLog: quiet}
	n.proxy = &http.Server{Handler: http.HandlerFunc(n.serveProxy), ErrorLog: quiet}
	n.serving.Go(func() { _ = n.kubelet.ServeTLS(n.nodes, s.path(certFile), s.path(keyFile)) })
	n.serving.Go(func() { _ = n.proxy.Serve(n.listener) })
	s.network = n
	return "--egress-selector-config-file=" + file, nil
}

func (n *network) close() {
	_ = n.proxy.Close()
	_ = n.kubelet.Close()
	n.cut(func(*StandIn) bool { return true })
	n.serving.Wait()
}

// cut ends the connections to some pods and their nodes.
func (n *network) cut(which func(*StandIn) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn, p := range n.tunnels {
		if which(p) {
			_ = conn.Close()
		}
	}
}

// serveProxy answers CONNECT.
func (n *network) serveProxy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	node, pod := n.byNode[r.Host], n.byPod[host]
	n.mu.Unlock()
	var far net.Conn
	switch {
	case node != nil && !node.cut():
	case pod != nil && !pod.cut():
		if far, err = pod.dial(r.Context(), pod.Ports, port); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		node = pod
	default:
		http.Error(w, "no route to host", http.StatusBadGateway)
		return
	}
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil || buffered.Reader.Buffered() > 0 {
		panic(http.ErrAbortHandler)
	}
	n.mu.Lock()
	n.tunnels[near] = node
	n.mu.Unlock()
	near = &tunnel{Conn: near, n: n}
	if _, err := near.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		near.Close()
		return
	}
	if far == nil {
		n.nodes.hand(near)
		return
	}
	join(near, far)
}

// tunnel is a connection that the network knows until it is closed.
type tunnel struct {
	net.Conn
	n *network
}

func (t *tunnel) Close() error {
	t.n.mu.Lock()
	delete(t.n.tunnels, t.Conn)
	t.n.mu.Unlock()
	return t.Conn.Close()
}

// join carries what both say until one has no more.
func join(a, b io.ReadWriteCloser) {
	var copying sync.WaitGroup
	for _, way := range [][2]io.ReadWriteCloser{{a, b}, {b, a}} {
		copying.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = a.Close()
			_ = b.Close()
		})
	}
	copying.Wait()
}

// nodeListener hands connections to the kubelet.
type nodeListener struct {
	conns  chan net.Conn // unbuffered; never closed
	closed chan struct{}
	once   sync.Once
}

func (l *nodeListener) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

func (l *nodeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *nodeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *nodeListener) Addr() net.Addr { return &net.UnixAddr{Name: "kubelet", Net: "unix"} }

// serveKubelet is what a kubelet serves: port-forwards.
func (n *network) serveKubelet(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/portForward/")
	n.mu.Lock()
	p := n.pods[name]
	n.mu.Unlock()
	if !ok || p == nil {
		http.Error(w, "no such pod", http.StatusNotFound)
		return
	}
	p.mu.Lock()
	p.forwards++
	p.mu.Unlock()
	ServeForward(w, r, p)
}

// ServeForward answers the request for a port-forward into a pod as a kubelet does, which takes SPDY. It is for tests that
// stand in for an API server themselves; of the pod nothing but its ports is used.
func ServeForward(w http.ResponseWriter, r *http.Request, p *StandIn) {
	portforward.ServePortForward(w, r, forwarder{p}, p.Name, "", nil, idleForward, makeStream, portforward.SupportedProtocols)
}

// forwarder connects streams to the ports of a pod.
type forwarder struct{ p *StandIn }

// PortForward words a refusal as container runtimes do.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	ports := map[int]string{}
	for k, v := range f.p.Ports {
		ports[k] = v
	}
	for k, v := range f.p.Loopback {
		ports[k] = v
	}
	conn, err := f.p.dial(ctx, ports, fmt.Sprint(port))
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace \"0\", IPv4: %w", port, err)
	}
	join(stream, conn)
	return nil
}

// StandIn is a pod that consists of processes of this machine. Its fields are not changed while it is there.
type StandIn struct {
	Namespace, Name string
	Labels          map[string]string

	// Ports are where connections to the pod's ports end, as HOST:PORT of this machine. Loopback are those that only a
	// port-forward reaches.
	Ports, Loopback map[int]string

	s        *Server
	mu       sync.Mutex
	away     bool
	forwards int
}

func (p *StandIn) cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// Forwards is how many port-forwards were opened so far.
func (p *StandIn) Forwards() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forwards
}

func (p *StandIn) dial(ctx context.Context, ports map[int]string, port string) (net.Conn, error) {
	for number, to := range ports {
		if fmt.Sprint(number) == port {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to)
		}
	}
	return nil, errors.New("dial tcp4 127.0.0.1:" + port + ": connect: connection refused")
}

// Cut has the machine of the pod be unreachable: connections end, new ones are refused. The API server still shows the
// pod as running, as it does for a while in a real cluster.
func (p *StandIn) Cut() {
	p.mu.Lock()
	p.away = true
	p.mu.Unlock()
	p.s.network.cut(func(other *StandIn) bool { return other == p })
}

// StandIn creates a pod on a machine of its own, which runs and is ready. It goes with the test, or with
// [StandIn.Remove]. The server was started with the option [Pods].
func (s *Server) StandIn(t testing.TB, p *StandIn) *StandIn {
	t.Helper()
	n := s.network
	if n == nil {
		t.Fatalf("%s reaches no pods: start it with kubetest.Pods()", s.Name)
	}
	p.s = s
	n.mu.Lock()
	n.numbered++
	number := n.numbered
	n.mu.Unlock()
	nodeIP, podIP := fmt.Sprintf("198.18.%d.%d", number/250, number%250+1), fmt.Sprintf("198.19.%d.%d", number/250, number%250+1)
	node := fmt.Sprintf("machine-%d", number)
	type object = map[string]any
	do := func(method, path string, body any) {
		t.Helper()
		if status, answer := s.Do(t, method, path, body); status >= 300 {
			t.Fatalf("%s %s: status %d: %s", method, path, status, answer)
		}
	}
	do(http.MethodPost, "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": node}})
	do(http.MethodPatch, "/api/v1/nodes/"+node+"/status", object{"status": object{
		"addresses":       []any{object{"type": "InternalIP", "address": nodeIP}},
		"daemonEndpoints": object{"kubeletEndpoint": object{"Port": kubeletPort}},
	}})
	var ports []any
	for number := range p.Ports {
		ports = append(ports, object{"containerPort": number})
	}
	do(http.MethodPost, "/api/v1/namespaces/"+p.Namespace+"/pods", object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": p.Name, "labels": p.Labels},
		"spec": object{"nodeName": node, "automountServiceAccountToken": false, "enableServiceLinks": false,
			"containers": []any{object{"name": "main", "image": "none", "ports": ports}}},
	})
	path := "/api/v1/namespaces/" + p.Namespace + "/pods/" + p.Name
	do(http.MethodPatch, path+"/status", object{"status": object{
		"phase": "Running", "podIP": podIP, "podIPs": []any{object{"ip": podIP}},
		"conditions": []any{object{"type": "Ready", "status": "True"}},
	}})
	n.mu.Lock()
	n.pods[p.Namespace+"/"+p.Name], n.byPod[podIP], n.byNode[fmt.Sprintf("%s:%d", nodeIP, kubeletPort)] = p, p, p
	n.mu.Unlock()
	t.Cleanup(func() { p.Remove(t) })
	return p
}

// Remove deletes the pod, at once. Connections to it end. It may be called more than once.
func (p *StandIn) Remove(t testing.TB) {
	t.Helper()
	p.Cut()
	path := "/api/v1/namespaces/" + p.Namespace + "/pods/" + p.Name
	status, answer := p.s.Do(t, http.MethodDelete, path, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}`)
	if status >= 300 && status != http.StatusNotFound {
		t.Errorf("DELETE %s: status %d: %s", path, status, answer)
	}
	n := p.s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pods, p.Namespace+"/"+p.Name)
}
