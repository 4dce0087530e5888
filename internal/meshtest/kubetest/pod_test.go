package kubetest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// look prints what a process finds around it.
const look = `
cd /var/run/secrets/kubernetes.io/serviceaccount
ls
cat namespace; echo
cat /data/of/a/chart/file
echo written > /data/of/a/chart/back
env | sort
ls -d /etc /tmp /proc/self/exe
`

func TestInPod(t *testing.T) {
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	s.Kubectl(t, "create", "serviceaccount", "mesh", "-n", ns)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("mounted\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := machine(t)
	pod := kubetest.Pod{Namespace: ns, ServiceAccount: "mesh", Mounts: map[string]string{"/data/of/a/chart": folder}}
	sh, ok := s.InPod(t, pod, "sh", "-c", look)
	if !ok {
		return
	}
	sh.Env = append(sh.Env, "ADDED=1")
	sh.Dir = folder
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	lines := strings.Split(string(out), "\n")
	for _, line := range []string{"ca.crt", "namespace", "token", ns, "mounted", "ADDED=1",
		"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port, "/etc", "/tmp", "/proc/self/exe"} {
		if !slices.Contains(lines, line) {
			t.Errorf("it does not see %s in\n%s", line, out)
		}
	}
	if strings.Contains(string(out), "KUBETEST") || strings.Contains(string(out), "HOME=") {
		t.Errorf("it sees the test's environment:\n%s", out)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "back")); err != nil || string(text) != "written\n" {
		t.Errorf("what it wrote to a mount: %q, %v", text, err)
	}

	// kubectl finds the cluster as any client in a pod does.
	whoami, ok := s.InPod(t, pod, kubetest.Tool(t, "kubectl"), "auth", "whoami", "-o", "json")
	if !ok {
		t.Fatal("the second pod is not possible")
	}
	out, err = whoami.Output()
	if err != nil {
		t.Fatalf("kubectl: %v\n%s", err, out)
	}
	var review struct {
		Status struct{ UserInfo struct{ Username string } }
	}
	if err := json.Unmarshal(out, &review); err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + ns + ":mesh"; review.Status.UserInfo.Username != want {
		t.Errorf("it is %q, want %q", review.Status.UserInfo.Username, want)
	}
	if after := machine(t); after != before {
		t.Errorf("on the machine is now\n%s\nthere was\n%s", after, before)
	}
}

// machine describes what InPod must not touch.
func machine(t *testing.T) string {
	t.Helper()
	var seen strings.Builder
	for _, path := range []string{"/data", "/var/run/secrets", "/var/run/secrets/kubernetes.io/serviceaccount/token"} {
		_, err := os.Lstat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		seen.WriteString(path + ": " + map[bool]string{true: "there", false: "absent"}[err == nil] + "\n")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "serviceaccount") || strings.Contains(line, "/data") || strings.Contains(line, " room ") {
			seen.WriteString(line)
		}
	}
	return seen.String()
}
