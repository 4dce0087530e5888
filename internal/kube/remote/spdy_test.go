package remote_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/kube/remote"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// TestSPDY has a proxy on the way, or an old API server, that knows no WebSocket.
func TestSPDY(t *testing.T) {
	t.Parallel()
	l := &live{ended: make(chan struct{}, 1)}
	node := httptest.NewServer(l)
	t.Cleanup(node.Close)
	pod := &kubetest.StandIn{Name: "mesh-0", Namespace: "ns", Loopback: map[int]string{4001: node.Listener.Addr().String()}}
	var sockets, streams atomic.Int32
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/prefix/api/v1/namespaces/ns/pods":
			fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"kind":"Pod","apiVersion":"v1","metadata":{"name":"mesh-0","namespace":"ns"},
				"spec":{"containers":[{"ports":[{"name":"api","containerPort":4001},{"name":"http","containerPort":70000}]}]},"status":{"phase":"Running"}}]}`)
		case r.URL.Path == "/prefix/api/v1/namespaces/ns/pods/mesh-0/portforward" && r.Header.Get("Upgrade") == "websocket":
			sockets.Add(1)
			http.Error(w, "what is a WebSocket?", http.StatusBadRequest)
		case r.URL.Path == "/prefix/api/v1/namespaces/ns/pods/mesh-0/portforward" && r.Method == http.MethodPost:
			streams.Add(1)
			kubetest.ServeForward(w, r, pod)
		default:
			w.Header().Set("Warning", `299 - "there is nothing at `+r.URL.Path+`"`)
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		}
	}))
	t.Cleanup(api.Close)
	var authority bytes.Buffer
	if err := pem.Encode(&authority, &pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	a := asks(t, &rest.Config{Host: api.URL + "/prefix", BearerToken: "x", TLSClientConfig: rest.TLSClientConfig{CAData: authority.Bytes()}}, "ns")
	for range 3 {
		if _, text, err := a.send(http.MethodGet, "/api/v1/status", ""); err != nil || !strings.Contains(text, `"zone":"east"`) {
			t.Fatalf("%s, %v", text, err)
		}
	}
	if sockets.Load() != 1 || streams.Load() != 1 {
		t.Errorf("%d attempts by WebSocket, %d by SPDY", sockets.Load(), streams.Load())
	}
	// The cluster knows no MeshPeers: the node alone answers, and its warning comes once.
	for range 2 {
		if got := names(a.peers()); !strings.Contains(got, "west Ready live") {
			t.Errorf("peers are %s", got)
		}
	}
	a.told("the cluster serves no MeshPeers")
	if len(a.warnings) != 1 || a.warnings[0] != "there is nothing at /prefix/apis/dcp.hiro.io/v1/namespaces/ns/meshpeers" {
		t.Errorf("warnings are %q", a.warnings)
	}
}

// FuzzRefusal reads what an API server says: errors are one line that is fit for a terminal, and so are the commands in
// them.
func FuzzRefusal(f *testing.F) {
	f.Add(403, `meshpeers is forbidden: User "bob" cannot list resource "meshpeers" in API group "dcp.hiro.io" in the namespace "ns"`)
	f.Add(403, "User \"\x1b[2J\" cannot \u202eget resource \"pods/\nportforward\" in API group \"\"")
	f.Add(401, "Unauthorized\r\n")
	f.Add(500, strings.Repeat("x", 10_000))
	f.Add(200, "{")
	f.Fuzz(func(t *testing.T, code int, message string) {
		if code < 200 || code > 599 || code == http.StatusTooManyRequests { // that one is tried again, for a while
			return
		}
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			reason := map[int]string{401: "Unauthorized", 403: "Forbidden"}[code]
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, reason, code, message)
		}))
		defer api.Close()
		a := asks(t, &rest.Config{Host: api.URL}, "ns", via(remote.None))
		_, text, err := a.send(http.MethodGet, "/api/v1/peers", "")
		if err == nil {
			return // an empty list
		}
		words := err.Error()
		if refused, ok := asForbidden(err); ok {
			words += refused.CanI()
		}
		if len(words) > 2000 || strings.ContainsAny(words, "\n\r\x1b\u202e") {
			t.Errorf("%d %q: %q %s", code, message, words, text)
		}
	})
}
