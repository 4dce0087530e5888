package kubetest_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// TestStandIn reaches a pod that consists of two servers of this machine, as kubectl reaches any: one port by its
// address, the other by a port-forward only. Then its machine is gone.
func TestStandIn(t *testing.T) {
	t.Parallel()
	s := kubetest.Start(t, kubetest.Name("pods"), kubetest.Pods())
	ns := s.Namespace(t)
	web := func(text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) }))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	pod := s.StandIn(t, &kubetest.StandIn{Namespace: ns, Name: "one", Labels: map[string]string{"a": "b"},
		Ports: map[int]string{3000: web("by its address")}, Loopback: map[int]string{3001: web("by a port-forward")}})
	if got := s.Kubectl(t, "-n", ns, "get", "pods", "-l", "a=b", "-o", "jsonpath={.items[*].metadata.name} {.items[*].status.phase}"); got != "one Running" {
		t.Errorf("kubectl sees %q", got)
	}
	proxied := "/api/v1/namespaces/" + ns + "/pods/one:%d/proxy/"
	if got := s.Kubectl(t, "get", "--raw", fmt.Sprintf(proxied, 3000)); got != "by its address" {
		t.Errorf("the proxy answers %q", got)
	}
	if _, _, err := s.TryKubectl(t, "get", "--raw", fmt.Sprintf(proxied, 3001)); err == nil {
		t.Error("the port of loopback is reached by the pod's address")
	}

	forward := exec.Command(kubetest.Tool(t, "kubectl"), "--kubeconfig", s.Kubeconfig(t), "-n", ns, "port-forward", "pod/one", ":3001")
	forward.Stderr = os.Stderr
	out, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = forward.Process.Kill() // it may have ended with the pod
		_ = forward.Wait()
	}()
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(first)
	for range 3 {
		resp, err := http.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(text) != "by a port-forward" {
			t.Errorf("the port-forward answers %q, %v", text, err)
		}
	}
	if n := pod.Forwards(); n != 1 {
		t.Errorf("%d port-forwards, want 1", n)
	}

	pod.Cut()
	if _, errs, err := s.TryKubectl(t, "get", "--raw", fmt.Sprintf(proxied, 3000)); err == nil || !strings.Contains(errs, "error trying to reach service") {
		t.Errorf("a machine that is gone: %v %s", err, errs)
	}
	if out := s.Kubectl(t, "-n", ns, "get", "pods"); !strings.Contains(out, "Running") {
		t.Errorf("the API server shows\n%s", out)
	}
}
