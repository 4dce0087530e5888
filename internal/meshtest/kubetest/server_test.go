package kubetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// victim is the environment variable that makes this test's program one that starts a server and is killed.
const victim = "KUBETEST_VICTIM"

func TestMain(m *testing.M) {
	kubetest.Main(m)
}

func configMap(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"a":"1"}}`, name)
}

func want(t *testing.T, status int, answer []byte, expected int) {
	t.Helper()
	if status != expected {
		t.Fatalf("status %d, want %d: %s", status, expected, answer)
	}
}

// do asks as the administrator and wants a status.
func do(t *testing.T, s *kubetest.Server, method, path, body string, expected int) []byte {
	t.Helper()
	status, answer := s.Do(t, method, path, body)
	want(t, status, answer, expected)
	return answer
}

func TestSharedServer(t *testing.T) {
	s := kubetest.Shared(t)
	if again := kubetest.Shared(t); again != s {
		t.Error("the second to ask gets another server")
	}
	ns := s.Namespace(t)
	if other := s.Namespace(t); other == ns {
		t.Errorf("two namespaces are named %s", ns)
	}
	var version struct{ GitVersion, Major, Minor string }
	if err := json.Unmarshal(do(t, s, http.MethodGet, "/version", "", 200), &version); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version.GitVersion, "v1.") || version.Major != "1" || version.Minor == "" {
		t.Errorf("the server says that it is %+v", version)
	}
	do(t, s, http.MethodPost, "/api/v1/namespaces/"+ns+"/configmaps", configMap("hello"), 201)
	if got := s.Kubectl(t, "get", "configmaps", "-n", ns, "-o", "name"); got != "configmap/hello\n" {
		t.Errorf("kubectl sees %q", got)
	}
	if _, stderr, err := s.TryKubectl(t, "get", "configmap", "missing", "-n", ns); err == nil || !strings.Contains(stderr, "NotFound") {
		t.Errorf("kubectl about a missing object: %v, %q", err, stderr)
	}
}

func TestUserHasNoRightsButThoseGiven(t *testing.T) {
	s := kubetest.SharedAs(t, "users", kubetest.User("alice"), kubetest.Audit())
	ns := s.Namespace(t)
	path := "/api/v1/namespaces/" + ns + "/configmaps"
	token := s.UserToken(t, "alice")
	status, answer := s.As(token).Do(t, http.MethodGet, path, nil)
	want(t, status, answer, 403)
	status, answer = s.As("").Do(t, http.MethodGet, path, nil)
	want(t, status, answer, 403)
	status, answer = s.As("a-wrong-token").Do(t, http.MethodGet, path, nil)
	want(t, status, answer, 401)

	s.Kubectl(t, "create", "role", "reader", "-n", ns, "--verb=list", "--resource=configmaps")
	s.Kubectl(t, "create", "rolebinding", "reader", "-n", ns, "--role=reader", "--user=alice")
	eventually(t, "alice may read", func() error {
		if status, answer := s.As(token).Do(t, http.MethodGet, path, nil); status != 200 {
			return fmt.Errorf("status %d: %s", status, answer)
		}
		return nil
	})
	kubeconfig := s.KubeconfigFor(t, token, ns)
	if got := s.Kubectl(t, "--kubeconfig", kubeconfig, "get", "configmaps", "-o", "name"); got != "" {
		t.Errorf("alice sees %q, want nothing", got)
	}
	if _, stderr, err := s.TryKubectl(t, "--kubeconfig", kubeconfig, "create", "configmap", "a"); err == nil || !strings.Contains(stderr, "is forbidden") {
		t.Errorf("alice creates: %v, %q", err, stderr)
	}
	log, err := os.ReadFile(s.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"username":"alice"`) {
		t.Error("the audit log does not name alice")
	}
}

// TestKillRestoreRebuild takes one server through all that a cluster may suffer.
func TestKillRestoreRebuild(t *testing.T) {
	t.Parallel()
	s := kubetest.Start(t, kubetest.Name("east"))
	const path = "/api/v1/namespaces/default/configmaps"
	do(t, s, http.MethodPost, path, configMap("first"), 201)

	s.KillAPIServer(t)
	if c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "https://")); err == nil {
		c.Close()
		t.Error("a dead API server takes connections")
	}
	s.StartAPIServer(t)
	do(t, s, http.MethodGet, path+"/first", "", 200)

	s.PauseAPIServer(t)
	if _, _, err := s.TryKubectl(t, "get", "configmaps", "--request-timeout=1s"); err == nil {
		t.Error("a paused API server answers")
	}
	s.ResumeAPIServer(t)
	do(t, s, http.MethodGet, path+"/first", "", 200)

	s.KillEtcd(t)
	if _, _, err := s.TryKubectl(t, "create", "configmap", "lost", "--request-timeout=1s"); err == nil {
		t.Error("the API server writes without its store")
	}
	s.StartEtcd(t)
	eventually(t, "the API server has its store again", func() error {
		if status, answer := s.Do(t, http.MethodGet, path+"/first", ""); status != 200 {
			return fmt.Errorf("it answers %d %s", status, answer)
		}
		return nil
	})

	kept := s.Snapshot(t)
	do(t, s, http.MethodPost, path, configMap("second"), 201)
	do(t, s, http.MethodDelete, path+"/first", "", 200)
	s.Restore(t, kept)
	do(t, s, http.MethodGet, path+"/first", "", 200)
	do(t, s, http.MethodGet, path+"/second", "", 404)

	s.Rebuild(t)
	do(t, s, http.MethodGet, path+"/first", "", 404)
	do(t, s, http.MethodPost, path, configMap("first"), 201)
}

// TestDiesWithTheTest kills a test's program as the kernel or a person would: nothing stays behind.
func TestDiesWithTheTest(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), victim+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		address, _ = strings.CutPrefix(lines.Text(), "listens at ")
		if address == lines.Text() {
			address = ""
		}
	}
	if address == "" {
		t.Fatal("the program that is to be killed starts no server")
	}
	if c, err := net.Dial("tcp", address); err != nil {
		t.Errorf("while its test runs: %v", err)
	} else {
		c.Close()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the server is gone", func() error {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return nil
		}
		c.Close()
		return fmt.Errorf("it listens")
	})
}

// TestVictim is the program that [TestDiesWithTheTest] kills, and nothing by itself.
func TestVictim(t *testing.T) {
	if os.Getenv(victim) == "" {
		return
	}
	s := kubetest.Start(t)
	fmt.Printf("\nlistens at %s\n", strings.TrimPrefix(s.URL, "https://"))
	<-context.Background().Done()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
