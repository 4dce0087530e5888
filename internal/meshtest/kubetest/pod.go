package kubetest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// accountFolder is where a pod finds who it is. Clients know the path by heart.
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// Pod says what a process finds around it that is started as the kubelet would start a container's.
type Pod struct {
	Namespace      string
	ServiceAccount string

	// Mounts are files and folders of this machine by the absolute path at which the process finds them. What is
	// there on the machine is hidden, for the process only. They can be written.
	Mounts map[string]string
}

// ServiceAccountToken has the server issue a token for a service account, valid for one hour, for the API server's
// audience.
func (s *Server) ServiceAccountToken(t testing.TB, namespace, name string) string {
	t.Helper()
	path := "/api/v1/namespaces/" + url.PathEscape(namespace) + "/serviceaccounts/" + url.PathEscape(name) + "/token"
	status, answer := s.Do(t, http.MethodPost, path,
		`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}`)
	if status != http.StatusCreated {
		t.Fatalf("token of service account %s/%s: status %d: %s", namespace, name, status, answer)
	}
	var request struct{ Status struct{ Token string } }
	if err := json.Unmarshal(answer, &request); err != nil {
		t.Fatalf("token of service account %s/%s: %v", namespace, name, err)
	}
	return request.Status.Token
}

// InPod returns a command, not started, that finds itself in a pod of this cluster: the folder of its service account
// with token, authority and namespace, the mounts, and an environment of the API server's address and PATH only. The
// command may be changed as any other, but for Path, Args and SysProcAttr; it dies with the test's program. The file
// system is the machine's otherwise, and the machine sees none of it: the process has mounts of its own.
//
// That takes root with CAP_SYS_ADMIN and a TestMain that calls [Main] or [Run]. Where the machine doesn't let us, InPod
// says NOT RUN in the test's log and returns false: the test has nothing to show there, and returns.
func (s *Server) InPod(t testing.TB, pod Pod, path string, args ...string) (*exec.Cmd, bool) {
	t.Helper()
	if !podsPossible(t) {
		return nil, false
	}
	host, port, ok := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	if !ok {
		t.Fatalf("%s has no port", s.URL)
	}
	path, err := exec.LookPath(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	account := t.TempDir()
	for name, text := range map[string]string{
		"token":     s.ServiceAccountToken(t, pod.Namespace, pod.ServiceAccount),
		"ca.crt":    string(s.CAData),
		"namespace": pod.Namespace,
	} {
		if err := os.WriteFile(filepath.Join(account, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	room := room{Root: t.TempDir(), Mounts: map[string]string{accountFolder: account}}
	for target, source := range pod.Mounts {
		room.Mounts[target] = source
	}
	cmd, err := room.command(path, args...)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env,
		"PATH="+os.Getenv("PATH"),
		"KUBERNETES_SERVICE_HOST="+host,
		"KUBERNETES_SERVICE_PORT="+port,
	)
	return cmd, true
}

// podsPossible says whether this machine lets us have mounts of our own. It tries.
func podsPossible(t testing.TB) bool {
	t.Helper()
	if !roomsWork {
		t.Fatal("pods need func TestMain(m *testing.M) { kubetest.Main(m) }")
	}
	cmd, err := (&room{Root: t.TempDir()}).command("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, roomTrial+"=1")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return true
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSYS), exitCode(err) == roomRefused:
		t.Logf("NOT RUN: %s: a pod's own mounts need root with CAP_SYS_ADMIN: %v %s", t.Name(), err, out)
		return false
	}
	t.Fatalf("mounts of our own: %v\n%s", err, out)
	return false
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}
