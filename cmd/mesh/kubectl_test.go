package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeCluster is an API server with MeshPeers in the namespace mesh-system, as far as people without other rights ask it.
type fakeCluster struct {
	peers   []any
	missing bool // it knows no MeshPeers
}

// Public keys of the test vectors 1 to 3 of RFC 8032.
const (
	eastPublic = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	westPublic = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	labPublic  = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
)

func newFakeCluster() *fakeCluster {
	c := &fakeCluster{}
	stamp := func(d time.Duration) string { return before(d).Format(time.RFC3339) }
	for _, p := range []struct {
		key, zone, state, ready, reason, connected, endpoint string
		seen, age                                            time.Duration
	}{
		{eastPublic, "east", "Ready", "True", "Running", "Self", "east.example:9102", time.Second, 12 * 24 * time.Hour},
		{westPublic, "west", "Ready", "True", "Connected", "Connected", "203.0.113.20:9102", 30 * time.Second, 3 * 24 * time.Hour},
		{labPublic, "lab", "Unavailable", "False", "TimedOut", "NotConnected", "192.0.2.44:9102", 9 * time.Minute, 12 * 24 * time.Hour},
	} {
		c.peers = append(c.peers, map[string]any{"apiVersion": "dcp.hiro.io/v1", "kind": "MeshPeer",
			"metadata": map[string]any{"name": "peer-" + p.key[:8], "namespace": "mesh-system", "creationTimestamp": stamp(p.age)},
			"spec":     map[string]any{"identity": map[string]any{"publicKey": p.key, "endpoints": []any{p.endpoint}}},
			"status": map[string]any{"status": p.state, "zone": p.zone, "version": "0.4.0", "lastSeen": stamp(p.seen), "updateTime": time.Now().UTC().Format(time.RFC3339),
				"instance": map[string]any{"zone": p.zone, "start_time": stamp(p.age), "start_timestamp": before(p.age).UnixMilli()},
				"conditions": []any{
					map[string]any{"type": "Ready", "status": p.ready, "reason": p.reason, "lastTransitionTime": stamp(p.seen)},
					map[string]any{"type": "Connected", "status": p.ready, "reason": p.connected},
					map[string]any{"type": "Synced", "status": "True", "reason": "InSync"},
				}}})
	}
	return c
}

// ServeHTTP answers as an API server does to the users viewer, who reads MeshPeers, and nobody, who may do nothing.
func (c *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	resource, namespace := parts[len(parts)-1], ""
	if len(parts) > 3 && parts[len(parts)-3] == "namespaces" {
		namespace = parts[len(parts)-2]
	}
	refuse := func(code int, reason, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
	}
	group := ""
	if resource == "meshpeers" {
		group = "dcp.hiro.io"
	}
	switch {
	case user != "viewer" && user != "nobody":
		refuse(http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	case resource == "meshpeers" && c.missing:
		refuse(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	case user == "nobody" || resource != "meshpeers":
		where := ` at the cluster scope`
		if namespace != "" {
			where = fmt.Sprintf(" in the namespace %q", namespace)
		}
		refuse(http.StatusForbidden, "Forbidden", fmt.Sprintf(`%s is forbidden: User %q cannot list resource %q in API group %q%s`, resource, user, resource, group, where))
	default:
		items := []any{}
		if namespace == "" || namespace == "mesh-system" {
			items = c.peers
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "MeshPeerList", "apiVersion": "dcp.hiro.io/v1", "metadata": map[string]any{}, "items": items})
	}
}

// kubeconfig makes contexts for the users, and one whose cluster is gone.
func (c *fakeCluster) kubeconfig(t *testing.T) (file, address string) {
	t.Helper()
	server := httptest.NewTLSServer(c) // tokens are sent to nobody else
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	gone := httptest.NewTLSServer(c)
	gone.Close()
	text := fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: viewer
clusters:
- {name: here, cluster: {server: %q, insecure-skip-tls-verify: true}}
- {name: gone, cluster: {server: %q}}
users:
- {name: viewer, user: {token: viewer}}
- {name: nobody, user: {token: nobody}}
- {name: unknown, user: {token: unknown}}
contexts:
- {name: viewer, context: {cluster: here, user: viewer, namespace: mesh-system}}
- {name: nobody, context: {cluster: here, user: nobody, namespace: mesh-system}}
- {name: unknown, context: {cluster: here, user: unknown}}
- {name: gone, context: {cluster: gone, user: viewer}}
`, server.URL, gone.URL)
	file = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimPrefix(gone.URL, "https://")
}

// TestKubectlTranscript shows what kubectl mesh prints to people with few rights, and to those who mistake something.
func TestKubectlTranscript(t *testing.T) {
	cluster := newFakeCluster()
	file, gone := cluster.kubeconfig(t)
	t.Setenv("KUBECONFIG", file)
	var b bytes.Buffer
	call := func(program string, args ...string) {
		te := inspectEnv(t)
		code := run(context.Background(), append([]string{program}, args...), te.env)
		fmt.Fprintf(&b, "$ %s\n%s", strings.Join(append([]string{strings.ReplaceAll(program, "-", " ")}, args...), " "), te.stdout.String())
		if code != 0 {
			fmt.Fprintf(&b, "exit %d\n", code)
		}
		for l := range strings.Lines(te.stderr.String()) {
			fmt.Fprintf(&b, "! %s", l)
		}
	}
	for _, line := range []string{
		"", "peers", "peers -o wide", "peers -o name", "peers -A", "peers -o json west", "peers --via none", "peers describe lab", "status", "status -o json",
		"-n default peers", "-n default status", "invite", "log ls --via none", "--context nobody peers", "--context unknown peers -o json",
		"--context gone peers", "--context viewr peers", "--kubeconfig /nowhere/config peers", "peers nobody", "peers --node unix:x -n y", "help MESH-3901",
		"peers describe --help",
	} {
		call("kubectl-mesh", strings.Fields(line)...)
	}
	cluster.missing = true
	call("kubectl-mesh", "peers")
	cluster.missing = false
	for _, line := range []string{"-n mesh-system peers", "peers -A", "run --kubeconfig x --context y", "-n x keygen", "--kube peers", "--context viewer peers nobody"} {
		call("mesh", strings.Fields(line)...)
	}
	golden(t, "kubectl", strings.ReplaceAll(b.String(), gone, "127.0.0.1:1"))
}

// TestKubectlCompletion is called as kubectl calls it for completion.
func TestKubectlCompletion(t *testing.T) {
	file, _ := newFakeCluster().kubeconfig(t)
	t.Setenv("KUBECONFIG", file)
	for line, want := range map[string]string{
		"peers --context ": "gone\nnobody\nunknown\nviewer\n", "peers --user ": "nobody\nunknown\nviewer\n", "peers --cluster ": "gone\nhere\n",
		"peers --via ": "auto\nport-forward\nproxy\nnone\n", "peers -n ": "", "peers describe ": "west\nlab\n",
	} {
		te := inspectEnv(t)
		words := strings.Split(line, " ")
		code := run(context.Background(), append([]string{"/usr/bin/kubectl_complete-mesh.exe"}, words...), te.env)
		var got strings.Builder
		for l := range strings.Lines(te.stdout.String()) {
			if value, _, _ := strings.Cut(strings.TrimSpace(l), "\t"); !strings.HasPrefix(value, ":") {
				got.WriteString(value + "\n")
			}
		}
		if code != 0 || got.String() != want {
			t.Errorf("%q completes to %q, want %q", line, got.String(), want)
		}
	}
}

// TestAsCalled rewrites commands for the name by which the program was called, and nothing else.
func TestAsCalled(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.plugin = true
	root := newRootCmd(te.env)
	if err := root.ParseFlags([]string{"-n", "a b", "--context", "kind-east"}); err != nil {
		t.Fatal(err)
	}
	const flags = ` --context kind-east -n 'a b'`
	for text, want := range map[string]string{
		"mesh status --wait":                        "kubectl mesh" + flags + " status --wait",
		"see it: mesh peers describe lab":           "see it: kubectl mesh" + flags + " peers describe lab",
		"mesh help MESH-3001":                       "kubectl mesh help MESH-3001",
		"mesh join TOKEN --zone west":               "mesh join TOKEN --zone west",
		"on lab run: mesh status":                   "on lab run: mesh status",
		"on the node's machine: mesh log show":      "on the node's machine: mesh log show",
		"kubectl mesh -n x peers":                   "kubectl mesh -n x peers",
		"/usr/bin/mesh status, the mesh status bar": "/usr/bin/mesh status, the kubectl mesh" + flags + " status bar",
		"mesh peers; mesh peers":                    "kubectl mesh" + flags + " peers; kubectl mesh" + flags + " peers",
		"":                                          "",
	} {
		if got := te.asCalled(text); got != want {
			t.Errorf("asCalled(%q) = %q, want %q", text, got, want)
		}
	}
	if got := newTestEnv(t).asCalled("mesh peers"); got != "mesh peers" {
		t.Errorf("called as mesh it is %q", got)
	}
}
