package charttest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// other is the node of another zone, in another cluster, that may do everything there.
type other struct {
	*process
	t       *testing.T
	server  *kubetest.Server
	dir     string
	public  string
	port    int
	config  map[string]any
	program string
}

// newOther prepares the node of zone west.
func newOther(t *testing.T, s *kubetest.Server, ns string, entries any) *other {
	t.Helper()
	o := &other{t: t, server: s, dir: t.TempDir(), port: porttest.Free(t), program: mesh(t)}
	out, errs, code := o.cli("keygen", "-q", o.at("private.key"))
	if code == 0 {
		out, errs, code = o.cli("keygen", "--public", o.at("private.key"), "-o", "json")
	}
	var key keyDocument
	if err := json.Unmarshal([]byte(out), &key); err != nil || code != 0 {
		t.Fatalf("mesh keygen: exit code %d, %v: %s%s", code, err, out, errs)
	}
	o.public = key.PublicKey
	o.config = map[string]any{
		"bind_port": o.port, "http_bind_port": porttest.Free(t),
		"bind_address": []string{"127.0.0.1"}, "http_bind_address": "127.0.0.1", "heartbeat_interval_seconds": 1,
		"network_id": ns, "private_key_path": o.at("private.key"), "data_dir": o.at("data"),
		"kubernetes": map[string]any{"external": map[string]any{"kube_context": s.Name}, "namespace": ns},
		"mesh":       map[string]any{"zone": "west", "resources": entries},
	}
	return o
}

func (o *other) at(name string) string { return filepath.Join(o.dir, name) }

// knows admits the node of an installation.
func (o *other) knows(i *installation) {
	o.config["nodes"] = []any{map[string]any{"public_key": i.public, "zone": "east", "endpoints": []string{fmt.Sprintf("127.0.0.1:%d", i.port("p2p-udp"))}}}
}

// entry is how others list this node.
func (o *other) entry() map[string]any {
	return map[string]any{"public_key": o.public, "zone": "west", "endpoints": []string{fmt.Sprintf("127.0.0.1:%d", o.port)}}
}

func (o *other) start() {
	o.t.Helper()
	if err := os.WriteFile(o.at("config.yaml"), []byte(encode(o.t, o.config)), 0o600); err != nil { // JSON is YAML
		o.t.Fatal(err)
	}
	o.process = start(o.t, o.at("log"), o.command("run", "-c", o.at("config.yaml")))
}

func (o *other) command(args ...string) *exec.Cmd {
	cmd := exec.Command(o.program, args...)
	cmd.Dir = o.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir, "KUBECONFIG=" + o.server.Kubeconfig(o.t)}
	return cmd
}

func (o *other) cli(args ...string) (stdout, stderr string, code int) {
	o.t.Helper()
	return run(o.t, o.command(args...))
}

// kind is how objects of a replicated kind are asked for.
type kind struct {
	group, version, plural string
	namespaced             bool
	body                   string // further fields of every object, as JSON members
}

var (
	configMapKind  = kind{"", "v1", "configmaps", true, ""}
	secretKind     = kind{"", "v1", "secrets", true, ""}
	deploymentKind = kind{"apps", "v1", "deployments", true, `,"spec":{"selector":{"matchLabels":{"a":"b"}},` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}`}
	gizmoKind = kind{"example.org", "v1", "gizmoes", true, ""}
	realmKind = kind{"example.org", "v1", "realms", false, ""}
)

const valueAnnotation = "example.org/value"

// path is where one object is, or with an empty name where all are.
func (k kind) path(ns, name string) string {
	p := "/apis/" + k.group + "/" + k.version
	if k.group == "" {
		p = "/api/" + k.version
	}
	if k.namespaced {
		p += "/namespaces/" + ns
	}
	return strings.TrimSuffix(p+"/"+k.plural+"/"+name, "/")
}

// create makes an object with a value.
func (k kind) create(t *testing.T, s *kubetest.Server, ns, name, value string) {
	t.Helper()
	body := fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{%q:%q}}%s}`, name, valueAnnotation, value, k.body)
	if k.group == "example.org" {
		body = `{"apiVersion":"example.org/v1","kind":"` + map[string]string{"gizmoes": "Gizmo", "realms": "Realm"}[k.plural] + `",` + body[1:]
	}
	if status, answer := s.Do(t, "POST", k.path(ns, ""), body); status != 201 {
		t.Fatalf("create %s on %s: status %d: %s", k.path(ns, name), s.Name, status, answer)
	}
}

// set gives an object another value.
func (k kind) set(t *testing.T, s *kubetest.Server, ns, name, value string) {
	t.Helper()
	body := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, valueAnnotation, value)
	if status, answer := s.Do(t, "PATCH", k.path(ns, name), body); status != 200 {
		t.Fatalf("change %s on %s: status %d: %s", k.path(ns, name), s.Name, status, answer)
	}
}

func (k kind) remove(t *testing.T, s *kubetest.Server, ns, name string) {
	t.Helper()
	if status, answer := s.Do(t, "DELETE", k.path(ns, name), nil); status != 200 {
		t.Fatalf("delete %s on %s: status %d: %s", k.path(ns, name), s.Name, status, answer)
	}
}

// has tells whether an object has a value now; the empty one: whether it doesn't exist.
func (k kind) has(t *testing.T, s *kubetest.Server, ns, name, value string) error {
	t.Helper()
	status, answer := s.Do(t, "GET", k.path(ns, name), nil)
	var o struct {
		Metadata struct{ Annotations map[string]string }
		Status   struct{ Phase string }
	}
	if status == 404 && value == "" {
		return nil
	}
	if err := json.Unmarshal(answer, &o); err != nil || status != 200 {
		return fmt.Errorf("%s on %s: status %d: %s", k.path(ns, name), s.Name, status, answer)
	}
	got := o.Metadata.Annotations[valueAnnotation]
	if phase, ok := strings.CutPrefix(value, "status "); ok {
		got, value = o.Status.Phase, phase
	}
	if value == "" || got != value {
		return fmt.Errorf("%s on %s has %q, want %q", k.path(ns, name), s.Name, got, value)
	}
	return nil
}

// comes waits until an object has a value, or with the empty one is gone.
func (k kind) comes(t *testing.T, s *kubetest.Server, ns, name, value string) {
	t.Helper()
	eventually(t, "replicated", func() error { return k.has(t, s, ns, name, value) })
}
