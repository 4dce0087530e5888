package charttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// installation is a release of the chart in a cluster without a kubelet: the test is the kubelet. What a container
// runs, with which arguments, variables, files and account, is what the rendered objects say; so are its rights.
type installation struct {
	t      *testing.T
	server *kubetest.Server
	ns     string
	all    []object // as applied
	public string   // key of the node

	folders map[string]string // of the machine, by pod and volume
	pods    map[string]*process
	http    map[string]int // port of each pod
}

// settings are the values that let several nodes run on one machine, on top of those of a test.
func settings(t *testing.T, network string) map[string]any {
	return map[string]any{
		"mesh": map[string]any{"networkId": network},
		"configuration": map[string]any{
			"bind_port": porttest.Free(t), "http_bind_port": porttest.Free(t),
			"bind_address": []string{"127.0.0.1"}, "http_bind_address": "127.0.0.1", "heartbeat_interval_seconds": 1,
		},
	}
}

// install renders the chart with values (YAML) into a namespace and does what helm install does: the hooks, then
// everything else. alter may change what is rendered before it is applied. It starts no pod of the Deployment. false:
// this machine runs no pods.
func install(t *testing.T, s *kubetest.Server, ns, values string, alter ...func(object)) (*installation, bool) {
	t.Helper()
	more, err := json.Marshal(settings(t, ns))
	if err != nil {
		t.Fatal(err)
	}
	text := render(t, "-n", ns, "-f", write(t, "values.yaml", values), "-f", write(t, "more.yaml", string(more)))
	i := &installation{t: t, server: s, ns: ns, all: objects(t, text), folders: map[string]string{}, pods: map[string]*process{}, http: map[string]int{}}
	var before, rest, definitions []string
	var job object
	for _, o := range i.all {
		for _, change := range alter {
			change(o)
		}
		if o.str("metadata", "namespace") == "" && !clusterScoped[o.kind()] {
			o["metadata"].(map[string]any)["namespace"] = ns // as helm does
		}
		text := encode(t, o)
		switch hook := o.str("metadata", "annotations", "helm.sh/hook"); {
		case hook == "" && o.kind() == "CustomResourceDefinition":
			definitions = append(definitions, text)
		case hook == "":
			rest = append(rest, text)
		case hook == "test":
		case o.kind() == "Job":
			job = o
		default:
			before = append(before, text)
		}
	}
	i.apply(before)
	if job != nil {
		out, errs, code, ok := i.run(job, "keygen")
		if !ok {
			return nil, false
		}
		if code != 0 {
			t.Fatalf("the Job that makes the key: exit code %d: %s%s", code, out, errs)
		}
	}
	if len(definitions) > 0 {
		i.apply(definitions)
		s.Kubectl(t, "wait", "--for=condition=Established", "crd/meshpeers.dcp.hiro.io")
	}
	i.apply(rest)
	out, errs, code, ok := i.run(i.deployment(), "look", "keygen", "--public", "/run/mesh/key/private.key", "-o", "json")
	if !ok {
		return nil, false
	}
	var key keyDocument
	if err := json.Unmarshal([]byte(out), &key); err != nil || code != 0 {
		t.Fatalf("mesh keygen --public: exit code %d, %v: %s%s", code, err, out, errs)
	}
	i.public = key.PublicKey
	return i, true
}

// clusterScoped are the kinds of the chart that live in no namespace.
var clusterScoped = map[string]bool{"ClusterRole": true, "ClusterRoleBinding": true, "CustomResourceDefinition": true}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (i *installation) apply(list []string) {
	i.t.Helper()
	if len(list) == 0 {
		return
	}
	text := `{"apiVersion":"v1","kind":"List","items":[` + strings.Join(list, ",") + `]}`
	i.server.Kubectl(i.t, "apply", "--server-side", "--force-conflicts", "-f", write(i.t, "objects.json", text))
}

func (i *installation) deployment() object {
	return only(i.t, i.all, "Deployment", nodeName(i.all))
}

// port is that of the node for peers or for HTTP, as the container says.
func (i *installation) port(name string) int {
	i.t.Helper()
	for _, p := range i.container(i.deployment())["ports"].([]any) {
		if p := p.(map[string]any); p["name"] == name {
			return p["containerPort"].(int)
		}
	}
	i.t.Fatalf("the container has no port %s", name)
	return 0
}

// podOf finds the pod within a Deployment, Job or Pod.
func podOf(o object) object {
	if o.kind() == "Pod" {
		return o
	}
	return object(o.at("spec", "template").(map[string]any))
}

func (i *installation) container(o object) object {
	return object(podOf(o).at("spec", "containers").([]any)[0].(map[string]any))
}

// command prepares the container of a Deployment, Job or Pod in the pod of a name, with other arguments if some are
// given. The entry point of the image is mesh.
func (i *installation) command(o object, pod string, args ...string) (*exec.Cmd, bool) {
	t := i.t
	t.Helper()
	container := i.container(o)
	if container["command"] != nil {
		t.Fatalf("the container of %s names a command: the image's entry point is not used", o.name())
	}
	if len(args) == 0 {
		args = texts(container["args"])
	}
	account := podOf(o).str("spec", "serviceAccountName")
	if account == "" {
		account = "default" // which a controller makes in every namespace
		i.apply([]string{`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"` + i.ns + `"}}`})
	}
	mounts := map[string]string{}
	volumes := map[string]object{}
	list, _ := podOf(o).at("spec", "volumes").([]any)
	for _, v := range list {
		v := object(v.(map[string]any))
		volumes[v.str("name")] = v
	}
	list, _ = container["volumeMounts"].([]any)
	for _, m := range list {
		m := object(m.(map[string]any))
		mounts[m.str("mountPath")] = i.folder(pod, volumes[m.str("name")])
	}
	cmd, ok := i.server.InPod(t, kubetest.Pod{Namespace: i.ns, ServiceAccount: account, Mounts: mounts}, mesh(t), args...)
	if !ok {
		return nil, false
	}
	cmd.Dir = "/"
	list, _ = container["env"].([]any)
	for _, e := range list {
		e := object(e.(map[string]any))
		value := e.str("value")
		if field := e.str("valueFrom", "fieldRef", "fieldPath"); field == "metadata.name" {
			value = pod
		} else if e["valueFrom"] != nil {
			t.Fatalf("variable %s comes from %v", e.str("name"), e["valueFrom"])
		}
		cmd.Env = append(cmd.Env, e.str("name")+"="+value)
	}
	return cmd, true
}

// folder makes a volume: files of objects as the API server has them, or what is to be written. It is kept for the pod.
func (i *installation) folder(pod string, volume object) string {
	t := i.t
	t.Helper()
	if volume["persistentVolumeClaim"] != nil {
		pod = "" // it outlives pods
	}
	place := pod + "/" + volume.str("name")
	if have := i.folders[place]; have != "" {
		return have
	}
	dir, err := os.MkdirTemp("", "mesh-volume-") // a short path: the node's socket is in one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	i.folders[place] = dir
	put := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case volume["emptyDir"] != nil, volume["persistentVolumeClaim"] != nil:
	case volume["configMap"] != nil:
		var o struct{ Data map[string]string }
		i.get(&o, "configmap", volume.str("configMap", "name"))
		for name, text := range o.Data {
			put(name, []byte(text))
		}
	case volume["secret"] != nil:
		var o struct{ Data map[string]string }
		name := volume.str("secret", "secretName")
		if volume.at("secret", "optional") == true && i.server.Kubectl(t, "-n", i.ns, "get", "secret", name, "--ignore-not-found") == "" {
			return dir
		}
		i.get(&o, "secret", name)
		for _, item := range volume.at("secret", "items").([]any) {
			item := object(item.(map[string]any))
			text, err := base64.StdEncoding.DecodeString(o.Data[item.str("key")])
			if err != nil || len(text) == 0 {
				t.Fatalf("the Secret has no %s: %v", item.str("key"), err)
			}
			put(item.str("path"), text)
		}
	default:
		t.Fatalf("a volume of an unknown kind: %v", volume)
	}
	return dir
}

// get reads an object of the release's namespace.
func (i *installation) get(into any, args ...string) {
	i.t.Helper()
	text := i.server.Kubectl(i.t, append([]string{"-n", i.ns, "get", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		i.t.Fatal(err)
	}
}

// run runs a container to its end. ok is false where this machine runs no pods.
func (i *installation) run(o object, pod string, args ...string) (stdout, stderr string, code int, ok bool) {
	i.t.Helper()
	cmd, ok := i.command(o, pod, args...)
	if !ok {
		return "", "", 0, false
	}
	stdout, stderr, code = run(i.t, cmd)
	return stdout, stderr, code, true
}

// startPod starts the very container of the Deployment as a pod of a name. Its process is the first of a PID
// namespace, as in a container: signals that it doesn't handle do nothing there. Pods share the network of the machine,
// so each has a port for HTTP of its own.
func (i *installation) startPod(name string) {
	i.t.Helper()
	cmd, ok := i.command(i.deployment(), name)
	if !ok {
		i.t.Fatal("pods were possible before")
	}
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	if i.http[name] == 0 {
		i.http[name] = i.port("http")
		if len(i.http) > 1 {
			i.http[name] = porttest.Free(i.t)
		}
	}
	// A pod has a loopback of its own; these share one.
	cmd.Env = append(cmd.Env, fmt.Sprintf("MESH_API__LISTEN=127.0.0.1:%d", porttest.Free(i.t)))
	if i.http[name] != i.port("http") {
		cmd.Env = append(cmd.Env, fmt.Sprintf("MESH_HTTP_BIND_PORT=%d", i.http[name]))
	}
	i.pods[name] = start(i.t, filepath.Join(i.t.TempDir(), name+".log"), cmd)
}

// exec runs a command of the image in a pod, as kubectl exec does.
func (i *installation) exec(pod string, args ...string) (stdout, stderr string, code int) {
	i.t.Helper()
	stdout, stderr, code, _ = i.run(i.deployment(), pod, args...)
	return stdout, stderr, code
}

// status is what the tests look at of mesh status -o json.
type status struct {
	Ready, InSync bool
	LeaseHeld     bool
	Lease         struct{ State, Holder string }
	Cluster       struct {
		Problems []struct{ Object, Reason, Text string }
	}
	Findings []struct{ ID, Status, Subject, Text string }
}

// problems are all that the status complains about, one a line.
func (s status) problems() string {
	var all strings.Builder
	for _, p := range s.Cluster.Problems {
		fmt.Fprintln(&all, p.Object, p.Reason, p.Text)
	}
	for _, f := range s.Findings {
		fmt.Fprintln(&all, f.ID, f.Status, f.Subject, f.Text)
	}
	return all.String()
}

func (i *installation) status(pod string) (s status, err error) {
	i.t.Helper()
	if p := i.pods[pod]; !p.running() {
		return s, fmt.Errorf("%w: pod %s ended: %s", errOver, pod, p.cmd.ProcessState)
	}
	out, errs, code := i.exec(pod, "status", "-o", "json")
	if code != 0 {
		return s, fmt.Errorf("mesh status: exit code %d: %s", code, errs)
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// shows waits until the status complains with all of the words.
func (i *installation) shows(pod string, words ...string) {
	i.t.Helper()
	i.complaint(pod, true, words)
}

// showsNoMore waits until no complaint of the status has all of the words.
func (i *installation) showsNoMore(pod string, words ...string) {
	i.t.Helper()
	i.complaint(pod, false, words)
}

// complaint waits until there is or isn't a line of the status with all of the words.
func (i *installation) complaint(pod string, want bool, words []string) {
	i.t.Helper()
	eventually(i.t, fmt.Sprintf("that status complains %q is %t", words, want), func() error {
		s, err := i.status(pod)
		if err != nil {
			return err
		}
		complains := false
		for line := range strings.Lines(s.problems()) {
			lacks := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
			complains = complains || !lacks
		}
		if complains != want {
			return fmt.Errorf("it shows\n%s", s.problems())
		}
		return nil
	})
}

// probe asks a pod what a probe of the container asks.
func (i *installation) probe(pod, name string) error {
	i.t.Helper()
	probe := object(i.container(i.deployment())[name].(map[string]any))
	if probe.str("httpGet", "port") != "http" {
		i.t.Fatalf("%s asks port %v", name, probe.at("httpGet", "port"))
	}
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", i.http[pod], probe.str("httpGet", "path")))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", name, resp.StatusCode, body)
	}
	return err
}

// A key that comes from elsewhere, by the commands of docs/helm.md.
func TestKeyFromElsewhere(t *testing.T) {
	t.Parallel()
	s, _ := clusters(t)
	ns := s.Namespace(t)
	file := filepath.Join(t.TempDir(), "east.key")
	cmd := exec.Command(mesh(t), "keygen", file)
	out, errs, code := run(t, cmd)
	if code != 0 {
		t.Fatalf("mesh keygen: exit code %d: %s%s", code, out, errs)
	}
	s.Kubectl(t, "-n", ns, "create", "secret", "generic", "east", "--from-file=node.key="+file)
	i, ok := install(t, s, ns, "privateKey: {existingSecret: east, key: node.key}")
	if ok && !strings.Contains(out, i.public) {
		t.Errorf("the node has the key %s, mesh keygen said %s", i.public, out)
	}
}
