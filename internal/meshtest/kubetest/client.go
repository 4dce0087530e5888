package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// Client asks the server over plain HTTP, as whoever a token is of.
type Client struct {
	s     *Server
	token string
}

// As returns a client of another user. The empty token is of nobody: system:anonymous.
func (s *Server) As(token string) *Client { return &Client{s: s, token: token} }

// Do is [Client.Do] of the administrator.
func (s *Server) Do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	return s.As(s.Token).Do(t, method, path, body)
}

// Do sends a request and returns the status and the body of the answer, whatever they are. The path begins with
// /, the body is JSON as string or bytes, a value to encode, or nil. PATCH is a JSON merge patch.
func (c *Client) Do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also in a cleanup, where t's has ended
	defer cancel()
	status, answer, err := c.send(ctx, method, c.s.URL+path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

func (c *Client) send(ctx context.Context, method, url string, body any) (int, []byte, error) {
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	case []byte:
		payload = b
	default:
		var err error
		if payload, err = json.Marshal(b); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	res, err := c.s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// UserToken returns the token of a user that the option [User] added.
func (s *Server) UserToken(t testing.TB, name string) string {
	t.Helper()
	for _, u := range s.config.users {
		if u.name == name {
			return u.token
		}
	}
	t.Fatalf("%s knows no user %s: add one with kubetest.User", s.Name, name)
	return ""
}

var (
	namespaces atomic.Int64
	notDNS     = regexp.MustCompile(`[^a-z0-9]+`)
)

// Namespace creates a namespace for a test and returns its name: the test's, and a number. It stays: no controller
// would end its end.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	name := strings.Trim(notDNS.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	name = fmt.Sprintf("%.40s-%d", name, namespaces.Add(1))
	status, answer := s.Do(t, http.MethodPost, "/api/v1/namespaces", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	})
	if status != http.StatusCreated {
		t.Fatalf("create namespace %s: status %d: %s", name, status, answer)
	}
	return name
}

// Kubeconfig writes a kubeconfig file for the administrator and returns its path.
func (s *Server) Kubeconfig(t testing.TB) string {
	t.Helper()
	return s.KubeconfigFor(t, s.Token, "")
}

// KubeconfigFor writes a kubeconfig file for whoever a token is of and returns its path. Its one context is named as
// the server, its default namespace may be empty.
func (s *Server) KubeconfigFor(t testing.TB, token, namespace string) string {
	t.Helper()
	type object = map[string]any
	text, err := json.MarshalIndent(object{ // JSON is YAML
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": s.Name,
		"clusters":        []any{object{"name": s.Name, "cluster": object{"server": s.URL, "certificate-authority-data": s.CAData}}},
		"users":           []any{object{"name": s.Name, "user": object{"token": token}}},
		"contexts":        []any{object{"name": s.Name, "context": object{"cluster": s.Name, "user": s.Name, "namespace": namespace}}},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Kubectl runs kubectl as the administrator and returns what it printed. A failure of it fails the test; see
// [Server.TryKubectl].
func (s *Server) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	stdout, stderr, err := s.TryKubectl(t, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// TryKubectl runs kubectl as the administrator and returns what it printed to both streams, and an error if it failed.
// Another --kubeconfig among the arguments wins.
func (s *Server) TryKubectl(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, Tool(t, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig(t), "KUBECACHEDIR="+s.path("kubectl"))
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
