package remote

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // so that every kubeconfig that kubectl takes works here
	"k8s.io/client-go/rest"
)

// Via is how the live node is asked.
type Via string

// The ways. Auto takes the first that works: PortForward, Proxy, None.
const (
	Auto        Via = "auto"
	PortForward Via = "port-forward"
	Proxy       Via = "proxy"
	None        Via = "none"
)

// Vias lists them.
func Vias() []string { return []string{string(Auto), string(PortForward), string(Proxy), string(None)} }

// Config says which cluster is asked, and how. The functions are called one at a time; each may be nil.
type Config struct {
	REST          *rest.Config // whoever asks; it is copied
	Namespace     string       // of the MeshPeers and of the node
	AllNamespaces bool         // for /api/v1/peers: of every namespace
	Via           Via          // empty: Auto
	UserAgent     string

	// Warning is told what the API server warns of, in the words of its answers.
	Warning func(text string)
	// NotLive is told, once, why an answer is made of MeshPeers alone although others were asked for: an error of this
	// package.
	NotLive func(namespace string, why error)
	// Elsewhere is told, once, that the namespace has no MeshPeers, and which ones have some.
	Elsewhere func(namespaces []string)
}

// Cluster answers requests to the API of a node. It is an http.RoundTripper, safe for concurrent use. The host of a
// request does not matter.
type Cluster struct {
	cfg     Config
	rest    *rest.Config
	dynamic dynamic.Interface
	http    *http.Client // with the credentials, without a deadline of its own

	telling sync.Mutex // held while a function of the caller runs
	told    map[string]bool

	mu    sync.Mutex
	nodes map[string]*node // by namespace
	list  list
}

// Open prepares the client. It sends no request.
func Open(cfg Config) (*Cluster, error) {
	if cfg.REST == nil || cfg.Namespace == "" {
		return nil, errors.New("open a cluster: credentials and namespace are required")
	}
	if cfg.Via == "" {
		cfg.Via = Auto
	}
	if !slices.Contains(Vias(), string(cfg.Via)) {
		return nil, errors.New("open a cluster: there is no such way to the node")
	}
	c := &Cluster{cfg: cfg, rest: rest.CopyConfig(cfg.REST), told: map[string]bool{}, nodes: map[string]*node{}}
	c.rest.UserAgent = cfg.UserAgent
	c.rest.QPS = -1 // a person's questions; the API server's own fairness decides
	c.rest.WarningHandler = warner{c}
	c.rest.WarningHandlerWithContext = nil
	var err error
	if c.dynamic, err = dynamic.NewForConfig(c.rest); err != nil {
		return nil, plainError{err}
	}
	streams := rest.CopyConfig(c.rest)
	streams.Timeout = 0 // --request-timeout is for questions, not for what goes on and on
	if c.http, err = rest.HTTPClientFor(streams); err != nil {
		return nil, plainError{err}
	}
	return c, nil
}

// warner hands the API server's warnings on.
type warner struct{ c *Cluster }

// warningCode is that of every warning that Kubernetes sends (RFC 7234, 5.5.7).
const warningCode = 299

func (w warner) HandleWarningHeader(code int, _ string, text string) {
	if code == warningCode && text != "" && w.c.cfg.Warning != nil {
		w.c.once("warning "+text, func() { w.c.cfg.Warning(line(text)) })
	}
}

// once calls f unless something was told under that name before.
func (c *Cluster) once(name string, f func()) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if !c.told[name] {
		c.told[name] = true
		f()
	}
}

// RoundTrip answers a request to the API of the node. Errors are those of this package, or that of the request's
// context. It keeps nothing of the request.
func (c *Cluster) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		switch req.URL.Path {
		case "/api/v1/peers":
			return c.peers(req)
		case "/api/v1/status":
			return c.status(req)
		}
	}
	return c.node(c.cfg.Namespace).roundTrip(req, fresh)
}

// node is the live one of a namespace.
func (c *Cluster) node(namespace string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[namespace]
	if n == nil {
		n = &node{c: c, namespace: namespace}
		c.nodes[namespace] = n
	}
	return n
}

// CloseIdleConnections ends every connection: http.Client and admin.Client call it when they are closed. Later
// requests open new ones.
func (c *Cluster) CloseIdleConnections() {
	c.mu.Lock()
	nodes := c.nodes
	c.nodes = map[string]*node{}
	c.mu.Unlock()
	for _, n := range nodes {
		n.close()
	}
	utilnet.CloseIdleConnectionsFor(c.http.Transport) // client-go shares it with the dynamic client
}

// host names the API server in errors.
func (c *Cluster) host() string { return line(c.rest.Host) }

// openTime is what finding and connecting may take where the request itself sets no deadline.
const openTime = 10 * time.Second

// part returns a context for the first of two steps that share a deadline: half of what is left, at most openTime.
func part(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := openTime
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	return context.WithTimeout(ctx, limit)
}
