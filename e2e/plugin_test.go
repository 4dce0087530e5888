package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// plugin is kubectl with the program as its plugin, in a cluster with one node, whose peer is a folder elsewhere.
type plugin struct {
	t      *testing.T
	server *kubetest.Server
	east   *kubeZone
	west   *zone
	ns     string
	path   string // for PATH
	*running
}

// running is what the parts of the test leave to each other.
type running struct {
	whole *testing.T
	pod   *kubetest.StandIn
}

// Those who may less than the administrator, and what they may.
const (
	pluginViewer   = "viewer"
	pluginOperator = "operator"
	pluginProxier  = "proxier"
	pluginStranger = "stranger"
)

// said is what a command printed.
type said struct {
	out, err string
	code     int
}

// as runs kubectl mesh as somebody; the empty name is the administrator's.
func (p *plugin) as(user string, args ...string) said {
	p.t.Helper()
	token := p.server.Token
	if user != "" {
		token = p.server.UserToken(p.t, user)
	}
	return p.with(p.server.KubeconfigFor(p.t, token, ""), args...)
}

// with runs kubectl mesh with a kubeconfig.
func (p *plugin) with(kubeconfig string, args ...string) said {
	p.t.Helper()
	return p.run(p.command(kubeconfig, "kubectl", append([]string{"mesh"}, args...)...))
}

func (p *plugin) command(kubeconfig, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.path, name), args...)
	cmd.Dir = p.t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+p.path+":"+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig, "HOME="+cmd.Dir, "NO_COLOR=1")
	return cmd
}

func (p *plugin) run(cmd *exec.Cmd) said {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%q: %v", cmd.Args, err)
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// is fails unless a command ended with a code, and printed nothing to stderr where that is 0.
func (p *plugin) is(s said, code int, words ...string) {
	p.t.Helper()
	if s.code != code || code == 0 && s.err != "" {
		p.t.Errorf("exit code %d, want %d\n%s%s", s.code, code, s.out, s.err)
	}
	p.has(s, words...)
}

// has fails unless a command printed all the words.
func (p *plugin) has(s said, words ...string) {
	p.t.Helper()
	for _, w := range words {
		if !strings.Contains(s.out+s.err, w) {
			p.t.Errorf("no %q in\n%s%s", w, s.out, s.err)
		}
	}
}

// comes runs a command until it ends well and prints what is wanted: what it shows is right most of the time only.
func (p *plugin) comes(user string, want *regexp.Regexp, args ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q prints %q", args, want), func() error {
		if s := p.as(user, args...); s.code != 0 || s.err != "" || !want.MatchString(s.out) {
			return fmt.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
		}
		return nil
	})
}

// hasNot fails if a command printed one of the words.
func (p *plugin) hasNot(s said, words ...string) {
	p.t.Helper()
	for _, w := range words {
		if strings.Contains(s.out+s.err, w) {
			p.t.Errorf("%q in\n%s%s", w, s.out, s.err)
		}
	}
}

// TestPlugin uses kubectl mesh as its users do, one after the other: those who may everything and those who may little,
// where all is well and where not.
func TestPlugin(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	for _, part := range []struct {
		name string
		test func(*plugin)
	}{
		{"before it is installed", (*plugin).beforeInstallation},
		{"peers", (*plugin).peers},
		{"status", (*plugin).status},
		{"watch", (*plugin).watch},
		{"invite", (*plugin).invite},
		{"log", (*plugin).logs},
		{"doctor", (*plugin).doctor},
		{"completion", (*plugin).completion},
		{"the plain name", (*plugin).plain},
		{"the flags of kubectl", (*plugin).flags},
		{"rights", (*plugin).rights},
		{"roles as they are documented", (*plugin).documented},
		{"proxy", (*plugin).proxied},
		{"nowhere", (*plugin).nowhere},
		{"the machine is away", (*plugin).away},
		{"another pod", (*plugin).replaced},
		{"tui", (*plugin).tui},
		{"warnings", (*plugin).warnings},
	} {
		t.Run(part.name, func(t *testing.T) {
			p := *p
			p.t = t
			part.test(&p)
		})
		if part.name == "before it is installed" {
			p.start()
		}
	}
}

func newPlugin(t *testing.T) *plugin {
	t.Helper()
	binary, err := program()
	must(t, err)
	s := kubetest.SharedAs(t, "plugin", kubetest.Pods(), kubetest.User(pluginViewer), kubetest.User(pluginOperator),
		kubetest.User(pluginProxier), kubetest.User(pluginStranger))
	p := &plugin{t: t, server: s, path: t.TempDir(), running: &running{whole: t}}
	for name, target := range map[string]string{"kubectl": kubetest.Tool(t, "kubectl"), "kubectl-mesh": binary, "kubectl_complete-mesh": binary, "mesh": binary} {
		must(t, os.Symlink(target, filepath.Join(p.path, name)))
	}
	p.east = zonesOf(t, []*kubetest.Server{s})[0]
	p.west = newZone(t, "west")
	p.ns = p.east.ns
	p.east.knows(p.west)
	p.west.knows(p.east.zone)
	for _, z := range []*zone{p.east.zone, p.west} {
		z.config["api"] = map[string]any{"listen": fmt.Sprintf("127.0.0.1:%d", porttest.Free(t)), "proxy": true}
		z.save()
	}
	for user, rules := range map[string][]any{
		pluginViewer: {pluginRule("dcp.hiro.io", "meshpeers", "get", "list", "watch")},
		pluginOperator: {pluginRule("dcp.hiro.io", "meshpeers", "get", "list", "watch"), pluginRule("", "pods", "get", "list"),
			pluginRule("", "pods/portforward", "get", "create")},
		pluginProxier: {pluginRule("dcp.hiro.io", "meshpeers", "get", "list", "watch"), pluginRule("", "pods", "get", "list"), pluginRule("", "pods/proxy", "get")},
	} {
		path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + p.ns
		p.east.must(http.MethodPost, path+"/roles", map[string]any{"metadata": map[string]any{"name": user}, "rules": rules})
		p.east.must(http.MethodPost, path+"/rolebindings", map[string]any{"metadata": map[string]any{"name": user},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}}})
	}
	return p
}

func pluginRule(group, resource string, verbs ...string) any {
	return map[string]any{"apiGroups": []string{group}, "resources": []string{resource}, "verbs": verbs}
}

// start starts the nodes and shows east's process to the cluster as a pod.
func (p *plugin) start() {
	p.t.Helper()
	startAll(p.t, p.east.zone, p.west)
	p.runPod("mesh-0")
	eventually(p.t, "MeshPeers show both nodes", func() error {
		peers, err := p.east.list(p.east.peersPath())
		for _, o := range peers {
			if err == nil && o.Status["status"] != string(mesh.Ready) {
				err = fmt.Errorf("%s is %v", o.Metadata.Name, o.Status["status"])
			}
		}
		if err == nil && len(peers) != 2 {
			err = fmt.Errorf("there are %d", len(peers))
		}
		return err
	})
}

func (p *plugin) runPod(name string) {
	p.t.Helper()
	p.pod = p.server.StandIn(p.whole, &kubetest.StandIn{Namespace: p.ns, Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": "mesh"},
		Ports:    map[int]string{3000: fmt.Sprintf("127.0.0.1:%d", p.east.http)},
		Loopback: map[int]string{3001: p.east.config["api"].(map[string]any)["listen"].(string)}})
}

func (p *plugin) beforeInstallation() {
	for _, command := range []string{"peers", "status"} {
		s := p.as("", "-n", p.ns, command)
		p.is(s, 3, "error: mesh is not installed in this cluster", "MeshPeers", "helm install mesh", "kubectl mesh help MESH-3903")
	}
}

// westName is how the MeshPeer of west is called.
func (p *plugin) westName() string { return "peer-" + p.west.public[:8] }

func (p *plugin) peers() {
	p.comes("", regexp.MustCompile(`^NAME   STATE   ADDRESS +RTT +LAG   SEEN   VERSION +AGE\nwest   Ready   127\.0\.0\.1:\d+   \S*ms   0     \S+ +\S+ +\S+\n$`), "-n", p.ns, "peers")
	p.is(p.as("", "-n", p.ns, "peers", "-o", "name"), 0, "meshpeer.dcp.hiro.io/"+p.westName()+"\n")
	p.is(p.as("", "-n", p.ns, "peers", p.westName(), "-o", "jsonpath={.namespace} {.name} {.transport}"), 0, p.ns+" west ")
	p.is(p.as("", "-n", p.ns, "peers", "describe", "west"), 0, "connected", "round trip")
	var list struct {
		Kind  string
		Items []mesh.Peer
	}
	s := p.as(pluginOperator, "-n", p.ns, "peers", "-o", "json")
	p.is(s, 0)
	must(p.t, json.Unmarshal([]byte(s.out), &list))
	if list.Kind != "PeerList" || len(list.Items) != 1 || list.Items[0].RTTSeconds == nil || list.Items[0].Namespace != p.ns {
		p.t.Errorf("as JSON peers are %s", s.out)
	}
	s = p.as("", "peers", "-A")
	p.is(s, 0)
	if lines := strings.Split(s.out, "\n"); !strings.HasPrefix(lines[0], "NAMESPACE ") || !strings.HasPrefix(lines[1], p.ns+"   west ") {
		p.t.Errorf("in all namespaces peers are\n%s", s.out)
	}
	// The namespace of the context is the default one.
	p.is(p.with(p.server.KubeconfigFor(p.t, p.server.Token, p.ns), "peers", "--no-headers"), 0, "west   Ready")
	p.is(p.as("", "-n", p.ns, "peers", "nobody"), 2, `no peer "nobody"`, "kubectl mesh -n "+p.ns+" peers -o wide")
}

func (p *plugin) status() {
	s := p.as(pluginOperator, "-n", p.ns, "status")
	p.is(s, 0, "zone         plugin", "peers        1/1 ready", "in sync", "kubernetes")
	p.hasNot(s, "not ready")
	p.is(p.as("", "-n", p.ns, "status", "--wait=120s", "-o", "json"), 0, `"inSync": true`, `"uptimeSeconds"`)
	p.comes("", regexp.MustCompile(regexp.QuoteMeta("zone plugin at plugin/"+p.ns)), "-n", p.ns, "version") // it waits for 2 s only
}

// watch follows the peers until it is interrupted.
func (p *plugin) watch() {
	cmd := p.command(p.server.Kubeconfig(p.t), "kubectl", "mesh", "-n", p.ns, "peers", "-w", "-o", "json")
	out, err := cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	var peer struct{ Kind, Name, Object string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &peer)
	}
	if err != nil || peer.Kind != "Peer" || peer.Name != "west" || peer.Object == "" {
		p.t.Errorf("the first line is %s, %v", line, err)
	}
	must(p.t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait() // how it ended is looked at
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		p.t.Errorf("interrupted it ended with %d", code)
	}
}

func (p *plugin) invite() {
	s := p.as(pluginOperator, "-n", p.ns, "invite", "--zone", "north", "--endpoint", "192.0.2.1:9102")
	if s.code != 0 || !regexp.MustCompile(`^mesh join meshinv1_\S+\n$`).MatchString(s.out) {
		p.t.Errorf("invite: exit code %d\n%s%s", s.code, s.out, s.err)
	}
	id := regexp.MustCompile(`cancel with: kubectl mesh -n ` + regexp.QuoteMeta(p.ns) + ` invite revoke (\S+)`).FindStringSubmatch(s.err)
	if id == nil {
		p.t.Fatalf("the hint cannot be run as it is:\n%s", s.err)
	}
	p.is(p.as("", "-n", p.ns, "invite", "ls"), 0, id[1], "north")
	p.has(p.as("", "-n", p.ns, "invite", "revoke", id[1]), "revoked invite "+id[1])
}

func (p *plugin) logs() {
	must(p.t, p.east.create("shown", "1"))
	eventually(p.t, "the log shows it", func() error {
		s := p.as("", "-n", p.ns, "log", "show", "--object", "ConfigMap/"+p.ns+"/shown")
		if s.code != 0 || !strings.Contains(s.out, "update") {
			return fmt.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
		}
		return nil
	})
	p.is(p.as(pluginOperator, "-n", p.ns, "log", "ls"), 0, "plugin", "west")
	p.is(p.as("", "-n", p.ns, "log", "verify"), 0, "ok")
	p.is(p.as("", "-n", p.ns, "adopt", "ConfigMap/"+p.ns+"/none"), 6)
}

func (p *plugin) doctor() {
	s := p.as("", "-n", p.ns, "doctor", "--group", "peers")
	if s.code != 0 {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
	p.has(s, "peers", "ok")
	p.has(p.as(pluginViewer, "-n", p.ns, "doctor"), "kubectl auth can-i list pods -n "+p.ns)

	bundle := filepath.Join(p.t.TempDir(), "bundle.tar.gz")
	if s = p.as(pluginOperator, "-n", p.ns, "doctor", "--bundle", bundle); s.code != 0 && s.code != 4 {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
	s = p.run(p.command("/dev/null", "mesh", "status", "--archive", bundle))
	if s.code != 0 {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
	p.has(s, "zone         plugin", "in sync")
}

func (p *plugin) completion() {
	file := p.server.KubeconfigFor(p.t, p.server.Token, p.ns)
	for args, want := range map[string]string{
		"mesh peers describe |":   "west",
		"mesh pe|":                "peers",
		"mesh status --via |":     "port-forward",
		"mesh status --context |": "plugin",
		"mesh peers -n |":         p.ns,
	} {
		words := strings.Fields(args)
		words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], "|")
		eventually(p.t, fmt.Sprintf("%s completes to %s", args, want), func() error { // it waits for 1 s only
			s := p.run(p.command(file, "kubectl", append([]string{"__complete"}, words...)...))
			for line := range strings.Lines(s.out) {
				if value, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); value == want && s.code == 0 {
					return nil
				}
			}
			return fmt.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
		})
	}
}

// plain calls the program by its own name.
func (p *plugin) plain() {
	file := p.server.Kubeconfig(p.t)
	s := p.run(p.command(file, "mesh", "--kubeconfig", file, "-n", p.ns, "peers"))
	p.is(s, 0, "west   Ready")
	p.is(p.run(p.command(file, "mesh", "peers", "--kube", "-n", p.ns)), 0, "west   Ready")
	p.is(p.run(p.command(file, "mesh", "--context", "plugin", "status", "-n", p.ns)), 0, "zone         plugin")
	s = p.run(p.command(file, "mesh", "peers")) // no node is here, and no cluster is asked
	p.is(s, 3, "cannot reach a mesh node at unix:")
	p.hasNot(s, "kubectl")
	p.is(p.run(p.command(file, "mesh", "-n", p.ns, "peers")), 2, "--namespace is about a Kubernetes cluster")
	p.is(p.run(p.command(file, "mesh", "--kube", "--node", "unix:x", "peers")), 2, "--node excludes --kube")
	// The plugin asks a node that is named.
	p.is(p.with(file, "peers", "--node", "unix:"+p.east.socket()), 0, "west   Ready")
}

// flags tries those that change who asks, and whom.
func (p *plugin) flags() {
	file := p.server.Kubeconfig(p.t)
	s := p.as("", "-n", p.ns, "peers", "--as", pluginViewer)
	p.has(s, "warning:", fmt.Sprintf("user %q cannot list pods in namespace %s", pluginViewer, p.ns))
	p.is(p.as("", "-n", p.ns, "peers", "--as", "nobody", "--as-group", "system:masters"), 0, "west   Ready")
	p.is(p.as(pluginStranger, "-n", p.ns, "peers", "--token", p.server.Token), 0, "west   Ready")
	p.is(p.as("", "-n", p.ns, "peers", "--request-timeout", "30s", "--user", "plugin", "--cluster", "plugin"), 0, "west   Ready")
	p.is(p.as("", "-n", p.ns, "peers", "-s", p.server.URL, "--tls-server-name", "localhost"), 0, "west   Ready")
	p.is(p.with(file, "--context", "plugn", "peers"), 2, `there is no context "plugn"; did you mean "plugin"?`, "MESH-2702")
	p.is(p.with(filepath.Join(p.t.TempDir(), "none"), "peers"), 2, "cannot use the kubeconfig", "MESH-2701")
	p.is(p.as(pluginStranger, "-n", p.ns, "peers", "--token", "wrong"), 6, "the API server does not know you", "MESH-6902")
	gone := fmt.Sprintf("https://127.0.0.1:%d", porttest.Free(p.t))
	p.is(p.as("", "-n", p.ns, "-s", gone, "peers"), 3, "error: cannot reach the API server at "+gone, "connection refused", "MESH-3901")
	p.is(p.as("", "-n", p.ns, "-s", gone, "status", "-o", "json"), 3, `{"error":{"code":"MESH-3901"`, `"docs":"kubectl mesh help MESH-3901"`)
	p.is(p.with(file, "peers", "--via", "pigeon"), 2, "--via")
	s = p.as("", "-n", p.ns, "peers", "--via", "none")
	p.is(s, 0)
	p.rowWithoutLive(s)
	p.is(p.as("", "-n", p.ns, "log", "ls", "--via", "none"), 2, "--via none")
	p.is(p.with(file), 0, "kubectl mesh shows the mesh", "kubectl mesh -n mesh-system peers")
	p.is(p.with(file, "peers", "--help"), 0, "usage: kubectl mesh peers", "  kubectl mesh peers west -o wide\n")
	p.is(p.with(file, "peesr"), 2, `unknown command "peesr"; did you mean "peers"?`, "kubectl mesh peers --help")
}

// rowWithoutLive wants west in the table, without what only the node knows.
func (p *plugin) rowWithoutLive(s said) {
	p.t.Helper()
	if !regexp.MustCompile(`(?m)^west   Ready   127\.0\.0\.1:\d+   -     -     \S+ +\S+ +\S+$`).MatchString(s.out) {
		p.t.Errorf("peers are\n%s", s.out)
	}
}

// rights are those of people who may less and less.
func (p *plugin) rights() {
	s := p.as(pluginViewer, "-n", p.ns, "peers")
	p.rowWithoutLive(s)
	if s.code != 0 || strings.Count(s.err, "warning:") != 1 {
		p.t.Errorf("exit code %d, warnings\n%s", s.code, s.err)
	}
	can := "kubectl auth can-i list pods -n " + p.ns
	p.has(s, fmt.Sprintf("user %q cannot list pods in namespace %s; %s\n", pluginViewer, p.ns, can))
	p.cannot(pluginViewer, can)
	s = p.as(pluginViewer, "-n", p.ns, "status")
	p.has(s, "zone         plugin", "peers        1/1 ready", "replication  -", "warning: ")
	if s.code != 0 {
		p.t.Errorf("exit code %d\n%s", s.code, s.err)
	}
	s = p.as(pluginViewer, "-n", p.ns, "status", "--wait=5s")
	p.is(s, 5, "only MeshPeers could be read")
	s = p.as(pluginViewer, "-n", p.ns, "invite")
	p.is(s, 6, "MESH-6901", can)

	s = p.as(pluginStranger, "-n", p.ns, "peers")
	can = "kubectl auth can-i list meshpeers.dcp.hiro.io -n " + p.ns
	p.is(s, 6, fmt.Sprintf("user %q cannot list meshpeers.dcp.hiro.io in namespace %s", pluginStranger, p.ns), can)
	p.cannot(pluginStranger, can)
	p.is(p.as(pluginStranger, "peers", "-A"), 6, "kubectl auth can-i list meshpeers.dcp.hiro.io -A")
	p.is(p.as(pluginOperator, "peers", "-A"), 6, "in all namespaces")
}

// documented runs the commands that docs/kubectl.md gives for making roles.
func (p *plugin) documented() {
	text, err := os.ReadFile("../docs/kubectl.md")
	must(p.t, err)
	made := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "kubectl create role ") {
			continue
		}
		made++
		words := strings.Fields(strings.ReplaceAll(line, "mesh-system", p.ns))
		p.is(p.run(p.command(p.server.Kubeconfig(p.t), words[0], append(words[1:], "--dry-run=server", "-o", "name")...)), 0, "role.rbac.authorization.k8s.io/")
	}
	if made == 0 {
		p.t.Error("there are none")
	}
}

// cannot runs the command that a refusal named, as whoever was refused.
func (p *plugin) cannot(user, command string) {
	p.t.Helper()
	file := p.server.KubeconfigFor(p.t, p.server.UserToken(p.t, user), "")
	words := strings.Fields(command)
	if s := p.run(p.command(file, words[0], words[1:]...)); !strings.HasPrefix(s.out, "no\n") {
		p.t.Errorf("%s answers %s%s", command, s.out, s.err)
	}
}

// proxied asks a node that lets itself be read through pods/proxy.
func (p *plugin) proxied() {
	before := p.pod.Forwards()
	p.comes(pluginProxier, regexp.MustCompile("ms   0 "), "-n", p.ns, "peers")
	p.is(p.as(pluginProxier, "-n", p.ns, "status"), 0, "in sync")
	p.is(p.as(pluginProxier, "-n", p.ns, "log", "ls"), 0, "plugin")
	p.is(p.as("", "-n", p.ns, "status", "--via", "proxy"), 0, "in sync")
	if n := p.pod.Forwards(); n != before {
		p.t.Errorf("%d port-forwards were opened", n-before)
	}
	can := "kubectl auth can-i get pods --subresource=portforward -n " + p.ns
	p.is(p.as(pluginProxier, "-n", p.ns, "invite"), 6, "this needs a port-forward", "MESH-6903", can)
	p.cannot(pluginProxier, can)
	p.is(p.as("", "-n", p.ns, "invite", "--via", "proxy"), 6, "MESH-6903", "--via port-forward")
}

// nowhere asks where nothing is.
func (p *plugin) nowhere() {
	empty := p.server.Namespace(p.t)
	s := p.as("", "-n", empty, "peers")
	if s.code != 0 || s.out != "" {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
	p.has(s, "No peers found.", "no MeshPeers are in namespace "+empty+"; there are some in "+p.ns+": kubectl mesh -n "+p.ns+" peers")
	p.is(p.as("", "-n", empty, "status"), 3, "no mesh node runs in namespace "+empty, "kubectl mesh -n "+p.ns+" status", "MESH-3902")
	p.is(p.as("", "-n", empty, "invite"), 3, "MESH-3902")
	s = p.as("", "-n", empty, "peers", "-o", "json")
	if s.code != 0 || !strings.Contains(s.out, `"items": []`) {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
}

// away loses the machine that the pod is on.
func (p *plugin) away() {
	p.pod.Cut()
	s := p.as(pluginOperator, "-n", p.ns, "peers")
	p.rowWithoutLive(s)
	if s.code != 0 || strings.Count(s.err, "warning:") != 1 {
		p.t.Errorf("exit code %d\n%s", s.code, s.err)
	}
	p.is(p.as(pluginOperator, "-n", p.ns, "invite"), 3, "cannot reach the node in pod mesh-0", "by port-forward", "MESH-3904", "kubectl -n "+p.ns+" describe pod mesh-0")
	p.pod.Remove(p.t)
	p.is(p.as(pluginOperator, "-n", p.ns, "invite"), 3, "no mesh node runs in namespace "+p.ns)
}

// replaced has another pod run the node.
func (p *plugin) replaced() {
	p.runPod("mesh-1")
	p.is(p.as(pluginOperator, "-n", p.ns, "status"), 0, "in sync")
}

// tui watches the node through one port-forward for as long as that holds, and through another when the pod is replaced.
func (p *plugin) tui() {
	cmd := p.command(p.server.KubeconfigFor(p.t, p.server.UserToken(p.t, pluginOperator), p.ns), "kubectl", "mesh", "tui", "--plain")
	log := filepath.Join(p.t.TempDir(), "log")
	file, err := os.Create(log)
	must(p.t, err)
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	before := p.pod.Forwards()
	must(p.t, cmd.Start())
	shows := func(words ...string) {
		p.t.Helper()
		eventually(p.t, fmt.Sprintf("it shows %q", words), func() error {
			text := read(p.t, log)
			for _, w := range words {
				if !strings.Contains(text, w) {
					return fmt.Errorf("no %q in\n%s", w, text)
				}
			}
			return nil
		})
	}
	shows("connecting to plugin/"+p.ns, "peers        1/1 ready", "west       Ready")
	if n := p.pod.Forwards() - before; n != 1 {
		p.t.Errorf("%d port-forwards were opened, want 1", n)
	}
	p.pod.Remove(p.t)
	p.runPod("mesh-2")
	eventually(p.t, "the other pod is watched", func() error {
		if p.pod.Forwards() == 0 {
			return errors.New("not yet\n" + read(p.t, log))
		}
		return nil
	})
	p.west.stop() // it is told by the other pod
	shows("west       NotReady")
	must(p.t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait() // how it ended is looked at
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		p.t.Errorf("interrupted it ended with %d\n%s", code, read(p.t, log))
	}
	p.west.start()
}

// warnings are those of the API server, each once.
func (p *plugin) warnings() {
	p.server.Kubectl(p.t, "patch", "crd", "meshpeers.dcp.hiro.io", "--type=json", "-p",
		`[{"op":"add","path":"/spec/versions/0/deprecated","value":true},{"op":"add","path":"/spec/versions/0/deprecationWarning","value":"this is getting old"}]`)
	eventually(p.t, "the warning is shown", func() error {
		s := p.as("", "-n", p.ns, "peers", "--via", "none")
		if strings.Count(s.err, "warning: this is getting old") != 1 {
			return fmt.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
		}
		return nil
	})
	s := p.as("", "-n", p.ns, "peers")
	if s.code != 0 || strings.Count(s.err, "warning: this is getting old") != 1 {
		p.t.Errorf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
}
