package charttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// prepared makes the namespaces that the values under ci name, once for all tests.
var prepared sync.Once

// cluster returns the API server of this package with those namespaces.
func cluster(t *testing.T) *kubetest.Server {
	t.Helper()
	s := kubetest.Shared(t)
	prepared.Do(func() {
		for _, ns := range []string{namespace, "shop", "blog"} {
			s.Kubectl(t, "create", "namespace", ns)
		}
	})
	return s
}

// Nothing is in what the chart renders that an API server doesn't know or take.
func TestAPIServerTakesIt(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := write(t, "all.yaml", render(t, "-f", file))
			out := s.Kubectl(t, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", manifest)
			if got, want := strings.Count(out, "serverside-applied"), len(objects(t, render(t, "-f", file))); got != want {
				t.Errorf("the API server took %d of %d objects:\n%s", got, want, out)
			}
		})
	}
}

// What helm install says at the end. It is asked with a server: without one helm renders for a version of its own.
func TestNotes(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, err := helm(t, "install", release, chart, "-n", namespace, "--dry-run=server", "--kubeconfig", s.Kubeconfig(t), "-f", file)
			if err != nil {
				t.Fatalf("helm install: %v\n%s", err, errs)
			}
			_, notes, found := strings.Cut(out, "\nNOTES:\n")
			if !found {
				t.Fatalf("helm install says nothing:\n%s", out)
			}
			if strings.Contains(notes, someKey) {
				t.Error("the notes hold the private key")
			}
			golden(t, name+".notes.txt", notes)
		})
	}
}

// Where the definition of MeshPeer is no release's, Helm wants to be told what to do with it.
func TestDefinitionIsThere(t *testing.T) {
	t.Parallel()
	s := kubetest.SharedAs(t, "west") // its node makes it
	ns := s.Namespace(t)
	definition, errs, code := run(t, exec.Command(mesh(t), "crd"))
	if code != 0 {
		t.Fatalf("mesh crd: %s", errs)
	}
	s.Kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", write(t, "crd.yaml", definition))
	for _, tt := range []struct {
		flag string
		want bool
	}{{"--wait=false", false}, {"--take-ownership", true}, {"--set=crds.enabled=false", true}} {
		_, errs, err := helm(t, "install", release, chart, "-n", ns, "--dry-run=server", "--kubeconfig", s.Kubeconfig(t), tt.flag)
		if (err == nil) != tt.want || err != nil && !strings.Contains(errs, "cannot be imported into the current release") {
			t.Errorf("helm install %s: %v\n%s", tt.flag, err, errs)
		}
	}
}

// The node accepts the config that the chart makes of any values.
func TestConfigIsValid(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := objects(t, render(t, "-f", file))
			text := only(t, all, "ConfigMap", nodeName(all)+"-config").str("data", "config.yaml")
			text = strings.ReplaceAll(text, "/run/mesh/key/private.key", write(t, "private.key", someKey))
			cmd := exec.Command(mesh(t), "run", "-c", write(t, "config.yaml", text), "--check-config")
			cmd.Env = []string{"NO_COLOR=1"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, text)
			}
		})
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// keyDocument is what mesh keygen -o json prints.
type keyDocument struct {
	PublicKey, Secret string
	File              *string
	Created           bool
}

// run runs a command and returns what it printed and its exit code.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// keygen runs mesh keygen as the administrator of a server.
func keygen(t *testing.T, kubeconfig string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(mesh(t), append([]string{"keygen"}, args...)...)
	cmd.Env = []string{"KUBECONFIG=" + kubeconfig, "NO_COLOR=1"}
	return run(t, cmd)
}

// secretKey returns the private key in a Secret.
func secretKey(t *testing.T, s *kubetest.Server, ns, name string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s.Kubectl(t, "-n", ns, "get", "secret", name, "-o", "jsonpath={.data.secretKey}"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeygenToSecret(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	admin := s.Kubeconfig(t)

	out, errs, code := keygen(t, admin, "--to-secret", ns+"/node")
	if code != 0 || !strings.HasPrefix(errs, "created Secret "+ns+"/node with a private key.") || !strings.HasPrefix(out, "public key  ") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	first := secretKey(t, s, ns, "node")
	if len(first) != 64 {
		t.Fatalf("the Secret holds %d bytes, want 64 hex digits", len(first))
	}
	if got := s.Kubectl(t, "-n", ns, "get", "secret", "node", "-o", `jsonpath={.metadata.labels.app\.kubernetes\.io/part-of} {.type}`); got != "mesh Opaque" {
		t.Errorf("label and type are %q, want mesh and Opaque", got)
	}

	// A second time nothing changes, and the same public key is told.
	again, errs, code := keygen(t, admin, "--to-secret", ns+"/node")
	if code != 0 || again != out || errs != "Secret "+ns+"/node exists and was left alone\n" || secretKey(t, s, ns, "node") != first {
		t.Errorf("exit code %d: %s%s", code, again, errs)
	}
	again, _, code = keygen(t, admin, "--to-secret", ns+"/node", "-o", "json")
	var doc keyDocument
	if err := json.Unmarshal([]byte(again), &doc); err != nil || code != 0 {
		t.Fatalf("exit code %d: %v", code, err)
	}
	if doc.Created || doc.Secret != ns+"/node" || doc.File != nil || !strings.Contains(out, doc.PublicKey) {
		t.Errorf("-o json prints %s", again)
	}

	// An imported key.
	src := write(t, "src.key", someKey)
	if _, errs, code = keygen(t, admin, "--to-secret", ns+"/given", "--import", src); code != 0 || secretKey(t, s, ns, "given") != someKey {
		t.Errorf("--import: exit code %d: %s", code, errs)
	}
	if _, errs, code = keygen(t, admin, "--to-secret", ns+"/given", "--import", src); code != 0 {
		t.Errorf("--import of the same key: exit code %d: %s", code, errs)
	}
	if _, errs, code = keygen(t, admin, "--to-secret", ns+"/node", "--import", src); code != 6 || !strings.Contains(errs, "it holds another key than "+src) {
		t.Errorf("--import of another key: exit code %d: %s", code, errs)
	}

	// What is no key stays as it is.
	for name, tt := range map[string]struct{ literal, cause string }{
		"other": {"password=x", "it has no secretKey"},
		"short": {"secretKey=" + someKey[:62], "62 hex digits instead of 64"},
	} {
		s.Kubectl(t, "-n", ns, "create", "secret", "generic", name, "--from-literal="+tt.literal)
		_, errs, code := keygen(t, admin, "--to-secret", ns+"/"+name)
		if code != 6 || !strings.Contains(errs, tt.cause) || !strings.Contains(errs, "MESH-6602") {
			t.Errorf("%s: exit code %d: %s", name, code, errs)
		}
		if strings.Contains(errs, someKey[:16]) {
			t.Errorf("%s: the error holds what the Secret does", name)
		}
	}

	// No namespace, no right.
	if _, errs, code := keygen(t, admin, "--to-secret", "not-there/node"); code != 1 || !strings.Contains(errs, "there is no namespace not-there") {
		t.Errorf("no namespace: exit code %d: %s", code, errs)
	}
	s.Kubectl(t, "-n", ns, "create", "serviceaccount", "nobody")
	nobody := s.KubeconfigFor(t, s.ServiceAccountToken(t, ns, "nobody"), "")
	if _, errs, code := keygen(t, nobody, "--to-secret", ns+"/node"); code != 6 || !strings.Contains(errs, `cannot get resource "secrets"`) {
		t.Errorf("no right: exit code %d: %s", code, errs)
	}
	if _, errs, code := keygen(t, s.KubeconfigFor(t, "wrong", ""), "--to-secret", ns+"/node"); code != 6 {
		t.Errorf("wrong token: exit code %d: %s", code, errs)
	}
}

// Of many that make one Secret at once, one does, and all tell its key.
func TestKeygenToSecretAtOnce(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	admin, program := s.Kubeconfig(t), mesh(t)
	const many = 8
	var answers [many]string
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			cmd := exec.Command(program, "keygen", "--to-secret", ns+"/node", "-o", "json")
			cmd.Env = []string{"KUBECONFIG=" + admin}
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("mesh keygen: %v", err)
			}
			answers[i] = string(out)
		})
	}
	wg.Wait()
	created, public := 0, ""
	for _, text := range answers {
		var doc keyDocument
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if doc.Created {
			created++
		}
		if public != "" && doc.PublicKey != public {
			t.Errorf("two public keys: %s and %s", public, doc.PublicKey)
		}
		public = doc.PublicKey
	}
	if created != 1 {
		t.Errorf("%d say that they created the Secret, want 1", created)
	}
}

// The Job of the chart, under the rights that the chart gives it: it makes the Secret that the Deployment mounts, and
// a second run, of an upgrade, leaves it alone. Without any one of its rights it fails.
func TestKeygenJob(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	var hooks []object
	all := objects(t, strings.ReplaceAll(render(t), namespace, ns))
	for _, o := range all {
		if o.str("metadata", "annotations", "helm.sh/hook") == "pre-install,pre-upgrade" {
			hooks = append(hooks, o)
		}
	}
	if len(hooks) != 4 {
		t.Fatalf("%d hooks before the installation, want 4", len(hooks))
	}
	name := nodeName(all) + "-keygen"
	job := only(t, hooks, "Job", name)
	args := texts(job.at("spec", "template", "spec", "containers").([]any)[0].(map[string]any)["args"])
	for _, o := range hooks {
		if o.kind() != "Job" {
			apply(t, s, o)
		}
	}
	inPod := func() (string, string, int, bool) {
		cmd, ok := s.InPod(t, kubetest.Pod{Namespace: ns, ServiceAccount: job.str("spec", "template", "spec", "serviceAccountName")}, mesh(t), args...)
		if !ok {
			return "", "", 0, false
		}
		out, errs, code := run(t, cmd)
		return out, errs, code, true
	}
	out, errs, code, ok := inPod()
	if !ok {
		return
	}
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	volumes := only(t, all, "Deployment", nodeName(all)).at("spec", "template", "spec", "volumes").([]any)
	mounted := object(volumes[1].(map[string]any))
	if mounted.str("name") != "key" {
		t.Fatalf("the second volume is %s", mounted.str("name"))
	}
	before := secretKey(t, s, ns, mounted.str("secret", "secretName"))
	if len(before) != 64 {
		t.Errorf("the Secret that the Deployment mounts holds %d bytes of key", len(before))
	}
	if again, errs, code, _ := inPod(); code != 0 || again != out || secretKey(t, s, ns, "mesh-key") != before {
		t.Errorf("a second run: exit code %d: %s%s", code, again, errs)
	}

	role := only(t, hooks, "Role", name)
	rules := role.at("rules").([]any)
	for i := range rules {
		s.Kubectl(t, "-n", ns, "delete", "secret", "mesh-key", "--ignore-not-found")
		fewer := append(append([]any{}, rules[:i]...), rules[i+1:]...)
		apply(t, s, object{"apiVersion": role["apiVersion"], "kind": "Role", "metadata": role["metadata"], "rules": fewer})
		awaitRules(t, s, ns, name, len(fewer))
		if out, errs, code, _ := inPod(); code != 6 || !strings.Contains(errs, "MESH-6601") {
			t.Errorf("without rule %v: exit code %d: %s%s", rules[i], code, out, errs)
		}
	}
}

func apply(t *testing.T, s *kubetest.Server, o object) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Kubectl(t, "apply", "-f", write(t, "object.json", string(text)))
}

// awaitRules waits until the authorizer, which follows roles by a watch, knows a service account by this many rules on
// Secrets.
func awaitRules(t *testing.T, s *kubetest.Server, ns, account string, want int) {
	t.Helper()
	who := s.As(s.ServiceAccountToken(t, ns, account))
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, answer := who.Do(t, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
			`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{"namespace":"`+ns+`"}}`)
		if bytes.Count(answer, []byte(`"secrets"`)) == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the API server still answers %s", answer)
		}
	}
}
